import csv
import dataclasses
import errno
import json
import os

import numpy as np
import pytest

from kvoice import audio
from kvoice.errors import KvoiceError
from kvoice.evaluation import classifier
from kvoice.evaluation.classifier import predictions, scores, validation_metrics
from kvoice.files import MADE, claim
from kvoice.inference.classify import classify, file_probabilities, files, spaced
from kvoice.inference.voice import Voice

SPEC = audio.SPECS["waveglow"]
NAMES = ["no", "yes"]


class Model:
    """Hears in each crop the mean of its values as the probability of the label "yes"."""

    condition, names = "emotion", NAMES

    def __init__(self, size=8, domain="mel"):
        self.shape, self.domain, self.crops = (size,), domain, []

    def probabilities(self, items):
        assert items.shape[1] == self.shape[0]
        self.crops.append(items)
        yes = items.reshape(len(items), -1).mean(axis=1)
        return np.stack([1 - yes, yes], axis=1)


class Source:
    """Utterances of one band: (values over time, emotion, speaker)."""

    def __init__(
        self, *utterances, split="test", names=("no", "yes"), speakers=("a/1", "a/2", "b/3")
    ):
        self.rows, self.split = utterances, split
        # Silence of this Spec is 0, what `Model` classifies as "no".
        self.spec = dataclasses.replace(SPEC, scale="db", ref_db=0.0, low=0.0, high=1.0, clip=True)
        self.labels = {"emotion": list(names), "speaker": list(speakers)}

    def __len__(self):
        return len(self.rows)

    def utterance(self, i):
        values, emotion, speaker = self.rows[i]
        mel = np.asarray(values, "float32")[:, None]
        return {
            "mel": mel,
            "wave": mel[:, 0],
            "emotion": emotion,
            "speaker": speaker,
            "name": f"{i}",
        }


def constant(value, frames=8):
    return np.full(frames, value)


# Crops of whole items


@pytest.mark.parametrize("length", [8, 9, 12, 16, 17, 31, 100, 101])
@pytest.mark.parametrize("size", [7, 8])
def test_crops_cover_an_item_from_its_start_to_its_end_and_overlap_by_half(length, size):
    crops = spaced(np.arange(length), size, silence=-1)
    starts = crops[:, 0]
    np.testing.assert_array_equal(crops, starts[:, None] + np.arange(size))  # never padded
    assert starts[0] == 0 and starts[-1] == length - size
    assert np.all(np.diff(starts) >= 1)
    assert np.diff(starts).max(initial=0) <= (size + 1) // 2
    assert np.ptp(np.diff(starts)) <= 1 if len(starts) > 1 else length == size  # evenly


def test_an_item_of_exactly_one_crop_gives_one_crop():
    np.testing.assert_array_equal(spaced(np.arange(8), 8, -1), [np.arange(8)])


def test_a_short_item_is_padded_with_silence_at_its_end():
    crops = spaced(np.ones((3, 2)), 5, silence=-7.0)
    np.testing.assert_array_equal(crops, [[[1, 1], [1, 1], [1, 1], [-7, -7], [-7, -7]]])


# Whole items


def test_the_probabilities_of_a_file_are_the_mean_over_its_crops():
    # 0 ... 15 in crops of 8: they begin at 0, 4 and 8 and have means of 3.5, 7.5 and 11.5.
    items = [np.arange(16.0) / 100, constant(0.25), constant(0.8, 4)]
    found = file_probabilities(Model(), [item[:, None] for item in items], Source().spec)
    yes = [0.075, 0.25, 0.4]  # the last one is half silence
    np.testing.assert_allclose(found, np.stack([1 - np.array(yes), yes], axis=1), rtol=1e-6)


def test_a_short_mel_is_padded_with_the_silence_of_its_spec_and_a_short_wave_with_zeros():
    model = Model(size=4)
    file_probabilities(model, [np.zeros((3, 2))], SPEC)
    np.testing.assert_allclose(model.crops[0][0, 3], np.log(1e-5))
    model = Model(size=4, domain="wave")
    file_probabilities(model, [np.ones(3)], SPEC)
    np.testing.assert_array_equal(model.crops[0], [[1, 1, 1, 0]])


