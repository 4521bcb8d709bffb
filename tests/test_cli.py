"""What the commands answer: values from words, one line for each mistake, the exit status."""

import contextlib
import csv
import dataclasses
import errno
import inspect
import json
import logging
import os
import pathlib
import re
import shutil
import subprocess
import sys
import types

import numpy as np
import pytest

from kvoice import audio, exchange, recognisers
from kvoice.cli import classify, configs, maximize, train
from kvoice.cli import main as cli
from kvoice.cli.main import main
from kvoice.data.manifest import Manifest
from kvoice.errors import KvoiceError

ROOT = pathlib.Path(__file__).resolve().parent.parent


@pytest.fixture(autouse=True)
def no_judges_from_elsewhere(monkeypatch):
    """They take minutes, and are installed on some machines only."""
    monkeypatch.setattr(recognisers, "installed", lambda package: False)
    monkeypatch.setattr(exchange, "installed", lambda name: None)


@pytest.fixture
def failed(capsys):
    """Runs a command that must fail with a status, and gives its one line on stderr."""

    def line(status, *words):
        capsys.readouterr()
        assert main(list(words)) == status
        (text,) = capsys.readouterr().err.splitlines()
        return text

    return line


@pytest.fixture
def command(monkeypatch):
    """Puts a function in the place of the command `train`."""

    def replace(function):
        monkeypatch.setattr(train, "train", lambda **_: function())

    return replace


def raising(error):
    def function():
        raise error

    return function


def test_phones_need_the_recogniser_and_a_corpus_of_speech(failed, tmp_path, monkeypatch):
    monkeypatch.setattr(recognisers.frameworks, "installed", lambda name: False)
    words = ["prepare", f"--output={tmp_path / 'out'}", "--phones=hama"]
    assert "kvoice prepare: hama is not installed; install it with pip install" in failed(
        1, *words, "--data=demo:4"
    )
    assert "--phones=hama: digits holds no speech" in failed(1, *words, "--data=digits")
    words = ["prepare", f"--output={tmp_path / 'out'}", "--data=digits"]
    assert "--speeds=0.9: digits holds no speech" in failed(1, *words, "--speeds=0.9")
    assert "--judge=false: digits holds no speech" in failed(1, *words, "--judge=false")
    assert "--trim_db=0.0: digits holds no speech" in failed(1, *words, "--trim_db=0")
    words[2] = "--data=demo:4"
    assert "--speeds=fast: must be numbers" in failed(1, *words, "--speeds=fast")
    assert not (tmp_path / "out").exists()


def test_a_failure_shows_its_traceback_where_that_is_wanted(command, failed, capsys, monkeypatch):
    command(raising(KvoiceError("field: wrong")))
    assert failed(1, "train") == "kvoice train: field: wrong"
    monkeypatch.setenv("KVOICE_DEBUG", "1")
    assert main(["train"]) == 1
    assert "Traceback" in capsys.readouterr().err


def test_a_closed_pipe_ends_a_command_in_one_line(command, capsys, monkeypatch):
    monkeypatch.setattr(os, "dup2", lambda *_: None)  # the output of the tests stays open
    command(raising(BrokenPipeError(32, "Broken pipe")))
    assert main(["train"]) == 1
    said = capsys.readouterr().err
    assert said == "kvoice train: stopped, since nothing reads its output any more\n"


def test_characters_that_control_a_terminal_are_escaped(command, failed):
    command(raising(KvoiceError("a\x1b[2J\nb\udc80.wav: wrong")))
    assert failed(1, "train") == "kvoice train: a\\x1b[2J b\\udc80.wav: wrong"


def test_a_bug_that_carries_the_name_of_a_file_is_no_system_error(command):
    error = SyntaxError("invalid syntax")
    error.filename = "configs/mine.py"
    command(raising(error))
    with pytest.raises(SyntaxError):
        main(["train"])


@pytest.mark.parametrize(
    "words",
    [
        ["classify", "--run=~/run", "--input=~/in", "--output=~/a.csv"],
        ["convert", "--run=~/run", "--source=~/a", "--target=~/b", "--target=~/c", "--output=~/d"],
        ["report", "~/run", "~/other", "--output=~/page"],
        ["train", "--model=voicegan", "--run=~/run", "--init=~/init"],
    ],
)
def test_the_home_folder_is_expanded_in_every_path(words, monkeypatch):
    monkeypatch.setenv("HOME", "/nowhere/ada")
    given = cli.values(cli.module(words[0]), words[1:])
    paths = [each for value in given.values() for each in np.ravel(value) if "/" in str(each)]
    assert len(paths) >= len(words) - 2 and not any("~" in str(each) for each in paths)
    assert all(str(each).startswith("/nowhere/ada/") for each in paths)


def test_an_evaluation_that_was_edited_is_not_replaced(tmp_path, failed):
    from kvoice import files, runs

    config = {"model_name": "classifier", "data_spec": "demo", "model": {}, "train": {}}
    run = runs.create(tmp_path / "run", config, audio.SPECS["waveglow"], {})
    (run.path / "evaluation.json").write_text("{}")
    files.claim(run.path, ["evaluation.json"])
    (run.path / "evaluation.json").write_text('{"mine": 1}')
    assert "evaluation.json: not written by kvoice" in failed(1, "evaluate", f"--run={run.path}")


# Help


@pytest.mark.parametrize("words", [[], ["-h"], ["--help"]])
def test_the_bare_command_lists_its_verbs(words, capsys):
    assert main(words) == 0
    shown = capsys.readouterr().out
    assert all(f"  {verb} " in shown for verb in cli.VERBS)


@pytest.mark.parametrize("verb", cli.VERBS)
@pytest.mark.parametrize("word", cli.HELP)
def test_help_shows_an_example_and_the_flags_of_the_verb_only(verb, word, capsys):
    assert main([verb, word]) == 0
    shown = capsys.readouterr().out
    assert f"  kvoice {verb} " in shown.split("Flags:")[0]
    lines = shown.split("Flags:")[1].splitlines()
    flags = {re.split("[=:]", line)[0].strip() for line in lines if line}
    command = cli.module(verb)
    own = set(inspect.signature(cli.function(command, verb)).parameters) - {
        getattr(command, "REST", "")
    }
    assert flags == {f"--{name}" for name in own - {"overrides"}} | (
        {"--config.FIELD"} if "overrides" in own else set()
    )


