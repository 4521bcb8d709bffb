"""Pictures: grids of mels and curves of a training, as PNG files. The only user of matplotlib.

Figures are drawn without pyplot: no window, no global state, the same bytes for the same numbers.
"""

import csv

import numpy as np
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from kvoice import audio
from kvoice.errors import KvoiceError
from kvoice.files import replaced

RANGE_DB = 80.0  # shown below the loudest point of a figure
_TICKS_HZ = (500, 1000, 2000, 4000, 8000, 16000)
_GREY = "0.35"


def mel_image(path, mels, titles, spec, columns=()):
    """Draws a grid of mels on one colour scale, in dB, with axes in seconds and kHz.

    Shapes: mels: rows of [time, mels] each; all of the same shape.

    Args:
        path: The PNG file; replaced whole or not at all.
        mels: Rows of mels on the scale of the Spec.
        titles: The name of each row; "" = none.
        spec: Says what the axes are.
        columns: The name of each column; () = none.

    Raises:
        KvoiceError: If titles and rows, or columns and mels in a row, differ in number, there is
            nothing to draw, or a value is not finite.
    """
    mels = np.asarray(mels)  # [rows, columns, T, M]
    if mels.ndim != 4 or not mels.size:
        raise KvoiceError(f"{path}: a grid of mels, [rows, columns, time, mels], is wanted, got "
                          f"{list(mels.shape)}")
    if len(titles) != len(mels) or columns and len(columns) != mels.shape[1]:
        raise KvoiceError(f"{path}: {mels.shape[0]} rows of {mels.shape[1]} mels do not go with "
                          f"{len(titles)} titles and {len(columns)} columns")
    if not np.isfinite(mels).all():
        raise KvoiceError(f"{path}: not drawn, a mel holds NaN or infinite values")
    decibels = 20 * np.log10(np.maximum(audio.magnitude(mels, spec), 1e-10))
    seconds = mels.shape[2] * spec.hop / spec.sample_rate_hz
    wide = min(2.6, max(1.3, 0.95 * seconds))
    figure = Figure((1.2 + wide * mels.shape[1], 0.6 + 1.25 * mels.shape[0]), layout="constrained")
    figure.get_layout_engine().set(w_pad=0.03, h_pad=0.03)
    grid = figure.subplots(*mels.shape[:2], sharex=True, sharey=True, squeeze=False)
    for row, title, axes in zip(decibels, titles, grid):
        for image, axis in zip(row, axes):
            shown = axis.imshow(
                image.T, origin="lower", aspect="auto", interpolation="nearest", cmap="magma",
                vmin=decibels.max() - RANGE_DB, vmax=decibels.max(),
                extent=(0, seconds, -0.5, spec.mels - 0.5))
        axes[0].set_ylabel(f"{title}\nkHz" if title else "kHz")
    for axis, column in zip(grid[0], columns):
        axis.set_title(column, fontsize="medium")
    for axis in grid.flat:
        axis.tick_params(labelsize="small", colors=_GREY, length=2)
        axis.spines[:].set_visible(False)
        axis.label_outer()
    hz, bands = mel_ticks(spec)
    grid[0, 0].set_yticks(bands, [f"{each / 1000:g}" for each in hz])
    grid[0, 0].xaxis.set_major_locator(MaxNLocator(4, steps=[1, 2, 5, 10]))
    figure.supxlabel("time, s", fontsize="medium")
    bar = figure.colorbar(shown, ax=grid, label="level, dB", pad=0.01, fraction=0.05, aspect=30)
    bar.outline.set_visible(False)
    bar.ax.tick_params(labelsize="small", colors=_GREY, length=2)
    _save(figure, path)


def mel_ticks(spec):
    """Frequencies worth a tick, in Hz, and the (fractional) bands of the Spec they lie in."""
    filters = audio.mel_filters(spec)  # [bins, mels]
    bins_hz = np.linspace(0, spec.sample_rate_hz / 2, len(filters))
    centres_hz = bins_hz @ filters / filters.sum(axis=0)
    inside = [hz for hz in _TICKS_HZ if centres_hz[0] <= hz <= spec.fmax_hz]
    return inside, np.interp(inside, centres_hz, np.arange(spec.mels))


def curves(path, table):
    """Draws one panel for each quantity of a training over its steps; `val_X` goes with `X`.

    Args:
        path: The PNG file; replaced whole or not at all.
        table: Column -> values, as from `log`; "step" is the axis, NaN a gap.

    Raises:
        KvoiceError: If there is no column "step", or nothing beside it.
    """
    if "step" not in table or len(table) < 2:
        raise KvoiceError(f"{path}: a table with a column step and others is wanted, got "
                          f"{', '.join(table) or 'nothing'}")
    names = list(dict.fromkeys(name.removeprefix("val_") for name in table if name != "step"))
    wide = min(3, len(names))
    high = -(-len(names) // wide)
    figure = Figure((3.4 * wide, 2.2 * high + 0.3), layout="constrained")
    grid = figure.subplots(high, wide, sharex=True, squeeze=False)
    for axis, name in zip(grid.flat, names):
        for column, label, colour in (
                (name, "training", "C0"), (f"val_{name}", "validation", "C1")):
            if column in table:
                steps, values = np.asarray(table["step"], float), np.asarray(table[column], float)
                known = np.isfinite(values)
                axis.plot(steps[known], values[known], colour, label=label, lw=1.5,
                          marker="." if known.sum() < 30 else "")
        axis.set_title(name.replace("_", " "), fontsize="medium", loc="left")
        axis.spines[["top", "right"]].set_visible(False)
        axis.grid(axis="y", color="0.9")
        axis.tick_params(labelsize="small", colors=_GREY)
        axis.xaxis.set_major_locator(MaxNLocator(4, steps=[1, 2, 5, 10], integer=True))
        if f"val_{name}" in table:
            axis.legend(fontsize="small", frameon=False)
    for axis in grid.flat[len(names):]:
        axis.set_visible(False)
    for axis in grid.T.flat:
        axis.tick_params(labelbottom=True)
    figure.supxlabel("step", fontsize="medium")
    _save(figure, path)


def log(path):
    """The columns of a run's log.csv as lists of floats; empty cells are NaN.

    Raises:
        KvoiceError: If the file is missing, or a cell is no number.
    """
    try:
        with open(path, newline="", encoding="utf-8") as file:
            rows = list(csv.DictReader(file))
        return {name: [float(row[name] or "nan") for row in rows] for name in (rows or [{}])[0]}
    except OSError as error:
        raise KvoiceError(f"{path}: cannot be read ({error.strerror})") from None
    except (ValueError, TypeError) as error:
        raise KvoiceError(f"{path}: not a log of numbers: {error}") from None


def _save(figure, path):
    """Writes a figure as PNG under a temporary name, then renames it."""
    try:
        with replaced(path) as file:
            figure.savefig(file, format="png", dpi=120)
    except OSError as error:
        raise KvoiceError(f"{path}: cannot be written ({error.strerror})") from error