def test_every_utterance_of_a_source_is_classified_in_order_whatever_the_group():
    rng = np.random.default_rng(0)
    rows = [
        (rng.uniform(0, 1, rng.integers(3, 40)), int(rng.integers(2)), int(rng.integers(3)))
        for _ in range(11)
    ]
    source = Source(*rows)
    whole = predictions(Model(), source)
    for group in (1, 4, 11):
        parts = predictions(Model(), source, group=group)
        for name in ("probabilities", "truth", "speaker"):
            np.testing.assert_allclose(parts[name], whole[name], rtol=1e-6)
    np.testing.assert_array_equal(whole["truth"], [row[1] for row in rows])
    np.testing.assert_array_equal(whole["speaker"], [row[2] for row in rows])
    for row, found in zip(rows, whole["probabilities"]):
        want = file_probabilities(Model(), [row[0].astype("float32")[:, None]], source.spec)
        np.testing.assert_allclose(found, want[0], rtol=1e-6)
    assert whole["crops"].shape == (0, 11)


def test_single_crops_are_drawn_over_the_whole_of_each_file():
    half = np.repeat([0.0, 1.0], 50)  # first silent, then loud
    rows = [(half, 0, 0), (constant(1), 1, 0), (constant(1, 5), 1, 0), (constant(0, 30), 0, 1)]
    crops = predictions(Model(), Source(*rows), repeats=400, group=3)["crops"]
    assert crops.shape == (400, 4)
    # 93 places, of which those from 47 on are classified as loud: 46 / 93 of 400 are expected.
    assert abs(crops[:, 0].sum() - 400 * 46 / 93) < 5 * 10
    np.testing.assert_array_equal(crops[:, 1:], np.broadcast_to([1, 1, 0], (400, 3)))


def test_validation_is_by_the_log_loss_of_whole_files():
    source = Source((constant(0.8), 1, 0), (constant(0.4, 20), 0, 1), (constant(0.7, 9), 0, 2))
    found = validation_metrics(source)(Model())
    assert list(found)[0] == "log_loss"  # the first chooses the best epoch
    assert found["log_loss"] == pytest.approx(-np.log([0.8, 0.6, 0.3]).mean(), rel=1e-5)
    assert found["file_accuracy"] == pytest.approx(2 / 3)


# How good it is


def rows():
    """Five of six are correct; the wrong one is of the unseen speaker b/3."""
    return [
        (constant(0.9), 1, 0),
        (constant(0.2, 20), 0, 0),
        (constant(0.6), 1, 1),
        (constant(0.1), 0, 1),
        (constant(0.7), 1, 2),
        (constant(0.9, 30), 0, 2),
    ]


def test_scores_separate_seen_from_unseen_speakers():
    found = scores(Model(), {"test": Source(*rows())}, ["a/1", "a/2"])["splits"]["test"]
    assert found["files"] == 6 and found["accuracy"] == pytest.approx(5 / 6)
    assert found["low"] < 5 / 6 < found["high"]
    assert found["confusion"] == [[2, 1], [0, 3]]
    assert found["log_loss"] == pytest.approx(
        -np.log([0.9, 0.8, 0.6, 0.9, 0.7, 0.1]).mean(), rel=1e-5
    )
    assert found["groups"] == {
        "seen speakers": {"files": 4, "accuracy": 1.0},
        "unseen speakers": {"files": 2, "accuracy": 0.5},
        "corpus a": {"files": 4, "accuracy": 1.0},
        "corpus b": {"files": 2, "accuracy": 0.5},
        "speaker a/1": {"files": 2, "accuracy": 1.0},
        "speaker a/2": {"files": 2, "accuracy": 1.0},
        "speaker b/3": {"files": 2, "accuracy": 0.5},
    }


def test_where_no_speaker_is_known_there_is_no_group_of_known_ones():
    groups = scores(Model(), {"test": Source(*rows())}, [])["splits"]["test"]["groups"]
    assert "seen speakers" not in groups
    assert groups["unseen speakers"] == {"files": 6, "accuracy": pytest.approx(5 / 6)}


def test_single_crops_are_scored_in_the_test_split_only():
    found = scores(
        Model(), {split: Source(*rows(), split=split) for split in ("train", "test")}, []
    )
    assert found["splits"]["train"]["crop_accuracy"] is None
    crops = found["splits"]["test"]["crop_accuracy"]
    assert crops == {
        "mean": pytest.approx(5 / 6),
        "std": pytest.approx(0, abs=1e-9),
        "repeats": classifier.REPEATS,
    }