def test_help_shows_the_values_of_the_variant_that_is_named(capsys):
    main(["train", "--model=voicegan:tiny", "-h", "--config.train.steps=1"])
    assert "--config.model.width=4\n" in capsys.readouterr().out


def test_the_help_of_train_lists_the_models(capsys):
    main(["train", "-h"])
    shown = capsys.readouterr().out
    assert all(path.stem in shown for path in (ROOT / "configs").glob("*.py"))


def test_help_imports_no_framework():
    asked = subprocess.run(
        [
            sys.executable,
            "-c",
            "import sys; from kvoice.cli.main import main; "
            "main(['train', '--model=voicegan', '-h']); print(*sys.modules)",
        ],
        capture_output=True,
        text=True,
        check=True,
        cwd=ROOT,
    )
    loaded = set(asked.stdout.splitlines()[-1].split())
    assert "kvoice.cli.train" in loaded
    assert not loaded & {"tensorflow", "jax", "torch", "keras", "matplotlib"}


def test_importing_the_package_caps_what_a_virtual_machine_may_not_be_able_to_run():
    asked = subprocess.run(
        [
            sys.executable,
            "-c",
            "import kvoice, os, sys; print(os.environ['ONEDNN_MAX_CPU_ISA'], "
            "len({'numpy', 'keras', 'tensorflow'} & set(sys.modules)))",
        ],
        capture_output=True,
        text=True,
        check=True,
        cwd=ROOT,
        env={k: v for k, v in os.environ.items() if not k.startswith("ONEDNN")},
    )
    assert asked.stdout.split() == ["AVX512_CORE_BF16", "0"]


# Bad usage


def test_an_unknown_verb_is_told_the_near_one(failed):
    assert 'did you mean "train"?' in failed(2, "trian")


def test_an_unknown_flag_is_told_the_near_one(failed):
    assert "Did you mean: model" in failed(2, "train", "--modle=voicegan")


def test_an_unknown_model_is_told_the_near_one_and_the_list(failed):
    line = failed(2, "train", "--model=voicegam:tiny")
    assert (
        'did you mean "voicegan"?' in line
        and "there are adainvc, betavae, classifier, speakerencoder, voicegan, waveglow" in line
    )


def test_an_unknown_variant_is_told_the_near_one_and_the_list(failed):
    line = failed(2, "train", "--model=voicegan:papr")
    assert 'did you mean "paper"?' in line and "there are paper, wave, tiny" in line


@pytest.mark.parametrize(
    ("field", "near"),
    [
        ("train.step", "train.steps"),
        ("steps", "train.steps"),
        ("rates.critic", "train.rates.critic"),
        ("model.widht", "model.width"),
        ("modle.width", "model.width"),
    ],
)
def test_an_unknown_field_is_told_the_near_one(failed, field, near):
    line = failed(2, "train", "--model=voicegan", f"--config.{field}=1")
    assert f"--config.{field}: voicegan has no such field" in line
    assert f'did you mean "--config.{near}"?' in line


@pytest.mark.parametrize(
    ("field", "text", "expected"),
    [
        ("train.steps", "many", "a whole number"),
        ("train.steps", "3.5", "a whole number"),
        ("train.beta_1", "half", "a number"),
        ("train.beta_1", "nan", "a number"),
        ("train.beta_1", "inf", "a number"),
        ("train.jit", "maybe", "true or false"),
        ("train.steps", "", "a whole number"),
    ],
)
def test_a_wrong_type_names_the_field_and_the_type(failed, field, text, expected):
    line = failed(2, "train", "--model=voicegan", f"--config.{field}={text}")
    assert f"--config.{field}: expected {expected}, got {text!r}" in line


def test_a_field_without_a_value_is_refused(failed):
    assert "--config.train.jit=VALUE" in failed(
        2, "train", "--model=voicegan", "--config.train.jit"
    )


def test_a_word_that_is_no_flag_is_refused(failed):
    assert "'voicegan' is no flag" in failed(2, "train", "voicegan")


def test_a_verb_without_a_config_takes_no_field(failed):
    assert "config.train.steps" in failed(2, "prepare", "--config.train.steps=3")


@pytest.mark.parametrize(
    ("verb", "flag"),
    [
        ("train", "--model="),
        ("prepare", "--data="),
        ("generate", "--run="),
        ("evaluate", "--run="),
        ("classify", "--run="),
    ],
)
def test_a_missing_flag_is_named(failed, verb, flag):
    assert f"{flag}" in failed(2, verb)


def test_classify_wants_something_to_listen_to(failed):
    assert "--input=FILE_OR_DIR is missing" in failed(2, "classify", "--run=x")


def test_a_number_below_its_bound_is_refused(failed):
    assert "count" in failed(2, "generate", "--run=x", "--count=0")


@pytest.mark.backend
def test_the_choices_of_prior_are_the_priors_of_an_ascent():
    from kvoice.inference import ascent

    assert set(maximize.PRIORS) == set(ascent.PRIORS)


# Values


def test_overrides_take_the_type_of_their_field():
    config = configs.configuration(
        "voicegan",
        "tiny",
        [
            "--config.train.steps=9",
            "-config.train.jit=TRUE",
            "--config.train.rates.critic=2e-4",
            "--config.model.condition=",
            "--config.train.ema=1",
        ],
    )
    assert config["train"]["steps"] == 9
    assert config["train"]["jit"] is True
    assert config["train"]["rates"] == {"critic": 2e-4, "generator": 1e-3}
    assert config["model"]["condition"] == ""
    assert config["train"]["ema"] == 1.0 and isinstance(config["train"]["ema"], float)


def test_overrides_leave_the_next_reading_alone():
    configs.configuration("voicegan", "", ["--config.train.steps=9"])
    assert configs.configuration("voicegan")["train"]["steps"] != 9


def test_the_audio_group_of_voicegan_is_the_waveglow_spec():
    own = dataclasses.asdict(audio.SPECS["waveglow"]) | audio.RECORDINGS
    assert configs.configuration("voicegan")["audio"] == own


# Failures


def test_a_users_error_is_one_line_and_status_1(failed, command):
    command(raising(KvoiceError("x.wav: empty")))
    assert failed(1, "train", "--model=voicegan") == "kvoice train: x.wav: empty"


