"""One paper per file; this table is how commands find them."""

from kvoice.models.adainvc import AdaINVC
from kvoice.models.betavae import BetaVAE
from kvoice.models.classifier import Classifier
from kvoice.models.speakerencoder import SpeakerEncoder
from kvoice.models.voicegan import VoiceGAN
from kvoice.models.waveglow import WaveGlow

MODELS = {"adainvc": AdaINVC, "betavae": BetaVAE, "classifier": Classifier,
          "speakerencoder": SpeakerEncoder, "voicegan": VoiceGAN, "waveglow": WaveGlow}
