"""Progress bars on terminals, and a line a minute elsewhere, as in a log file."""

import sys
from collections.abc import Iterable

import tqdm


class _Lines(tqdm.tqdm):
    """Lines in place of a bar that moves."""

    def display(self, msg: str | None = None, pos: int | None = None) -> None:
        if msg is None:  # "" where a bar would vanish
            self.fp.write(f"{self}\n")
            self.fp.flush()


def bar(iterable: Iterable | None = None, **options: object) -> tqdm.tqdm:
    """Returns a progress bar with an estimate of the time left; it appears after two seconds.

    It goes to standard error and vanishes at its end. Where standard error is no terminal, a line
    is written after a minute, and after each more.

    Args:
        iterable: What is walked through; None where the caller updates the bar.
        options: Of `tqdm.tqdm`: `total`, `desc`, `unit`.
    """
    if sys.stderr.isatty():
        return tqdm.tqdm(iterable, delay=2, leave=False, **options)
    line = "{desc}: {n_fmt} of {total_fmt} {unit}, {elapsed}, {remaining} left"
    return _Lines(
        iterable, delay=60, mininterval=60, miniters=1, leave=False, bar_format=line, **options
    )
