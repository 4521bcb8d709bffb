"""The page of vocoders: its tables and sounds, and the runs that it refuses."""

import json

import numpy as np
import pytest

from kvoice import audio, report
from kvoice.errors import KvoiceError
from tests.report.pages import created, evaluated, leads_nowhere_else

MODEL = {"width": 4, "flows": 2, "prewhiten": True, "seed": 0}
WAYS = {"recording": "recording", "the vocoder": "vocoder", "Griffin-Lim, 60 iterations": "gl"}


def run(folder, name="run", **changes):
    return created(folder / name, "waveglow", MODEL | changes, 0)


@pytest.fixture
def one(tmp_path):
    """A run as `kvoice evaluate` leaves it."""
    made = run(tmp_path)
    evaluated(made, **{"log-spectral distance, dB": 3.7})
    folder = made.path / "resynthesis"
    folder.mkdir()
    utterances = []
    for k in range(2):
        names = {way: f"{k}_{stem}.wav" for way, stem in WAYS.items()}
        for name in names.values():
            audio.write(folder / name, 0.3 * np.sin(np.arange(4000) / 9), 22050)
        utterances.append({"name": f"ada/{k} <i>", **names})
    (folder / "resynthesis.json").write_text(
        json.dumps({"sigma": 0.6, "seed": 0, "utterances": utterances})
    )
    return made


def test_a_row_has_the_recording_and_what_was_made_of_its_mel(one, tmp_path):
    page = leads_nowhere_else(report.resynthesis([one], tmp_path / "out"))
    assert page.text("h1") == [f"Resynthesis by {one.path}"]
    assert [each["src"] for each in page.all("audio")] == [
        f"run-0/resynthesis/{k}_{stem}.wav" for k in range(2) for stem in WAYS.values()
    ]
    assert page.all("audio")[1]["aria-label"] == "ada/0 <i>, the vocoder"
    assert page.text("th", scope="col")[-3:] == list(WAYS)
    facts = page.text("dl")[0]
    assert "2 flows, 4 channels" in facts and "Prewhiteningyes" in facts
    assert any("the voices are generated" in text.lower() for text in page.text("strong"))


def test_a_run_without_its_sounds_has_its_tables(one, tmp_path):
    (one.path / "resynthesis" / "resynthesis.json").unlink()
    page = leads_nowhere_else(report.resynthesis([one], tmp_path / "out"))
    assert not page.all("audio") and "Judged" in page.text("h3")


def test_what_cannot_be_shown_is_named(one, tmp_path):
    with pytest.raises(KvoiceError, match="new: nothing to show yet: `kvoice evaluate"):
        report.resynthesis([run(tmp_path, "new")], tmp_path / "out")
    (one.path / "resynthesis" / "1_gl.wav").unlink()
    with pytest.raises(KvoiceError, match="1_gl.wav: named in resynthesis.json, but not there"):
        report.resynthesis([one], tmp_path / "out")
    (one.path / "resynthesis" / "resynthesis.json").write_text("{}")
    with pytest.raises(KvoiceError, match="resynthesis.json: 'utterances' is missing"):
        report.resynthesis([one], tmp_path / "out")
    assert not (tmp_path / "out").exists()