def test_a_stopped_training_says_how_to_go_on(failed, command):
    command(raising(KeyboardInterrupt()))
    assert "the same command goes on from the last checkpoint" in failed(130, "train")


@pytest.mark.parametrize(
    "error",
    [
        OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), "runs/x/log.csv"),
        OSError(f"Can't write data (errno = 28, error message = '{os.strerror(errno.ENOSPC)}')"),
        RuntimeError(f"write failed: {os.strerror(errno.ENOSPC)}"),
        Exception(f"runs/x/events; {os.strerror(errno.ENOSPC)}"),  # as TensorFlow's
    ],
)
def test_a_full_disk_is_one_line(failed, command, error):
    command(raising(error))
    assert "No space left on device" in failed(1, "train")


def test_a_file_that_the_system_refuses_is_named(failed, command):
    command(raising(PermissionError(errno.EACCES, os.strerror(errno.EACCES), "runs/x")))
    assert failed(1, "train") == "kvoice train: runs/x: Permission denied"


@pytest.mark.parametrize("error", [RuntimeError("a bug"), ValueError("a bug"), OSError("a bug")])
def test_a_bug_keeps_its_traceback(command, error):
    command(raising(error))
    with pytest.raises(type(error), match="a bug"):
        main(["train"])


def test_of_all_that_tensorflow_warns_of_only_its_retracing_is_kept_back(command, caplog):
    command(lambda: None)
    main(["train"])
    logger = logging.getLogger("tensorflow")
    logger.warning(
        "5 out of the last %d calls to %s triggered tf.function retracing. Tracing is", 5, "f"
    )
    logger.warning("a disk is full")
    assert caplog.messages == ["a disk is full"]


def test_a_package_that_is_missing_is_told_with_the_extra_that_brings_it(failed, command):
    command(
        raising(
            ModuleNotFoundError("No module named 'tensorflow.python'", name="tensorflow.python")
        )
    )
    assert "pip install 'kvoice[tensorflow]'" in failed(1, "train", "--model=voicegan")


# From a process


def test_the_exit_status_reaches_the_shell(tmp_path):
    def status(*words):
        return subprocess.run(
            [sys.executable, "-m", "kvoice", *words], cwd=ROOT, capture_output=True
        ).returncode

    assert [
        status("train", "-h"),
        status("generate", f"--run={tmp_path}/none"),
        status("train", "--model=x"),
    ] == [0, 1, 2]


# The whole way, on a corpus of hummed notes


@pytest.fixture(scope="module")
def notes(tmp_path_factory):
    """A directory with a corpus of 8 speakers who hum 4 emotions, and runs made from it."""
    place = tmp_path_factory.mktemp("notes")
    t = np.arange(8000) / 16000
    for speaker in range(8):
        for i, emotion in enumerate(("neutral", "happy", "sad", "angry")):
            f0_hz = (100 + 20 * speaker) * 1.2**i
            wave = sum(np.sin(2 * np.pi * k * f0_hz * t) / k for k in range(1, 9)) / 4
            path = place / "wavs" / f"s{speaker}" / emotion / "note.wav"
            path.parent.mkdir(parents=True)
            audio.write(path, wave.astype("float32"), 16000)
    return place


SMALL = [
    "--data=folder:wavs",
    "--config.data.crop_frames=16",
    "--config.data.batch=10",
    "--config.train.steps=2",
    "--config.train.steps_per_epoch=1",
]


@pytest.mark.backend
def test_train_goes_from_files_to_samples_and_says_what_is_next(notes, monkeypatch, capsys, failed):
    monkeypatch.chdir(notes)
    monkeypatch.setenv("KERAS_BACKEND", os.environ.get("KERAS_BACKEND", "tensorflow"))
    train = ["train", "--model=voicegan:tiny", *SMALL]
    assert main(train) == 0
    shown = capsys.readouterr().out
    assert "conditional on emotion (angry, happy, neutral, sad)" in shown
    assert "runs/voicegan/tiny: 2 steps" in shown
    assert not set("\r\b\x1b") & set(
        shown
    )  # no terminal: a line for each epoch, and no cursor codes
    epochs = [line for line in shown.splitlines() if " - wasserstein: " in line]
    assert [line.partition(",")[0] for line in epochs] == ["step 1 of 2", "step 2 of 2"]
    assert "val_frechet: " in epochs[-1]
    assert "kvoice generate --run=runs/voicegan/tiny" in shown
    assert list((notes / "runs/voicegan/tiny/samples").rglob("*.wav"))

    # As if it had been killed behind its last checkpoint: what is missing is made.
    run = notes / "runs/voicegan/tiny"
    shutil.rmtree(run / "samples")
    for name in ("model.keras", "curves.png"):
        (run / name).unlink()
    assert main(train) == 0
    assert "is finished" in capsys.readouterr().out
    assert {"model.keras", "curves.png", "samples"} <= {path.name for path in run.iterdir()}

    line = failed(1, *train, "--config.model.width=5")
    assert "model.width: 4 in the run, 5 now" in line

    (notes / "wavs").rename(notes / "gone")  # its shards are enough
    assert main(["evaluate", "--run=runs/voicegan/tiny", "--count=8"]) == 0
    (notes / "gone").rename(notes / "wavs")
    shown = capsys.readouterr().out
    assert "white noise" in shown and "independent judges: hama, pocketsphinx" in shown
    assert (notes / "runs/voicegan/tiny/evaluation.json").exists()

    (prepared,) = (notes / "prepared").iterdir()
    prepared.rename(notes / "elsewhere")  # what follows needs no data
    assert (
        main(
            ["generate", "--run=runs/voicegan/tiny", "--output=heard", "--count=1", "--label=happy"]
        )
        == 0
    )
    assert list((notes / "heard").rglob("*happy*.wav"))
    assert not list((notes / "heard").rglob("*sad*.wav"))
    assert "happy" in failed(1, "generate", "--run=runs/voicegan/tiny", "--label=hapy")


