"""Pictures: mels and images, still and moving, and curves and tables. The only user of matplotlib.

Figures are drawn without pyplot: no window, no global state, the same bytes for the same numbers.
"""

import csv
import functools
import io
import os
import textwrap
from collections.abc import Sequence

import matplotlib
import numpy as np
import PIL.Image
import scipy.ndimage
from matplotlib import font_manager
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.colors import hsv_to_rgb, to_rgb
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patheffects import withStroke
from matplotlib.text import Text
from matplotlib.ticker import MaxNLocator, PercentFormatter

from kvoice import audio
from kvoice.errors import KvoiceError
from kvoice.files import replaced

RANGE_DB = 80.0  # shown below the loudest point of a figure
FRAME_MS, LAST_MS = 600, 2000  # how long a frame of an animation stands, and its last one
_TICKS_HZ = (500, 1000, 2000, 4000, 8000, 16000)
_GREY = "0.35"
_MAP = "magma"
_MARKERS = {"female": "o", "male": "^", "": "s"}


def mel_image(
    path: str | os.PathLike,
    mels: np.ndarray | list,
    titles: list[str],
    spec: audio.Spec,
    columns: Sequence[str] = (),
) -> None:
    """Draws a grid of mels on one colour scale, in dB, with axes in seconds and kHz.

    Shapes: mels: rows of [time, mels] each; all of the same shape.

    Args:
        path: The PNG file; replaced atomically.
        mels: Rows of mels on the scale of the Spec.
        titles: The name of each row; "" = none.
        spec: The Spec of the mels, which defines the axes.
        columns: The name of each column; () = none.

    Raises:
        KvoiceError: If titles and rows, or columns and mels in a row, differ in number, there is
            nothing to draw, or a value is not finite.
    """
    decibels = _decibels(path, mels, "a grid of mels, [rows, columns, time, mels]", spec)
    rows, wide = decibels.shape[:2]
    if len(titles) != rows or columns and len(columns) != wide:
        raise KvoiceError(
            f"{path}: {rows} rows of {wide} mels do not go with "
            f"{len(titles)} titles and {len(columns)} columns"
        )
    _save(_mel_figure(decibels, titles, columns, decibels.max(), spec), path, palette=True)


def mel_animation(
    path: str | os.PathLike,
    mels: np.ndarray | list,
    captions: list[str],
    spec: audio.Spec,
    columns: Sequence[str] = (),
) -> None:
    """Draws rows of mels one after the other, on one colour scale, as a GIF that loops for ever.

    Each frame stands for 0.6 s, the last one for 2 s. Nothing but the mels and the caption moves.

    Shapes: mels: frames of [items, time, mels] each; up to about four items are well seen.

    Args:
        path: The GIF file; replaced atomically.
        mels: Frames of mels on the scale of the Spec.
        captions: The caption above each frame.
        spec: The Spec of the mels, which defines the axes.
        columns: The name of each item; () = none.

    Raises:
        KvoiceError: If captions and frames, or columns and mels in a frame, differ in number, there
            is nothing to draw, a value is not finite, or the file cannot be written.
    """
    decibels = _decibels(path, mels, "frames of mels, [frames, items, time, mels]", spec)
    frames, items = decibels.shape[:2]
    if len(captions) != frames or columns and len(columns) != items:
        raise KvoiceError(
            f"{path}: {frames} frames of {items} mels do not go with "
            f"{len(captions)} captions and {len(columns)} columns"
        )
    figure = _mel_figure(decibels[:1], [""], columns, decibels.max(), spec)
    _animate(path, figure, [[item.T for item in frame] for frame in decibels], captions)


def image_grid(
    path: str | os.PathLike,
    images: np.ndarray | list,
    titles: list[str],
    columns: Sequence[str] = (),
    turned: bool = False,
) -> None:
    """Draws a grid of images of values from 0 to 1, each in its own proportions.

    Shapes: images: rows of [height, width] each; all of the same shape.

    Args:
        path: The PNG file; replaced atomically.
        images: Rows of images; 0 is black.
        titles: The name of each row; "" = none.
        columns: The name of each column; () = none.
        turned: The rows of an image are moments, and run to the right; its columns upwards.

    Raises:
        KvoiceError: As `mel_image`.
    """
    images = _images(path, images, "a grid of images, [rows, columns, height, width]")
    rows, wide = images.shape[:2]
    if len(titles) != rows or columns and len(columns) != wide:
        raise KvoiceError(
            f"{path}: {rows} rows of {wide} images do not go with "
            f"{len(titles)} titles and {len(columns)} columns"
        )
    _save(_image_figure(images, titles, columns, turned), path)


