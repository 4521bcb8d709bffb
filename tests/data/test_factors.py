import csv

import numpy as np
import pytest

from kvoice import audio
from kvoice.data import factors
from kvoice.data.factors import FactorSource
from kvoice.data.synthetic import additive
from kvoice.errors import KvoiceError
from tests.data.synthetic.test_digits import mnist_file

SMALL = "additive:f0_hz=100/500/100,slope=-0.1/-0.9/-0.2,decay=0/10/5"


@pytest.fixture(autouse=True)
def here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return tmp_path


def source(data=SMALL, split="train", batch=7, representation="mel", **arguments):
    return FactorSource(data, split, batch, representation=representation, **arguments)


def assert_same(left, right):
    assert set(left) == set(right)
    for name in left:
        np.testing.assert_array_equal(left[name], right[name], err_msg=name)


def test_a_batch_is_a_function_of_seed_and_step_alone():
    first, second = source(seed=3), source(seed=3)
    first.batch(0), first.batch(20)
    assert_same(first.batch(4), second.batch(4))
    assert np.any(first.batch(4)["image"] != first.batch(5)["image"])
    assert np.any(first.batch(4)["image"] != source(seed=2).batch(4)["image"])


def test_an_epoch_holds_each_item_once_in_an_order_of_its_own():
    steps = source(batch=6)
    assert len(steps) == 61  # of 75
    epochs = np.concatenate([steps.batch(i)["factors"] for i in range(61)]).reshape(6, 61, 3)
    for epoch in epochs:
        assert len(np.unique(epoch, axis=0)) == 61
    assert np.any(epochs[0] != epochs[1])


def test_no_cell_is_in_two_splits_and_each_in_one():
    cells = [
        tuple(row)
        for split in factors.SPLITS
        for row in (lambda one: one.items(np.arange(len(one))))(source(split=split))["factors"]
    ]
    assert len(cells) == len(set(cells)) == 75
    assert len(source(split="valid")) == len(source(split="test")) == 7


def test_the_split_is_the_same_for_every_seed():
    one, other = (source(split="test", seed=seed).items(np.arange(7)) for seed in (0, 5))
    assert_same(one, other)


def test_a_split_is_spread_over_the_whole_grid():
    space = additive.Space.parse("audible")
    values = space.values(np.arange(len(space)))
    split = factors._split(len(space), 0)
    assert {name: len(items) for name, items in split.items()} == {
        "train": 14811,
        "valid": 1851,
        "test": 1851,
    }
    for items in split.values():
        off = np.abs(values[items].mean(axis=0) - values.mean(axis=0)) / values.std(axis=0)
        assert off.max() < 4 / np.sqrt(len(items))
        assert np.abs(np.corrcoef(values[items].T) - np.eye(4)).max() < 0.1


def test_image_and_factors_of_an_item_belong_together():
    steps = source()
    batch = steps.batch(2)
    assert batch["image"].shape == (7, *steps.shape) and batch["factors"].shape == (7, 3)
    assert batch["image"].dtype == batch["factors"].dtype == np.float32 and set(batch) == {
        "image",
        "factors",
    }
    f0_hz, slope, decay = batch["factors"].T
    waves = additive.tones(f0_hz, slope, 0, decay, 0)
    waves /= np.abs(waves).max(axis=1, keepdims=True)
    expected = additive.View("mel")(waves)
    np.testing.assert_allclose(batch["image"], expected, atol=2e-3)


def test_items_are_those_of_batches():
    steps = source()
    order = np.random.default_rng([0, 0, 0]).permutation(61)
    assert_same(steps.items(order[7:14]), steps.batch(1))


def test_the_attributes_of_a_source():
    steps = source(split="valid")
    assert (steps.data, steps.split, steps.speakers, steps.labels) == (SMALL, "valid", [], {})
    assert steps.factors == ["f0_hz", "slope", "decay"] and steps.levels == [5, 5, 3]
    assert steps.shape == (16, 80)
    values = steps.items(np.arange(7))["factors"]
    level = steps.level(values)
    assert level.shape == (7, 3) and np.issubdtype(level.dtype, np.integer)
    np.testing.assert_allclose(level, (values - [100, -0.1, 0]) / [100, -0.2, 5], atol=1e-5)


def test_the_fingerprint_is_that_of_items_and_representation():
    one = source().fingerprint
    assert one == source(split="test", seed=4, batch=1).fingerprint
    others = {
        source(representation="stft").fingerprint,
        source(scale="amplitude").fingerprint,
        source(range_db=50.0).fingerprint,
        source(SMALL + ",noise=0/1/1").fingerprint,
    }
    assert len({one, *others}) == 5


