import json
import multiprocessing
import os

import pytest

from kvoice import audio, runs
from kvoice.errors import KvoiceError
from kvoice.files import write_json

CONFIG = {
    "model_name": "voicegan",
    "variant": "tiny",
    "data_spec": "demo",
    "data": {"batch": 4},
    "model": {"condition": "emotion", "shape": (160, 80)},
    "train": {"steps": 6, "rates": {"critic": 1e-4}},
}
LABELS = {"emotion": ["angry", "happy"], "gender": []}
SPEC = audio.SPECS["waveglow"]


def create(directory, config=CONFIG, spec=SPEC, labels=LABELS):
    return runs.create(directory, config, spec, labels, command="bin/train")


def begun(directory):
    """A run with a checkpoint."""
    write_json(create(directory).path / "state.json", {"step": 2})


def test_a_run_comes_back_as_it_was_made(tmp_path):
    made, again = create(tmp_path / "run"), runs.load(tmp_path / "run")
    assert again == made
    assert again.spec == SPEC and again.labels == LABELS
    assert again.config["model"]["shape"] == [160, 80]
    assert again.names == ["angry", "happy"]
    assert again.config["command"] == "bin/train"
    assert {"kvoice", "keras", "numpy", "python"} <= set(again.config["versions"])


def test_the_same_values_open_the_same_run(tmp_path):
    begun(tmp_path / "run")
    assert create(tmp_path / "run").state == {"step": 2}


def test_a_field_that_was_not_there_yet_is_its_default(tmp_path):
    begun(tmp_path / "run")

    def again(epsilon):
        config = {**CONFIG, "train": CONFIG["train"] | {"epsilon": epsilon}}
        return runs.create(
            tmp_path / "run", config, SPEC, LABELS, defaults={"train": {"epsilon": 1e-7}}
        )

    assert again(1e-7).state == {"step": 2}
    with pytest.raises(KvoiceError, match="train.epsilon: 1e-07 in the run, 1e-08 now"):
        again(1e-8)


def test_a_run_that_never_reached_a_checkpoint_is_made_anew(tmp_path):
    create(tmp_path / "run")
    again = create(tmp_path / "run", config={**CONFIG, "data_spec": "demo:100"})
    assert runs.load(tmp_path / "run") == again
    assert again.config["data_spec"] == "demo:100"


@pytest.mark.parametrize(
    "change, name",
    [
        (
            {"config": {**CONFIG, "train": {"steps": 7, "rates": {"critic": 1e-4}}}},
            "train.steps: 6 in the run, 7 now",
        ),
        (
            {"config": {**CONFIG, "train": {"steps": 6, "rates": {"critic": 2e-4}}}},
            "train.rates.critic: 0.0001 in the run",
        ),
        ({"config": {**CONFIG, "data_spec": "demo:100"}}, "data_spec: demo in the run"),
        ({"spec": audio.SPECS["speechsplit"]}, "spec.sample_rate_hz: 22050 in the run, 16000 now"),
        ({"labels": {"emotion": ["sad"], "gender": []}}, "labels.emotion"),
    ],
)
def test_a_changed_value_is_refused_by_name(tmp_path, change, name):
    begun(tmp_path / "run")
    before = {p.name: p.read_bytes() for p in (tmp_path / "run").iterdir()}
    with pytest.raises(KvoiceError) as caught:
        create(tmp_path / "run", **change)
    assert name in str(caught.value) and "--run" in str(caught.value)
    assert {p.name: p.read_bytes() for p in (tmp_path / "run").iterdir()} == before


def test_another_corpus_is_refused_without_all_that_follows_from_it(tmp_path):
    begun(tmp_path / "run")
    config = {**CONFIG, "data_spec": "ravdess:R", "corpus": "other", "speakers": ["a", "b"]}
    with pytest.raises(KvoiceError) as caught:
        create(tmp_path / "run", config=config, labels={"emotion": ["sad"], "gender": []})
    assert "(data_spec: demo in the run, ravdess:R now)" in str(caught.value)


def test_a_folder_with_other_files_is_left_alone(tmp_path):
    (tmp_path / "thesis.txt").write_text("mine")
    with pytest.raises(KvoiceError, match="not a run"):
        create(tmp_path)
    assert [p.name for p in tmp_path.iterdir()] == ["thesis.txt"]


