"""The page of classifiers: its tables and pictures, and the runs that it refuses."""

import json

import PIL.Image
import pytest

from kvoice import report, runs
from kvoice.errors import KvoiceError
from tests.report.pages import created, evaluated, leads_nowhere_else

MODEL = {"condition": "emotion", "domain": "mel", "architecture": "cnn", "width": 4, "seed": 0}


def run(folder, name="run", seed=0):
    made = created(folder / name, "classifier", MODEL, seed)
    (made.path / "labels.json").write_text(json.dumps({"emotion": ["happy", "sad"]}))
    return runs.load(made.path)


@pytest.fixture
def two(tmp_path):
    """Two runs that differ in their seeds, as `kvoice evaluate` leaves them."""
    made = [run(tmp_path, f"run-{seed}", seed) for seed in (0, 1)]
    for each in made:
        evaluated(each, **{"accuracy (test)": 0.995})
        for stem in ("confusion", "calibration"):
            for split in ("test", "train"):
                PIL.Image.new("RGB", (90, 60), "white").save(each.path / f"{stem}_{split}.png")
    return made


def test_runs_have_their_tables_and_the_pictures_of_each_split(two, tmp_path):
    page = leads_nowhere_else(report.classification(two, tmp_path / "out"))
    assert page.text("h1") == ["Classification by 2 runs"]
    assert [each["src"] for each in page.all("img")] == [
        f"run-{k}/{stem}_{split}.png"
        for k in (0, 1)
        for stem in ("confusion", "calibration")
        for split in ("test", "train")
    ]
    assert page.text("h3").count("Confusion, split test") == 2
    assert not page.all("audio") and "0.995" in page.text("td")
    assert "emotion: happy, sad" in page.text("dl")[0] and "cnn on mels" in page.text("dl")[0]


def test_a_run_without_an_evaluation_is_named(tmp_path):
    with pytest.raises(KvoiceError, match="run: nothing to show yet: `kvoice evaluate"):
        report.classification([run(tmp_path)], tmp_path / "out")
    assert not (tmp_path / "out").exists()
