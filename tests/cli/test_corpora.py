"""A run is evaluated on the splits that it was trained with, never on others of the same corpus."""

import json

import numpy as np
import pytest

from kvoice import audio, runs
from kvoice.cli import corpora
from kvoice.data import prepare
from kvoice.errors import KvoiceError

SPEC = audio.SPECS["waveglow"]
RATE_HZ = SPEC.sample_rate_hz
VALUES = {"condition": "", "domain": "mel"}


@pytest.fixture
def place(tmp_path, monkeypatch):
    """A folder with recordings of twelve speakers, in which commands run."""
    monkeypatch.chdir(tmp_path)
    for k in range(12):
        (tmp_path / "wavs" / f"s{k}").mkdir(parents=True)
        wave = 0.3 * np.sin(np.arange(RATE_HZ // 2) * (0.05 + 0.005 * k))
        audio.write(tmp_path / "wavs" / f"s{k}" / "a.wav", wave, RATE_HZ)
    return tmp_path


def prepared(output, seed):
    return prepare.prepare("folder:wavs", output, SPEC, seed=seed, workers=1)


def trained(made, data="folder:wavs", **changes):
    """A run as `train` makes it on the splits of a manifest."""
    config = {
        "model_name": "adainvc",
        "variant": "",
        "data_spec": data,
        "corpus": made.items,
        "speakers": made.splits["train"]["speakers"],
        "split": made.identity,
        "data": {"split": "train", "crop_frames": 16, "batch": 2, "seed": 0},
        "model": VALUES,
        "train": {},
        **changes,
    }
    return runs.create("run", config, SPEC, {})


def test_another_split_of_the_same_corpus_is_not_taken_for_that_of_the_run(place):
    own, other = prepared("prepared/z", 0), prepared("prepared/a", 1)
    assert {*own.splits["train"]["speakers"]} & {*other.splits["test"]["speakers"]}
    assert str(corpora.of_run(trained(own)).directory) == "prepared/z"


def test_the_splits_of_the_run_are_made_again_where_only_others_are_there(place, capsys):
    prepared("prepared/a", 1)
    own = prepared("elsewhere", 0)
    found = corpora.of_run(trained(own))
    assert found.manifest.identity == {"by": "speaker", "seed": 0}
    assert found.manifest.splits["train"]["speakers"] == own.splits["train"]["speakers"]
    assert "preparing folder:wavs" in capsys.readouterr().out


def test_a_run_of_shards_in_another_folder_is_evaluated_on_them(place):
    prepared("prepared/a", 0)
    own = prepared("elsewhere", 3)
    assert str(corpora.of_run(trained(own, "prepared:elsewhere")).directory) == "elsewhere"


def test_a_run_is_evaluated_from_another_folder_than_it_was_made_in(place, tmp_path, monkeypatch):
    own = prepared("prepared/z", 0)
    trained(own)
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path / "elsewhere")
    found = corpora.of_run(runs.load("../run"))
    assert found.directory == tmp_path / "prepared" / "z" and found.manifest == own


def test_splits_that_cannot_be_had_any_more_are_refused_with_the_command_that_makes_them(place):
    prepared("prepared/a", 0)
    gone = prepared("elsewhere", 3)
    with pytest.raises(KvoiceError, match="in another way than run was .*--seed=3 --output"):
        corpora.of_run(trained(gone))


def test_a_run_that_does_not_know_its_split_is_matched_by_its_speakers(place):
    own, other = prepared("prepared/z", 0), prepared("prepared/a", 1)
    run = trained(own)
    config = json.loads((run.path / "config.json").read_text())
    del config["split"]
    (run.path / "config.json").write_text(json.dumps(config))
    assert str(corpora.of_run(runs.load("run")).directory) == "prepared/z"
    config["speakers"] = other.splits["train"]["speakers"]
    (run.path / "config.json").write_text(json.dumps(config))
    with pytest.raises(KvoiceError, match="in another way"):
        corpora.of_run(runs.load("run"))