def image_animation(
    path: str | os.PathLike,
    images: np.ndarray | list,
    captions: list[str],
    columns: Sequence[str] = (),
    turned: bool = False,
) -> None:
    """Draws rows of images one after the other, as `mel_animation` draws mels.

    Shapes: images: frames of [items, height, width] each.

    Args:
        path: The GIF file; replaced atomically.
        images: Frames of images of values from 0 to 1.
        captions: The caption above each frame.
        columns: The name of each item; () = none.
        turned: As for `image_grid`.

    Raises:
        KvoiceError: As `mel_animation`.
    """
    images = _images(path, images, "frames of images, [frames, items, height, width]")
    frames, items = images.shape[:2]
    if len(captions) != frames or columns and len(columns) != items:
        raise KvoiceError(
            f"{path}: {frames} frames of {items} images do not go with "
            f"{len(captions)} captions and {len(columns)} columns"
        )
    figure = _image_figure(images[:1], [""], columns, turned)
    _animate(
        path, figure, [[each.T if turned else each for each in frame] for frame in images], captions
    )


def _images(path, images, wanted):
    images = np.asarray(images, float)
    if images.ndim != 4 or not images.size:
        raise KvoiceError(f"{path}: {wanted}, is wanted, got {list(images.shape)}")
    if not np.isfinite(images).all():
        raise KvoiceError(f"{path}: not drawn, an image holds NaN or infinite values")
    return images


def _image_figure(images, titles, columns, turned):
    rows, items, height, width = images.shape
    high, wide = (width, height) if turned else (height, width)
    across = float(np.clip(0.95 * wide / high, 0.7, 1.6))
    figure = Figure((0.9 + across * items, 0.5 + rows), layout="constrained")
    figure.get_layout_engine().set(w_pad=0.02, h_pad=0.02, wspace=0.02, hspace=0.02)
    grid = figure.subplots(rows, items, squeeze=False)
    for row, title, axes in zip(images, titles, grid):
        for image, axis in zip(row, axes):
            axis.imshow(
                image.T if turned else image,
                origin="lower" if turned else "upper",
                aspect="auto" if turned else "equal",
                interpolation="nearest",
                cmap=_MAP,
                vmin=0,
                vmax=1,
            )
            axis.set_xticks([])
            axis.set_yticks([])
            axis.spines[:].set_visible(False)
        axes[0].set_ylabel(textwrap.fill(title, 12), fontsize="medium", parse_math=False)
    for axis, column in zip(grid[0], columns):
        axis.set_title(
            textwrap.fill(column, int(12 * across), break_long_words=False),
            fontsize="small",
            parse_math=False,
        )
    return figure


def _animate(path, figure, frames, captions):
    """Writes a figure as a GIF whose images change: frames of one array for each of its images."""
    figure.set_dpi(120)
    title = figure.suptitle("Mg", fontsize="medium", parse_math=False)  # as high as any
    canvas = FigureCanvasAgg(figure)
    canvas.draw()
    figure.set_layout_engine("none")  # what is drawn stays where it is
    images = [axis.images[0] for axis in figure.axes if axis.images]
    pictures = []
    for frame, caption in zip(frames, captions):
        title.set_text(caption)
        _readable(figure)
        for image, item in zip(images, frame):
            image.set_data(item)
        canvas.draw()
        pictures.append(np.array(canvas.buffer_rgba())[..., :3])
    first, *others = (
        PIL.Image.fromarray(picture).quantize(palette=_palette(), dither=PIL.Image.Dither.NONE)
        for picture in pictures
    )
    content = io.BytesIO()
    first.save(
        content,
        "GIF",
        save_all=True,
        append_images=others,
        loop=0,
        duration=[FRAME_MS] * len(others) + [LAST_MS],
    )
    _write(content, path)


