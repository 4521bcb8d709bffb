"""One paper per file; this table is how commands find them."""

from kvoice.errors import KvoiceError
from kvoice.models.adainvc import AdaINVC
from kvoice.models.betavae import BetaVAE
from kvoice.models.classifier import Classifier
from kvoice.models.speakerencoder import SpeakerEncoder
from kvoice.models.voicegan import VoiceGAN
from kvoice.models.waveglow import WaveGlow

MODELS = {"adainvc": AdaINVC, "betavae": BetaVAE, "classifier": Classifier,
          "speakerencoder": SpeakerEncoder, "voicegan": VoiceGAN, "waveglow": WaveGlow}


def named(verb):
    """The names of the models that a command takes."""
    return [name for name, model in MODELS.items() if verb in model.verbs]


def check(run, verb):
    """Refuses a run of a model that a command does not take.

    Args:
        run: A `runs.Run`.
        verb: The command.

    Raises:
        KvoiceError: If it is one.
    """
    if run.config["model_name"] not in named(verb):
        raise KvoiceError(f"{run.path}: is a run of {run.config['model_name']}, expected one of "
                          f"{', '.join(named(verb))}")
