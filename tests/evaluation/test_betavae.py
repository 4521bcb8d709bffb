"""What an edited latent does to voices whose every part is known."""

import json

import numpy as np
import pytest

from kvoice.audio import Spec
from kvoice.errors import KvoiceError
from kvoice.evaluation import betavae
from kvoice.evaluation.betavae import LatentJudges, flips
from kvoice.inference import latents
from kvoice.inference.latents import Utterances, chosen, decoded, edits, ends
from tests.evaluation.asked import Asked

BANDS = 24
SPEC = Spec(
    sample_rate_hz=16000, fft=512, window=512, hop=160, mels=BANDS, fmin_hz=100, fmax_hz=8000
)
NAMES = {
    "gender": ["female", "male"],
    "emotion": ["calm", "sad", "wild"],
    "speaker": [f"s{k}" for k in range(12)],
    "phone": ["sil", "A", "O", "S"],
}
# Shapes over the bands: the columns of a cosine transform, so that none is part of another.
SHAPES = np.cos(np.pi * (np.arange(BANDS)[:, None] + 0.5) * np.arange(BANDS) / BANDS)
LATENTS = SHAPES[:, [2, 3, 5]].T / BANDS * 2  # gender, emotion, the voice; [3, bands]
PHONES = SHAPES[:, 8:12].T


class Corpus:
    """Utterances whose mels are sums of gender, emotion, a voice and phones, under grain."""

    spec, labels = SPEC, NAMES

    def __init__(self, speakers, count=48, seed=0, arrays=("mel", "f0", "phone"), split="judge"):
        self.split = split
        rng = np.random.default_rng(seed)
        voice = np.random.default_rng(9).normal(0, 1, 12)
        self.rows = []
        for i in range(count):
            speaker = speakers[i % len(speakers)]
            gender, emotion = speaker % 2, i // len(speakers) % 3
            frames = int(rng.integers(40, 90))
            phone = np.repeat(rng.integers(0, 4, 18), 5)[:frames].astype("int32")
            code = [2 * gender - 1, emotion - 1, voice[speaker]] + rng.normal(0, 0.1, 3)
            mel = -5 + code @ LATENTS * BANDS / 2 + 0.8 * PHONES[phone]
            known = {
                "mel": (mel + rng.normal(0, 0.05, mel.shape)).astype("float32"),
                "f0": np.full(frames, 120, "float32"),
                "phone": phone,
            }
            self.rows.append(
                {name: known[name] for name in arrays}
                | {
                    "gender": gender,
                    "emotion": emotion,
                    "speaker": speaker,
                    "name": f"u{i}",
                    "text": "",
                }
            )

    def __len__(self):
        return len(self.rows)

    def utterance(self, i):
        return self.rows[i]


class Model:
    """Codes: gender, emotion, voice, one that is in use and means nothing, one that is dead.

    `deaf` latents are left out by the decoder; where it is `mute`, so are the phones.
    """

    domain, latents, shape = "mel", 5, (48, BANDS)

    def __init__(self, phones=4, deaf=(), mute=False):
        self.phones, self.mute = phones, mute
        self.kept = [k not in deaf for k in range(3)]

    def encode(self, items, mask=None):
        inside = mask[..., None]
        means = (items * inside).sum(axis=1) / inside.sum(axis=1)
        codes = (means + 5) @ LATENTS.T
        idle = np.stack([np.sin(1e3 * codes.sum(axis=1)), 0 * codes[:, 0]], axis=1)
        return np.concatenate([codes, idle], axis=1), np.full((len(items), 5), -4.0)

    def decode(self, codes, phone=None):
        assert (phone is None) == (not self.phones)
        frames = self.shape[0] if phone is None else phone.shape[1]
        mels = -5 + (codes[:, :3] * self.kept) @ LATENTS * BANDS / 2
        mels = np.repeat(mels[:, None], frames, axis=1)
        return mels if phone is None or self.mute else mels + 0.8 * PHONES[phone]


