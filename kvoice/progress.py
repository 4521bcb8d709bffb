"""Progress bars, for terminals only: a log file gets none."""

from collections.abc import Iterable

import tqdm


def bar(iterable: Iterable | None = None, **options: object) -> tqdm.tqdm:
    """Returns a progress bar with an estimate of the time left; it appears after two seconds.

    It goes to standard error and vanishes at its end. Where standard error is no terminal, nothing
    is written.

    Args:
        iterable: What is walked through; None where the caller updates the bar.
        options: Of `tqdm.tqdm`: `total`, `desc`, `unit`.
    """
    return tqdm.tqdm(iterable, delay=2, leave=False, disable=None, **options)
