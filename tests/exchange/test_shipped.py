"""Weights that ship: half the size, the same voice, opened by their name, and never written to."""

import json
import os
import pathlib

import numpy as np
import pytest

import kvoice
from kvoice import audio, runs, weights
from kvoice.cli import configs
from kvoice.cli import main as cli
from kvoice.data.synthetic import demo
from kvoice.errors import KvoiceError

SPEC = audio.SPECS["waveglow"]
LIMIT = 10_000_000  # bytes of each


def speech(who, rate_hz=22050):
    return demo.render(demo.Utterance(who, "neutral", list(demo.SENTENCES)[0]), rate_hz).wave


def test_what_ships_is_small_has_a_card_and_names_no_folder_of_a_machine():
    for name in weights.names():
        folder = weights.shipped(name)
        files = [path for path in folder.rglob("*") if path.is_file()]
        assert sum(path.stat().st_size for path in files) < LIMIT
        assert (folder / weights.CARD).read_text().startswith("# ")
        config = (folder / "config.json").read_text()
        assert '"/' not in config and ":/" not in config
        assert runs.load(name).path == folder


@pytest.mark.backend
def test_a_speaker_encoder_that_ships_judges_by_its_name(tmp_path, monkeypatch):
    from kvoice.evaluation import adainvc

    monkeypatch.chdir(tmp_path)  # where no folder has its name
    encoder = adainvc.Encoder.of("speakerencoder", tmp_path)
    assert encoder.name == "speakerencoder" and encoder.speakers
    with pytest.raises(KvoiceError, match="is a run of adainvc, expected one of speakerencoder"):
        adainvc.Encoder.of("adainvc", tmp_path)
    with pytest.raises(KvoiceError, match="^nowhere: not a run.* weights of adainvc, .* ship"):
        runs.load("nowhere")


def test_a_name_of_no_weights_is_no_run(tmp_path, monkeypatch):
    monkeypatch.setattr(weights, "FOLDER", tmp_path)
    assert weights.names() == [] and weights.shipped("adainvc") is None
    with pytest.raises(KvoiceError, match="adainvc: not a run"):
        runs.load("adainvc")


@pytest.mark.backend
def test_without_weights_convert_wants_a_run(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(weights, "FOLDER", tmp_path)
    assert cli.main(["convert", "--source=a.wav", "--target=b.wav", "--output=c.wav"]) == 2
    assert "--run=DIR is missing" in capsys.readouterr().err


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """A run with moving averages, and the weights that were made of it, by the name adainvc."""
    from kvoice.exchange import shipped
    from kvoice.training import loop

    place = tmp_path_factory.mktemp("shipped")
    config = configs.configuration("adainvc", "tiny")
    run = runs.create(
        place / "run",
        {
            "model_name": "adainvc",
            "variant": "tiny",
            "data_spec": "demo",
            "speakers": ["ada"],
            "data": config["data"],
            "model": config["model"] | {"mels": 80},
            "train": config["train"] | {"ema": 0.0},
        },
        SPEC,
        {"speaker": ["ada"]},
        "kvoice train --model=adainvc:tiny",
    )
    loop.finished(run, loop.model(run))
    monkeypatch = pytest.MonkeyPatch()
    monkeypatch.setattr(weights, "FOLDER", place / "weights")
    shipped.main(str(run.path), "adainvc", "demo")
    yield run, place / "weights" / "adainvc"
    monkeypatch.undo()


@pytest.mark.backend
def test_they_are_half_as_large_and_convert_alike(made, capsys):
    run, folder = made
    sizes = [
        next((path / "checkpoints").glob("*.weights.h5")).stat().st_size
        for path in (run.path, folder)
    ]
    assert sizes[1] < 0.7 * sizes[0]
    whole, half = kvoice.load(run.path), kvoice.load("adainvc")
    assert half.run.path == folder and half.model.dtype_policy.name == "float32"
    mel = whole.mel(speech("ada"), 22050)
    found = [voice.model.encode(mel) for voice in (whole, half)]
    for name in ("content", "styles"):
        one, two = (each[name] for each in found)
        assert np.abs(one - two).max() < 0.01 * np.abs(one).max()  # 11 bits of each weight
        assert np.abs(one - two).max() > 0


@pytest.mark.backend
def test_the_folder_says_what_it_is_and_nothing_of_the_machine(made):
    _, folder = made
    content = json.loads((folder / "config.json").read_text())
    assert content["data_spec"] == "demo" and "directory" not in content
    assert sorted(path.name for path in folder.iterdir()) == [
        "checkpoints",
        "config.json",
        "labels.json",
        "spec.json",
        "state.json",
    ]


@pytest.mark.backend
def test_convert_uses_them_where_no_run_is_given_and_says_so(made, tmp_path, monkeypatch, capsys):
    _, folder = made
    monkeypatch.chdir(tmp_path)
    before = {path: path.stat().st_mtime_ns for path in folder.rglob("*")}
    for name, who in (("me", "ada"), ("you", "carl")):
        audio.write(f"{name}.wav", speech(who), 22050)
    assert cli.main(["convert", "--source=me.wav", "--target=you.wav", "--output=out.wav"]) == 0
    said = capsys.readouterr().out
    assert f"weights that ship with kvoice, described in {folder / weights.CARD}" in said
    assert len(audio.read("out.wav")[0]) == len(speech("ada"))
    assert {path: path.stat().st_mtime_ns for path in folder.rglob("*")} == before


@pytest.mark.backend
def test_a_folder_of_that_name_is_the_users_own(made, tmp_path, monkeypatch):
    run, _ = made
    monkeypatch.chdir(tmp_path)
    os.symlink(run.path, "adainvc")
    assert runs.load("adainvc").path == pathlib.Path("adainvc")


@pytest.mark.backend
@pytest.mark.parametrize("command", [["evaluate", "--run=adainvc"], ["report", "adainvc"]])
def test_nothing_is_written_to_them(made, tmp_path, monkeypatch, capsys, command):
    _, folder = made
    monkeypatch.chdir(tmp_path)
    assert cli.main(command) == 1
    said = capsys.readouterr().err
    assert f"cp -r {folder} runs/adainvc" in said and len(said.splitlines()) == 1


@pytest.mark.backend
def test_training_begins_from_them(made):
    from kvoice.training import loop

    run, _ = made
    built = loop.model(run)
    loop.begin_from(built, "adainvc", SPEC)
    other = kvoice.load("adainvc").model
    for one, two in zip(built.get_weights(), other.get_weights(), strict=True):
        np.testing.assert_array_equal(one, two)