@pytest.mark.backend
def test_a_classifier_goes_from_files_to_its_scores_and_listens(notes, monkeypatch, capsys, failed):
    monkeypatch.chdir(notes)
    monkeypatch.setenv("KERAS_BACKEND", os.environ.get("KERAS_BACKEND", "tensorflow"))
    assert main(["train", "--model=classifier:tiny", *SMALL]) == 0
    shown = capsys.readouterr().out
    run = "--run=runs/classifier/tiny"
    assert f"kvoice evaluate {run}" in shown and f"kvoice classify {run}" in shown
    folder = notes / "runs/classifier/tiny"
    assert {"model.keras", "curves.png"} <= {path.name for path in folder.iterdir()}
    assert not (folder / "samples").exists()
    config = json.loads((folder / "config.json").read_text())
    assert config["model"]["shape"] == [16, 80] and config["model"]["labels"] == 4

    assert main(["evaluate", run]) == 0
    shown = capsys.readouterr().out
    scores = json.loads((folder / "evaluation.json").read_text())
    splits = scores["splits"]
    assert set(splits) == {"train", "valid", "judge", "test"}
    assert sum(split["files"] for split in splits.values()) == 32
    assert list(splits["train"]["groups"])[0] == "seen speakers"
    assert "seen speakers" not in splits["test"]["groups"]
    for split in splits:
        assert f"{split}: predicted labels (columns) of each true label (rows)" in shown
        assert (folder / f"confusion_{split}.png").exists()
        assert (folder / f"calibration_{split}.png").exists()

    (notes / "mine").mkdir()
    shutil.copy(notes / "wavs/s0/sad/note.wav", notes / "mine/sad.wav")
    (notes / "mine/broken.wav").write_text("no sound")
    assert main(["classify", run, "--input=mine", "--output=heard.csv"]) == 1
    shown, said = capsys.readouterr()
    assert said == "kvoice classify: 1 of 2 files were left out, as named above\n"
    assert (
        "left out: mine/broken.wav: is not a sound file" in shown
        and "1 file, 1 left out, in heard.csv" in shown
    )
    with open(notes / "heard.csv", newline="") as file:
        (row,) = csv.DictReader(file)
    odds = {name: float(row[name]) for name in ("angry", "happy", "neutral", "sad")}
    assert sum(odds.values()) == pytest.approx(1, abs=4e-4)
    assert row["label"] == max(odds, key=odds.get)
    assert f"mine/sad.wav: {row['label']}   (angry {row['angry']}, happy" in shown
    assert "no file of it could be used" in failed(1, "classify", run, "--input=mine/broken.wav")
    assert "nowhere: there is no such file" in failed(1, "classify", run, "--input=nowhere")


@pytest.mark.backend
def test_a_judge_learns_from_the_speakers_that_are_kept_for_judges_be_it_from_waves(
    notes, monkeypatch, capsys, failed
):
    monkeypatch.chdir(notes)
    monkeypatch.setenv("KERAS_BACKEND", os.environ.get("KERAS_BACKEND", "tensorflow"))
    words = [
        "train",
        "--model=classifier:tiny",
        *SMALL,
        "--run=runs/ears",
        "--config.model.domain=wave",
        "--config.model.architecture=wavenet",
        "--config.data.split=judge",
    ]
    assert main(words) == 0
    assert "8 utterances of 2 speakers" in capsys.readouterr().out
    config = json.loads((notes / "runs/ears/config.json").read_text())
    (path,) = (notes / "prepared").glob("*/manifest.json")
    splits = json.loads(path.read_text())["splits"]
    assert config["speakers"] == splits["judge"]["speakers"]
    assert not set(config["speakers"]) & set(splits["train"]["speakers"])
    assert config["model"]["shape"] == [16 * 256]
    assert (config["model"]["low"], config["model"]["high"]) == (-1, 1)
    assert main(["evaluate", "--run=runs/ears"]) == 0
    groups = json.loads((notes / "runs/ears/evaluation.json").read_text())["splits"]
    assert "unseen speakers" not in groups["judge"]["groups"]
    assert "seen speakers" not in groups["train"]["groups"]
    capsys.readouterr()
    assert main(["classify", "--run=runs/ears", "--input=wavs"]) == 0
    shown = capsys.readouterr().out
    assert shown.count("wavs/s") == classify.SHOWN and "... and 12 more" in shown
    line = failed(1, *words[:-1], "--config.data.split=test", "--run=runs/other")
    assert "data.split: 'test' must be one of train, judge" in line
    assert not (notes / "runs/other").exists()


@pytest.mark.backend
def test_an_ascent_goes_from_runs_to_a_page_and_is_judged(notes, monkeypatch, capsys, failed):
    monkeypatch.chdir(notes)
    monkeypatch.setenv("KERAS_BACKEND", os.environ.get("KERAS_BACKEND", "tensorflow"))
    for words in (
        ["--model=voicegan:tiny"],
        ["--model=classifier:tiny"],
        [
            "--model=classifier:tiny",
            "--config.data.split=judge",
            "--run=runs/judge",
            "--config.model.architecture=wavenet",
        ],
    ):
        assert main(["train", *words, *SMALL]) == 0
    runs = {
        "generator": "runs/voicegan/tiny",
        "classifier": "runs/classifier/tiny",
        "judge": "runs/judge",
    }

    def maximize(*more, **changes):
        return [
            "maximize",
            *(f"--{k}={v}" for k, v in (runs | changes).items()),
            "--count=2",
            "--steps=2",
            *more,
        ]

    capsys.readouterr()
    assert main(maximize("--target=sad")) == 0
    shown = capsys.readouterr().out
    assert "sad        predicted by classifier" in shown and "; judge" in shown
    folder = notes / "runs/maximize/default"
    assert f"{folder.relative_to(notes)}/index.html" in shown
    content = json.loads((folder / "maximization.json").read_text())
    assert (
        content["generator"]["run"] == "../../voicegan/tiny"
        and content["targets"][0]["label"] == "sad"
    )

    assert main(["evaluate", "--run=runs/maximize/default", "--count=4"]) == 0
    shown = capsys.readouterr().out
    assert "ascent on the item itself" in shown and "linear judge" in shown
    scores = json.loads((folder / "evaluation.json").read_text())
    assert (
        scores["count"] == 4 and scores["tables"][0]["title"] in (folder / "index.html").read_text()
    )

    assert main(["evaluate", f"--run={folder}", "--count=2"]) == 0  # wherever it is named from
    line = failed(1, "evaluate", f"--run={folder}", "--data=demo")
    assert f"--data=demo: {folder} is a maximisation, " in line
    assert "--count=2 or more" in failed(1, "evaluate", f"--run={folder}", "--count=1")
    assert "neither a run nor a maximisation" in failed(1, "evaluate", "--run=wavs")

    # Mistakes, each before anything is made.
    elsewhere = "--run=runs/other"
    assert "it knows angry, happy, neutral, sad" in failed(1, *maximize("--target=x", elsewhere))
    assert "is a run of voicegan, expected one of classifier" in failed(
        1, *maximize(elsewhere, classifier=runs["generator"])
    )
    assert "is the classifier that is maximised" in failed(
        1, *maximize(elsewhere, judge=runs["classifier"])
    )
    assert "--label=furious: the generator knows angry" in failed(
        1, *maximize("--label=furious", elsewhere)
    )
    short = notes / "wavs/s0/sad/note.wav"
    main(
        [
            "train",
            "--model=voicegan:tiny",
            *SMALL,
            "--config.data.crop_frames=64",
            "--run=runs/long",
        ]
    )
    assert "is shorter than the generator's window" in failed(
        1, *maximize(f"--start={short}", elsewhere, generator="runs/long")
    )
    assert not (notes / "runs/other").exists()


