"""What `maximize` writes, and what it refuses."""

import dataclasses
import json

import numpy as np
import pytest

from kvoice import audio, report, runs
from kvoice.audio import SPECS
from kvoice.errors import KvoiceError
from kvoice.files import MADE, claim
from kvoice.inference import maximize, slerp
from tests.inference.test_ascent import NAMES, classifier, gan

pytestmark = pytest.mark.backend

SPEC = SPECS["waveglow"]


# What goes together


def run(tmp_path, name, model, spec=SPEC, names=NAMES, condition="emotion", **config):
    values = {
        "model_name": model,
        "variant": "",
        "data_spec": "demo",
        "init": "",
        "corpus": "c",
        "speakers": ["demo/ada", "demo/carl"],
        "data": {"split": "train"},
        "train": {},
        "model": {"condition": condition},
    }
    return runs.create(
        tmp_path / name, values | config, spec, {condition: names} if condition else {}
    )


@pytest.fixture
def fit(tmp_path):
    """Runs that go together."""
    return {
        "generator": run(tmp_path, "gan", "voicegan"),
        "classifier": run(tmp_path, "classifier", "classifier"),
        "judge": run(
            tmp_path, "judge", "classifier", speakers=["demo/eve"], data={"split": "judge"}
        ),
    }


def test_runs_that_fit_are_let_pass(fit):
    maximize.check(**fit)
    maximize.check(fit["generator"], fit["classifier"])


@pytest.mark.parametrize("part", ["generator", "classifier", "judge"])
def test_a_run_of_another_model_is_named(fit, part, tmp_path):
    wrong = "classifier" if part == "generator" else "voicegan"
    other = run(tmp_path, "other", wrong)
    with pytest.raises(KvoiceError, match=f"other: is a run of {wrong}, expected one of"):
        maximize.check(**fit | {part: other})


@pytest.mark.parametrize("part", ["classifier", "judge"])
def test_another_spec_is_refused_with_its_fields(fit, part, tmp_path):
    spec = dataclasses.replace(SPEC, hop=128, fmax_hz=7600.0)
    other = run(tmp_path, "other", "classifier", spec, speakers=["demo/eve"])
    with pytest.raises(KvoiceError, match="other: .*hop: 128 here, 256 there") as error:
        maximize.check(**fit | {part: other})
    assert "fmax_hz" in str(error.value)


def test_a_classifier_of_one_class_is_refused(fit, tmp_path):
    other = run(tmp_path, "other", "classifier", names=["sad"])
    with pytest.raises(KvoiceError, match="one class only .sad."):
        maximize.check(fit["generator"], other)


def test_a_judge_shares_no_speaker_with_what_it_judges(fit, tmp_path):
    other = run(tmp_path, "other", "classifier", speakers=["demo/eve", "demo/carl"])
    with pytest.raises(KvoiceError, match="speakers that .*gan was trained on too .demo/carl."):
        maximize.check(**fit | {"judge": other})


def test_a_judge_of_speakers_knows_the_voices_from_other_sentences(tmp_path):
    voices = ["demo/ada", "demo/carl"]
    made = {
        name: run(
            tmp_path,
            name,
            model,
            names=voices,
            condition="speaker",
            data={"split": "judge" if name == "judge" else "train"},
        )
        for name, model in (
            ("gan", "voicegan"),
            ("classifier", "classifier"),
            ("judge", "classifier"),
            ("twin", "classifier"),
        )
    }
    maximize.check(made["gan"], made["classifier"], made["judge"])
    with pytest.raises(KvoiceError, match="was trained on"):
        maximize.check(made["gan"], made["classifier"], made["twin"])


def test_a_judge_is_another_classifier_of_the_same_labels(fit, tmp_path):
    with pytest.raises(KvoiceError, match="is the classifier that is maximised"):
        maximize.check(fit["generator"], fit["classifier"], fit["classifier"])
    other = run(tmp_path, "other", "classifier", names=NAMES[:2], speakers=["demo/eve"])
    with pytest.raises(KvoiceError, match=r"other: predicts emotion \(angry, happy\)"):
        maximize.check(**fit | {"judge": other})


def test_targets_are_labels_of_the_classifier():
    assert maximize.chosen(NAMES, []) == [0, 1, 2]
    assert maximize.chosen(NAMES, ["sad", "angry", "sad"]) == [2, 0]
    with pytest.raises(KvoiceError, match="--target=furious: .*angry, happy, sad"):
        maximize.chosen(NAMES, ["furious"])


