"""The folder of a traversal: its files, and the list of them."""

import json

import numpy as np
import PIL.Image
import pytest

from kvoice import audio
from kvoice.data.factors import FactorSource
from kvoice.errors import KvoiceError
from kvoice.evaluation import betavae
from kvoice.files import MADE, claim
from kvoice.inference import latents, traverse
from kvoice.inference.voice import Voice
from tests.evaluation.test_betavae import SOURCES, SPEC, Model

ABOUT = {"run": "../..", "command": "kvoice traverse"}


@pytest.fixture(autouse=True, scope="module")
def few():
    patch = pytest.MonkeyPatch()
    patch.setattr(traverse, "FLIPPED", 8)
    patch.setattr(traverse, "SHOWN", 1)
    patch.setattr(traverse, "STEPS", (-3, 0, 3))
    patch.setattr(traverse, "SHIFTS", (-1, 1))
    patch.setattr(traverse, "DRAWS", 2)
    patch.setattr(betavae, "SOUNDED", 1)
    yield
    patch.undo()


def traversed(folder, label="gender", model=None, **changes):
    model, values = model or Model(), {"count": 2, **changes}
    panel = betavae.LatentJudges(latents.Utterances(model, SOURCES["judge"]))
    return traverse.traverse(
        Voice(model, SPEC), SOURCES, folder, ABOUT, label, panel=panel, **values
    )


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("run") / "traversal" / "gender"
    traversed(folder)
    return folder


@pytest.fixture(scope="module")
def content(folder):
    return json.loads((folder / "traversal.json").read_text())


def names(content):
    """The files that a traversal names."""
    found = {content["densities"], content["kl"], content["traversal"]}
    for entry in content["latents"]:
        found |= {entry["picture"], entry["animation"]}
    for grid in content["grids"]:
        found |= {grid["picture"], *(wave for row in grid["waves"] or [] for wave in row)}
    return found


def test_the_folder_holds_every_file_that_it_names_and_no_other(folder, content):
    assert names(content) | {"traversal.json", MADE} == {path.name for path in folder.iterdir()}
    for name in names(content):
        if not name.endswith(".wav"):
            with PIL.Image.open(folder / name) as image:
                image.load()
    assert [path.name for path in folder.parent.iterdir()] == ["gender"]


def test_the_factor_and_its_control_are_named_and_shown_first(content):
    assert content["factor"] == 0 and content["control"] != 0
    assert [entry["latent"] for entry in content["latents"]][:2] == [0, content["control"]]
    assert [entry["role"] for entry in content["latents"]][:2] == ["gender", "control"]
    assert content["found"]["gender"]["best"]["latent"] == 0 and "f0_hz" not in content["rankings"]
    assert content["flips"]["edits"]["flip"]["gender"]["changed"] == 1
    assert content["flips"]["count"] == 8
    assert content["activity"]["dead"] == [4]
    assert ABOUT.items() <= content.items()


def test_a_sound_is_that_of_its_cell_and_has_the_predicted_label(folder, content):
    grids = {grid["name"]: grid for grid in content["grids"]}
    assert list(grids) == [
        "flips",
        "published",
        "shifts",
        "sweep",
        "interpolation",
        "prior",
        "resamples",
    ]
    for grid in grids.values():
        assert len(grid["waves"]) == len(grid["captions"]) == len(grid["rows"])
        assert all(len(row) == len(grid["columns"]) for row in (*grid["waves"], *grid["captions"]))
    captions = grids["flips"]["captions"]
    genders = [[cell.split(",")[0] for cell in row] for row in captions]
    for title, (original, made, flip, control) in zip(grids["flips"]["rows"], genders):
        assert title.endswith(original)
        assert original == made == control != flip
    sweep = [cell.split(",")[0] for cell in grids["sweep"]["captions"][0]]
    assert sweep[0] == "female" and sweep[-1] == "male"
    wave, rate = audio.read(folder / grids["flips"]["waves"][0][0])
    original = next(
        each for each in SOURCES["test"].rows if len(each["mel"]) * SPEC.hop == len(wave)
    )
    assert rate == SPEC.sample_rate_hz and original["gender"] == (genders[0][0] == "male")


def test_examples_are_of_every_class_and_speaker_in_turn():
    held = {
        "mean": np.zeros((40, 2)),
        "labels": {
            "speaker": np.repeat([0, 1, 2, 3, 4], 8),
            "gender": np.repeat([0, 1, 0, 1, 1], 8),
        },
    }
    for seed in range(5):
        rows = traverse.examples(held, "gender", 4, np.random.default_rng(seed))
        assert held["labels"]["gender"][rows].tolist() in (
            [0, 1, 0, 1],
            [1, 0, 1, 0],
            [0, 1, 1, 0],
            [1, 0, 0, 1],
        )
        assert len(set(held["labels"]["speaker"][rows])) == 4
    assert len(traverse.examples(held, "", 99, np.random.default_rng(0))) == 40