@pytest.mark.backend
def test_voices_go_from_files_to_their_factors_and_to_a_page(notes, monkeypatch, capsys, failed):
    monkeypatch.chdir(notes)
    monkeypatch.setenv("KERAS_BACKEND", os.environ.get("KERAS_BACKEND", "tensorflow"))
    train = ["train", "--model=betavae:tiny", *SMALL, "--config.model.beta=0"]
    assert main(train) == 0
    shown = capsys.readouterr().out
    assert "betavae: " in shown and "8 latents\n" in shown  # these notes have no phones
    assert "warning: the decoder is not conditioned on phones" in shown and "--phones=hama" in shown
    assert "kvoice traverse --run=runs/betavae/tiny --label=" in shown
    run = notes / "runs/betavae/tiny"
    with open(run / "latents.csv", newline="") as file:
        assert [row["step"] for row in csv.DictReader(file)] == ["1", "2"]

    assert main(["traverse", "--run=runs/betavae/tiny", "--label=emotion", "--count=2"]) == 0
    assert "emotion" in capsys.readouterr().out
    made = json.loads((run / "traversal/emotion/traversal.json").read_text())
    assert made["label"] == "emotion" and list((run / "traversal/emotion").glob("*.wav"))
    assert main(["report", "runs/betavae/tiny", "--output=page"]) == 0
    assert "emotion" in next((notes / "page").glob("*.html")).read_text()

    assert "Did you mean" in failed(2, "traverse", "--run=runs/betavae/tiny", "--lable=emotion")
    assert "--label=colour" in failed(1, "traverse", "--run=runs/betavae/tiny", "--label=colour")
    assert "--factor=x" in failed(2, "traverse", "--run=runs/betavae/tiny", "--factor=x")
    assert "runs/none" in failed(1, "report", "runs/none")


@pytest.mark.backend
def test_digits_go_from_training_to_their_scores(notes, monkeypatch, capsys, failed):
    monkeypatch.chdir(notes)
    monkeypatch.setenv("KERAS_BACKEND", os.environ.get("KERAS_BACKEND", "tensorflow"))
    assert (
        main(
            [
                "train",
                "--model=betavae:digits",
                "--config.train.steps=2",
                "--run=digits",
                "--config.train.steps_per_epoch=1",
                "--config.model.latents=3",
            ]
        )
        == 0
    )
    assert main(["evaluate", "--run=digits", "--count=200"]) == 0
    shown = capsys.readouterr().out
    assert "identity" in shown and "PCA" in shown
    metrics = json.loads((notes / "digits/evaluation.json").read_text())["metrics"]
    assert metrics["MIG"] < 0.2  # of a model that has learned nothing


@pytest.mark.parametrize(
    ("words", "named"),
    [
        (["--model=betavae", "--data=digits"], "model.domain=mel"),
        (["--model=betavae:tones", "--data=demo"], "model.domain=image"),
        (["--model=voicegan", "--data=additive"], "--data=additive"),
        (["--model=betavae:tones", "--data=additive:f0_hz=500/100/25"], "f0_hz"),
        (["--model=betavae:digits", "--data=mnist:gone.npz"], "gone.npz"),
        (["--model=betavae:tones", "--config.data.representation=image"], "data.representation"),
        (["--model=betavae:digits", "--config.model.objective=best"], "objective"),
    ],
)
def test_corpora_and_models_that_do_not_fit_are_one_line(
    words, named, tmp_path, monkeypatch, failed
):
    monkeypatch.chdir(tmp_path)
    assert named in failed(1, "train", *words)


def test_a_run_that_is_no_classifier_does_not_listen(tmp_path, failed):
    from kvoice import runs

    config = {
        "model_name": "voicegan",
        "variant": "",
        "data_spec": "demo",
        "model": {},
        "train": {},
    }
    runs.create(tmp_path / "run", config, audio.SPECS["waveglow"], {})
    line = failed(1, "classify", f"--run={tmp_path / 'run'}", "--input=x.wav")
    assert "is a run of voicegan, expected one of classifier" in line


def _imported(name, directory, sizes, spec):
    """Makes a run of a tiny network as `kvoice import` does."""
    from kvoice import runs
    from kvoice.training import loop

    config = configs.configuration(name, "tiny")
    made = runs.create(
        directory,
        {
            "model_name": name,
            "variant": "tiny",
            "data_spec": "",
            "corpus": "",
            "speakers": [],
            "data": config["data"],
            "model": config["model"] | sizes,
            "train": config["train"],
            "imported": {"file": "weights.pt", "sha256": ""},
        },
        spec,
        {},
    )
    loop.finished(made, loop.model(made))


@pytest.mark.backend
def test_an_imported_encoder_wants_a_corpus_and_is_measured_on_it(notes, monkeypatch, failed):
    monkeypatch.chdir(notes)
    monkeypatch.setenv("KERAS_BACKEND", os.environ.get("KERAS_BACKEND", "tensorflow"))
    sizes = {"mels": 40, "partial_frames": 20, "per_speaker": 2}
    _imported("speakerencoder", "imported", sizes, audio.SPECS["speakerencoder"])
    assert "imported: was not trained here; say with --data=CORPUS" in failed(
        1, "evaluate", "--run=imported"
    )
    assert main(["evaluate", "--run=imported", "--data=folder:wavs"]) == 0
    scores = json.loads((notes / "imported/evaluation.json").read_text())
    assert list(scores["splits"]) == ["train", "judge"] and scores["learned_from"] == []


