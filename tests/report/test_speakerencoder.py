"""The page of speaker encoders: its tables, its pictures, and the runs that it refuses."""

import PIL.Image
import pytest

from kvoice import report
from kvoice.errors import KvoiceError
from kvoice.files import MADE
from tests.report.pages import Page, created, evaluated, leads_nowhere_else

MODEL = {"width": 4, "depth": 1, "embedding": 8, "seed": 0}


def run(folder, name="run", seed=0, model="speakerencoder"):
    return created(folder / name, model, MODEL, seed)


@pytest.fixture
def two(tmp_path):
    """Two runs that differ in their seeds, as `kvoice evaluate` leaves them."""
    made = [run(tmp_path, f"encoder-{seed}", seed) for seed in (0, 1)]
    for each in made:
        evaluated(each, **{"equal error rate (test)": 0.0345})
        PIL.Image.new("RGB", (90, 60), "white").save(each.path / "embeddings.png")
    return made


def test_runs_have_their_tables_and_pictures_of_embeddings_and_no_sounds(two, tmp_path):
    page = leads_nowhere_else(report.verification(two, tmp_path / "out"))
    assert page.text("h1") == ["Speaker verification by 2 runs"]
    assert [each["src"] for each in page.all("img")] == [f"run-{k}/embeddings.png" for k in (0, 1)]
    assert not page.all("audio") and "Silhouette" not in page.text("main")[0]
    assert page.text("td")[:2] == ["0", "0.0345"]


def test_a_metric_that_is_not_defined_has_a_dash(two, tmp_path):
    evaluated(two[0], **{"equal error rate (test)": None})
    page = Page(report.verification(two, tmp_path / "out"))
    assert page.text("td")[:4] == ["0", "–", "1", "0.0345"]


def test_the_facts_of_a_run_name_its_network_and_its_data(two, tmp_path):
    facts = Page(report.verification(two[:1], tmp_path / "out")).text("dl")[0]
    for words in ("Trained ondemo", "Training speakers2", "LSTM of 1 layers of 4", "8 numbers"):
        assert words in facts


def test_a_single_page_holds_its_pictures(two, tmp_path):
    page = Page(report.verification(two, tmp_path / "out", single=True))
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == [MADE, "index.html"]
    assert all(each["src"].startswith("data:image/png;base64,") for each in page.all("img"))


def test_runs_that_cannot_be_shown_are_named(two, tmp_path):
    out = tmp_path / "out"
    with pytest.raises(
        KvoiceError, match="vc: is a run of adainvc, expected one of speakerencoder$"
    ):
        report.verification([run(tmp_path, "vc", model="adainvc")], out)
    with pytest.raises(
        KvoiceError, match="new: nothing to show yet: `kvoice evaluate --run=.*new` measures"
    ):
        report.verification([run(tmp_path, "new")], out)
    assert not out.exists()
