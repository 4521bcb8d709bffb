import json
import types

import numpy as np
import pytest

from kvoice import audio
from kvoice.audio import SPECS
from kvoice.errors import KvoiceError
from kvoice.evaluation.voicegan import (
    crops,
    validation_metrics,
    voicegan_scores,
    white_noise,
)

SPEC = SPECS["waveglow"]
NAMES = ["angry", "calm", "sad"]
FRAMES = 24


def clips(labels, seed):
    """Harmonics under a moving envelope: the label sets level and speed, chance the voice."""
    rng = np.random.default_rng(seed)
    labels = np.asarray(labels)[:, None, None]
    count, band, time = len(labels), np.arange(SPEC.mels), np.arange(FRAMES)[:, None]
    period, phase, tilt = rng.uniform((5, 0, 0.02), (9, 7, 0.05), (count, 3)).T[..., None, None]
    depth, where = rng.uniform((0.5, 0), (1.2, 1.5), (count, 2)).T[..., None, None]
    envelope = depth * np.sin((0.2 + 0.25 * labels) * time + phase + where * band / 20)
    mels = -3.5 - 1.0 * labels - tilt * band + np.cos(2 * np.pi * band / period) + envelope
    return (mels + rng.normal(0, 0.1, mels.shape)).astype(np.float32)


class Source:
    """Clips of equally frequent labels, 20 to a batch."""

    labels = {"emotion": NAMES, "gender": [], "speaker": []}
    spec, split = SPEC, "judge"

    def __init__(self, seed, labels=3):
        self.seed, self.kinds = seed, labels

    def __len__(self):
        return 120

    def batch(self, step):
        emotion = np.random.default_rng([self.seed, step]).permutation(np.arange(20) % self.kinds)
        unknown = np.full(20, -1)
        mels = clips(emotion, [self.seed, step, 1])
        return {"mel": mels, "emotion": emotion, "speaker": unknown, "gender": unknown}


TRAIN, VALID, JUDGE, TEST = (Source(seed) for seed in range(4))


def model(made=clips, condition="emotion"):
    """`made(labels, seed) -> mels` as a model."""

    def generate(count, labels=None, seed=0):
        assert (labels is None) == (condition == "")
        return made(np.arange(count) % 3 if labels is None else labels, seed + 100)

    labels = 3 if condition else 0
    return types.SimpleNamespace(
        condition=condition, labels=labels, domain="mel", generate=generate
    )


def collapsed(labels, seed):
    """One and the same clip for each label."""
    return clips(range(3), 7)[labels]


def deaf(labels, seed):
    """Fine clips of any label but the one asked for."""
    return clips((np.asarray(labels) + 1) % 3, seed)


def scores(made=clips, **arguments):
    return voicegan_scores(model(made), TRAIN, JUDGE, TEST, count=90, **arguments)


@pytest.fixture(scope="module")
def good():
    return scores(untrained=model(lambda labels, seed: np.full((len(labels), FRAMES, 80), -5.0)))


def test_a_perfect_model_scores_like_real_speech(good):
    rows = good["rows"]
    assert rows["generated"]["frechet"]["all"] < 2 * rows["real train"]["frechet"]["all"]
    assert rows["generated"]["diversity"]["all"] == pytest.approx(1, abs=0.1)
    assert rows["generated"]["novelty"]["all"] == pytest.approx(1, abs=0.2)
    assert rows["generated"]["confirmed"]["all"]["share"] > 0.9


def test_real_test_clips_are_the_measure_itself(good):
    real = good["rows"]["real test"]
    for name in ["all", *NAMES]:
        assert real["frechet"][name] == pytest.approx(0, abs=1e-6)
        assert real["diversity"][name] == pytest.approx(1)
    assert real["novelty"]["all"] == 1
    assert real["confirmed"]["all"]["share"] > 0.9  # on clips unseen by the judge


def test_noise_and_an_untrained_model_are_far_off(good):
    rows = good["rows"]
    for row in "white noise", "untrained":
        assert rows[row]["frechet"]["all"] > 10 * rows["real train"]["frechet"]["all"]
    # The noise is as loud as its test clip, which tells something of the label; grey cannot.
    assert rows["untrained"]["confirmed"]["all"]["share"] < 0.45
    assert rows["untrained"]["diversity"]["all"] == pytest.approx(0, abs=1e-6)


def test_a_collapse_to_one_clip_for_each_label_shows():
    rows = scores(collapsed)["rows"]
    none = dict.fromkeys(["all", *NAMES], 0)
    assert rows["generated"]["diversity"] == pytest.approx(none, abs=1e-6)
    assert rows["generated"]["frechet"]["all"] > 3 * rows["real train"]["frechet"]["all"]


def test_copies_of_the_training_clips_show():
    copies = crops(TRAIN, 90)
    kept = scores(lambda labels, seed: copies["mel"])["rows"]
    assert kept["generated"]["novelty"]["all"] == pytest.approx(0, abs=1e-6)
    assert kept["generated"]["frechet"]["all"] < 0.1  # which alone would look perfect


def test_a_model_that_ignores_its_label_is_found_out():
    found = scores(deaf)
    generated, real = (found["rows"][row] for row in ("generated", "real train"))
    assert generated["confirmed"]["all"]["share"] < 0.1
    assert found["confusion"]["angry"]["calm"] > 0.8 * sum(found["confusion"]["angry"].values())
    assert generated["frechet"]["angry"] > 3 * real["frechet"]["angry"]


