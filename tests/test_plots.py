import io
import warnings

import matplotlib.image
import numpy as np
import PIL.Image
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
        monkeypatch.setattr(plots, "_save", lambda figure, *_, **__: kept.append(figure))
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


def test_mels_have_a_palette_of_the_colours_that_they_have(tmp_path, monkeypatch):
    noise = np.random.default_rng(0).normal(-4, 2, (1, 2, 40, SPEC.mels))
    plots.mel_image(tmp_path / "a.png", noise, [""], SPEC)
    save = plots._save
    monkeypatch.setattr(plots, "_save", lambda figure, path, palette: save(figure, path))
    plots.mel_image(tmp_path / "b.png", noise, [""], SPEC)
    with PIL.Image.open(tmp_path / "a.png") as few, PIL.Image.open(tmp_path / "b.png") as many:
        assert few.mode == "P"
        apart = np.abs(np.subtract(*(np.asarray(each.convert("RGB"), int) for each in (few, many))))
    assert apart.mean() < 1  # of 256 levels; 0.16 was measured, the text has some more greys
    sizes = [(tmp_path / name).stat().st_size for name in ("a.png", "b.png")]
    assert sizes[0] < 0.6 * sizes[1]


@pytest.mark.parametrize(
    "mels, titles, columns, message",
    [
        (grid(), ["a"], (), "2 rows of 3 mels .* 1 titles"),
        (grid(), ["a", "b"], ["x"], "1 columns"),
        (grid()[0], ["a", "b"], (), r"\[rows, columns, time, mels\]"),
        (np.zeros((0, 1, 4, 80)), [], (), r"got \[0, 1, 4, 80\]"),
        (np.full((1, 1, 4, 80), np.nan), ["a"], (), "NaN"),
    ],
)
def test_what_cannot_be_drawn_is_refused_before_writing(tmp_path, mels, titles, columns, message):
    with pytest.raises(KvoiceError, match=message):
        plots.mel_image(tmp_path / "a.png", mels, titles, SPEC, columns)
    assert not list(tmp_path.iterdir())


def test_a_place_that_cannot_be_written_is_named(tmp_path):
    with pytest.raises(KvoiceError, match="missing/a.png: cannot be written"):
        plots.mel_image(tmp_path / "missing" / "a.png", grid(), ["a", "b"], SPEC)


def test_a_curve_and_its_validation_share_a_panel_and_gaps_are_left_out(drawn):
    table = {
        "step": [1, 2, 3],
        "loss": [3, 2, 1],
        "val_loss": [4, float("nan"), 2],
        "val_frechet": [9, 8, 7],
    }
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


@pytest.mark.parametrize(
    "content, message", [(None, "cannot be read"), ("step,loss\n1,x\n", "not a log of numbers")]
)
def test_a_log_that_is_none_is_refused_by_name(tmp_path, content, message):
    if content:
        (tmp_path / "log.csv").write_text(content)
    with pytest.raises(KvoiceError, match=f"log.csv: .*{message}"):
        plots.log(tmp_path / "log.csv")


def test_curves_without_steps_are_refused(tmp_path):
    with pytest.raises(KvoiceError, match="column step.*got loss"):
        plots.curves(tmp_path / "a.png", {"loss": [1]})


STEPS = [0, 1, 2, 4, 6, 10, 16, 27, 44, 71, 115, 186, 300]


def frames(path):
    """The frames of a GIF as RGB, and how long each stands in ms."""
    with PIL.Image.open(path) as image:
        pictures, times = [], []
        for k in range(image.n_frames):
            image.seek(k)
            times.append(image.info["duration"])
            pictures.append(np.asarray(image.convert("RGB"), int))
        return np.array(pictures), times


def test_an_animation_stands_still_at_its_end_and_loops_for_ever(tmp_path):
    path = tmp_path / "a.gif"
    plots.mel_animation(path, grid(4, 2), ["a", "b", "c", "d"], SPEC, ["x", "y"])
    assert frames(path)[1] == [600, 600, 600, 2000]
    with PIL.Image.open(path) as image:
        assert image.format == "GIF" and image.info["loop"] == 0
    assert [each.name for each in tmp_path.iterdir()] == ["a.gif"]


