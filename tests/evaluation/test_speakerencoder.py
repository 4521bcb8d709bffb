"""Speaker verification on embeddings that are known."""

import numpy as np
import pytest
from scipy.stats import norm

from kvoice.audio import Spec
from kvoice.errors import KvoiceError
from kvoice.evaluation import speakerencoder
from kvoice.inference.voice import Voice

SPEC = Spec(sample_rate_hz=16000, fft=400, window=400, hop=160, mels=40)


def cloud(speakers, each, spread, seed=0, size=16):
    """Embeddings around one direction for each speaker: points, speakers."""
    rng = np.random.default_rng(seed)
    centres = np.repeat(rng.normal(size=(speakers, size)), each, axis=0)
    points = centres + spread * rng.normal(size=centres.shape)
    return points / np.linalg.norm(points, axis=1, keepdims=True), np.repeat(
        np.arange(speakers), each
    )


class Source:
    """Tones: each speaker has a pitch of his own, every other one is of the other gender."""

    spec, labels = SPEC, {"speaker": [f"s{k}" for k in range(4)], "gender": ["female", "male"]}

    def __init__(self, each=5, rate_hz=16000):
        self.spec, self.rows = (
            Spec(sample_rate_hz=rate_hz),
            [k for k in range(4) for _ in range(each)],
        )

    def speaker_of(self):
        return np.array(self.rows)

    def utterance(self, i):
        rate = self.spec.sample_rate_hz
        wave = 0.1 * np.sin(2 * np.pi * 300 * 2 ** self.rows[i] * np.arange(rate) / rate)
        return {"wave": wave.astype("float32"), "gender": self.rows[i] % 2}


class Encoder:
    """Where the energy lies."""

    partial_frames = 40

    def embed(self, clips):
        energy = np.exp(clips).mean(axis=1)
        return energy / np.linalg.norm(energy, axis=1, keepdims=True)


def test_trials_are_all_pairs_once():
    points, speakers = cloud(3, 4, 0.5)
    same, different = speakerencoder.trials(points, speakers)
    assert len(same) == 3 * 6 and len(different) == 3 * 16
    assert same[0] == pytest.approx(points[0] @ points[1])


def test_voices_far_apart_are_never_confused_and_noise_half_the_time():
    genders = np.zeros(60, int)
    rng = np.random.default_rng(0)
    found = speakerencoder.verification_scores(*cloud(6, 10, 0.05), genders, rng)
    assert found["rate"] == found["low"] == found["high"] == found["same_gender"] == 0
    points, speakers = cloud(6, 10, 1.0)
    rng.shuffle(speakers)
    found = speakerencoder.verification_scores(points, speakers, genders, rng)
    assert found["rate"] == pytest.approx(0.5, abs=0.05)


def test_the_interval_holds_the_rate_and_narrows_with_the_number_of_speakers():
    few, many = (
        speakerencoder.verification_scores(
            *cloud(count, 8, 1.6, seed=3), np.zeros(8 * count, int), np.random.default_rng(0)
        )
        for count in (5, 40)
    )
    for found in (few, many):
        assert found["low"] <= found["rate"] <= found["high"]
    assert many["high"] - many["low"] < few["high"] - few["low"]
    assert many["high"] - many["low"] < 0.1


@pytest.mark.parametrize("speakers", [5, 12])
def test_the_interval_holds_the_estimate_and_mostly_the_rate_of_all_speakers_that_there_are(
    speakers, monkeypatch
):
    monkeypatch.setattr(speakerencoder, "RESAMPLED", 100)
    true = speakerencoder.speech.equal_error_rate(
        *speakerencoder.trials(*cloud(300, 6, 1.6, seed=99))
    )[0]
    found = [
        speakerencoder.verification_scores(
            *cloud(speakers, 6, 1.6, seed=k), np.zeros(6 * speakers, int), np.random.default_rng(k)
        )
        for k in range(40)
    ]
    assert np.mean([each["low"] <= each["rate"] <= each["high"] for each in found]) >= 0.9
    assert np.mean([each["low"] <= true <= each["high"] for each in found]) >= 0.8
    widths = [each["high"] - each["low"] for each in found]
    assert np.median(widths) < 5 * np.std(
        [each["rate"] for each in found]
    )  # 3.9 of a normal distribution