def _palette(levels=96, greys=16):
    """Colours for a GIF: those of a mel, so that frames share them, and greys for the letters."""
    colours = matplotlib.colormaps[_MAP](np.linspace(0, 1, levels))[:, :3]
    colours = np.concatenate([colours, np.repeat(np.linspace(0, 1, greys)[:, None], 3, axis=1)])
    image = PIL.Image.new("P", (1, 1))
    image.putpalette(np.round(255 * colours).astype(np.uint8).tobytes())
    return image


def _decibels(path, mels, wanted, spec):
    """Mels in dB, [N, N, time, mels]; what has another shape or no finite values is refused."""
    mels = np.asarray(mels)
    if mels.ndim != 4 or not mels.size:
        raise KvoiceError(f"{path}: {wanted}, is wanted, got {list(mels.shape)}")
    if not np.isfinite(mels).all():
        raise KvoiceError(f"{path}: not drawn, a mel holds NaN or infinite values")
    return 20 * np.log10(np.maximum(audio.magnitude(mels, spec), 1e-10))


def _mel_figure(decibels, titles, columns, loudest, spec):
    """A grid of mels, `RANGE_DB` deep below `loudest`, in dB."""
    rows, items, frames, _ = decibels.shape
    seconds = frames * spec.hop / spec.sample_rate_hz
    wide = min(2.6, max(1.3, 0.95 * seconds))
    figure = Figure((1.2 + wide * items, 0.6 + 1.25 * rows), layout="constrained")
    figure.get_layout_engine().set(w_pad=0.03, h_pad=0.03)
    grid = figure.subplots(rows, items, sharex=True, sharey=True, squeeze=False)
    for row, title, axes in zip(decibels, titles, grid):
        for image, axis in zip(row, axes):
            shown = axis.imshow(
                image.T,
                origin="lower",
                aspect="auto",
                interpolation="nearest",
                cmap=_MAP,
                vmin=loudest - RANGE_DB,
                vmax=loudest,
                extent=(0, seconds, -0.5, spec.mels - 0.5),
            )
        axes[0].set_ylabel(textwrap.fill(title, 14) + "\nkHz" if title else "kHz")
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
    bar = figure.colorbar(
        shown, ax=grid, label="level, dB", pad=0.01, fraction=0.05, aspect=min(30, 12 * rows)
    )
    bar.outline.set_visible(False)
    bar.ax.tick_params(labelsize="small", colors=_GREY, length=2)
    return figure


def mel_ticks(spec: audio.Spec) -> tuple[list[int], np.ndarray]:
    """Frequencies worth a tick, in Hz, and the (fractional) bands of the Spec they lie in."""
    filters = audio.mel_filters(spec)  # [bins, mels]
    bins_hz = np.linspace(0, spec.sample_rate_hz / 2, len(filters))
    centres_hz = bins_hz @ filters / filters.sum(axis=0)
    inside = [hz for hz in _TICKS_HZ if centres_hz[0] <= hz <= spec.fmax_hz]
    return inside, np.interp(inside, centres_hz, np.arange(spec.mels))