def test_all_frames_share_one_colour_scale_and_one_place(tmp_path):
    quiet, loud = np.full((2, 2, 40, SPEC.mels), -6.0), np.full((2, 2, 40, SPEC.mels), -6.0)
    loud[1, 1] = 0  # the second item, in the second frame
    plots.mel_animation(tmp_path / "a.gif", loud, ["a long caption", ""], SPEC)
    (before, after), _ = frames(tmp_path / "a.gif")
    moved = np.argwhere((before != after).any(axis=-1))
    below = moved[moved[:, 0] > 0.2 * len(before)]  # the caption is above
    assert 0.45 < below[:, 1].min() / before.shape[1] < below[:, 1].max() / before.shape[1] < 0.92
    plots.mel_animation(tmp_path / "a.gif", quiet, ["a", "b"], SPEC)
    (alone, _), _ = frames(tmp_path / "a.gif")
    middle = len(before) // 2, before.shape[1] // 4
    assert before[middle].sum() < alone[middle].sum()  # dark beside what is louder in a later frame


def test_an_animation_keeps_a_colour_that_is_rare(tmp_path):
    mels = np.random.default_rng(0).normal(-6, 0.5, (3, 1, 40, SPEC.mels))
    mels[1, 0, 18:22, 36:44] = 0  # the only loud place
    plots.mel_animation(tmp_path / "a.gif", mels, ["a", "b", "c"], SPEC)
    pictures, _ = frames(tmp_path / "a.gif")
    loudest = 255 * np.array(matplotlib.colormaps["magma"](1.0)[:3])
    assert np.abs(pictures[1, :, :200] - loudest).max(axis=-1).min() <= 8  # left of the colour bar


def test_an_animation_of_an_ascent_is_light_enough_for_a_page(tmp_path):
    noise = np.random.default_rng(0).normal(-6, 0.5, (14, 4, 160, SPEC.mels))  # packs worst
    plots.mel_animation(tmp_path / "a.gif", noise, [f"step {k}" for k in range(14)], SPEC)
    assert (tmp_path / "a.gif").stat().st_size < 2e6


@pytest.mark.parametrize(
    "mels, captions, columns, message",
    [
        (grid(), ["a"], (), "2 frames of 3 mels .* 1 captions"),
        (grid(), ["a", "b"], ["x"], "1 columns"),
        (grid()[0], ["a", "b"], (), r"\[frames, items, time, mels\], is wanted, got \[3, 40, 80\]"),
        (np.full((1, 1, 4, 80), np.inf), ["a"], (), "infinite"),
    ],
)
def test_what_cannot_move_is_refused_before_writing(tmp_path, mels, captions, columns, message):
    with pytest.raises(KvoiceError, match=message):
        plots.mel_animation(tmp_path / "a.gif", mels, captions, SPEC, columns)
    assert not list(tmp_path.iterdir())


def test_scores_are_medians_within_the_middle_of_the_starts(drawn):
    scores = np.linspace(0, 1, 13)[:, None] * np.linspace(0.5, 1, 11)
    figure = drawn(plots.score_curves, STEPS, {"classifier": scores, "judge": scores / 2}, "a$b$")
    (axis,) = figure.axes
    classifier, judge = axis.lines
    np.testing.assert_allclose(
        classifier.get_xydata(), np.stack([STEPS, 0.75 * np.linspace(0, 1, 13)], axis=1)
    )
    np.testing.assert_allclose(judge.get_ydata()[-1], 0.375)
    band = axis.collections[0].get_paths()[0].vertices
    at_the_end = band[band[:, 0] == 300, 1]
    assert (at_the_end.min(), at_the_end.max()) == pytest.approx((0.55, 0.95))
    assert axis.get_title("left") == "probability of a$b$"
    assert [text.get_text() for text in axis.get_legend().get_texts()] == ["classifier", "judge"]


def test_step_zero_has_a_place_of_its_own_on_the_axis(drawn):
    (axis,) = drawn(plots.score_curves, STEPS, {"classifier": np.full((13, 2), 0.5)}, "sad").axes
    assert [tick.get_text() for tick in axis.get_xticklabels()] == [str(step) for step in STEPS]
    places = axis.transData.transform([(step, 0) for step in (0, 1, 2, 300)])[:, 0]
    assert places[0] < places[1] < places[2] and places[1] - places[0] < 0.5 * places[3]


@pytest.mark.parametrize(
    "steps, curves, message",
    [
        ([0, 1, 1], {"judge": np.zeros((3, 2))}, "steps that rise"),
        ([], {"judge": np.zeros((0, 2))}, "steps that rise"),
        ([0, 1], {}, "no curve"),
        ([0, 1], {"judge": np.zeros((3, 2))}, r"judge: \[2 snapshots, starts\] .* got \[3, 2\]"),
        ([0, 1], {"judge": np.array([[0.5], [1.5]])}, "judge: .*no probability"),
        ([0, 1], {"judge": np.array([[0.5], [np.nan]])}, "judge: .*no probability"),
    ],
)
def test_scores_that_are_none_are_refused(tmp_path, steps, curves, message):
    with pytest.raises(KvoiceError, match=f"a.png: .*{message}"):
        plots.score_curves(tmp_path / "a.png", steps, curves, "angry")
    assert not list(tmp_path.iterdir())


