"""One paper per file; this table is how commands find them."""

from kvoice.models.classifier import Classifier
from kvoice.models.voicegan import VoiceGAN

MODELS = {"classifier": Classifier, "voicegan": VoiceGAN}