SPEAKERS = {"train": (0, 1, 2, 3), "valid": (4, 5), "judge": (6, 7, 8, 9), "test": (10, 11)}
SOURCES = {
    split: Corpus(speakers, 24 if split == "valid" else 48, k, split=split)
    for k, (split, speakers) in enumerate(SPEAKERS.items())
}


@pytest.fixture(scope="module")
def panel():
    return LatentJudges(Utterances(Model(), SOURCES["judge"]))


@pytest.fixture(scope="module")
def found():
    model = Model()
    return latents.discovered(
        model,
        Utterances(model, SOURCES["train"], SOURCES["valid"]),
        Utterances(model, SOURCES["test"]),
        np.random.default_rng(0),
    )


@pytest.fixture(autouse=True)
def few_sounds(monkeypatch):
    monkeypatch.setattr(betavae, "SOUNDED", 2)


def flipped(found, panel, model=None, name="gender", factor=0, control=3):
    model = model or Model()
    return flips(model, found, panel, Utterances(model, SOURCES["test"]), name, factor, control)


# Utterances


def test_utterances_follow_each_other_and_of_long_ones_a_segment_is_the_middle():
    model = Model(phones=0)
    joined = Utterances(model, SOURCES["train"], SOURCES["valid"])
    assert len(joined) == 72
    whole, cut = SOURCES["valid"].utterance(3), joined.utterance(51)
    spare = (len(whole["mel"]) - 48) // 2
    for name in ("mel", "f0", "phone"):
        np.testing.assert_array_equal(cut[name], whole[name][spare : spare + 48])
    assert cut["text"] == ""
    assert cut["name"] == "u3" and cut["speaker"] == whole["speaker"]
    short = next(i for i in range(48) if len(SOURCES["train"].utterance(i)["mel"]) < 48)
    assert joined.utterance(short) is SOURCES["train"].utterance(short)
    assert Utterances(Model(), SOURCES["train"]).utterance(0) is SOURCES["train"].utterance(0)


@pytest.mark.parametrize("phones", [0, 4])
def test_a_decoded_mel_is_as_long_as_its_utterance_and_has_its_phones(phones):
    model = Model(phones)
    source = Utterances(model, SOURCES["test"])
    spoken = [source.utterance(i) for i in range(48)]
    codes = latents.codes(model, source)["mean"]
    mels = decoded(model, codes, spoken)
    for mel, each, code in zip(mels, spoken, codes):
        assert mel.shape == each["mel"].shape
        if phones:
            np.testing.assert_allclose(
                mel, model.decode(code[None], each["phone"][None])[0], atol=1e-6
            )
        else:
            np.testing.assert_allclose(mel, model.decode(code[None])[0][: len(mel)], atol=1e-6)


# The choice


def test_each_label_finds_its_latent_and_unseen_speakers_confirm_it(found):
    for name, latent in (("gender", 0), ("emotion", 1)):
        assert chosen(found, name)[0] == latent
        assert found["found"][name]["confirmed"]["latent"] == latent
        assert found["found"][name]["confirmed"]["value"] > 0.95
    assert found["activity"]["active"] == [0, 1, 2, 3]
    assert chosen(found, "gender")[1] in (1, 2, 3)
    assert chosen(found, "gender", factor=2)[0] == 2 and chosen(found, "gender", factor=2)[1] != 2


def test_a_label_or_latent_that_there_is_not_is_named(found):
    with pytest.raises(KvoiceError, match="--label=age: is not known .*gender, emotion"):
        chosen(found, "age")
    with pytest.raises(KvoiceError, match="--factor=5: the model has latents 0 to 4"):
        chosen(found, "gender", 5)


def test_the_ends_of_a_label_are_its_classes_farthest_apart_and_of_a_number_its_quarters(found):
    held = found["known"]
    pair, titles, numbers = ends(held, "emotion", 1)
    assert titles == ("calm", "wild") and numbers == (0, 2)
    assert pair == pytest.approx((-2, 2), abs=0.2)
    values = held["continuous"]["loudness_db"]
    order = np.argsort(values)
    pair, titles, _ = ends(held, "loudness_db", 2)
    assert titles == ("low loudness_db", "high loudness_db")
    quarters = np.array([held["mean"][part, 2].mean() for part in (order[:18], order[-18:])])
    assert pair == pytest.approx(quarters.mean() + 2 * (quarters - quarters.mean()))


