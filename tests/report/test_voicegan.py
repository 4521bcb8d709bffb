"""The page of generators: its tables, pictures and sounds, and the runs that it refuses."""

import json

import numpy as np
import PIL.Image
import pytest

from kvoice import audio, report, runs
from kvoice.errors import KvoiceError
from tests.report.pages import created, evaluated, leads_nowhere_else

MODEL = {"width": 4, "condition": "emotion", "seed": 0}


def run(folder, name="run", names=("happy", "<sad>")):
    made = created(folder / name, "voicegan", MODEL | {"condition": "emotion" if names else ""}, 0)
    labels = {"emotion": list(names)} if names else {}
    (made.path / "labels.json").write_text(json.dumps(labels))
    return runs.load(made.path)


def sampled(made):
    """Writes samples as `kvoice train` leaves them; the names of the waves."""
    folder, files = made.path / "samples", []
    folder.mkdir()
    for k, label in enumerate(made.names or [""]):
        files += [
            {"file": f"{k}_{noise}.wav", "label": label, "noise": noise} for noise in range(3)
        ]
        files.append({"file": f"{k}_on.wav", "label": label, "noises": [0, 1], "steps": 5})
    for each in files:
        audio.write(folder / each["file"], 0.3 * np.sin(np.arange(4000) / 9), 22050)
    for name in ("samples", "interpolation"):
        PIL.Image.new("RGB", (900, 300), "navy").save(folder / f"{name}.png")
    (folder / "samples.json").write_text(
        json.dumps({"sample_rate_hz": 22050, "seed": 0, "files": files})
    )
    return [each["file"] for each in files]


def test_a_row_has_the_sounds_of_a_label_and_a_column_those_of_a_noise(tmp_path):
    made = run(tmp_path)
    names = sampled(made)
    evaluated(made, **{"Frechet distance": 0.2})
    page = leads_nowhere_else(report.samples([made], tmp_path / "out"))
    assert [each["src"] for each in page.all("audio")] == [
        f"run-0/samples/{name}" for name in names
    ]
    assert page.all("audio")[4]["aria-label"] == f"{made.path}, <sad>, noise 0"
    assert page.text("th", scope="col")[-4:] == ["noise 0", "noise 1", "noise 2", "interpolation"]
    assert page.text("th", scope="row")[-2:] == ["happy", "<sad>"]
    assert len(page.all("img")) == 2 and all(each["alt"] for each in page.all("img"))
    assert "emotion: happy, <sad>" in page.text("dl")[0]
    assert page.text("pre")[1].strip() == f"kvoice evaluate --run={made.path}"


def test_samples_are_shown_before_an_evaluation_and_without_labels(tmp_path):
    made = run(tmp_path, names=())
    sampled(made)
    page = leads_nowhere_else(report.samples([made], tmp_path / "out"))
    assert len(page.all("audio")) == 4 and "Labelnone" in page.text("dl")[0]
    assert page.all("audio")[0]["aria-label"] == f"{made.path}, sample, noise 0"


def test_an_evaluation_is_shown_without_samples(tmp_path):
    made = run(tmp_path)
    evaluated(made)
    page = leads_nowhere_else(report.samples([made], tmp_path / "out"))
    assert not page.all("audio") and "Judged" in page.text("h3")


def test_a_run_without_either_is_named(tmp_path):
    with pytest.raises(KvoiceError, match="run: nothing to show yet: `kvoice train` writes"):
        report.samples([run(tmp_path)], tmp_path / "out")
    assert not (tmp_path / "out").exists()
