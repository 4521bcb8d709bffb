import io

import matplotlib.image
import numpy as np
import pytest

from kvoice import plots
from kvoice.audio import SPECS, mel
from kvoice.errors import KvoiceError

SPEC = SPECS["waveglow"]


def grid(rows=2, columns=3, frames=40):
    """Mels whose level rises from picture to picture."""
    levels = np.linspace(-8, 0, rows * columns).reshape(rows, columns, 1, 1)
    bands = np.linspace(0, -3, SPEC.mels)
    return np.broadcast_to(levels + bands, (rows, columns, frames, SPEC.mels))


@pytest.fixture
def drawn(tmp_path, monkeypatch):
    """Draws by the function that is given, and returns the figure instead of saving it."""
    def figure(function, *arguments):
        kept = []
        monkeypatch.setattr(plots, "_save", lambda figure, path: kept.append(figure))
        function(tmp_path / "a.png", *arguments)
        return kept[0]

    return figure


def images(figure):
    return [axis.images[0] for axis in figure.axes if axis.images]


def test_all_mels_share_one_scale_in_decibels(drawn):
    mels = grid()
    shown = images(drawn(plots.mel_image, mels, ["a", "b"], SPEC))
    loudest = 20 * np.log10(np.exp(mels.max()))
    assert {image.get_clim() for image in shown} == {(loudest - plots.RANGE_DB, loudest)}
    expected = 20 / np.log(10) * mels[1, 2].T  # bands upwards, time to the right
    np.testing.assert_allclose(shown[5].get_array(), expected, atol=1e-4)
    assert shown[5].origin == "lower"


def test_the_axes_are_seconds_and_kilohertz_and_the_rows_are_named(drawn):
    figure = drawn(plots.mel_image, grid(), ["happy", "sad"], SPEC, ["x", "y", "z"])
    first = figure.axes[0]
    assert first.get_xlim() == pytest.approx((0, 40 * 256 / 22050))
    assert [axis.get_ylabel() for axis in figure.axes[:6:3]] == ["happy\nkHz", "sad\nkHz"]
    assert [axis.get_title() for axis in figure.axes[:3]] == ["x", "y", "z"]
    assert [tick.get_text() for tick in first.get_yticklabels()] == ["0.5", "1", "2", "4", "8"]


@pytest.mark.parametrize("name", SPECS)
def test_a_tone_is_loudest_at_the_tick_of_its_frequency(name):
    spec = SPECS[name]
    for hz, band in zip(*plots.mel_ticks(spec)):
        if hz > 0.9 * spec.fmax_hz:
            continue
        tone = 0.5 * np.sin(2 * np.pi * hz * np.arange(8192) / spec.sample_rate_hz)
        loudest = mel(tone.astype(np.float32), spec)[8].argmax()
        assert abs(loudest - band) <= max(1, spec.mels / 100), hz


def test_the_picture_is_not_blank_and_the_same_each_time(tmp_path):
    path = tmp_path / "a.png"
    plots.mel_image(path, grid(), ["a", "b"], SPEC)
    first = path.read_bytes()
    pixels = matplotlib.image.imread(io.BytesIO(first))
    assert len(np.unique(pixels.reshape(-1, pixels.shape[-1]), axis=0)) > 200
    plots.mel_image(path, grid(), ["a", "b"], SPEC)
    assert path.read_bytes() == first
    assert [each.name for each in tmp_path.iterdir()] == ["a.png"]


@pytest.mark.parametrize("mels, titles, columns, message", [
    (grid(), ["a"], (), "2 rows of 3 mels .* 1 titles"),
    (grid(), ["a", "b"], ["x"], "1 columns"),
    (grid()[0], ["a", "b"], (), r"\[rows, columns, time, mels\]"),
    (np.zeros((0, 1, 4, 80)), [], (), r"got \[0, 1, 4, 80\]"),
    (np.full((1, 1, 4, 80), np.nan), ["a"], (), "NaN"),
])
def test_what_cannot_be_drawn_is_refused_before_writing(tmp_path, mels, titles, columns, message):
    with pytest.raises(KvoiceError, match=message):
        plots.mel_image(tmp_path / "a.png", mels, titles, SPEC, columns)
    assert not list(tmp_path.iterdir())


def test_a_place_that_cannot_be_written_is_named(tmp_path):
    with pytest.raises(KvoiceError, match="missing/a.png: cannot be written"):
        plots.mel_image(tmp_path / "missing" / "a.png", grid(), ["a", "b"], SPEC)


def test_a_curve_and_its_validation_share_a_panel_and_gaps_are_left_out(drawn):
    table = {"step": [1, 2, 3], "loss": [3, 2, 1], "val_loss": [4, float("nan"), 2],
             "val_frechet": [9, 8, 7]}
    loss, frechet = (axis for axis in drawn(plots.curves, table).axes if axis.lines)
    assert loss.get_title("left") == "loss" and frechet.get_title("left") == "frechet"
    assert [line.get_label() for line in loss.lines] == ["training", "validation"]
    np.testing.assert_array_equal(loss.lines[1].get_xydata(), [[1, 4], [3, 2]])
    np.testing.assert_array_equal(frechet.lines[0].get_ydata(), [9, 8, 7])


def test_curves_are_drawn_from_the_log_of_a_run(tmp_path):
    (tmp_path / "log.csv").write_text("step,loss,val_loss\n10,1.5,\n20,1.25,2\n")
    table = plots.log(tmp_path / "log.csv")
    np.testing.assert_equal(table, {"step": [10, 20], "loss": [1.5, 1.25], "val_loss": [np.nan, 2]})
    plots.curves(tmp_path / "curves.png", table)
    assert matplotlib.image.imread(tmp_path / "curves.png")[..., :3].min() < 0.5


@pytest.mark.parametrize("content, message", [
    (None, "cannot be read"), ("step,loss\n1,x\n", "not a log of numbers")])
def test_a_log_that_is_none_is_refused_by_name(tmp_path, content, message):
    if content:
        (tmp_path / "log.csv").write_text(content)
    with pytest.raises(KvoiceError, match=f"log.csv: .*{message}"):
        plots.log(tmp_path / "log.csv")


def test_curves_without_steps_are_refused(tmp_path):
    with pytest.raises(KvoiceError, match="column step.*got loss"):
        plots.curves(tmp_path / "a.png", {"loss": [1]})