def curves(path: str | os.PathLike, table: dict) -> None:
    """Draws one panel for each quantity of a training over its steps; `val_X` goes with `X`.

    Args:
        path: The PNG file; replaced atomically.
        table: Column -> values, as from `log`; "step" is the axis, NaN a gap.

    Raises:
        KvoiceError: If there is no column "step", or nothing beside it.
    """
    if "step" not in table or len(table) < 2:
        raise KvoiceError(
            f"{path}: a table with a column step and others is wanted, got "
            f"{', '.join(table) or 'nothing'}"
        )
    names = list(dict.fromkeys(name.removeprefix("val_") for name in table if name != "step"))
    wide = min(3, len(names))
    high = -(-len(names) // wide)
    figure = Figure((3.4 * wide, 2.2 * high + 0.3), layout="constrained")
    grid = figure.subplots(high, wide, sharex=True, squeeze=False)
    for axis, name in zip(grid.flat, names):
        for column, label, colour in (
            (name, "training", "C0"),
            (f"val_{name}", "validation", "C1"),
        ):
            if column in table:
                steps, values = np.asarray(table["step"], float), np.asarray(table[column], float)
                known = np.isfinite(values)
                axis.plot(
                    steps[known],
                    values[known],
                    colour,
                    label=label,
                    lw=1.5,
                    marker="." if known.sum() < 30 else "",
                )
        axis.set_title(name.replace("_", " "), fontsize="medium", loc="left")
        _plain(axis)
        axis.xaxis.set_major_locator(MaxNLocator(4, steps=[1, 2, 5, 10], integer=True))
        if f"val_{name}" in table:
            axis.legend(fontsize="small", frameon=False)
    for axis in grid.flat[len(names) :]:
        axis.set_visible(False)
    for axis in grid.T.flat:
        axis.tick_params(labelbottom=True)
    figure.supxlabel("step", fontsize="medium")
    _save(figure, path)


def log(path: str | os.PathLike) -> dict[str, list[float]]:
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


def score_curves(
    path: str | os.PathLike, steps: np.ndarray | list, curves: dict[str, np.ndarray], target: str
) -> None:
    """Draws how probable a target became over the steps of an ascent: medians and 10-90% bands.

    The axis is logarithmic from step 1 on, as snapshots are, and linear below, so that step 0
    shows.

    Shapes: curves: each [snapshots, starts].

    Args:
        path: The PNG file; replaced atomically.
        steps: Steps of the snapshots, rising from 0 or more.
        curves: Name of a classifier -> probabilities of the target.
        target: The name of the target.

    Raises:
        KvoiceError: If the steps do not rise, there is no curve, or one does not hold a row of
            probabilities for each step.
    """
    steps = np.asarray(steps, float)
    if steps.ndim != 1 or not steps.size or steps[0] < 0 or not (np.diff(steps) > 0).all():
        raise KvoiceError(f"{path}: steps that rise from 0 are wanted, got {steps.tolist()}")
    if not curves:
        raise KvoiceError(f"{path}: there is no curve to draw")
    figure = Figure((6.4, 3.2), layout="constrained")
    axis = figure.subplots()
    for k, (title, values) in enumerate(curves.items()):
        values = np.asarray(values, float)
        if values.ndim != 2 or len(values) != len(steps) or not values.size:
            raise KvoiceError(
                f"{path}: {title}: [{len(steps)} snapshots, starts] are wanted, got "
                f"{list(values.shape)}"
            )
        if not ((values >= 0) & (values <= 1)).all():
            raise KvoiceError(f"{path}: {title}: not drawn, a value is no probability")
        low, median, high = np.percentile(values, (10, 50, 90), axis=1)
        axis.fill_between(steps, low, high, color=f"C{k}", alpha=0.18, lw=0)
        axis.plot(steps, median, f"C{k}", marker="o", ms=3.5, lw=1.6, label=title, clip_on=False)
    starts = values.shape[1]
    axis.set_xscale("symlog", linthresh=1, linscale=0.5)
    shown = steps[np.linspace(0, len(steps) - 1, min(len(steps), 14)).round().astype(int)]
    axis.set_xticks(shown, [f"{step:g}" for step in shown])
    axis.minorticks_off()
    axis.set_xlim(steps[0], max(steps[-1], 1))
    axis.set_ylim(0, 1)
    axis.yaxis.set_major_formatter(PercentFormatter(1, 0))
    axis.set_title(f"probability of {target}", fontsize="medium", loc="left", parse_math=False)
    axis.set_title(
        "median" + (f" and 10–90% of {starts} starts" if starts > 1 else ""),
        fontsize="small",
        loc="right",
        color=_GREY,
    )
    axis.set_xlabel("step of the ascent")
    axis.legend(fontsize="small", frameon=False, loc="best")
    _plain(axis)
    _save(figure, path)


def densities(
    path: str | os.PathLike,
    codes: np.ndarray,
    classes: np.ndarray,
    names: list[str],
    titles: list[str],
    active: list[int],
) -> None:
    """Draws how each latent is distributed, by class: a small plot for each, on one axis of codes.

    Latents that are not in use are grey. The height of a plot is its own: areas are 1.

    Shapes: codes [items, latents], classes [items].

    Args:
        path: The PNG file; replaced atomically.
        codes: Codes of the items.
        classes: The number of each item's class; those below 0 are left out.
        names: Names of the classes.
        titles: The title of each plot.
        active: Numbers of the latents that are in use.

    Raises:
        KvoiceError: If there is not a title for each latent and a class for each item, no item has
            a class, or a code is not finite.
    """
    codes, classes = np.asarray(codes, float), np.asarray(classes)
    if codes.ndim != 2 or classes.shape != codes.shape[:1] or len(titles) != codes.shape[1]:
        raise KvoiceError(
            f"{path}: codes [items, latents], a class for each item and a title for "
            f"each latent are wanted, got {list(codes.shape)}, {list(classes.shape)} "
            f"and {len(titles)}"
        )
    if not np.isfinite(codes).all() or not (classes >= 0).any():
        raise KvoiceError(f"{path}: not drawn, a code is not finite, or no item has a class")
    count = codes.shape[1]
    wide = min(count, 8 if count > 20 else 5)
    figure = Figure((1.55 * wide + 0.2, 1.05 * -(-count // wide) + 0.5), layout="constrained")
    grid = figure.subplots(-(-count // wide), wide, sharex=True, squeeze=False)
    far = max(3.0, 1.1 * float(np.percentile(np.abs(codes), 99.7, axis=0).max()))
    edges = np.linspace(-far, far, 257)
    middles = (edges[1:] + edges[:-1]) / 2
    for latent, (axis, title) in enumerate(zip(grid.flat, titles)):
        used = latent in active
        for k, name in enumerate(names):
            own = codes[(classes == k) & (np.abs(codes[:, latent]) <= far), latent]
            if not len(own):
                continue
            width = 1.06 * own.std() * len(own) ** -0.2 / (edges[1] - edges[0])  # Silverman's rule
            heights = scipy.ndimage.gaussian_filter1d(
                np.histogram(own, edges, density=True)[0], max(width, 1), mode="constant"
            )
            axis.fill_between(
                middles, heights, color=_colour(k) if used else "0.6", alpha=0.15, lw=0
            )
            axis.plot(
                middles,
                heights,
                color=_colour(k) if used else "0.6",
                lw=1.1,
                label=name if latent == min(active, default=0) else None,
            )
        axis.set_title(
            title, fontsize="small", pad=2, color="black" if used else "0.55", parse_math=False
        )
        axis.set_facecolor("white" if used else "0.96")
        axis.set_yticks([])
        axis.set_ylim(0)
        axis.spines[["top", "right", "left"]].set_visible(False)
        axis.tick_params(labelsize="x-small", colors=_GREY, length=2)
    for axis in grid.flat[count:]:
        axis.set_visible(False)
    for axis in grid.T.flat:
        axis.xaxis.set_major_locator(MaxNLocator(3, integer=True))
    _literal(
        figure.legend(
            loc="outside upper center", ncols=min(len(names), 8), fontsize="small", frameon=False
        )
    )
    _save(figure, path)


def _colour(k):
    """One for each number: those of matplotlib, the same darker, then hues that repeat nothing."""
    if k < 10:
        return f"C{k}"
    if k < 20:
        return _darker(f"C{k - 10}", 0.55)
    return tuple(hsv_to_rgb((0.618 * k % 1, 0.8, (0.95, 0.6)[k % 2])))


def _darker(colour, factor):
    return tuple(factor * np.array(to_rgb(colour)))


def places(
    path: str | os.PathLike, points: np.ndarray, speakers: list[str], genders: list[str], title: str
) -> None:
    """Draws points of a plane: a colour for each speaker, a marker for each gender.

    A circle is female, a triangle male, a square any other. The name of a speaker stands in the
    legend, and at that of his points which is nearest to their middle. The axes have neither unit
    nor numbers: only the neighbourhoods are meaningful.

    Shapes: points [n, 2].

    Args:
        path: The PNG file; replaced atomically.
        points: Coordinates of each recording.
        speakers: The name of the speaker of each recording.
        genders: The gender of the speaker of each recording; "" = unknown.
        title: The title of the figure.

    Raises:
        KvoiceError: If there is no point, not a speaker and a gender for each, or a point is not
            finite.
    """
    points = np.asarray(points, float)
    if (
        points.ndim != 2
        or points.shape[1] != 2
        or not len(points) == len(speakers) == len(genders) > 0
    ):
        raise KvoiceError(
            f"{path}: points [n, 2], a speaker and a gender for each are wanted, got "
            f"{list(points.shape)}, {len(speakers)} and {len(genders)}"
        )
    if not np.isfinite(points).all():
        raise KvoiceError(f"{path}: not drawn, a point is not finite")
    names = list(dict.fromkeys(speakers))
    speakers, kinds = (
        np.array(speakers),
        np.array([each if each in _MARKERS else "" for each in genders]),
    )
    wide = max(2, -(-len(names) // 22))  # columns of the legend
    shown = [name if len(name) <= 20 else f"{name[:9]}…{name[-10:]}" for name in names]
    figure = Figure((6.3 + wide * (0.35 + 0.075 * max(map(len, shown))), 5.8), layout="constrained")
    axis = figure.subplots()
    handles = []
    for k, (name, words) in enumerate(zip(names, shown)):
        own = speakers == name
        for kind in dict.fromkeys(kinds[own]):
            drawn = axis.scatter(
                *points[own & (kinds == kind)].T,
                s=24,
                color=_colour(k),
                marker=_MARKERS[kind],
                alpha=0.8,
                lw=0,
                label=words,
            )
        handles.append(drawn)
        middle = points[own][
            np.linalg.norm(points[own] - np.median(points[own], axis=0), axis=1).argmin()
        ]
        axis.annotate(
            words,
            middle,
            xytext=(0, 4),
            textcoords="offset points",
            ha="center",
            color=_darker(_colour(k), 0.8),
            fontsize="small",
            parse_math=False,
            path_effects=[withStroke(linewidth=2.5, foreground="white")],
        )
    axis.set_xticks([])
    axis.set_yticks([])
    axis.spines[:].set_color("0.8")
    axis.margins(0.06)
    axis.set_xlabel("t-SNE, no unit", fontsize="small", color=_GREY)
    axis.set_title(title, fontsize="medium", loc="left", parse_math=False)
    marks = [
        Line2D([], [], color="0.4", marker=_MARKERS[kind], ls="", label=kind or "other or unknown")
        for kind in _MARKERS
        if kind in kinds
    ]
    _literal(
        figure.legend(
            handles=handles,
            loc="outside right upper",
            ncols=wide,
            fontsize="small",
            frameon=False,
            columnspacing=1,
            handletextpad=0.3,
        )
    )
    figure.legend(handles=marks, loc="outside lower left", ncols=3, fontsize="small", frameon=False)
    _save(figure, path)


def _literal(legend):
    """Leaves a dollar sign in a legend as it is."""
    for text in legend.get_texts():
        text.set_parse_math(False)


def latent_kl(
    path: str | os.PathLike,
    kl: np.ndarray,
    active: list[int],
    marked: dict[int, str] | tuple[()] = (),
) -> None:
    """Draws the KL divergence of each latent from the prior, the greatest first.

    Args:
        path: The PNG file; replaced atomically.
        kl: KL divergence of each latent, in nats.
        active: Numbers of the latents that are in use; the others are grey.
        marked: Number of a latent -> its name.

    Raises:
        KvoiceError: If there is no latent, or a divergence is below zero or no number.
    """
    kl = np.asarray(kl, float)
    if kl.ndim != 1 or not kl.size or not (np.isfinite(kl) & (kl >= -1e-6)).all():
        raise KvoiceError(
            f"{path}: not drawn, the KL of each latent is wanted, in nats, none below 0"
        )
    order, marked = np.argsort(-kl, kind="stable"), dict(marked)
    figure = Figure((max(4.0, 1 + 0.17 * len(kl)), 2.8), layout="constrained")
    axis = figure.subplots()
    colours = ["C1" if each in marked else "C0" if each in active else "0.75" for each in order]
    axis.bar(range(len(kl)), kl[order], color=colours)
    for place, each in enumerate(order):
        if each in marked:
            axis.annotate(
                marked[each],
                (place, kl[each]),
                xytext=(0, 2),
                textcoords="offset points",
                ha="center",
                fontsize="small",
                rotation=90,
                parse_math=False,
            )
    axis.set_xticks(range(len(kl)), order, fontsize="x-small" if len(kl) > 16 else "small")
    axis.set_xlim(-0.7, len(kl) - 0.3)
    axis.margins(y=0.4 if marked else 0.05)
    axis.set_xlabel("latent")
    axis.set_ylabel("KL, nats")
    axis.set_title(
        f"{len(active)} of {len(kl)} latents in use, {kl.sum():.1f} nats",
        loc="left",
        fontsize="medium",
    )
    _plain(axis)
    _save(figure, path)


def confusion(path: str | os.PathLike, counts: np.ndarray | list, names: list[str]) -> None:
    """Draws a confusion matrix: in each cell the share of its row, in %, and the count.

    Shapes: counts [true, predicted].

    Args:
        path: The PNG file; replaced atomically.
        counts: Number of clips by true and predicted label.
        names: The names of the labels, of rows and columns.

    Raises:
        KvoiceError: If there is not a row and a column for each name, or a count is below zero.
    """
    counts = np.asarray(counts, float)
    if counts.shape != (len(names), len(names)) or not counts.size:
        raise KvoiceError(
            f"{path}: a row and a column for each of {len(names)} names are wanted, "
            f"got {list(counts.shape)}"
        )
    if not (np.isfinite(counts) & (counts >= 0)).all():
        raise KvoiceError(f"{path}: not drawn, a count is below zero or no number")
    total = counts.sum(axis=1, keepdims=True)
    shares = np.divide(counts, total, out=np.zeros_like(counts), where=total > 0)
    size = 0.85 * len(names)
    figure = Figure((1.3 + size, 0.8 + 0.75 * size), layout="constrained")
    axis = figure.subplots()
    axis.imshow(shares, cmap="Blues", vmin=0, vmax=1, aspect="auto")
    for row, column in np.ndindex(counts.shape):
        text = f"{shares[row, column]:.0%}" if total[row] else "–"
        axis.text(
            column,
            row,
            f"{text}\n{counts[row, column]:g}",
            ha="center",
            va="center",
            fontsize="small",
            color="white" if shares[row, column] > 0.55 else "0.15",
        )
    long = max(map(len, names)) > 8  # labels would overlap
    turned = dict(rotation=35, ha="left", rotation_mode="anchor") if long else {}
    axis.set_xticks(range(len(names)), names, parse_math=False, **turned)
    axis.set_yticks(range(len(names)), names, parse_math=False)
    axis.set_xlabel("predicted")
    axis.set_ylabel("true")
    axis.xaxis.set_ticks_position("top")
    axis.xaxis.set_label_position("top")
    axis.tick_params(length=0)
    axis.spines[:].set_visible(False)
    _save(figure, path)


def reliability(path: str | os.PathLike, bins: list[dict | None]) -> None:
    """Draws the accuracy of a classifier against its confidence, and the number of clips.

    Above, a point for each bin, with the line to the diagonal, where accuracy equals
    confidence; below, the clips of each bin.

    Args:
        path: The PNG file; replaced atomically.
        bins: Each a dict of the mean "confidence", the "accuracy" and the "count" of its clips;
            None, or a bin whose values are None, is empty.

    Raises:
        KvoiceError: If all bins are empty, or a value is not a share.
    """
    full = [each for each in bins if each and each["count"] and each["confidence"] is not None]
    if not full:
        raise KvoiceError(f"{path}: there is no bin to draw")
    sure, right, count = np.array(
        [(each["confidence"], each["accuracy"], each["count"]) for each in full], float
    ).T
    if not ((sure >= 0) & (sure <= 1) & (right >= 0) & (right <= 1) & (count > 0)).all():
        raise KvoiceError(f"{path}: not drawn, a confidence or an accuracy is no share")
    figure = Figure((4.4, 4.8), layout="constrained")
    above, below = figure.subplots(2, 1, sharex=True, height_ratios=(3, 1))
    above.plot((0, 1), (0, 1), color="0.6", lw=1, ls="--", label="as right as sure")
    above.vlines(
        sure,
        np.minimum(sure, right),
        np.maximum(sure, right),
        color="C1",
        lw=4,
        alpha=0.35,
        label="gap",
    )
    above.plot(sure, right, "C0o-", ms=5, lw=1.4, label="this classifier", clip_on=False, zorder=3)
    error = (count * np.abs(sure - right)).sum() / count.sum()
    above.set_title(f"expected calibration error {error:.1%}", fontsize="medium", loc="left")
    above.set_ylabel("right")
    above.set_ylim(0, 1)
    above.yaxis.set_major_formatter(PercentFormatter(1, 0))
    above.legend(fontsize="small", frameon=False, loc="upper left")
    bars = below.bar(sure, count, 0.6 / max(len(bins), 2), color="C0", alpha=0.7)
    below.bar_label(bars, [f"{each:g}" for each in count], fontsize="x-small", padding=1)
    below.set_ylim(0, 1.25 * count.max())
    below.set_ylabel("clips")
    below.set_xlabel("sure")
    below.set_xlim(0, 1)
    below.xaxis.set_major_formatter(PercentFormatter(1, 0))
    for axis in (above, below):
        _plain(axis)
    _save(figure, path)


def _plain(axis):
    """Removes the decoration of an axis."""
    axis.spines[["top", "right"]].set_visible(False)
    axis.grid(axis="y", color="0.9")
    axis.set_axisbelow(True)
    axis.tick_params(labelsize="small", colors=_GREY)


def _readable(figure):
    """Gives the texts of a figure fonts that have their letters.

    A letter that no installed font has stands there as its number, as in a Python string.
    """
    axes = [each for axes in figure.axes for each in (axes.xaxis, axes.yaxis)]
    ticks = [[label.get_text() for label in axis.get_ticklabels()] for axis in axes]
    texts = figure.findobj(Text)  # with the labels of the ticks, which the line above has set
    letters = {letter for text in texts for letter in text.get_text() if letter.isprintable()}
    fonts, missing = _fonts(frozenset(letters))
    for text in texts if len(fonts) > 1 else ():
        text.set_family(fonts)
    numbers = {ord(letter): letter.encode("unicode_escape").decode() for letter in missing}
    for text in texts if missing else ():
        text.set_text(text.get_text().translate(numbers))
    for axis, labels in zip(axes, ticks):
        if missing & {letter for label in labels for letter in label}:
            axis.set_ticks(axis.get_ticklocs(), [label.translate(numbers) for label in labels])


@functools.lru_cache
def _fonts(letters):
    """The families of installed fonts that have the letters, and the letters that none has."""
    missing = {ord(letter) for letter in letters}
    default = font_manager.get_font(font_manager.findfont(font_manager.FontProperties()))
    fonts, missing = [default.family_name], missing - {*default.get_charmap()}
    for entry in font_manager.fontManager.ttflist if missing else ():
        if entry.name.startswith("Last Resort"):  # has a box for every letter
            continue
        if found := missing & {*font_manager.get_font(entry.fname).get_charmap()}:
            fonts, missing = [*fonts, entry.name], missing - found
    return fonts, {chr(number) for number in missing}


def _save(figure, path, palette=False):
    """Writes a figure as PNG, whole or not at all.

    With a palette it has 256 colours, as many as a colour map, and half the size.
    """
    _readable(figure)
    content = io.BytesIO()
    figure.savefig(content, format="png", dpi=120)
    if palette:
        with PIL.Image.open(content) as image:
            content = io.BytesIO()
            image.convert("RGB").quantize(dither=PIL.Image.Dither.NONE).save(content, "PNG")
    _write(content, path)


def _write(content, path):
    try:
        with replaced(path) as file:
            file.write(content.getvalue())
    except OSError as error:
        raise KvoiceError(f"{path}: cannot be written ({error.strerror})") from error