def test_a_confusion_counts_in_rows(drawn):
    (axis,) = drawn(plots.confusion, [[3, 1], [0, 0]], ["angry", "sad"]).axes
    cells = {text.get_position()[::-1]: text.get_text() for text in axis.texts}
    assert cells == {(0, 0): "75%\n3", (0, 1): "25%\n1", (1, 0): "–\n0", (1, 1): "–\n0"}
    np.testing.assert_allclose(axis.images[0].get_array(), [[0.75, 0.25], [0, 0]])
    assert axis.get_ylabel() == "true" and axis.get_xlabel() == "predicted"
    assert [tick.get_text() for tick in axis.get_yticklabels()] == ["angry", "sad"]


@pytest.mark.parametrize(
    "counts, message", [([[1, 2]], r"2 names .* got \[1, 2\]"), ([[1, -1], [0, 1]], "below zero")]
)
def test_a_confusion_that_is_none_is_refused(tmp_path, counts, message):
    with pytest.raises(KvoiceError, match=message):
        plots.confusion(tmp_path / "a.png", counts, ["angry", "sad"])


BINS = [
    None,
    {"confidence": None, "accuracy": None, "count": 0},
    {"confidence": 0.5, "accuracy": 0.75, "count": 10},
    {"confidence": 0.9, "accuracy": 0.7, "count": 40},
]


def test_reliability_shows_the_gap_and_the_clips_of_each_bin_that_has_some(drawn):
    above, below = drawn(plots.reliability, BINS).axes
    diagonal, points = above.lines
    np.testing.assert_array_equal(diagonal.get_xydata(), [[0, 0], [1, 1]])
    np.testing.assert_array_equal(points.get_xydata(), [[0.5, 0.75], [0.9, 0.7]])
    assert above.get_title("left").endswith(" 21.0%")  # (10 * 0.25 + 40 * 0.2) / 50
    assert [bar.get_height() for bar in below.patches] == [10, 40]
    assert [text.get_text() for text in below.texts] == ["10", "40"]


@pytest.mark.parametrize(
    "bins, message",
    [(BINS[:2], "no bin"), ([{"confidence": 1.5, "accuracy": 1, "count": 1}], "no share")],
)
def test_a_reliability_that_is_none_is_refused(tmp_path, bins, message):
    with pytest.raises(KvoiceError, match=message):
        plots.reliability(tmp_path / "a.png", bins)


@pytest.mark.parametrize(
    "function, arguments",
    [
        (plots.score_curves, (STEPS, {"judge": np.full((13, 1), 0.5)}, "angry")),
        (plots.confusion, ([[3, 1], [0, 2]], ["angry", "sad"])),
        (plots.reliability, (BINS,)),
        (plots.places, ([[0, 0], [1, 2]], ["ada", "carl"], ["female", "male"], "two")),
    ],
)
def test_pictures_of_scores_are_drawn_and_the_same_each_time(tmp_path, function, arguments):
    for name in ("a.png", "b.png"):
        function(tmp_path / name, *arguments)
    assert matplotlib.image.imread(tmp_path / "a.png")[..., :3].min() < 0.5
    assert (tmp_path / "a.png").read_bytes() == (tmp_path / "b.png").read_bytes()


# Images and latents


def checks(rows=2, columns=3, height=4, width=6):
    return np.linspace(0, 1, rows * columns * height * width).reshape(rows, columns, height, width)


def test_images_are_shown_from_black_to_white_whatever_is_in_them(drawn):
    shown = images(drawn(plots.image_grid, checks() / 2, ["a", "b"], ["x", "y", "z"]))
    assert {image.get_clim() for image in shown} == {(0, 1)} and len(shown) == 6
    np.testing.assert_array_equal(shown[4].get_array(), checks()[1, 1] / 2)
    assert shown[0].origin == "upper"


def test_a_turned_image_runs_to_the_right_and_upwards(drawn):
    figure = drawn(plots.image_grid, checks(), ["a", "b"], (), True)
    np.testing.assert_array_equal(images(figure)[5].get_array(), checks()[1, 2].T)
    assert images(figure)[5].origin == "lower"