def test_shares_and_confusion_count_the_same_clips(good):
    for name in NAMES:
        confirmed = good["rows"]["generated"]["confirmed"][name]
        hits = confirmed["share"] * confirmed["clips"]
        assert good["confusion"][name][name] == pytest.approx(hits)
        assert sum(good["confusion"][name].values()) == confirmed["clips"]
        assert confirmed["low"] <= confirmed["share"] <= confirmed["high"]


def test_scores_are_the_same_each_time_and_fit_for_json(good):
    again = scores(untrained=model(lambda labels, seed: np.full((len(labels), FRAMES, 80), -5.0)))
    assert json.loads(json.dumps(again, allow_nan=False)) == good


def test_a_model_without_labels_is_scored_without_a_judge():
    found = voicegan_scores(model(condition=""), TRAIN, JUDGE, TEST, count=60)
    assert found["rows"]["generated"]["diversity"]["all"] == pytest.approx(1, abs=0.1)
    assert "confusion" not in found and "confirmed" not in found["rows"]["generated"]
    (table,) = found["tables"]
    assert table["columns"] == ["clips", "Frechet distance", "diversity", "novelty"]
    assert table["rows"][0][0] == "generated" and len(table["rows"][0]) == 4
    assert "classified as intended" not in found["metrics"]


def test_a_judge_of_validation_speakers_is_said_to_be_one(good):
    assert "no split judge" not in good["tables"][0]["note"]
    judge = Source(2)
    judge.split, judge.speakers = "valid", ["anna", "ben"]
    found = voicegan_scores(model(), TRAIN, judge, TEST, count=60)
    assert "no split judge" in found["tables"][0]["note"]
    assert "(anna, ben)" in found["tables"][0]["note"]


def test_labels_too_rare_to_measure_are_left_empty():
    found = voicegan_scores(model(), TRAIN, JUDGE, Source(3, labels=2), count=40)
    assert found["rows"]["generated"]["frechet"]["sad"] is None
    assert "sad" not in found["rows"]["generated"]["confirmed"]
    assert found["tables"][1]["rows"][-1] == ["sad", "–", "–", "–", "–"]


def test_another_corpus_than_the_models_is_refused():
    other = model()
    other.labels = 7
    with pytest.raises(KvoiceError, match="3 labels of emotion, the model 7"):
        voicegan_scores(other, TRAIN, JUDGE, TEST)


def test_the_table_names_each_row_with_its_numbers(good):
    lines = {row[0]: row[1:] for table in good["tables"] for row in table["rows"]}
    train = good["rows"]["real train"]
    assert lines["real train"][0] == f"{train['frechet']['all']:.3f}"
    assert lines["real train"][1] == f"{train['diversity']['all']:.3f}"
    confirmed = good["rows"]["generated"]["confirmed"]["sad"]
    assert lines["sad"][2].startswith(f"{confirmed['share']:.0%} (")
    assert lines["sad"][3].startswith("sad ")
    assert good["metrics"]["Frechet distance"] == good["rows"]["generated"]["frechet"]["all"]


# The score of an epoch


def test_the_score_of_an_epoch_separates_good_from_bad_and_is_reproducible():
    validate = validation_metrics(TRAIN, VALID, count=60)
    fine, flat = validate(model()), validate(model(collapsed))
    assert list(fine)[0] == "frechet"
    assert fine["frechet"] < 0.5 * flat["frechet"]
    assert fine["diversity"] == pytest.approx(1, abs=0.15)
    assert flat["diversity"] == pytest.approx(0, abs=1e-6)
    assert validation_metrics(TRAIN, VALID, count=60)(model()) == fine


def test_the_diversity_of_an_epoch_is_unknown_where_the_real_clips_are_all_alike():
    alike = Source(1)
    alike.batch = lambda step: (
        VALID.batch(0) | {"mel": np.repeat(VALID.batch(0)["mel"][:1], 20, axis=0)}
    )
    assert np.isnan(validation_metrics(TRAIN, alike, count=20)(model())["diversity"])


def test_the_score_of_an_epoch_works_without_labels():
    assert validation_metrics(TRAIN, VALID, count=60)(model(condition=""))["frechet"] < 0.5


# Clips


def test_crops_come_in_the_order_of_the_batches():
    taken = crops(TRAIN, 25)
    np.testing.assert_array_equal(taken["mel"][:20], TRAIN.batch(0)["mel"])
    np.testing.assert_array_equal(taken["emotion"][20:], TRAIN.batch(1)["emotion"][:5])
    assert len(taken["mel"]) == 25


@pytest.mark.parametrize("name", ["waveglow", "speechsplit"])
def test_white_noise_is_as_loud_as_the_clip_and_flat_in_time(name):
    spec = SPECS[name]
    mels = audio.scaled(np.exp(clips([0, 2], 0)), spec)
    noise = white_noise(mels, spec, np.random.default_rng(0))
    power = [np.mean(audio.magnitude(each, spec) ** 2, axis=(1, 2)) for each in (noise, mels)]
    np.testing.assert_allclose(*power, rtol=0.01)
    envelope = audio.magnitude(noise, spec).mean(axis=2)
    assert noise.shape == mels.shape and np.all(envelope.std(axis=1) < 0.2 * envelope.mean(axis=1))