def test_scores_are_json_and_the_table_shows_them():
    found = scores(
        Model(), {split: Source(*rows(), split=split) for split in ("valid", "test")}, ["a/1"]
    )
    assert json.loads(json.dumps(found)) == found
    assert found["condition"] == "emotion" and found["names"] == ["no", "yes"]
    whole, groups, _, confusion = found["tables"]
    (test,) = [row for row in whole["rows"] if row[0] == "test"]
    assert test[1] == "6" and test[2].startswith("83.3% (") and test[-1] == "83.3% ± 0.0%"
    unseen = [row[1:] for row in groups["rows"] if "unseen" in row[1]]
    assert unseen == [["unseen speakers", "4", "75.0%"]] * 2
    assert confusion["title"].startswith("test: ")
    assert confusion["columns"][1:] == ["no", "yes"]
    assert confusion["rows"] == [["no", "2", "1"], ["yes", "0", "3"]]
    assert found["metrics"]["accuracy (test)"] == pytest.approx(5 / 6)


def test_a_corpus_with_other_labels_is_refused():
    source = Source(*rows(), names=("no", "maybe", "yes"))
    with pytest.raises(KvoiceError, match="no, maybe, yes of emotion, the classifier no, yes"):
        scores(Model(), {"test": source}, [])


# Files


def tone(rate_hz, seconds=0.6, level=0.3):
    return (level * np.sin(2 * np.pi * 500 * np.arange(int(rate_hz * seconds)) / rate_hz)).astype(
        "float32"
    )


class Loudness(Model):
    """Hears in mels the share of frames whose loudest band is above -2, in waves loud samples."""

    def probabilities(self, items):
        self.crops.append(items)
        loud = items.max(axis=-1) > -2 if self.domain == "mel" else np.abs(items) > 0.01
        yes = loud.mean(axis=1)
        return np.stack([1 - yes, yes], axis=1)


@pytest.fixture
def recordings(tmp_path):
    """A folder with a tone at three rates, and files of no use."""
    (tmp_path / "wavs" / "deep").mkdir(parents=True)
    for rate_hz in (8000, 22050, 44100):
        audio.write(tmp_path / "wavs" / "deep" / f"{rate_hz}.wav", tone(rate_hz), rate_hz)
    audio.write(tmp_path / "wavs" / "silent.wav", np.zeros(22050, "float32"), 22050)
    audio.write(tmp_path / "wavs" / "short.wav", tone(22050, 0.05), 22050)
    (tmp_path / "wavs" / "broken.wav").write_text("no sound")
    (tmp_path / "wavs" / "notes.txt").write_text("none either")
    return tmp_path / "wavs"


def test_a_folder_names_all_its_sound_files_and_a_file_itself(recordings):
    names = [os.path.relpath(path, recordings) for path in files(str(recordings))[0]]
    assert names == [
        "broken.wav",
        "deep/22050.wav",
        "deep/44100.wav",
        "deep/8000.wav",
        "short.wav",
        "silent.wav",
    ]
    one = str(recordings / "silent.wav")
    assert files(one) == ([one], [])


def test_a_path_without_sound_is_named(tmp_path):
    with pytest.raises(KvoiceError, match="nowhere: there is no such file"):
        files(str(tmp_path / "nowhere"))
    (tmp_path / "notes.txt").write_text("none")
    with pytest.raises(KvoiceError, match=r"holds no sound file \(.wav"):
        files(str(tmp_path))


@pytest.mark.parametrize(("domain", "size"), [("mel", 16), ("wave", 4096)])
def test_files_of_any_rate_are_classified_alike_and_others_are_named(recordings, domain, size):
    found, left_out = classify(
        Voice(Loudness(size, domain), SPEC, NAMES), files(str(recordings))[0]
    )
    assert [os.path.basename(row["file"]) for row in found] == [
        "22050.wav",
        "44100.wav",
        "8000.wav",
    ]
    assert {row["label"] for row in found} == {"yes"}
    yes = [float(row["yes"]) for row in found]
    assert min(yes) > 0.9 and np.ptp(yes) < 0.05
    for row in found:
        assert list(row) == ["file", "label", "no", "yes"]
        assert float(row["no"]) + float(row["yes"]) == pytest.approx(1, abs=2e-4)
    assert [line.removeprefix(f"{recordings}/") for line in left_out] == [
        "broken.wav: is not a sound file that can be read (corrupt, or of another kind)",
        "short.wav: shorter than 0.1 s",
        "silent.wav: silent",
    ]