@pytest.mark.backend
def test_weights_that_do_not_fit_are_told_before_anything_is_made(notes, monkeypatch, failed):
    monkeypatch.chdir(notes)
    monkeypatch.setenv("KERAS_BACKEND", os.environ.get("KERAS_BACKEND", "tensorflow"))
    _imported("adainvc", "weights", {"mels": 80}, audio.SPECS["waveglow"])
    train = ["train", "--model=adainvc:tiny", "--data=folder:wavs", "--init=weights", "--run=begun"]
    line = failed(1, *train, "--config.model.latents=5")
    assert "--init=weights: its weights do not fit this model; train with the same config" in line
    assert "latents: 4 in the run, 5 now" in line
    line = failed(1, *train, "--config.audio.fmin_hz=10")
    assert "--init=weights: has another Spec (fmin_hz: 10.0 here, 0.0 there)" in line
    assert line.endswith("train with --config.audio.fmin_hz=0.0")
    line = failed(1, *[each.replace("adainvc", "betavae") for each in train])
    assert "its weights do not fit this model; it is a run of adainvc" in line
    assert not (notes / "begun").exists()
    assert main(train) == 0


@pytest.mark.parametrize(
    "flag, name",
    [
        ("--data=folder:wavs", "voicegan"),
        ("--data=folder:wavs", "classifier"),
        ("--data=folder:wavs", "betavae"),
        ("--split=valid", "classifier"),
        ("--split=valid", "speakerencoder"),
        ("--count=5", "classifier"),
        ("--count=5", "speakerencoder"),
        ("--encoder=ears", "voicegan"),
        ("--encoder=ears", "waveglow"),
        ("--judge_data=demo:25-30", "classifier"),
        ("--judge_data=demo:25-30", "speakerencoder"),
        ("--judge_data=demo:25-30", "waveglow"),
    ],
)
def test_a_flag_that_the_evaluation_of_a_model_has_no_use_for_is_refused(
    tmp_path, failed, flag, name
):
    from kvoice import runs

    config = {"model_name": name, "data_spec": "demo", "model": {}, "train": {}}
    runs.create(tmp_path / "run", config, audio.SPECS["waveglow"], {})
    line = failed(1, "evaluate", f"--run={tmp_path / 'run'}", flag)
    assert f"{flag}: {tmp_path / 'run'} is a run of {name}, " in line
    users = {
        "data": "adainvc, speakerencoder, waveglow",
        "encoder": "adainvc",
        "split": "adainvc, betavae, voicegan, waveglow",
        "judge_data": "adainvc, betavae, voicegan",
        "count": "adainvc, betavae, voicegan, waveglow",
    }[flag.strip("-").partition("=")[0]]
    assert {*users.split(", ")} == {*line.rpartition("it is for ")[2].strip().split(", ")}


def test_a_corpus_for_judges_that_is_not_there_is_named_by_its_flag(monkeypatch):
    from kvoice.cli import corpora

    monkeypatch.setattr(corpora, "of_run", lambda run: None)
    run = types.SimpleNamespace(config={"data_spec": "demo"}, spec=audio.SPECS["waveglow"])
    with pytest.raises(KvoiceError, match="^--judge_data=nope: there is no corpus 'nope'"):
        corpora.for_run(run, "", judges="nope")


def test_a_condition_that_the_corpus_lacks_is_named_before_anything_is_made(
    notes, monkeypatch, failed
):
    monkeypatch.chdir(notes)
    line = failed(
        1,
        "train",
        "--model=voicegan:tiny",
        *SMALL,
        "--config.model.condition=gender",
        "--run=runs/none",
    )
    assert "folder:wavs: no gender is known" in line
    assert "--config.model.condition among speaker, emotion" in line
    assert not (notes / "runs/none").exists()


def test_a_start_that_is_no_run_is_named_before_anything_is_made(notes, monkeypatch, failed):
    monkeypatch.chdir(notes)
    line = failed(1, "train", "--model=voicegan:tiny", *SMALL, "--run=runs/new", "--init=nowhere")
    assert "nowhere: not a run" in line
    assert not (notes / "runs/new").exists()


@pytest.mark.parametrize(
    "word, name",
    [
        ("--config.data.batch=0", "data.batch"),
        ("--config.data.seed=-1", "data.seed"),
        (
            "--config.train.steps_per_epoch=3",
            "train.steps: 2 must be a multiple of train.steps_per_epoch: 3",
        ),
        ("--config.train.ema=1", "train.ema"),
    ],
)
def test_a_value_that_does_not_fit_is_named_before_anything_is_made(
    notes, monkeypatch, failed, word, name
):
    monkeypatch.chdir(notes)
    assert name in failed(1, "train", "--model=voicegan:tiny", *SMALL, "--run=runs/new", word)
    assert not (notes / "runs/new").exists()


def test_prepare_shows_items_of_a_corpus_of_images(tmp_path, capsys, failed):
    assert main(["prepare", "--data=digits", f"--output={tmp_path / 'digits'}"]) == 0
    assert "16 items of digits" in capsys.readouterr().out
    assert {path.name for path in (tmp_path / "digits").iterdir()} == {"factors.csv", "items.png"}
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "thesis.txt").write_text("all of it")
    assert "mine" in failed(1, "prepare", "--data=digits", f"--output={tmp_path / 'mine'}")


def test_prepare_makes_what_train_takes(notes, monkeypatch, capsys, failed):
    monkeypatch.chdir(notes)
    words = ["prepare", "--data=folder:wavs", "--output=shards", "--workers=1"]
    assert main(words) == 0
    shown = capsys.readouterr().out
    assert "32 utterances" in shown and "--data=prepared:shards" in shown
    assert "nothing" in failed(1, "prepare", "--data=folder:nothing", "--output=other")
    assert not (notes / "other").exists()


def test_phones_of_what_may_not_be_english_are_warned_of(notes, monkeypatch, capsys):
    monkeypatch.chdir(notes)
    from kvoice.data import prepare

    def stopped(*args, **options):
        raise KvoiceError("stopped")

    monkeypatch.setattr(prepare, "prepare", stopped)
    words = ["prepare", "--output=heard", "--phones=hama"]
    assert main([*words, "--data=folder:wavs"]) == 1
    assert "warning: hama knows the phones of English, and folder:wavs" in capsys.readouterr().out
    assert main([*words, "--data=demo:4"]) == 1
    assert "warning" not in capsys.readouterr().out


