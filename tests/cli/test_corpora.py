"""The corpus of a command: a run is evaluated on the splits that it was trained with."""

import dataclasses
import json
import shutil

import numpy as np
import pytest
import soundfile

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


def test_another_split_is_refused_with_the_command_that_makes_that_of_the_run(place):
    own = prepare.prepare("folder:wavs", "prepared/z", SPEC, workers=1, judge=False)
    run = trained(own)
    shutil.rmtree("prepared/z")
    with pytest.raises(KvoiceError, match="--split=speaker --seed=0 --judge=false --output"):
        corpora.of_run(run)


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


# --- Trimming and levels

RECORDED = audio.Spec(**audio.RECORDINGS)
PLAIN = audio.Spec()


def test_recordings_are_conditioned_as_the_config_says_and_rendered_corpora_are_not():
    assert corpora.conditioned(RECORDED, "folder:wavs") == RECORDED
    assert corpora.conditioned(RECORDED, "demo+vctk:DIR") == RECORDED
    for data in ("demo", "demo:25-224", "espeak:12", "demo+espeak", "additive", "digits"):
        assert corpora.conditioned(RECORDED, data) == PLAIN
    chosen = corpora.conditioned(RECORDED, "demo", chosen=["trim_db"])
    assert (chosen.trim_db, chosen.level_db) == (40, 0)


def test_shards_and_runs_keep_the_conditioning_that_they_were_made_with(tmp_path):
    own = audio.Spec(trim_db=20.0)
    old = dataclasses.asdict(PLAIN)
    del old["level_db"]  # as 0.1 wrote it
    run = tmp_path / "run"
    runs.create(run, {"model_name": "m", "model": {}, "data": {}, "train": {}}, PLAIN, {})
    (run / "spec.json").write_text(json.dumps(old))
    # Without a checkpoint the run is made anew.
    assert corpora.conditioned(RECORDED, "folder:wavs", str(run)) == RECORDED
    (run / "state.json").write_text('{"step": 2}')
    assert corpora.conditioned(RECORDED, "folder:wavs", str(run)) == PLAIN
    (tmp_path / "wavs" / "a").mkdir(parents=True)
    for n in range(4):
        tone = 0.3 * np.sin(np.arange(8000) * (0.1 + 0.01 * n))
        soundfile.write(tmp_path / "wavs" / "a" / f"{n}.wav", tone, 22050)
    data = f"folder:{tmp_path / 'wavs'}"
    prepare.prepare(data, tmp_path / "out", own, split="text", workers=1)
    assert corpora.conditioned(RECORDED, f"prepared:{tmp_path / 'out'}") == own