def test_a_conditional_generator_is_conditioned_on_the_target_or_the_given_label():
    plain, conditional, own = gan(), gan.__wrapped__(labels=3), classifier()
    assert maximize.conditions(plain, own, [2, 0]) == [None, None]
    assert maximize.conditions(conditional, own, [2, 0]) == [2, 0]
    assert maximize.conditions(conditional, own, [2, 0], "happy") == [1, 1]
    with pytest.raises(KvoiceError, match="--label=x: the generator knows angry, happy, sad"):
        maximize.conditions(conditional, own, [2], "x")
    with pytest.raises(KvoiceError, match="without labels"):
        maximize.conditions(plain, own, [2], "sad")
    conditional.names = ["ada", "bea", "cora"]
    with pytest.raises(KvoiceError, match="give --label=NAME, one of ada, bea, cora"):
        maximize.conditions(conditional, own, [2])


# From a recording


def recording(path, seconds, loud=(0.0, 0.1), rate_hz=SPEC.sample_rate_hz):
    """A wav of faint noise with a loud tone somewhere."""
    t = np.arange(int(seconds * rate_hz)) / rate_hz
    wave = 1e-3 * np.random.default_rng(0).standard_normal(len(t))
    wave += 0.3 * np.sin(2 * np.pi * 300 * t) * ((t >= loud[0]) & (t < loud[1]))
    audio.write(path, wave.astype("float32"), rate_hz)
    return path


@pytest.mark.parametrize("rate_hz", [22050, 44100])
def test_the_window_of_a_recording_is_where_it_is_loudest(tmp_path, rate_hz):
    clip = recording(tmp_path / "me.wav", 1.0, (0.5, 0.68), rate_hz)
    item, wave, second = maximize.window_of(clip, gan(), SPEC)  # a window of 0.186 s
    assert second == pytest.approx(0.5, abs=0.02)
    assert item.shape == (16, 80) and len(wave) == 16 * 256
    np.testing.assert_allclose(item, audio.mel(wave, SPEC)[:-1], atol=1e-5)


@pytest.mark.parametrize(
    "seconds, text",
    [
        (0.15, "0.15 s is shorter than the generator's window of 0.19 s"),
        (0.05, "shorter than 0.1 s"),
    ],
)
def test_a_recording_shorter_than_the_window_is_refused(tmp_path, seconds, text):
    clip = recording(tmp_path / "me.wav", seconds)
    with pytest.raises(KvoiceError, match=f"me.wav: {text}"):
        maximize.window_of(clip, gan(), SPEC)


def test_levels_that_differ_by_six_decibels_are_six_decibels_apart():
    mel = np.log(np.full((4, 80), 0.01))
    assert maximize.level_error_db(mel, mel + np.log(2), SPEC) == pytest.approx(6.02, abs=0.01)


# The folder


SETTINGS = {
    "generator": {"run": "g", "domain": "mel", "condition": ""},
    "judge": None,
    "classifier": {"run": "c", "domain": "mel", "condition": "emotion", "names": NAMES},
    "command": "kvoice maximize",
}


def made(folder, generator=None, **changes):
    values = dict(
        targets=["sad"],
        judge=classifier(seed=1, width=5),
        count=3,
        steps=4,
        strength=0.5,
        page=report.maximization,
    )
    values |= changes
    about = SETTINGS | {"judge": values["judge"] and SETTINGS["classifier"]}
    return maximize.maximize(generator or gan(), classifier(), SPEC, folder, about, **values)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("ascent") / "run"
    made(folder)
    return folder


def test_the_folder_holds_every_file_that_it_names_and_no_other(folder):
    content = json.loads((folder / "maximization.json").read_text())
    (target,) = content["targets"]
    named = {target["figure"], target["curve"], target["animation"], *target["results"]}
    for row in (*target["waves"], *target["dial"]):
        named |= set(row["files"])
    named |= {"maximization.json", "noise.npz", "index.html"}
    assert named - {None} == {path.name for path in folder.iterdir()} - {MADE}