def test_a_file_is_conditioned_as_those_of_the_training(tmp_path):
    # A second of silence on each side is cut where the Spec trims.
    wave = np.pad(tone(22050), 22050)
    audio.write(tmp_path / "a.wav", wave, 22050)
    trimmed = dataclasses.replace(SPEC, trim_db=25.0)
    (plain,), _ = classify(Voice(Loudness(16), SPEC, NAMES), [str(tmp_path / "a.wav")])
    (cut,), _ = classify(Voice(Loudness(16), trimmed, NAMES), [str(tmp_path / "a.wav")])
    assert float(plain["yes"]) < 0.35 and plain["label"] == "no"
    assert float(cut["yes"]) > 0.8 and cut["label"] == "yes"


def test_recordings_are_heard_at_the_level_of_the_training(tmp_path):
    levelled = dataclasses.replace(SPEC, level_db=-26.0)
    for name, gain in (("loud", 1.0), ("faint", 0.01)):
        audio.write(tmp_path / f"{name}.wav", gain * tone(22050), 22050)
    paths = files(str(tmp_path))[0]
    faint, loud = classify(Voice(Loudness(16), SPEC, NAMES), paths)[0]
    assert float(loud["yes"]) - float(faint["yes"]) > 0.2
    faint, loud = classify(Voice(Loudness(16), levelled, NAMES), paths)[0]
    assert float(loud["yes"]) == pytest.approx(float(faint["yes"]), abs=2e-3)
    audio.write(tmp_path / "clipped.wav", np.clip(20 * tone(22050), -1, 1), 22050)
    (line,) = classify(Voice(Loudness(16), levelled, NAMES), [str(tmp_path / "clipped.wav")])[1]
    assert "of the samples clipped" in line


def test_a_short_recording_is_one_padded_crop(tmp_path):
    audio.write(tmp_path / "a.wav", tone(22050, 0.3), 22050)
    model = Loudness(50)
    classify(Voice(model, SPEC, NAMES), [str(tmp_path / "a.wav")])
    (crops,) = model.crops
    assert crops.shape == (1, 50, 80)
    np.testing.assert_array_equal(crops[0, 25:], np.float32(SPEC.silence))  # 0.3 s: 25 frames
    assert crops[0, :25].max() > -2


def test_the_table_holds_the_rows_that_are_returned(recordings, tmp_path):
    output = tmp_path / "predicted.csv"
    found, _ = classify(Voice(Loudness(16), SPEC, NAMES), files(str(recordings))[0], str(output))
    with open(output, newline="") as file:
        assert list(csv.DictReader(file)) == found


def test_a_table_is_whole_or_the_old_one(recordings, tmp_path, monkeypatch):
    output = tmp_path / "predicted.csv"
    output.write_text("old")
    with pytest.raises(KvoiceError, match="predicted.csv: not written by kvoice"):
        classify(Voice(Loudness(16), SPEC, NAMES), [], str(output))
    claim(tmp_path, ["predicted.csv"])
    wavs = files(str(recordings / "deep"))[0]

    def full(handle):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(KvoiceError, match="cannot be written .No space left"):
        classify(Voice(Loudness(16), SPEC, NAMES), wavs, str(output))
    assert output.read_text() == "old"
    assert sorted(path.name for path in tmp_path.iterdir()) == [MADE, "predicted.csv", "wavs"]
    monkeypatch.undo()
    classify(Voice(Loudness(16), SPEC, NAMES), [str(recordings / "silent.wav")], str(output))
    assert output.read_text() == "old"  # nothing was classified


@pytest.mark.parametrize("name", ["nowhere/predicted.csv", "wavs"])
def test_a_table_that_cannot_be_written_is_named_before_anything_is_classified(
    recordings, tmp_path, name
):
    model = Loudness(16)
    with pytest.raises(KvoiceError, match=f"{name}: "):
        classify(Voice(model, SPEC, NAMES), files(str(recordings))[0], str(tmp_path / name))
    assert not model.crops


def test_a_comma_in_a_name_breaks_no_row(tmp_path):
    audio.write(tmp_path / 'a, "b".wav', tone(22050), 22050)
    model = Loudness(16)
    voice = Voice(model, SPEC, ["calm, neutral", "yes"])
    found, _ = classify(voice, files(str(tmp_path))[0], str(tmp_path / "predicted.csv"))
    with open(tmp_path / "predicted.csv", newline="") as file:
        assert list(csv.DictReader(file)) == found