def test_another_latent_can_be_asked_for_and_its_own_traversal_is_made_again(tmp_path, monkeypatch):
    for name in ("mel_image", "mel_animation"):
        monkeypatch.setattr(traverse.plots, name, lambda path, *_: path.touch())
    monkeypatch.setattr(traverse.Voices, "write_sound", lambda self, path, mel: "")
    made = traversed(tmp_path / "t", factor=2)
    assert made["factor"] == 2
    (tmp_path / "t" / "old.png").write_bytes(b"")
    with pytest.raises(KvoiceError, match="old.png: not written by kvoice"):
        traversed(tmp_path / "t", label="", factor=1)
    claim(tmp_path / "t")
    again = traversed(tmp_path / "t", label="", factor=1)
    assert again["factor"] == 1 and again["control"] is None and again["flips"] is None
    assert not (tmp_path / "t" / "old.png").exists()
    assert [grid["name"] for grid in again["grids"]][0] == "reconstructions"


def test_what_is_not_a_traversal_is_not_replaced(tmp_path):
    (tmp_path / "mine.txt").write_text("")
    with pytest.raises(KvoiceError, match="not empty, and not a traversal"):
        traversed(tmp_path)
    with pytest.raises(KvoiceError, match="--count=1: must be at least 2"):
        traversed(tmp_path / "t", count=1)
    with pytest.raises(KvoiceError, match="--label=sex: there is no such label; known: gender"):
        traversed(tmp_path / "t", label="sex")
    with pytest.raises(KvoiceError, match="--factor=9: the model has latents 0 to 4"):
        traversed(tmp_path / "t", label="", factor=9)
    assert [path.name for path in tmp_path.iterdir()] == ["mine.txt"]


class Pixels:
    """A model whose codes are four pixels of an image, which it puts back where they were."""

    domain, latents, phones, shape = "image", 4, 0, (8, 8)
    places = np.array([[2, 3], [4, 3], [5, 5], [0, 0]])  # the last is always black

    def encode(self, items, mask=None):
        rows, columns = self.places.T
        return (items[:, rows, columns] * 4 - 2).astype("float32"), np.full((len(items), 4), -2.0)

    def decode(self, codes, phone=None):
        images = np.zeros((len(codes), 8, 8))
        rows, columns = self.places.T
        images[:, rows, columns] = np.clip((codes + 2) / 4, 0, 1)
        return images


@pytest.mark.parametrize("label", ["digit", ""])
def test_images_are_walked_through_without_sounds(tmp_path, label):
    sources = {
        split: FactorSource("digits", split, 8, representation="image")
        for split in ("train", "test")
    }
    folder = tmp_path / (label or "factors")
    made = traverse.traverse(Voice(Pixels(), None), sources, folder, ABOUT, label, count=3)
    assert made["kind"] == "images" and made["flips"] is None
    assert names(made) | {"traversal.json", MADE} == {path.name for path in folder.iterdir()}
    assert all(grid["waves"] is None for grid in made["grids"])
    assert made["grids"][0]["name"] == ("flips" if label else "reconstructions")
    if label:
        assert made["factor"] in (0, 1, 2) and made["found"]["digit"]["best"]["value"] > 0.7
        assert all(row.startswith("digit ") for row in made["grids"][0]["rows"])
    assert json.loads((folder / "traversal.json").read_text()) == json.loads(json.dumps(made))


def test_a_walk_is_decoded_from_its_own_values(tmp_path, monkeypatch):
    drawn = {}
    monkeypatch.setattr(traverse, "STEPS", (-0.5, 0, 0.5))  # within the range of a pixel
    monkeypatch.setattr(
        traverse.plots,
        "image_grid",
        lambda path, items, *_: drawn.setdefault(path.name, np.array(items)),
    )
    sources = {
        split: FactorSource("digits", split, 8, representation="image")
        for split in ("train", "test")
    }
    made = traverse.traverse(
        Voice(Pixels(), None), sources, tmp_path / "t", ABOUT, "digit", count=2
    )
    d = made["factor"]
    row, column = Pixels.places[d]
    centre, spread = (made["activity"][name][d] for name in ("centre", "spread"))
    values = np.clip((centre + np.array(traverse.STEPS) * spread + 2) / 4, 0, 1)
    walk = drawn[f"latent_{d}.png"]
    assert walk.shape == (2, 3, 8, 8)
    np.testing.assert_allclose(walk[:, :, row, column], np.tile(values, (2, 1)), atol=1e-6)
    others = [place for k, place in enumerate(Pixels.places) if k != d]
    for place in others:
        assert np.ptp(walk[:, :, place[0], place[1]], axis=1).max() == 0
