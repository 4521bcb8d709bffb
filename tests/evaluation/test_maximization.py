"""The comparison of priors: what each row holds, and that a judge can say no."""

import json

import numpy as np
import pytest

from kvoice.audio import SPECS
from kvoice.evaluation import maximization, tables
from kvoice.inference import ascent, listener
from tests.evaluation.test_voicegan import clips
from tests.inference.test_ascent import NAMES, classifier, gan

pytestmark = pytest.mark.backend

SPEC = SPECS["waveglow"]


class Source:
    """Clips of equally frequent labels, as long as the generator's."""

    labels = {"emotion": NAMES, "gender": [], "speaker": []}
    spec, split = SPEC, "judge"

    def __init__(self, seed):
        self.seed = seed

    def __len__(self):
        return 60

    def batch(self, step):
        emotion = np.random.default_rng([self.seed, step]).permutation(np.arange(30) % 3)
        unknown = np.full(30, -1)
        return {
            "mel": clips(emotion, [self.seed, step, 1])[:, :16],
            "emotion": emotion,
            "speaker": unknown,
            "gender": unknown,
        }


SOURCES = {"train": Source(0), "judge": Source(1), "test": Source(2)}


@pytest.fixture(scope="module")
def scores():
    path = ascent.Path(gan(), classifier(), SPEC)
    return maximization.compare(
        path, classifier(seed=1, width=5), SOURCES, [2, 0], path.generator.noise(8), steps=6
    )


def test_there_is_a_row_for_each_prior_and_one_without_a_generator(scores):
    assert list(scores["rows"]) == ["start", "typical", "zero", "none", "items"]
    assert scores["targets"] == ["sad", "angry"] and scores["judges"] == ["judge", "linear judge"]
    json.dumps(scores, allow_nan=False)


def test_the_first_row_is_the_samples_as_they_are(scores):
    row = scores["rows"]["start"]
    assert row["moved_db"] == row["steps"] == 0
    assert row["turned_degrees"] == pytest.approx(0, abs=1e-4)
    assert not any(row["gained"].values()) and not any(row["lost"].values())
    items = gan().decode(gan().noise(8, 0))
    predicted = classifier().probabilities(items).argmax(axis=1)
    share = row["agreed"]["classifier"]
    assert share["sad"]["share"] == pytest.approx(np.mean(predicted == 2))
    hits = np.mean(predicted == 2) + np.mean(predicted == 0)
    assert share["all"]["share"] == pytest.approx(hits / 2)


def test_every_row_counts_what_it_gained_and_lost(scores):
    clips_in_all = scores["rows"]["start"]["agreed"]["classifier"]["all"]["clips"]
    assert clips_in_all == 16
    for row in scores["rows"].values():
        for who in ("classifier", "judge", "linear judge"):
            before = scores["rows"]["start"]["agreed"][who]["all"]["share"]
            after = row["agreed"][who]["all"]["share"]
            assert (after - before) * 16 == pytest.approx(row["gained"][who] - row["lost"][who])


def test_an_ascent_moves_the_noise_and_without_a_generator_the_mel_only(scores):
    assert scores["rows"]["none"]["turned_degrees"] > 0
    assert scores["rows"]["items"]["moved_db"] > 0 and "length" not in scores["rows"]["items"]


def test_the_tables_show_the_shares_and_the_text_aligns_them(scores):
    made = maximization.tables(scores)
    summary = made[0]
    assert all(len(row) == len(summary["columns"]) for row in summary["rows"])
    share = scores["rows"]["typical"]["agreed"]["judge"]["all"]
    (row,) = [row for row in summary["rows"] if row[0] == maximization.ROW_TITLES["typical"]]
    assert row[2] == f"{share['share']:.0%} ({share['low']:.0%}-{share['high']:.0%})"
    lines = tables.text(summary).splitlines()
    assert lines[0] == summary["title"] and len(lines) == 2 + len(summary["rows"])


def test_what_is_scored_is_rendered_by_the_vocoder_of_the_ascent(monkeypatch):
    class Vocoder:
        def __call__(self, mels):
            return np.full((len(mels), mels.shape[1] * SPEC.hop), 0.1, np.float32)

    used, listeners_of, prosody = [], listener.listeners_of, maximization.prosody
    monkeypatch.setattr(
        maximization,
        "listeners_of",
        lambda *given: (used.append(given[-1]), listeners_of(*given[:-1]))[1],
    )
    monkeypatch.setattr(
        maximization,
        "prosody",
        lambda waves, spec: (used.append(float(waves.max())), prosody(waves, spec))[1],
    )
    path = ascent.Path(gan(), classifier(), SPEC)
    path.vocoder = Vocoder()
    maximization.compare(path, None, SOURCES, [2], path.generator.noise(2), steps=1)
    assert used[0] is path.vocoder and used[1:] == [pytest.approx(0.1)] * 5


# What else changed


def tone(f0_hz, level, seconds=0.6, silent=0.0):
    t = np.arange(int(seconds * SPEC.sample_rate_hz)) / SPEC.sample_rate_hz
    wave = sum(np.sin(2 * np.pi * k * f0_hz * t) / k for k in range(1, 8))
    return (level * wave * (t >= silent * seconds)).astype("float32")


def test_prosody_is_in_semitones_decibels_and_points():
    found = maximization.prosody(
        np.stack([tone(150, 0.1), tone(300, 0.2), tone(150, 0.1, silent=0.5)]), SPEC
    )
    assert found["f0_semitones"][1] - found["f0_semitones"][0] == pytest.approx(12, abs=0.1)
    assert found["f0_semitones"][0] == pytest.approx(12 * np.log2(1.5), abs=0.1)
    assert found["loudness_db"][1] - found["loudness_db"][0] == pytest.approx(6.02, abs=0.1)
    assert found["voiced_points"][0] - found["voiced_points"][2] == pytest.approx(50, abs=6)


def test_the_pitch_of_silence_is_unknown():
    found = maximization.prosody(np.zeros((1, 8000), "float32"), SPEC)
    assert np.isnan(found["f0_semitones"][0]) and found["voiced_points"][0] == 0
