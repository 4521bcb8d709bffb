"""Static pages: what was made, to be seen, heard and judged."""

from kvoice.report.laboratory import laboratory  # noqa: F401
from kvoice.report.maximization import maximization  # noqa: F401