def test_probabilities_are_those_of_the_noises_that_are_kept(folder):
    (target,) = json.loads((folder / "maximization.json").read_text())["targets"]
    noise = np.load(folder / "noise.npz")["sad"]
    assert noise.shape == (len(target["steps"]), 3, 8)
    np.testing.assert_array_equal(noise[0], gan().noise(3, 0))
    for model, name in (
        (classifier(), "probability"),
        (classifier(seed=1, width=5), "judge_probability"),
    ):
        predicted = [model.probabilities(gan().decode(each))[:, 2] for each in noise]
        np.testing.assert_allclose(target[name], predicted, atol=2e-3)
    logs = [np.log(classifier().probabilities(gan().decode(each))) for each in noise[[0, -1]]]
    priors = [((np.sum(each**2, axis=1) - 8) / 4) ** 2 / 2 for each in noise[[0, -1]]]
    losses = [each[:, :2].mean(axis=1) - each[:, 2] + prior for each, prior in zip(logs, priors)]
    assert (losses[1] < losses[0]).all()
    # What was asked for, and is written, is half of the way.
    half = gan().decode(slerp.between(noise[0], noise[-1], 0.5))
    agreed = np.mean(classifier().probabilities(half).argmax(axis=1) == 2)
    assert target["agreed"]["classifier"]["after"] == pytest.approx(agreed)


def test_the_dial_goes_from_the_start_to_the_end(folder):
    (target,) = json.loads((folder / "maximization.json").read_text())["targets"]
    dial = target["dial"][0]
    assert dial["strengths"] == [0, 0.25, 0.5, 0.75, 1]
    ends = [row[0] for row in target["probability"]]
    assert dial["probability"][0] == pytest.approx(ends[0], abs=1e-3)
    assert dial["probability"][-1] == pytest.approx(ends[-1], abs=1e-3)
    assert (folder / dial["files"][0]).read_bytes() == (
        folder / target["waves"][0]["files"][0]
    ).read_bytes()
    # What was asked for is half of the way.
    assert (folder / target["results"][0]).read_bytes() == (folder / dial["files"][2]).read_bytes()


def test_waves_are_as_long_as_the_item_and_begin_without_a_click(folder):
    wave, rate_hz = audio.read(folder / "sad_0.wav")
    assert rate_hz == SPEC.sample_rate_hz and len(wave) == 16 * 256  # of a mel of 16 frames
    assert abs(wave[0]) < 1e-3 and np.abs(wave).max() > 1e-3


def test_the_same_command_makes_the_same_and_another_is_refused(folder):
    before = {path.name: path.read_bytes() for path in folder.iterdir() if path.suffix == ".wav"}
    made(folder)
    assert not list(folder.parent.glob(".*"))
    assert before == {p.name: p.read_bytes() for p in folder.iterdir() if p.suffix == ".wav"}
    with pytest.raises(KvoiceError, match="seed: 0 in the run, 1 now.*another --run"):
        made(folder, seed=1)


def test_labels_that_are_no_names_of_files_are_written_too(tmp_path):
    voices = classifier.__wrapped__()
    voices.names = ["demo/ada", "demo/bea", "a:b"]
    about = SETTINGS | {"classifier": SETTINGS["classifier"] | {"names": voices.names}}
    content = maximize.maximize(
        gan(), voices, SPEC, tmp_path / "run", about, ["demo/bea"], count=1, steps=1
    )
    (target,) = content["targets"]
    assert target["target"] == "demo/bea" and target["figure"] == "demo-bea.png"
    assert (tmp_path / "run" / target["results"][0]).exists()
    with np.load(tmp_path / "run/noise.npz") as noises:
        assert list(noises) == ["demo/bea"]