def test_frames_of_an_animation_of_images_follow_each_other(tmp_path):
    path = tmp_path / "a.gif"
    frames = np.zeros((3, 1, 4, 6))
    frames[1] = 1
    plots.image_animation(path, frames, ["a", "b", "c"], ["x"])
    with PIL.Image.open(path) as gif:
        assert gif.n_frames == 3
        middle = []
        for k in range(3):
            gif.seek(k)
            middle.append(np.array(gif.convert("L"))[-gif.height // 3, gif.width // 2])
    assert middle[1] > middle[0] + 100 and middle[0] == middle[2]


@pytest.mark.parametrize(
    "draw, values, words, message",
    [
        (plots.image_grid, checks(), ["a"], "2 rows of 3 images .* 1 titles"),
        (plots.image_animation, checks(), ["a"], "2 frames of 3 images .* 1 captions"),
        (plots.image_grid, checks()[0], ["a"], "height, width"),
        (plots.image_animation, checks() * np.nan, ["a", "b"], "NaN or infinite"),
    ],
)
def test_images_that_do_not_fit_are_refused(tmp_path, draw, values, words, message):
    with pytest.raises(KvoiceError, match=message):
        draw(tmp_path / "a", values, words)
    assert not list(tmp_path.iterdir())


def test_densities_have_area_one_stand_where_their_class_is_and_are_grey_where_dead(drawn):
    rng = np.random.default_rng(0)
    classes = np.arange(900) % 3 - 1  # a third unknown
    codes = rng.normal(0, 0.5, (900, 3))
    codes[:, 1] += classes
    codes[:, 2] *= 1e-3
    figure = drawn(plots.densities, codes, classes, ["$a", "b"], ["z0", "z1", "z2"], [0, 1])
    for latent, axis in enumerate(figure.axes[:3]):
        assert len(axis.lines) == 2
        for k, line in enumerate(axis.lines):
            x, y = line.get_data()
            assert np.sum(y) * (x[1] - x[0]) == pytest.approx(1, abs=0.02)
            assert np.sum(x * y) / np.sum(y) == pytest.approx(k if latent == 1 else 0, abs=0.1)
        grey = len(set(map(str, (line.get_color() for line in axis.lines)))) == 1
        assert grey == (latent == 2)
    assert [text.get_text() for text in figure.legends[0].get_texts()] == ["$a", "b"]


@pytest.mark.parametrize(
    "codes, classes, titles",
    [
        (np.zeros((4, 2)), np.zeros(4, int), ["a"]),
        (np.zeros((4, 2)), np.zeros(3, int), ["a", "b"]),
        (np.full((4, 2), np.inf), np.zeros(4, int), ["a", "b"]),
        (np.zeros((4, 2)), np.full(4, -1), ["a", "b"]),
    ],
)
def test_densities_of_nothing_are_refused(tmp_path, codes, classes, titles):
    with pytest.raises(KvoiceError, match="a.png: "):
        plots.densities(tmp_path / "a.png", codes, classes, ["x"], titles, [0])


def test_the_kl_of_the_latents_falls_from_left_to_right(drawn):
    figure = drawn(plots.latent_kl, [0.1, 3.0, 1.0], [1, 2], {2: "gender"})
    axis = figure.axes[0]
    assert [bar.get_height() for bar in axis.patches] == [3, 1, 0.1]
    assert [tick.get_text() for tick in axis.get_xticklabels()] == ["1", "2", "0"]
    assert [text.get_text() for text in axis.texts] == ["gender"] and axis.texts[0].xy == (1, 1)
    assert "2 of 3 latents in use, 4.1 nats" in axis.get_title(loc="left")
    with pytest.raises(KvoiceError, match="none below 0"):
        drawn(plots.latent_kl, [0.1, -1], [])


# Voices


def voices(speakers=3, each=4, genders=("female", "male", "")):
    """Points around a place for each speaker, his name and his gender."""
    rng = np.random.default_rng(0)
    points = np.repeat(10.0 * np.arange(speakers), each)[:, None] + rng.normal(
        0, 0.5, (speakers * each, 2)
    )
    names = [f"s${k}" for k in range(speakers) for _ in range(each)]
    return points, names, [genders[k % len(genders)] for k in range(speakers) for _ in range(each)]


def shapes(axis):
    """The marker of each group of points, as the number of its corners: a circle has curves."""
    return [len(group.get_paths()[0].vertices) for group in axis.collections]


def test_a_place_has_the_colour_of_its_speaker_and_the_marker_of_its_gender(drawn):
    points, names, genders = voices()
    figure = drawn(plots.places, points, names, genders, "a$b$")
    (axis,) = figure.axes
    for k, group in enumerate(axis.collections):
        np.testing.assert_array_equal(group.get_offsets(), points[4 * k : 4 * k + 4])
    circle, triangle, square = shapes(axis)
    assert (triangle, square) == (4, 5) and circle > 10  # closed outlines
    assert axis.get_title("left") == "a$b$" and axis.get_xlabel() == "t-SNE, no unit"
    assert not len(axis.get_xticks()) and not len(axis.get_yticks())
    speakers, kinds = (
        [text.get_text() for text in legend.get_texts()] for legend in figure.legends
    )
    assert speakers == ["s$0", "s$1", "s$2"] and kinds == ["female", "male", "other or unknown"]


def test_a_name_stands_at_a_point_of_its_speaker_though_some_are_far_off(drawn):
    points, names, genders = voices(2, each=9)
    points[0] = 1000
    (axis,) = drawn(plots.places, points, names, genders, "").axes
    assert [text.get_text() for text in axis.texts] == ["s$0", "s$1"]
    for text, middle in zip(axis.texts, (0, 10)):
        assert np.abs(np.array(text.xy) - middle).max() < 2 and list(text.xy) in points.tolist()


@pytest.mark.parametrize("speakers, least", [(16, 0.12), (30, 0.08), (60, 0.03)])
def test_there_are_as_many_colours_as_speakers(drawn, speakers, least):
    figure = drawn(plots.places, *voices(speakers, genders=("female", "male")), "")
    (axis,) = figure.axes
    colours = [tuple(group.get_facecolor()[0, :3]) for group in axis.collections]
    assert len(colours) == speakers
    apart = [
        np.abs(np.subtract(one, two)).max() for k, one in enumerate(colours) for two in colours[:k]
    ]
    assert min(apart) > least
    assert [text.get_text() for text in figure.legends[1].get_texts()] == ["female", "male"]


def test_a_speaker_of_two_genders_has_one_colour_and_a_long_name_differs_from_a_similar_one(drawn):
    names = ["the speaker number one of many"] * 2 + ["the speaker number two of many"]
    figure = drawn(plots.places, np.eye(3)[:, :2], names, ["female", "male", "male"], "")
    one, other, two = (tuple(group.get_facecolor()[0]) for group in figure.axes[0].collections)
    assert one == other != two
    words = [text.get_text() for text in figure.legends[0].get_texts()]
    assert len(set(words)) == 2 and max(map(len, words)) == 20


@pytest.mark.parametrize(
    "points, speakers, genders, message",
    [
        (np.zeros((2, 3)), ["a", "b"], ["", ""], r"points \[n, 2\].* got \[2, 3\]"),
        (np.zeros((2, 2)), ["a"], ["", ""], r"got \[2, 2\], 1 and 2"),
        (np.zeros((2, 2)), ["a", "b"], [""], r"got \[2, 2\], 2 and 1"),
        (np.zeros((0, 2)), [], [], r"got \[0, 2\]"),
        (np.array([[0, np.nan]]), ["a"], [""], "not finite"),
    ],
)
def test_places_that_are_none_are_refused(tmp_path, points, speakers, genders, message):
    with pytest.raises(KvoiceError, match=f"a.png: .*{message}"):
        plots.places(tmp_path / "a.png", points, speakers, genders, "")
    assert not list(tmp_path.iterdir())


def test_letters_that_no_font_has_are_numbers_and_no_warnings(tmp_path, monkeypatch):
    fonts = plots.font_manager.fontManager
    own = [each for each in fonts.ttflist if each.name.startswith(("DejaVu", "Last Resort"))]
    monkeypatch.setattr(fonts, "ttflist", own)
    plots._fonts.cache_clear()
    names = ["中文", "Привет", "a$b$"]
    with warnings.catch_warnings():
        warnings.simplefilter("error")  # matplotlib warns of each glyph that is missing
        plots.confusion(tmp_path / "a.png", np.eye(3, dtype=int) + 1, names)
        plots.mel_image(tmp_path / "b.png", np.zeros((1, 1, 20, 80)), ["中"], SPEC, ["文"])
        plots.mel_animation(tmp_path / "c.gif", np.zeros((2, 1, 20, 80)), ["中", "b"], SPEC)
    assert plots._fonts(frozenset("aП中")) == (["DejaVu Sans"], {"中"})
    plots._fonts.cache_clear()


def test_letters_come_from_another_font_that_is_installed():
    manager = plots.font_manager
    default, other = (
        {*manager.get_font(manager.findfont(name)).get_charmap()}
        for name in ("DejaVu Sans", "STIXGeneral")  # both come with matplotlib
    )
    letters = frozenset(map(chr, sorted(other - default)[:3]))
    fonts, missing = plots._fonts(letters | {"a"})
    assert letters and not missing and fonts[0] == "DejaVu Sans" and len(fonts) > 1
