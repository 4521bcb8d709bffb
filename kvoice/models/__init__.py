"""One paper per file; this table is how commands find them."""

from kvoice.models.voicegan import VoiceGAN

MODELS = {"voicegan": VoiceGAN}
