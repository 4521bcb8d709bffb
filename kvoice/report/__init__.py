"""Static HTML pages that show the sounds, pictures and measurements of runs."""

from kvoice.report.adainvc import conversions
from kvoice.report.betavae import traversals
from kvoice.report.maximization import maximization  # noqa: F401
from kvoice.report.speakerencoder import verification

# Name of a model -> the function that writes the page of its runs.
PAGES = {"betavae": traversals, "adainvc": conversions, "speakerencoder": verification}
