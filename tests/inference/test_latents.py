import dataclasses
import json
import types

import numpy as np
import pytest

from kvoice import audio
from kvoice.audio import Spec
from kvoice.errors import KvoiceError
from kvoice.inference.latents import (
    LENGTHS,
    TOGETHER,
    activity,
    codes,
    control_modes,
    discovered,
    flipped,
    found,
    interpolated,
    judged,
    modes,
    prior,
    put,
    ranking,
    resampled,
    shifted,
    swept,
)
from kvoice.metrics.classification import wilson

SPEC = Spec(sample_rate_hz=16000, fft=512, window=512, hop=160, mels=6, fmin_hz=100, fmax_hz=8000)
NAMES = {
    "gender": ["female", "male"],
    "emotion": ["calm", "sad"],
    "speaker": ["a", "b", "c"],
    "phone": ["sil", "AA", "S"],
}


class Utterances:
    """A source of utterances of 20 to 90 frames, in the protocol of `data.source.Source`."""

    spec, labels = SPEC, NAMES

    def __init__(self, count=8, arrays=("mel", "f0", "phone"), seed=0):
        rng = np.random.default_rng(seed)
        self.rows = []
        for i in range(count):
            frames = int(rng.integers(20, 90))
            known = {
                "mel": rng.normal(-5, 1, (frames, 6)).astype("float32"),
                "f0": np.where(np.arange(frames) % 4, 100 + 10 * i, 0).astype("float32"),
                "phone": (np.arange(frames) // 10 % 3).astype("int32"),
            }
            self.rows.append(
                {name: known[name] for name in arrays}
                | {
                    "gender": i % 2,
                    "emotion": -1,
                    "speaker": -1 if i > 5 else i % 3,
                    "name": f"u{i}",
                    "text": "",
                }
            )

    def __len__(self):
        return len(self.rows)

    def utterance(self, i):
        return self.rows[i]


class Pooled:
    """A model whose codes are the means of the bands inside the mask, whose sigma is 1 / frames."""

    def __init__(self):
        self.shapes = []

    def encode(self, items, mask=None):
        self.shapes.append(items.shape)
        inside = mask.sum(axis=1)[:, None]
        assert mask.dtype == items.dtype == np.float32
        return (items * mask[..., None]).sum(axis=1) / inside, np.tile(-2 * np.log(inside), 6)


# Codes


def test_padding_changes_no_code_and_the_order_is_that_of_the_source():
    source, model = Utterances(80), Pooled()
    held = codes(model, source)
    mels = [row["mel"] for row in source.rows]
    np.testing.assert_allclose(held["mean"], [mel.mean(axis=0) for mel in mels], rtol=1e-5)
    lengths = np.exp(-held["log_var"][:, 0] / 2)
    np.testing.assert_allclose(lengths, [len(mel) for mel in mels], rtol=1e-5)
    assert held["names"] == [f"u{i}" for i in range(80)]
    assert held["mean"].shape == held["log_var"].shape == (80, 6)
    assert {frames % LENGTHS for _, frames, _ in model.shapes} == {0}
    assert max(count for count, _, _ in model.shapes) <= TOGETHER
    assert len(model.shapes) < 12  # together, not one by one


def test_an_utterance_is_padded_with_silence_alike_whoever_is_with_it():
    seen = []

    class Watching(Pooled):
        def encode(self, items, mask=None):
            seen.extend(zip(items, mask))
            return super().encode(items, mask)

    source = Utterances(40)
    codes(Watching(), source)
    among = {item.tobytes() for item, _ in seen}
    for item, mask in seen:
        inside = int(mask.sum())
        assert np.all(mask[:inside] == 1) and np.all(item[inside:] == np.float32(SPEC.silence))
        assert len(item) - inside < LENGTHS
    seen.clear()
    for i in range(40):
        codes(Watching(), source, [i])
    assert {item.tobytes() for item, _ in seen} == among


def test_what_is_known_of_utterances_comes_with_their_codes():
    source = Utterances()
    source.rows[2]["f0"][:] = 0
    source.rows[3]["phone"][:] = 0
    held = codes(Pooled(), source)
    assert held["labels"].keys() == held["classes"].keys() == {"gender", "speaker"}  # two or more
    assert held["labels"]["gender"].tolist() == [0, 1] * 4
    assert held["classes"]["gender"] == ["female", "male"]
    found = held["continuous"]
    np.testing.assert_array_equal(found["f0_hz"], [100, 110, np.nan, 130, 140, 150, 160, 170])
    frames = [len(row["mel"]) for row in source.rows]
    assert found["voiced_share"][0] == (frames[0] - -(-frames[0] // 4)) / frames[0]
    assert found["voiced_share"][2] == 0 and np.isnan(found["phones_per_s"][3])
    groups = held["groups"]["gender"]
    assert groups[:6].tolist() == [0, 1, 2] * 2
    assert len(np.unique(groups)) == 5  # who is unknown is alone
    assert held["groups"]["speaker"] is None
    assert held["groups"].keys() >= held["labels"].keys() | found.keys()


def test_the_rate_counts_phones_that_are_no_silence():
    source = Utterances(2)
    source.rows[0]["phone"] = np.repeat([0, 1, 2, 1, 1, 0, 2, 0], 10).astype("int32")
    held = codes(Pooled(), source, [0])
    assert held["continuous"]["phones_per_s"] == pytest.approx(4 / (50 * 160 / 16000))


def test_the_loudness_follows_the_level_of_the_wave_in_decibels():
    wave = np.random.default_rng(0).normal(0, 0.1, 8000).astype("float32")
    source = Utterances(3, ("mel",))
    for row, gain in zip(source.rows, (1, 0.1, 0)):
        row["mel"] = audio.mel(gain * wave, SPEC)
    loudness = codes(Pooled(), source)["continuous"]["loudness_db"]
    assert loudness[0] - loudness[1] == pytest.approx(20, abs=0.01)
    assert loudness[2] == pytest.approx(20 * np.log10(SPEC.floor), abs=1e-3)
    decibels = dataclasses.replace(SPEC, scale="db")
    source.spec = decibels
    source.rows[0]["mel"] = audio.mel(wave, decibels)
    again = codes(Pooled(), source, [0])["continuous"]["loudness_db"]
    assert again == pytest.approx(loudness[0], abs=1e-3)


def test_rows_are_those_asked_for_in_their_order():
    held, some = (codes(Pooled(), Utterances(), rows) for rows in (None, [5, 1]))
    np.testing.assert_allclose(some["mean"], held["mean"][[5, 1]], rtol=1e-6)
    assert some["names"] == ["u5", "u1"] and some["rows"].tolist() == [5, 1]
    assert some["continuous"]["f0_hz"].tolist() == [150, 110]
    assert some["labels"].keys() == {"speaker"}


class Images:
    """A source of images with factors, in the protocol of `data.factors.FactorSource`."""

    def __init__(self, factors, labels):
        self.factors, self.labels = factors, labels
        self.images = np.random.default_rng(0).random((70, 5, 4)).astype("float32")
        self.values = np.stack([np.arange(70) % 7, np.arange(70) / 2], 1)[:, : len(factors)]

    def __len__(self):
        return 70

    def items(self, rows):
        found = {"image": self.images[rows], "factors": self.values[rows].astype("float32")}
        return found | {name: self.values[rows, 0].astype("int32") for name in self.labels}


def test_images_come_with_their_factors():
    model = types.SimpleNamespace(encode=lambda image: (image.mean(axis=1), image[:, 0]))
    source = Images(["slope", "f0_hz"], {})
    held = codes(model, source)
    np.testing.assert_allclose(held["mean"], source.images.mean(axis=1))
    np.testing.assert_array_equal(held["log_var"], source.images[:, 0])
    np.testing.assert_array_equal(held["continuous"]["f0_hz"], np.arange(70) / 2)
    assert held["labels"] == {} and held["groups"] == {"slope": None, "f0_hz": None}
    digits = codes(model, Images(["digit"], {"digit": list("0123456")}), np.arange(69, 3, -1))
    np.testing.assert_array_equal(digits["labels"]["digit"], np.arange(69, 3, -1) % 7)
    assert digits["continuous"] == {} and digits["classes"]["digit"] == list("0123456")


# What the latents do


def test_activity_by_hand():
    mean, sigma = np.array([[1.0, 0, 0.05], [-1, 0, -0.05]]), np.array([[0.5, 1, 1], [0.1, 1, 1]])
    units = activity(mean, 2 * np.log(sigma))
    kl = [(1 + s * s - 2 * np.log(s) - 1) / 2 for s in (0.5, 0.1)]
    np.testing.assert_allclose(units["kl"], [np.mean(kl), 0, 0.05**2 / 2], atol=1e-12)
    np.testing.assert_allclose(units["variance"], [1, 0, 0.0025], atol=1e-12)
    np.testing.assert_allclose(units["sigma"], [0.3, 1, 1])
    np.testing.assert_allclose(units["spread"] ** 2, [1 + 0.13, 1, 1.0025])
    np.testing.assert_allclose(units["centre"], 0, atol=1e-12)
    assert units["active"] == [0] and units["dead"] == [1, 2]


def test_the_spread_is_that_of_codes_drawn_from_all_posteriors():
    rng = np.random.default_rng(0)
    mean, log_var = rng.normal(2, 1, (50, 3)), rng.normal(-1, 1, (50, 3))
    drawn = np.concatenate([resampled(m, v, 2000, rng) for m, v in zip(mean, log_var)])
    units = activity(mean, log_var)
    np.testing.assert_allclose(drawn.std(axis=0), units["spread"], rtol=0.02)
    np.testing.assert_allclose(drawn.mean(axis=0), units["centre"], atol=0.02)


def voices(speakers=24, each=8, latents=12, seed=0):
    """Codes whose latent 5 holds the gender, others the speaker; latents from 9 on are dead."""
    rng = np.random.default_rng(seed)
    speaker = np.repeat(np.arange(speakers), each)
    gender = speaker % 2
    mean = (
        rng.normal(size=(speakers, latents))[speaker] + rng.normal(size=(len(speaker), latents))
    ) / 2
    mean[:, 5] = (gender - 0.5) * 1.2 + 0.15 * mean[:, 5]
    mean[:, 9:] *= 0.01
    log_var = np.full(mean.shape, -1.0)
    log_var[:, 9:], log_var[:, 3] = 0, -4  # 3 is the most active
    return mean, log_var, gender, speaker


def test_the_latent_that_carries_the_label_is_found_and_a_control_that_does_not():
    mean, log_var, gender, speaker = voices()
    rows = ranking(mean, gender, np.random.default_rng(0), speaker)
    assert sorted(row["latent"] for row in rows) == list(range(12))
    assert all(one["value"] >= other["value"] for one, other in zip(rows, rows[1:]))
    best = rows[0]
    assert best["latent"] == 5 and best["statistic"] == "auc" and best["direction"] == 1
    assert best["value"] > 0.99 and best["low"] > 0.95 and best["p"] < 0.01
    assert best["d_prime"] > 4 and 0.9 < best["share"] <= 1
    assert all(row["p"] > 0.05 for row in rows[1:])
    assert json.loads(json.dumps(rows)) == rows
    factor = found(rows, activity(mean, log_var))
    assert factor["best"] is best
    assert factor["control"]["low"] <= 0.5 and factor["control"]["latent"] not in (5, 9, 10, 11)


def test_a_permuted_label_finds_nothing():
    mean, _, gender, speaker = voices()
    other = np.random.default_rng(3).permutation(24)[speaker] % 2
    assert min(row["p"] for row in ranking(mean, other, np.random.default_rng(0), speaker)) > 0.05


def test_continuous_labels_and_more_classes_are_ranked_likewise():
    mean, _, gender, speaker = voices()
    pitch = 200 - 80 * mean[:, 5] + np.random.default_rng(0).normal(0, 10, len(mean))
    pitch[::9] = np.nan  # nothing voiced
    best = ranking(mean, pitch, np.random.default_rng(0), speaker)[0]
    assert (best["latent"], best["statistic"], best["direction"]) == (5, "r2", -1)
    assert best["value"] > 0.9 and best["p"] < 0.01
    assert best["d_prime"] is best["mutual_information"] is best["share"] is None
    accent = np.where(gender, 2 + (mean[:, 2] > 0), 1)
    best = ranking(mean, accent, np.random.default_rng(0))[0]
    assert (best["latent"], best["statistic"]) == (5, "pairwise_auc") and best["direction"] in (
        2,
        3,
    )
    assert best["share"] > 0.3 and best["d_prime"] is None


def test_items_of_unknown_label_do_not_count():
    mean, _, gender, speaker = voices()
    known = np.arange(len(mean)) % 3 > 0
    label = np.where(known, gender, -1)
    assert ranking(mean, label, np.random.default_rng(0), speaker) == ranking(
        mean[known], gender[known], np.random.default_rng(0), speaker[known]
    )
    with pytest.raises(KvoiceError, match="known of some of the 192 codes .* of which 0 are known"):
        ranking(mean, np.full(192, -1), np.random.default_rng(0))
    with pytest.raises(KvoiceError, match="192 codes is needed, got 5"):
        ranking(mean, gender[:5], np.random.default_rng(0))


def test_of_latents_that_separate_alike_the_one_with_the_wider_gap_is_best():
    gender = np.arange(40) % 2
    noise = np.random.default_rng(0).uniform(-0.4, 0.4, (40, 2))
    rows = ranking(noise + gender[:, None] * [1, 3], gender, np.random.default_rng(0))
    assert [row["value"] for row in rows] == [1, 1] and rows[0]["latent"] == 1


def row(latent, value, low=None, p=1.0, statistic="auc"):
    return {"latent": latent, "statistic": statistic, "value": value, "low": low, "p": p}


def test_the_control_is_the_most_active_of_the_weaker_half_that_chance_accounts_for():
    units = {"kl": np.array([9, 3, 8, 2, 5, 9, 9]), "active": [0, 1, 2, 3, 4, 5]}
    rows = [
        row(0, 0.99, 0.9),
        row(5, 0.8, 0.6),
        row(2, 0.7, 0.45),
        row(4, 0.65, 0.4),
        row(1, 0.55, 0.4),
        row(3, 0.52, 0.45),
        row(6, 0.5, 0.4),
    ]
    assert found(rows, units)["control"]["latent"] == 1  # of 2, 4 | 1, 3
    for each in rows:
        each["low"] = None  # no interval: p decides, and lets 5 in
    assert found(rows, units)["control"]["latent"] == 4  # of 5, 2 | 4, 1, 3
    for each in rows:
        each |= {"statistic": "r2", "p": 0.01}
    assert found(rows, units)["control"]["latent"] == 3  # all related: the least
    assert found(rows, units | {"active": [0]})["control"] is None


# Edits


CODES = np.random.default_rng(0).normal(size=(6, 4))


def others(edited):
    return np.delete(edited, 2, axis=1)


@pytest.mark.parametrize(
    "edit",
    [
        lambda: put(CODES, 2, 1.0),
        lambda: shifted(CODES, 2, -1.5, 0.4),
        lambda: flipped(CODES, 2, (-0.5, 0.6)),
    ],
)
def test_an_edit_changes_one_latent_of_a_copy(edit):
    before, edited = CODES.copy(), edit()
    np.testing.assert_array_equal(CODES, before)
    assert edited.shape == CODES.shape and edited.dtype == np.float32
    np.testing.assert_array_equal(others(edited), others(CODES).astype("float32"))
    assert np.all(edited[:, 2] != CODES[:, 2].astype("float32"))


def test_a_latent_is_put_where_asked_or_shifted_in_its_spread():
    np.testing.assert_array_equal(put(CODES, 2, -1)[:, 2], -1)
    np.testing.assert_array_equal(put(CODES, 2, np.arange(6))[:, 2], np.arange(6))
    np.testing.assert_allclose(shifted(CODES, 2, 1)[:, 2], CODES[:, 2] + 1, rtol=1e-6)
    np.testing.assert_allclose(shifted(CODES, 2, -3, 0.5)[:, 2], CODES[:, 2] - 1.5, rtol=1e-6)
    there = shifted(CODES, 2, 2, 0.7)
    np.testing.assert_allclose(shifted(there, 2, -2, 0.7), CODES, atol=1e-6)


def test_a_flip_goes_to_the_mode_of_the_other_class_and_back():
    mean, _, gender, _ = voices()
    female, male = modes(mean, gender, 5)
    assert female == pytest.approx(mean[gender == 0, 5].mean()) and female < -0.5 < 0.5 < male
    once = flipped(mean, 5, (female, male))
    np.testing.assert_allclose(once[:, 5], np.where(gender, female, male), rtol=1e-6)
    twice = flipped(once, 5, (female, male))
    np.testing.assert_allclose(twice[:, 5], np.where(gender, male, female), rtol=1e-6)
    known = np.where(np.arange(len(gender)) % 2, gender, -1)
    assert modes(mean, np.where(np.arange(len(gender)) < 8, -1, gender), 5) != (female, male)
    with pytest.raises(KvoiceError, match="two classes, got 1"):
        modes(mean, np.where(known == 1, 1, -1), 5)


def test_the_control_is_flipped_as_far_in_its_own_spreads():
    mean, log_var, gender, _ = voices()
    units = activity(mean, log_var)
    pair = modes(mean, gender, 5)
    low, high = control_modes(pair, 5, 3, units)
    assert (low + high) / 2 == pytest.approx(units["centre"][3])
    assert (high - low) / units["spread"][3] == pytest.approx(
        (pair[1] - pair[0]) / units["spread"][5]
    )
    moved = np.abs(flipped(mean, 3, (low, high)) - mean)[:, 3]
    assert moved.min() > (high - low) / 2 - 1e-6  # to the far one


def test_a_sweep_takes_one_code_through_the_values():
    values = np.linspace(-1, 1, 11)
    way = swept(CODES[0], 2, values)
    np.testing.assert_allclose(way[:, 2], values, rtol=1e-6)
    np.testing.assert_array_equal(
        others(way), np.tile(others(CODES[:1]), (11, 1)).astype("float32")
    )


def test_a_way_from_one_code_to_another_has_equal_steps_and_both_ends():
    way = interpolated(CODES[0], CODES[1], 5)
    np.testing.assert_allclose(
        way[[0, 2, 4]], [CODES[0], CODES[:2].mean(axis=0), CODES[1]], rtol=1e-6
    )
    step = (CODES[1] - CODES[0]) / 4
    np.testing.assert_allclose(np.diff(way, axis=0), np.tile(step, (4, 1)), rtol=1e-5)


def test_the_prior_is_a_standard_normal_and_a_posterior_has_its_own_mean_and_spread():
    samples = prior(4000, 3, np.random.default_rng(0))
    assert samples.shape == (4000, 3) and samples.dtype == np.float32
    np.testing.assert_allclose(samples.mean(axis=0), 0, atol=0.08)
    np.testing.assert_allclose(np.cov(samples.T), np.eye(3), atol=0.1)
    drawn = resampled(np.array([1, -2]), 2 * np.log([0.5, 0.01]), 4000, np.random.default_rng(0))
    np.testing.assert_allclose(drawn.mean(axis=0), [1, -2], atol=0.04)
    np.testing.assert_allclose(drawn.std(axis=0), [0.5, 0.01], rtol=0.05)


# What an edit did


def test_judged_counts_what_changed_beside_the_control():
    before = np.array([[-1.0, 2], [-2, 2], [3, 2], [4, 2]])
    edits = {"factor": before * [-1, 3], "control": before + [0.5, 1]}
    sizes = {
        "gender": lambda items: (items[:, 0] > 0).astype(int),
        "f0_semitones": lambda items: np.where(items[:, 0] == 4, np.nan, items[:, 1]),
        "speaker": lambda items: items / 7,
        "word": lambda items: np.array(["a"] * len(items)),
    }
    found = judged(before, edits, sizes)
    low, high = wilson(4, 4)
    assert found["factor"]["gender"] == {"count": 4, "changed": 1, "low": low, "high": high}
    assert found["control"]["gender"]["changed"] == 0
    assert found["control"]["gender"]["high"] == wilson(0, 4)[1]
    assert found["factor"]["f0_semitones"] == {"count": 3, "change": 4}
    assert found["control"]["f0_semitones"] == {"count": 3, "change": 1}
    cosines = [
        (-1 + 12) / 5**0.5 / 37**0.5,
        (-4 + 12) / 8**0.5 / 40**0.5,
        (-9 + 12) / 13**0.5 / 45**0.5,
        (-16 + 12) / 20**0.5 / 52**0.5,
    ]
    assert found["factor"]["speaker"] == {
        "count": 4,
        "similarity": pytest.approx(np.median(cosines)),
    }
    assert found["factor"]["word"]["changed"] == 0
    assert json.loads(json.dumps(found)) == found
    nothing = judged(before, edits, {"f0": lambda items: np.full(4, np.nan)})
    assert nothing["factor"]["f0"] == {"count": 0, "change": None}


def test_the_items_before_are_judged_once_and_have_to_be_those_after():
    asked = []
    judge = {"gender": lambda items: asked.append(len(items)) or np.zeros(len(items), int)}
    judged(np.zeros((3, 2)), dict.fromkeys("abc", np.zeros((3, 2))), judge)
    assert len(asked) == 4
    with pytest.raises(KvoiceError, match="a, gender: 3 items were judged before and 2 after"):
        judged(np.zeros((3, 2)), {"a": np.zeros((2, 2))}, judge)


# Found on some, confirmed on others


class Told:
    """A source of images whose pixels are the codes that a model has of them, with labels."""

    def __init__(self, codes, **labels):
        self.codes, self.given = codes, labels
        self.factors, self.labels = [], {name: ["no", "yes"] for name in labels}

    def __len__(self):
        return len(self.codes)

    def items(self, rows):
        return {"image": self.codes[rows], "factors": np.zeros((len(rows), 0))} | {
            name: values[rows] for name, values in self.given.items()
        }

    def encode(self, items):
        return items, np.full_like(items, -4.0)


def test_the_best_latent_is_one_in_use_and_unseen_items_can_contradict_it():
    rng = np.random.default_rng(0)
    label = np.arange(80) % 2
    codes_ = rng.normal(0, 1, (80, 3))
    codes_[:, 0] = 1e-3 * label  # gives all away, but no decoder can make use of it
    codes_[:, 2] += 2 * label
    unseen = codes_.copy()
    unseen[:, 2] -= 4 * label
    known, other = Told(codes_, sex=label), Told(unseen, sex=label)
    made = discovered(known, known, other, rng)
    assert made["rankings"]["sex"][0]["latent"] == 0 and made["rankings"]["sex"][0]["value"] == 1
    best = made["found"]["sex"]
    assert best["best"]["latent"] == 2 and best["control"]["latent"] == 1
    assert best["best"]["value"] > 0.85 and best["confirmed"]["value"] < 0.15
    assert best["confirmed"]["low"] < best["confirmed"]["value"] < best["confirmed"]["high"]
    agreed = discovered(known, known, known, rng)["found"]["sex"]
    assert agreed["confirmed"]["value"] == agreed["best"]["value"]


def test_unseen_items_of_one_class_confirm_nothing_and_names_choose_the_labels():
    rng = np.random.default_rng(0)
    label, codes_ = np.arange(40) % 2, rng.normal(0, 1, (40, 2))
    known = Told(codes_, sex=label, age=label)
    made = discovered(known, known, Told(codes_, sex=0 * label, age=label), rng, names=["sex"])
    assert list(made["found"]) == ["sex"] and made["found"]["sex"]["confirmed"] is None