def test_files_that_are_no_maximisation_are_left_alone(tmp_path):
    (tmp_path / "mine.txt").write_text("x")
    with pytest.raises(KvoiceError, match="not empty, and not a maximisation"):
        made(tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["mine.txt"]


def test_what_was_stopped_leaves_nothing_and_can_be_made_again(tmp_path):
    def stopped(folder):
        assert (folder / "sad_0.wav").exists()
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        made(tmp_path / "run", count=1, judge=None, page=stopped)
    assert not list(tmp_path.iterdir())


def test_what_was_measured_of_the_same_starts_stays_and_foreign_files_are_refused(folder):
    (folder / "evaluation.json").write_text('{"tables": []}')
    claim(folder, ["evaluation.json"])
    made(folder)
    assert (folder / "evaluation.json").read_text() == '{"tables": []}'
    (folder / "notes.txt").write_text("mine")
    with pytest.raises(KvoiceError, match="notes.txt: not written by kvoice"):
        made(folder)
    assert (folder / "notes.txt").read_text() == "mine"
    (folder / "notes.txt").unlink()
    (folder / "evaluation.json").unlink()


def test_a_file_in_the_place_of_the_folder_is_named(tmp_path):
    (tmp_path / "me.wav").write_text("x")
    with pytest.raises(KvoiceError, match="me.wav: is a file, expected a directory"):
        made(tmp_path / "me.wav")


@pytest.mark.parametrize("strength", [-0.1, 1.1])
def test_a_strength_beyond_the_dial_is_refused(tmp_path, strength):
    with pytest.raises(KvoiceError, match="--strength"):
        made(tmp_path / "run", strength=strength)
    assert not (tmp_path / "run").exists()


def test_a_recording_is_pushed_from_its_own_noise_under_the_label_that_fits(tmp_path):
    generator = gan(labels=3)
    wave = audio.griffin_lim(generator.generate(1, 1, seed=9)[0], SPEC)
    audio.write(tmp_path / "me.wav", np.tile(wave, 2), SPEC.sample_rate_hz)
    content = made(tmp_path / "run", generator, start=tmp_path / "me.wav", count=3, judge=None)
    assert content["start"]["file"].endswith("me.wav") and content["start"]["error_db"] > 0
    for name in ("start.wav", "start_reconstruction.wav"):
        assert (tmp_path / "run" / name).exists()
    (target,) = content["targets"]
    assert target["judge_probability"] is None and set(target["label"].split(", ")) <= set(NAMES)
    noise = np.load(tmp_path / "run" / "noise.npz")["sad"][0]
    path = maximize.AscentPath(generator, classifier(), SPEC)
    again, labels, _ = maximize.inverted(path, tmp_path / "me.wav", 3, 0, SPEC)
    np.testing.assert_allclose(noise, again, atol=1e-4)
    # What is measured later begins at the same noises, under the same labels.
    measured = maximize.starts(content, tmp_path / "run", generator, classifier(), 100, 3)
    np.testing.assert_array_equal(measured[0], noise)
    assert measured[1] == [2] and measured[2].tolist() == [labels.tolist()]


def test_the_sounds_of_a_recording_have_no_pre_emphasis(tmp_path, monkeypatch):
    spec = dataclasses.replace(SPEC, preemphasis=0.97)
    clip = recording(tmp_path / "me.wav", 1.0, (0.5, 0.9))
    waves = gan(domain="wave", shape=(16384,), low=-1.0, high=1.0, noise=4)
    monkeypatch.setattr(maximize, "invert", lambda path, item, noise, labels: (noise, None, None))
    path = maximize.AscentPath(waves, classifier(), spec)
    _, _, about = maximize.inverted(path, clip, 1, 0, spec)
    start = SPEC.hop * round(about["second"] * SPEC.sample_rate_hz / SPEC.hop)
    original = audio.read(clip)[0][start : start + 16384]
    # What came before the window is not known to the filter: an offset that fades away.
    np.testing.assert_allclose(about["_waves"][0][300:], original[300:], atol=1e-3)
    made = waves.decode(waves.noise(1, 0))[0]
    again = audio.condition(about["_waves"][1], spec, trim=False)
    np.testing.assert_allclose(again, made, atol=1e-4)


def test_more_starts_are_drawn_to_measure_an_ascent_from_noise():
    content = {"start": None, "asked": {"targets": ["sad", "angry"], "label": ""}}
    noise, targets, labels = maximize.starts(content, "", gan(labels=3), classifier(), 50, 4)
    np.testing.assert_array_equal(noise, gan(labels=3).noise(50, 4))
    assert targets == [2, 0] and labels.tolist() == [[2] * 50, [0] * 50]
    assert maximize.starts(content, "", gan(), classifier(), 5, 4)[2] is None


def test_an_ascent_works_with_a_generator_of_waves(tmp_path):
    waves = gan(domain="wave", shape=(16384,), low=-1.0, high=1.0, noise=4)
    content = made(tmp_path / "run", waves, judge=None, count=1, strength=1.0)
    wave, _ = audio.read(tmp_path / "run" / content["targets"][0]["results"][0])
    assert len(wave) == 16384
