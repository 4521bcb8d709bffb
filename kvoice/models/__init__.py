"""One paper per file; this table is how commands find them."""

from kvoice.models.betavae import BetaVAE
from kvoice.models.classifier import Classifier
from kvoice.models.voicegan import VoiceGAN

MODELS = {"betavae": BetaVAE, "classifier": Classifier, "voicegan": VoiceGAN}
