"""The models, one paper per file; the commands look them up in `MODELS`."""

from kvoice.errors import KvoiceError
from kvoice.models.adainvc import AdaINVC
from kvoice.models.betavae import BetaVAE
from kvoice.models.classifier import Classifier
from kvoice.models.speakerencoder import SpeakerEncoder
from kvoice.models.voicegan import VoiceGAN
from kvoice.models.waveglow import WaveGlow
from kvoice.runs import Run

MODELS = {
    "adainvc": AdaINVC,
    "betavae": BetaVAE,
    "classifier": Classifier,
    "speakerencoder": SpeakerEncoder,
    "voicegan": VoiceGAN,
    "waveglow": WaveGlow,
}


def named(verb: str) -> list[str]:
    """Returns the names of the models that support a command."""
    return [name for name, model in MODELS.items() if verb in model.verbs]


def check(run: Run, verb: str) -> None:
    """Checks that the model of a run supports a command.

    Args:
        run: A `runs.Run`.
        verb: The name of the command.

    Raises:
        KvoiceError: If it does not.
    """
    if run.config["model_name"] not in named(verb):
        raise KvoiceError(
            f"{run.path}: is a run of {run.config['model_name']}, expected one of "
            f"{', '.join(named(verb))}"
        )
