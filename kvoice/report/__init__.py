"""Static HTML pages that show the sounds, pictures and measurements of runs."""

from kvoice.report.adainvc import conversions
from kvoice.report.betavae import traversals
from kvoice.report.classifier import classification
from kvoice.report.maximization import maximization  # noqa: F401
from kvoice.report.speakerencoder import verification
from kvoice.report.voicegan import samples
from kvoice.report.waveglow import resynthesis

# Name of a model -> the function that writes the page of its runs.
PAGES = {
    "adainvc": conversions,
    "betavae": traversals,
    "classifier": classification,
    "speakerencoder": verification,
    "voicegan": samples,
    "waveglow": resynthesis,
}
