"""What the pages of all models share: the tables of an evaluation, and what is said about them."""

import json

import pytest

from kvoice import report
from kvoice.report import elements
from tests.report import (
    test_adainvc,
    test_betavae,
    test_classifier,
    test_speakerencoder,
    test_voicegan,
    test_waveglow,
)
from tests.report.pages import Page, evaluated

RUNS = {
    "adainvc": test_adainvc.run,
    "betavae": test_betavae.run,
    "classifier": test_classifier.run,
    "speakerencoder": test_speakerencoder.run,
    "voicegan": test_voicegan.run,
    "waveglow": test_waveglow.run,
}
NOTES = ["independent judges: <hama> is not installed; install it with pip", "another"]
VALID = "Measured on the split valid"


def noted(path, **changes):
    """Adds to an evaluation."""
    path.write_text(json.dumps(json.loads(path.read_text()) | changes))


@pytest.mark.parametrize("model", report.PAGES)
def test_notes_stand_below_the_tables_and_the_split_above_them(model, tmp_path):
    made = RUNS[model](tmp_path)
    evaluated(made)
    before = Page(report.PAGES[model]([made], tmp_path / "out")).text("main")[0]
    assert VALID not in before and NOTES[0] not in before
    noted(made.path / "evaluation.json", notes=NOTES, split="valid")
    text = Page(report.PAGES[model]([made], tmp_path / "out")).text("main")[0]
    places = [text.index(each) for each in (VALID, "By <judges>.", *NOTES)]
    assert places == sorted(places)


def test_what_was_measured_on_the_split_test_is_not_said():
    made = {"tables": [], "split": "test"}
    assert elements.tables(made) == [] == elements.tables({"tables": []})