@pytest.mark.parametrize(
    "picked", [[0, 0, 2, 3, 3], [4, 4, 4, 1, 0], [1, 2, 2, 2, 2], [0, 1, 2, 3, 4]]
)
def test_a_draw_of_speakers_is_the_rate_of_a_set_in_which_they_stand_as_often(monkeypatch, picked):
    class Drawn:
        def integers(self, *_, **__):
            return np.array(picked)

    monkeypatch.setattr(speakerencoder, "RESAMPLED", 1)
    points, speakers = cloud(5, 12, 1.6)
    counts = np.bincount(picked, minlength=5)
    same, different = [], []
    for i in range(len(points)):
        for j in range(i):
            one, two = counts[speakers[i]], counts[speakers[j]]
            cosine = points[i] @ points[j]
            if speakers[i] == speakers[j]:
                same += [cosine] * one
            else:
                different += [cosine] * one * two
    found = speakerencoder.verification_scores(points, speakers, np.zeros(60, int), Drawn())
    expected = speakerencoder.speech.equal_error_rate(same, different)[0]
    assert found["low"] == found["high"] == pytest.approx(expected, abs=1e-12)
    assert (found["rate"] == pytest.approx(expected, abs=1e-12)) == (picked == [0, 1, 2, 3, 4])


def test_of_fewer_than_five_speakers_there_is_no_interval():
    found = speakerencoder.verification_scores(
        *cloud(4, 8, 1.6), np.zeros(32, int), np.random.default_rng(0)
    )
    assert found["low"] is None is found["high"]
    assert speakerencoder.with_interval(found) == f"{found['rate']:.1%}"
    assert (
        speakerencoder.with_interval({"rate": 0.034, "low": 0.01, "high": 0.098})
        == "3.4% (1.0%-9.8%)"
    )


def test_speakers_of_one_gender_are_harder_where_the_gender_is_half_of_the_voice():
    rng = np.random.default_rng(1)
    genders = np.repeat(np.arange(8) % 2, 10)
    points = np.concatenate([3 * np.eye(2)[genders], cloud(8, 10, 0.8)[0]], axis=1)
    points /= np.linalg.norm(points, axis=1, keepdims=True)
    found = speakerencoder.verification_scores(points, np.repeat(np.arange(8), 10), genders, rng)
    assert found["same_gender"] > found["rate"] + 0.02
    unknown = genders * 0 - 1
    assert (
        speakerencoder.verification_scores(points, np.repeat(np.arange(8), 10), unknown, rng)[
            "same_gender"
        ]
        is None
    )


@pytest.mark.parametrize(("points", "speakers"), [(np.eye(3), [0, 0, 0]), (np.eye(3), [0, 1, 2])])
def test_one_speaker_or_one_recording_of_each_is_refused(points, speakers):
    with pytest.raises(KvoiceError, match="an equal error rate needs two speakers"):
        speakerencoder.verification_scores(
            points, np.array(speakers), np.zeros(3, int), np.random.default_rng(0)
        )


def test_of_each_speaker_some_utterances_are_chosen_from_first_to_last():
    class Told:
        def speaker_of(self):
            return np.array([0] * 30 + [-1] * 5 + [1] * 3)

    rows, speakers = speakerencoder.chosen(Told(), 4)
    assert rows.tolist() == [0, 9, 19, 29, 35, 36, 37] and speakers.tolist() == [0] * 4 + [1] * 3


def test_recordings_of_any_rate_are_resampled_to_the_rate_of_the_encoder():
    one, speakers, genders = speakerencoder.embedded(Voice(Encoder(), SPEC), Source())
    two, _, _ = speakerencoder.embedded(Voice(Encoder(), SPEC), Source(rate_hz=22050))
    assert speakers.tolist() == [0] * 5 + [1] * 5 + [2] * 5 + [3] * 5 and set(genders) == {0, 1}
    assert (one * two).sum(axis=1).min() > 0.99
    assert speakerencoder.validation_metrics(SPEC, Source())(Encoder()) == {"equal_error_rate": 0}


def test_scores_name_each_split_and_what_the_encoder_was_trained_on(tmp_path):
    scores = speakerencoder.encoder_scores(
        Voice(Encoder(), SPEC),
        {"train": Source(), "test": Source(3)},
        ["train"],
        tmp_path / "voices.png",
        "folder:mine",
    )
    assert (tmp_path / scores["embeddings"]["picture"]).exists()
    assert (
        scores["embeddings"]["silhouette"]["speaker"]
        > 0.9
        > scores["embeddings"]["silhouette"]["gender"]
    )
    assert scores["metrics"] == {"equal error rate (test)": 0}
    (table,) = scores["tables"]
    assert scores["corpus"] == "folder:mine" and "recordings of folder:mine" in table["note"]
    assert [row[:4] for row in table["rows"]] == [
        ["train, trained on", "4", "20", "0.0%"],
        ["test", "4", "12", "0.0%"],
    ]
    assert all(len(row) == len(table["columns"]) for row in table["rows"])


def test_the_rate_of_two_normal_distributions_is_the_one_they_have():
    """Two Gaussians two deviations apart are confused in 15.9 %: `verification_scores` uses it."""
    from kvoice.metrics.speech import equal_error_rate

    rng = np.random.default_rng(0)
    assert equal_error_rate(rng.normal(2, 1, 20000), rng.normal(0, 1, 20000))[0] == pytest.approx(
        norm.cdf(-1), abs=0.01
    )