def test_digits_have_their_labels():
    steps = source("digits", representation="image")
    batch = steps.batch(0)
    assert set(batch) == {"image", "factors", "digit"}
    assert batch["digit"].dtype == np.int32 and batch["digit"].shape == (7,)
    np.testing.assert_array_equal(batch["digit"], batch["factors"][:, 0])
    assert steps.factors == ["digit"] and steps.levels == [10] and steps.shape == (8, 8)
    assert steps.labels == {"digit": [str(d) for d in range(10)]}
    sizes = [len(source("digits", split, representation="image")) for split in factors.SPLITS]
    assert sizes == [1439, 179, 179]


def test_mnist_is_tested_on_its_own_test_items(tmp_path):
    data = "mnist:" + mnist_file(tmp_path / "mnist.npz")
    splits = {name: source(data, name, representation="image") for name in factors.SPLITS}
    assert {name: len(split) for name, split in splits.items()} == {
        "train": 27,
        "valid": 3,
        "test": 10,
    }
    for name, split in splits.items():
        bright = split.items(np.arange(len(split)))["image"][:, 0, 0] > 0.3
        assert bright.all() if name == "test" else not bright.any()


@pytest.mark.parametrize(
    "arguments, said",
    [
        ({"data": "additve"}, "did you mean additive?"),
        ({"data": "demo"}, "there is no corpus 'demo'"),
        ({"split": "judge"}, "data.split: 'judge' must be one of train, valid, test"),
        ({"batch": 0}, "data.batch: 0"),
        ({"seed": -1}, "data.seed: -1"),
        ({"representation": "image"}, "must be one of cqt, mel, stft, waveform for additive"),
        ({"data": "digits"}, "data.representation: 'mel' must be image for digits"),
        ({"data": "digits:8", "representation": "image"}, "nothing can stand behind digits"),
        ({"data": "additive:f0_hz=100/500/100"}, "5 items are too few"),
        ({"data": "additive:decoy=0/1/1"}, "did you mean decay?"),
    ],
)
def test_what_does_not_fit_is_refused_in_one_line(arguments, said, here):
    with pytest.raises(KvoiceError) as error:
        source(**arguments)
    assert said in str(error.value) and "\n" not in str(error.value)
    assert not list(here.iterdir())


def test_sounds_of_items_are_those_of_their_images():
    steps = source()
    rows = np.array([50, 3])
    waves = steps.waves(rows)
    assert waves.shape == (2, additive.SAMPLES)
    np.testing.assert_allclose(additive.View("mel")(waves), steps.items(rows)["image"], atol=1e-6)


def test_examples_have_their_sounds_and_factors(here):
    rows, images = factors.examples(
        "additive:f0_hz=100/500/100,slope=-.1/-.9/-.2", "out/some", 5, 2
    )
    with open("out/some/factors.csv", newline="") as file:
        assert list(csv.DictReader(file)) == rows
    assert len(rows) == 5 == len({row["item"] for row in rows})
    assert list(rows[0]) == ["item", "wav", "f0_hz", "slope"] and images.shape == (5, 16, 80)
    for row, image in zip(rows, images):
        wave, rate_hz = audio.read(f"out/some/{row['wav']}")
        assert rate_hz == 16000
        expected = additive.tones(float(row["f0_hz"]), float(row["slope"]), 0, 0, 0)[0]
        np.testing.assert_allclose(wave, expected / abs(expected).max(), atol=1e-4)
        assert np.abs(additive.View("cqt")(wave[None])[0] - image).max() < 0.05
    again, _ = factors.examples("additive:f0_hz=100/500/100,slope=-.1/-.9/-.2", "out/again", 5, 2)
    assert again == rows
    assert not (here / "prepared").exists()  # nothing else is rendered


def test_examples_of_digits_have_no_sound(here):
    rows, images = factors.examples("digits", here / "out", 3)
    assert [p.name for p in (here / "out").iterdir()] == ["factors.csv"]
    corpus = source("digits", representation="image").corpus
    items = np.array([int(row["item"]) for row in rows])
    np.testing.assert_array_equal(images, corpus.images(items))
    assert [int(row["digit"]) for row in rows] == corpus.values(items)[:, 0].tolist()


def test_examples_do_not_mix_with_other_files(here):
    (here / "notes.txt").write_text("")
    with pytest.raises(KvoiceError, match="holds other files"):
        factors.examples("digits", here)
    with pytest.raises(KvoiceError, match="notes.txt: cannot be written"):
        factors.examples("digits", here / "notes.txt")


def test_the_corpora_are_distinguished_from_those_of_utterances():
    assert all(map(factors.named, ("additive", SMALL, "digits", "mnist:a.npz")))
    assert not any(map(factors.named, ("demo", "folder:additive", "additivea", "")))