def test_the_control_moves_as_far_in_its_own_spread_and_nothing_else_moves(found):
    moved = edits(found, "gender", 0, 3, np.arange(48))
    spread = found["activity"]["spread"]
    away = moved["flip"] - moved["none"], moved["control"] - moved["none"]
    assert np.flatnonzero(away[0].any(axis=0)).tolist() == [0]
    assert np.flatnonzero(away[1].any(axis=0)).tolist() == [3]
    reached = [
        np.ptp(moved[edit][:, latent]) / spread[latent]
        for edit, latent in (("flip", 0), ("control", 3))
    ]
    assert reached[0] == pytest.approx(reached[1], rel=1e-5)
    genders = found["unseen"]["labels"]["gender"]
    np.testing.assert_array_equal(moved["up"], genders == 0)


# Flips


def test_a_flip_changes_the_predicted_gender_and_nothing_else(found, panel):
    result = flipped(found, panel)
    flip, control, base = result["edits"]["flip"], result["edits"]["control"], result["baseline"]
    assert flip["gender"]["changed"] == 1 and flip["arrived"] == 1
    assert flip["emotion"]["changed"] < 0.1
    assert control["gender"]["changed"] == control["emotion"]["changed"] == 0
    assert "arrived" not in control
    assert [base[row]["right"]["gender"]["share"] for row in ("real", "reconstruction")] == [1, 1]
    assert min(base["real"]["phones"], flip["phones"], control["phones"]) > 0.95
    assert control["loudness_db"]["change"] == 0 and control["voice"][
        "similarity"
    ] == pytest.approx(1)
    assert flip["voice"]["similarity"] < 0.9
    assert base["reconstruction"]["error_db"] < 1.5
    assert result["to"] == ["female", "male"]
    parts = [result["edits"][f"flip to {name}"]["gender"]["count"] for name in result["to"]]
    assert parts == [24, 24] and flip["gender"]["count"] == 48
    assert json.loads(json.dumps(result, allow_nan=False)) == result


def test_a_latent_that_the_decoder_leaves_out_changes_nothing(found, panel):
    result = flipped(found, panel, Model(deaf=[0]))
    assert result["edits"]["flip"]["gender"]["changed"] == 0
    right = result["baseline"]["reconstruction"]["right"]["gender"]["share"]
    assert right < 0.6 and result["edits"]["flip"]["arrived"] == pytest.approx(1 - right)


def test_lost_phones_lower_the_phone_accuracy(found, panel):
    result = flipped(found, panel, Model(mute=True))
    assert result["baseline"]["real"]["phones"] > 0.95
    assert result["edits"]["flip"]["phones"] < 0.6


def test_the_gain_in_loudness_is_that_of_the_edit(found, panel):
    model = Model()
    result = flipped(found, panel, model, "emotion", 1)
    moved = edits(found, "emotion", 1, 3, np.arange(48))
    spoken = [SOURCES["test"].utterance(i) for i in range(48)]
    levels = [
        [latents.loudness_db(mel, SPEC) for mel in decoded(model, moved[edit], spoken)]
        for edit in ("none", "flip")
    ]
    assert result["edits"]["flip"]["loudness_db"]["change"] == pytest.approx(
        np.median(np.subtract(levels[1], levels[0]))
    )


def test_a_voice_of_known_pitch_is_measured():
    time = np.arange(16000) / SPEC.sample_rate_hz
    wave = sum(np.sin(2 * np.pi * 200 * k * time) / k for k in range(1, 20))
    spec = Spec(sample_rate_hz=16000, fmax_hz=8000)
    assert betavae.f0_hz(betavae.audio.mel(0.1 * wave, spec), spec) == pytest.approx(200, rel=0.02)
    assert np.isnan(betavae.f0_hz(np.full((40, 80), spec.silence), spec))