@pytest.mark.parametrize(
    "words, expected",
    [
        ([], (40.0, -26.0)),
        (["--trim_db=0", "--level_db=0"], (0.0, 0.0)),
        (["--level_db=-20"], (40.0, -20.0)),
        (["--spec=adainvc"], (15.0, -26.0)),
    ],
)
def test_prepare_trims_and_levels_recordings_unless_told_otherwise(
    notes, tmp_path, monkeypatch, words, expected
):
    monkeypatch.chdir(notes)
    out = tmp_path / "shards"
    assert main(["prepare", "--data=folder:wavs", f"--output={out}", "--workers=1", *words]) == 0
    made = Manifest.load(out)
    assert (made.trim_db, made.level_db) == expected


def test_a_level_above_full_scale_is_refused(failed):
    assert "level_db" in failed(2, "prepare", "--data=demo", "--output=x", "--level_db=3")


def test_prepare_goes_on_without_a_bad_file_and_ends_with_status_1(
    notes, tmp_path, monkeypatch, capsys
):
    monkeypatch.chdir(tmp_path)
    shutil.copytree(notes / "wavs", "wavs")
    (tmp_path / "wavs" / "s0" / "broken.wav").write_text("no sound")
    words = ["prepare", "--data=folder:wavs", "--output=shards", "--workers=1"]
    for _ in range(2):  # a finished one says the same again
        assert main(words) == 1
        shown, said = capsys.readouterr()
        assert "32 utterances" in shown and "left out      1: is not a sound file" in shown
        assert said.endswith(
            "kvoice prepare: 1 file was left out (listed in shards/manifest.json); "
            "the others are prepared\n"
        )


@pytest.mark.backend
def test_a_vocoder_from_training_to_its_sound(notes, failed, monkeypatch, capsys):
    monkeypatch.chdir(notes)
    assert (
        main(
            [
                "train",
                "--model=waveglow:tiny",
                "--data=folder:wavs",
                "--run=voc",
                "--config.model.flows=2",
                "--config.train.valid_steps=1",
            ]
        )
        == 0
    )
    assert "kvoice vocode --run=voc" in capsys.readouterr().out
    rows = list(csv.DictReader((notes / "voc/log.csv").open()))
    assert {"log_likelihood", "bits_per_sample", "val_log_likelihood", "val_averaged_bits"} <= rows[
        0
    ].keys()
    if os.environ["KERAS_BACKEND"] == "tensorflow":
        assert any((notes / "voc/logs").iterdir())

    me = sorted((notes / "wavs").rglob("*.wav"))[0]
    assert main(["vocode", "--run=voc", f"--input={me}", "--output=again.wav"]) == 0
    assert "times real time" in capsys.readouterr().out
    (original, rate_hz), (made, made_hz) = audio.read(me), audio.read("again.wav")
    assert made_hz == 22050 and abs(len(made) - len(original) * made_hz / rate_hz) <= 1
    np.save("mel.npy", np.full((12, 80), -4.0))
    assert (
        main(
            ["vocode", "--run=voc", "--input=mel.npy", "--output=mel.wav", "--sigma=1", "--seed=3"]
        )
        == 0
    )
    assert len(audio.read("mel.wav")[0]) == 12 * 256
    np.save("mel.npy", np.full((80, 12), -4.0))
    assert "save its transpose" in failed(
        1, "vocode", "--run=voc", "--input=mel.npy", "--output=other.wav"
    )
    assert "leave --denoise out" in failed(
        1, "vocode", "--run=voc", f"--input={me}", "--output=other.wav", "--denoise=0.1"
    )
    assert not (notes / "other.wav").exists()

    assert main(["evaluate", "--run=voc", "--count=2"]) == 0
    shown = capsys.readouterr().out
    assert "log-likelihood" in shown and "Griffin-Lim, 60 iterations" in shown
    scores = json.loads((notes / "voc/evaluation.json").read_text())
    assert scores["count"] == 2 and set(scores["likelihood"]) == {"train", "valid", "test"}
    assert len(list((notes / "voc/resynthesis").glob("*.wav"))) == 2 * 3
    assert scores["split"] == "test" and "Measured on the split" not in shown
    assert main(["evaluate", "--run=voc", "--count=2", "--split=valid"]) == 0
    assert "Measured on the split valid, to choose between runs." in capsys.readouterr().out
    other = json.loads((notes / "voc/evaluation.json").read_text())
    assert other["split"] == "valid" and set(other["likelihood"]) == {"train", "valid"}

    vc = [
        "train",
        "--model=adainvc:tiny",
        "--data=folder:wavs",
        "--config.train.steps=1",
        "--config.train.steps_per_epoch=1",
    ]
    assert main([*vc, "--run=vc"]) == 0
    you = sorted((notes / "wavs").rglob("*.wav"))[-1]
    words = ["convert", f"--source={me}", f"--target={you}", "--output=out.wav", "--vocoder=voc"]
    assert main([*words, "--run=vc"]) == 0
    assert "the vocoder at" in capsys.readouterr().out and (notes / "out.wav").exists()
    assert main([*vc, "--run=narrow", "--config.audio.fmax_hz=7600"]) == 0
    assert "voc: has another Spec than narrow (fmax_hz: 8000.0 here, 7600.0 there)" in failed(
        1, *words, "--run=narrow"
    )
    assert "voc: is a run of waveglow, expected one of voicegan" in failed(
        1, "generate", "--run=voc"
    )
    assert "data.crop_frames: 400 is more than 8 times the longest utterance" in failed(
        1,
        "train",
        "--model=waveglow:tiny",
        "--data=folder:wavs",
        "--run=long",
        "--config.data.crop_frames=400",
    )
    assert "other values (model.prewhiten: True in the run, False now)" in failed(
        1,
        "train",
        "--model=waveglow:tiny",
        "--data=folder:wavs",
        "--run=voc",
        "--config.model.flows=2",
        "--config.train.valid_steps=1",
        "--config.model.prewhiten=false",
    )
    assert (
        main(
            [
                "train",
                "--model=waveglow:tiny",
                "--data=folder:wavs",
                "--run=hop",
                "--config.audio.hop=320",
                "--config.model.flows=2",
                "--config.train.valid_steps=1",
            ]
        )
        == 0
    )  # the shards have another hop
    assert "data.crop_frames: 9 must be a multiple of 2 for this model" in failed(
        1,
        "train",
        "--model=waveglow:tiny",
        "--data=folder:wavs",
        "--run=long",
        "--config.data.crop_frames=9",
    )
    assert not (notes / "long").exists()
    assert "vc: is a run of adainvc, expected one of waveglow" in failed(
        1, "vocode", "--run=vc", f"--input={me}", "--output=x.wav"
    )


