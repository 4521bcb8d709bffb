"""Static pages: what was made, to be seen, heard and judged."""

from kvoice.report.adainvc import conversions
from kvoice.report.betavae import laboratory
from kvoice.report.maximization import maximization  # noqa: F401

# Name of a model -> the page of its runs.
PAGES = {"betavae": laboratory, "adainvc": conversions, "speakerencoder": conversions}