def test_without_phones_words_and_rate_are_left_out(found):
    model, arrays = Model(phones=0), ("mel",)
    judge = LatentJudges(Utterances(model, Corpus(SPEAKERS["judge"], arrays=arrays)))
    test = Utterances(model, Corpus(SPEAKERS["test"], arrays=arrays))
    held = latents.discovered(
        model,
        Utterances(model, Corpus(SPEAKERS["train"], arrays=arrays)),
        test,
        np.random.default_rng(0),
        names=["gender"],
    )
    assert list(held["rankings"]) == ["gender"]
    result = flips(model, held, judge, test, "gender", 0, 3, rows=[0, 1, 2, 3])
    flip = result["edits"]["flip"]
    assert flip["gender"]["count"] == 4 and flip["gender"]["changed"] == 1
    assert flip["phones"] is None and "phones_per_s" not in flip
    assert result["baseline"]["real"]["phones"] is None


# All of it


def test_the_scores_hold_what_is_compared_between_runs_and_tables_of_texts():
    made = betavae.scores(Model(), SOURCES, count=12)
    assert json.loads(json.dumps(made, allow_nan=False)) == made
    numbers = made["metrics"]
    assert numbers["gender AUC"] == numbers["gender AUC (test)"] == 1
    assert (
        numbers["flip changes"] == 1 and numbers["control changes"] == 0 and numbers["active"] == 4
    )
    assert made["flips"]["count"] == 12
    for table in made["tables"]:
        assert {len(row) for row in table["rows"]} == {len(table["columns"])}
        assert all(isinstance(cell, str) for row in table["rows"] for cell in row)
    found, base, flip = made["tables"]
    assert found["rows"][0][:4] == ["gender", "0", "AUC", "1.00 (1.00–1.00)"]
    assert [row[0] for row in base["rows"]] == ["real", "reconstruction"]
    cells = dict(zip(flip["columns"], flip["rows"][0]))
    assert cells["edit"] == "flip" and cells["gender changed"].startswith("100% (76%–100%)")
    assert cells["utterances"] == "12" and cells["arrived"] == "100%"


def test_latents_are_not_chosen_by_what_is_measured(monkeypatch):
    chosen_by = []
    monkeypatch.setattr(
        betavae.latents,
        "discovered",
        lambda model, known, *rest: (
            chosen_by.append([each.split for each in known.sources]) or {"rankings": {}}
        ),
    )
    for tested in ("test", "valid"):
        with pytest.raises(KvoiceError):
            betavae.scores(Model(), SOURCES | {"test": SOURCES[tested]})
    assert chosen_by == [["train", "valid"], ["train"]]


def test_independent_judges_hear_the_reconstruction_and_both_edits(monkeypatch):
    monkeypatch.setattr(betavae.render, "sound", lambda mel, spec: mel)
    asked = Asked()
    made = betavae.scores(Model(), SOURCES, count=6, independent=asked)
    assert made["notes"] == ["independent judges: deaf"] and len(asked.utterances) == 3
    assert list(asked.made) == ["reconstruction", "flip", "control"]
    for k, each in enumerate(asked.utterances):
        sounds = [waves[k] for waves in asked.made.values()]
        assert {len(sound) for sound in sounds} == {len(each["mel"])}
        away = [np.abs(sound - sounds[0]).max() for sound in sounds]
        assert away[1] > 0.1 and np.abs(sounds[1] - sounds[2]).max() > 0.1


def test_without_a_flip_independent_judges_hear_the_reconstruction(monkeypatch):
    monkeypatch.setattr(betavae.render, "sound", lambda mel, spec: mel)
    monkeypatch.setattr(betavae.latents, "chosen", lambda found, label: (0, None))
    asked = Asked()
    made = betavae.scores(Model(), SOURCES, count=6, independent=asked)
    assert list(asked.made) == ["reconstruction"] and made["flips"] is None
    assert len(made["tables"]) == 1
    flips, deaf = made["notes"]
    assert flips.startswith("flips are not judged: no latent can be the control of")
    assert deaf == "independent judges: deaf"