# Conversions


@pytest.fixture(scope="module")
def talks(tmp_path_factory):
    """A directory with 16 speakers who hum, an encoder of the judges and a converter of others.

    Runs: "ears" is a speakerencoder, "vc" an adainvc. What the trainings said is in said.txt.
    """
    place = tmp_path_factory.mktemp("talks")
    t = np.arange(6000) / 16000
    for speaker in range(16):
        for k in range(3):
            f0_hz = 100 + 12 * speaker + 5 * k
            wave = sum(np.sin(2 * np.pi * n * f0_hz * t) / n for n in range(1, 9)) / 4
            path = place / "wavs" / f"s{speaker:02d}" / f"{k}.wav"
            path.parent.mkdir(parents=True, exist_ok=True)
            audio.write(path, wave.astype("float32"), 16000)
    encoder = ["--model=speakerencoder:tiny", "--run=ears", "--config.data.split=judge"]
    with contextlib.chdir(place), open("said.txt", "w") as said, contextlib.redirect_stdout(said):
        for words in (encoder, ["--model=adainvc:tiny", "--run=vc"]):
            assert main(["train", "--data=folder:wavs", *words]) == 0
    return place


@pytest.fixture
def at_talks(talks, monkeypatch, capsys):
    """`talks` as the working directory, nothing of it shown yet."""
    monkeypatch.chdir(talks)
    capsys.readouterr()
    return talks


@pytest.mark.backend
def test_a_trained_encoder_and_a_trained_converter_say_what_is_next(at_talks, failed):
    said = (at_talks / "said.txt").read_text()
    assert "kvoice encode --run=ears" in said and "kvoice convert --run=vc" in said
    words = ["--model=adainvc:tiny", "--data=folder:wavs", "--run=other"]
    assert "data.crop_frames: 16 must be at least 17" in failed(
        1, "train", *words, "--config.data.crop_frames=16"
    )
    assert not (at_talks / "other").exists()


@pytest.mark.backend
def test_conversions_are_measured_and_shown(at_talks, capsys):
    assert main(["evaluate", "--run=ears"]) == 0
    assert "judge, trained on" in capsys.readouterr().out
    assert (at_talks / "ears/embeddings.png").exists()
    assert main(["evaluate", "--run=vc", "--encoder=ears", "--count=2"]) == 0
    assert "nearer to target" in capsys.readouterr().out
    made = json.loads((at_talks / "vc/conversions/conversions.json").read_text())
    assert made["independent"]["against"] == "recording"  # a folder: may not be English
    assert main(["report", "vc"]) == 0
    assert "audio" in (at_talks / "vc/report/index.html").read_text()


@pytest.mark.backend
def test_conversions_are_measured_on_other_people(at_talks, capsys):
    """Other people hum, and no encoder knows them."""
    for speaker in range(14):
        for k in range(2):
            path = at_talks / "others" / f"p{speaker}" / f"{k}.wav"
            path.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(at_talks / "wavs" / f"s{speaker:02d}" / f"{k}.wav", path)
    assert main(["evaluate", "--run=ears", "--data=folder:others"]) == 0
    shown = capsys.readouterr().out
    scores = json.loads((at_talks / "ears/evaluation.json").read_text())
    assert "Measured on folder:others\n" in shown and "trained on" not in shown
    assert list(scores["splits"]) == ["train", "judge", "test"]  # of valid there is one speaker
    assert scores["corpus"] == "folder:others"
    words = ["evaluate", "--run=vc", "--encoder=ears", "--count=2", "--data=folder:others"]
    assert main(words) == 0
    shown = capsys.readouterr().out
    said = (
        "Judged on folder:others by ../ears, which was trained on folder:wavs "
        "and on none of these voices."
    )
    assert said in shown
    judged = json.loads((at_talks / "vc/evaluation.json").read_text())["judged"]
    assert ("warning: ../ears hardly distinguishes" in shown) == bool(judged["warning"])
    assert judged["description"] == said
    assert main(["report", "vc"]) == 0
    page = (at_talks / "vc/report/index.html").read_text()
    assert page.count(said) == 2  # the table, and the sounds


@pytest.mark.backend
def test_an_encoder_that_does_not_fit_judges_no_conversion(at_talks, failed):
    assert "there is no such run; `kvoice train --model=speakerencoder`" in failed(
        1, "evaluate", "--run=vc", "--encoder=nowhere"
    )
    assert "expected one of speakerencoder" in failed(1, "evaluate", "--run=vc", "--encoder=vc")
    words = ["--model=speakerencoder:tiny", "--data=folder:wavs", "--run=known"]
    assert main(["train", *words]) == 0
    assert "was trained on speakers whom it is to judge" in failed(
        1, "evaluate", "--run=vc", "--encoder=known"
    )


@pytest.mark.backend
def test_recordings_are_converted_and_encoded(at_talks, capsys):
    me, you = "wavs/s00/0.wav", "wavs/s15/1.wav"
    words = [f"--source={me}", f"--target={you}", "--output=out.wav"]
    assert main(["convert", "--run=vc", *words]) == 0
    assert len(audio.read("out.wav")[0]) == round(6000 * 22050 / 16000)
    assert "times real time" in capsys.readouterr().out
    shutil.copytree("wavs", "mixed", dirs_exist_ok=True)
    (at_talks / "mixed" / "broken.wav").write_text("no sound")
    assert main(["encode", "--run=ears", "--input=mixed", "--output=voices.npz"]) == 1
    shown = capsys.readouterr().out
    assert "48 files, 1 left out, 4 numbers each, in voices.npz" in shown
    with np.load("voices.npz") as voices:
        assert voices["embedding"].shape == (48, 4) and len(set(voices["file"])) == 48