def test_loading_names_what_is_missing_or_broken(tmp_path):
    with pytest.raises(KvoiceError, match="not a run"):
        runs.load(tmp_path / "nowhere")
    create(tmp_path / "run")
    (tmp_path / "run" / "config.json").write_text("{")
    with pytest.raises(KvoiceError, match="config.json: is damaged, no JSON"):
        runs.load(tmp_path / "run")
    (tmp_path / "run" / "config.json").write_text(json.dumps({**CONFIG, "format": 99}))
    with pytest.raises(KvoiceError, match="format 99"):
        runs.load(tmp_path / "run")


@pytest.mark.parametrize("name", [*runs.PARTS, "state.json"])
@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"{",
        b"[]",
        b"3",
        b"null",
        b'"config"',
        b"\xff\xfe",
        b"{}",
        b"[" * 100_000,
        b'{"step": "2"}',
    ],
)
def test_a_damaged_file_of_a_run_is_answered_in_one_line(tmp_path, name, content):
    begun(tmp_path / "run")
    (tmp_path / "run" / name).write_bytes(content)
    if name == "labels.json" and content == b"{}":
        return  # a run without labels
    with pytest.raises(KvoiceError) as caught:
        runs.load(tmp_path / "run")
    assert "\n" not in str(caught.value) and str(tmp_path / "run") in str(caught.value)


@pytest.mark.parametrize(
    ("name", "change", "message"),
    [
        ("config.json", lambda made: made.pop("model"), "config.json: model is missing"),
        ("config.json", lambda made: made.update(train=[]), "config.json: train is missing or of"),
        ("spec.json", lambda made: made.pop("hop"), "spec.json: hop is missing"),
        ("spec.json", lambda made: made.update(hob=3), "spec.json: hob is unknown"),
        ("spec.json", lambda made: made.update(fft=-2), "spec.json: Spec.fft must be"),
        ("spec.json", lambda made: made.update(scale=[]), "spec.json: "),
        ("labels.json", lambda made: made.update(emotion=3), "labels.json: emotion is no list"),
        ("state.json", lambda made: made.update(weights=3), "state.json: weights is missing or of"),
    ],
)
def test_a_field_that_is_missing_or_wrong_is_named(tmp_path, name, change, message):
    begun(tmp_path / "run")
    content = json.loads((tmp_path / "run" / name).read_text())
    change(content)
    (tmp_path / "run" / name).write_text(json.dumps(content))
    with pytest.raises(KvoiceError, match=message):
        runs.load(tmp_path / "run")


@pytest.mark.parametrize("name", ["config.json", "labels.json", "notes.txt"])
def test_files_that_are_not_of_a_run_are_never_overwritten(tmp_path, name):
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / name).write_text('{"mine": 1}')
    with pytest.raises(KvoiceError, match=f"mine: holds {name} and is not a run"):
        create(tmp_path / "mine")
    assert (tmp_path / "mine" / name).read_text() == '{"mine": 1}'


def test_a_creation_that_was_killed_anywhere_goes_on(tmp_path, monkeypatch):
    class Killed(BaseException):
        pass

    operations = ["mkdir", "replace", "fsync", "unlink"]
    for number in range(40):
        left = number
        with monkeypatch.context() as patched:
            for name in operations:
                original = getattr(os, name)

                def until(*given, original=original, **more):
                    nonlocal left
                    left -= 1
                    if left < 0:
                        raise Killed
                    return original(*given, **more)

                patched.setattr(os, name, until)
            try:
                create(tmp_path / f"run-{number}")
            except Killed:
                pass
            else:
                assert number > 5
                break
        assert create(tmp_path / f"run-{number}") == runs.load(tmp_path / f"run-{number}")
        assert not list((tmp_path / f"run-{number}").glob(".*"))
    else:
        raise AssertionError("more operations than were tried")


def _hold(directory, ready, done):
    with runs.load(directory).locked():
        ready.set()
        done.wait(30)


def test_a_second_process_is_locked_out_until_the_first_ends(tmp_path):
    run = create(tmp_path / "run")
    context = multiprocessing.get_context("spawn")
    ready, done = context.Event(), context.Event()
    other = context.Process(target=_hold, args=(run.path, ready, done))
    other.start()
    assert ready.wait(30)
    with pytest.raises(KvoiceError, match="another process"):
        with run.locked():
            pass
    with pytest.raises(KvoiceError, match="another process"):
        create(run.path, config={**CONFIG, "data_spec": "demo:100"})
    assert runs.load(run.path) == run
    other.kill()  # as hard as it gets: the lock must not stay behind
    other.join()
    with run.locked():
        pass
