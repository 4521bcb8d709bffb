"""Conversions of models that are known to be perfect, to do nothing, or to keep the speaker."""

import functools
import unittest.mock

import numpy as np
import pytest
import soundfile

from kvoice import audio
from kvoice.data.synthetic import demo
from kvoice.errors import KvoiceError
from kvoice.evaluation import adainvc
from kvoice.inference.voice import Voice
from tests.evaluation.asked import Asked

SPEC = audio.SPECS["waveglow"]
ENCODER_SPEC = audio.SPECS["speakerencoder"]
VOICES = {
    "train": ("ada", "abel", "beth"),
    "judge": ("cora", "carl", "dina", "dean"),
    "test": ("elsa", "emil", "faye"),
}
NAMES = sorted(name for names in VOICES.values() for name in names)
TEXTS = list(demo.SENTENCES)[:8]


@functools.cache
def utterance(name, text):
    made = demo.render(demo.Utterance(name, "neutral", text), SPEC.sample_rate_hz, SPEC.hop)
    wave, mel = audio.paired(made.wave, SPEC)
    return {
        "mel": mel,
        "wave": wave,
        "f0": made.f0[: len(mel)],
        "phone": made.phone[: len(mel)],
        "speaker": NAMES.index(name),
        "gender": int(demo.voice(name).gender == "male"),
        "emotion": 0,
        "text": text,
        "name": f"{name}-{text}",
    }


class Source:
    spec, arrays = SPEC, ("mel", "wave", "f0", "phone")
    labels = {
        "speaker": NAMES,
        "gender": ["female", "male"],
        "emotion": ["neutral"],
        "phone": list(demo.PHONES),
    }

    def __init__(self, split):
        self.speakers = list(VOICES[split])
        self.items = [(name, text) for name in self.speakers for text in TEXTS]

    def __len__(self):
        return len(self.items)

    def speaker_of(self):
        return np.array([NAMES.index(name) for name, _ in self.items])

    def utterance(self, i):
        return dict(utterance(*self.items[i]))

    def moments(self):
        frames = np.concatenate([self.utterance(i)["mel"] for i in range(0, len(self), 5)])
        return frames.mean(axis=0), frames.std(axis=0)


class Encoder:
    """Where the energy lies, on a logarithmic scale, about its mean."""

    partial_frames = 100

    def embed(self, clips):
        spectrum = np.log(np.exp(clips).mean(axis=1))
        spectrum -= spectrum.mean(axis=1, keepdims=True) + MEAN
        return spectrum / np.linalg.norm(spectrum, axis=1, keepdims=True)


MEAN = np.zeros(40)
JUDGED = adainvc.judged("folder:mine", "../ears", "demo:25-224")


class Model:
    """Knows all utterances: returns the words of one in the voice of another.

    `perfect`: as the other speaker said them; else the source as it is. `leaky`: the content holds
        the voice.
    """

    def __init__(self, perfect=True, leaky=False):
        self.perfect, self.leaky = perfect, leaky
        self.known = {
            utterance(*item)["mel"].tobytes(): item
            for split in VOICES
            for item in Source(split).items
        }

    def encode(self, mel):
        name, text = self.known.get(mel.tobytes(), ("elsa", TEXTS[0]))
        rng = np.random.default_rng(TEXTS.index(text))
        content = rng.normal(size=(len(mel), 6)) * 0.1
        content[:, :2] = TEXTS.index(text), NAMES.index(name)
        content[:, 2:] += np.eye(4)[NAMES.index(name) % 4] * self.leaky
        if not self.leaky:  # decoding needs the name; the probe looks at other columns
            content[:, 1] = 0
        self.last = name
        return {"content": content, "styles": np.eye(len(NAMES))[[NAMES.index(name)] * 2]}

    def decode(self, content, styles):
        name = NAMES[int(styles[0].argmax())] if self.perfect else self.last
        mel = utterance(name, TEXTS[int(content[0, 0])])["mel"]
        return np.pad(mel, ((0, max(0, len(content) - len(mel))), (0, 0)), "edge")


@functools.cache
def sources():
    return {split: Source(split) for split in VOICES}


@pytest.fixture(scope="module")
def panel():
    global MEAN
    source = sources()["judge"]
    every = [
        audio.mel(
            audio.resample(source.utterance(i)["wave"], SPEC.sample_rate_hz, 16000), ENCODER_SPEC
        )
        for i in range(len(source))
    ]
    spectra = np.stack([np.log(np.exp(mel).mean(axis=0)) for mel in every])
    MEAN = (spectra - spectra.mean(axis=1, keepdims=True)).mean(axis=0)
    encoder = Voice(Encoder(), ENCODER_SPEC)
    return adainvc.ConversionJudges(encoder, source, [source, sources()["test"]], JUDGED)


@functools.cache
def _scores(panel, perfect, trained_on=VOICES["train"]):
    # Not beyond the target: only then does a model that changes nothing leave the spectrum alone.
    with unittest.mock.patch.object(adainvc.convert, "MIX", 1.0):
        return adainvc.conversion_scores(Model(perfect), trained_on, sources(), panel, count=6)


def test_a_perfect_model_has_the_voice_of_the_target_and_the_words_of_the_source(panel):
    found = _scores(panel, True)["kinds"]["unseen to unseen"]
    voice, content, f0 = (found[name] for name in ("voice", "content", "f0"))
    assert voice["converted"]["nearer"]["share"] == 1 == voice["target's own"]["nearer"]["share"]
    assert voice["source unchanged"]["nearer"]["share"] == 0
    assert voice["converted"]["to_target"] == pytest.approx(
        voice["target's own"]["to_target"], abs=0.1
    )
    assert content["converted"]["mcd_db"] < 0.6 * content["source unchanged"]["mcd_db"]
    assert content["source unchanged"]["mcd_db"] < content["noise"]["mcd_db"]
    assert f0["converted"]["to_target_cents"] < f0["source unchanged"]["to_target_cents"]
    assert f0["source unchanged"]["rmse_cents"] < 50 < f0["converted"]["rmse_cents"]


def test_phones_are_predicted_in_speech_and_not_in_noise(panel):
    content = _scores(panel, False)["kinds"]["unseen to unseen"]["content"]
    assert content["source recorded"]["phones"] > 0.6 > 0.25 > content["noise"]["phones"]
    for name, value in content[adainvc.TRANSPOSED].items():  # of a model that changes nothing
        assert content["converted"][name] == pytest.approx(value, rel=1e-3)  # rounding errors


def test_a_model_that_changes_nothing_is_as_near_to_the_target_as_its_pitch_makes_it(panel):
    scores = _scores(panel, False)
    assert list(scores["kinds"]) == [
        "unseen to unseen",
        "unseen to seen",
        "seen to unseen",
        "seen to seen",
    ]
    for kind in scores["kinds"].values():
        one, other = (kind["voice"][row] for row in (adainvc.CONVERTED, adainvc.TRANSPOSED))
        assert one["nearer"] == other["nearer"]
        for name in ("to_target", "to_source"):  # but for rounding errors
            assert one[name] == pytest.approx(other[name], abs=1e-3)
    assert scores["kinds"]["unseen to unseen"]["voice"]["source unchanged"]["nearer"]["share"] == 0
    assert scores["reconstruction"] == {"l1": 0, "error_db": 0}


def test_speakers_outside_the_training_data_are_not_called_seen(panel):
    assert list(_scores(panel, False, ())["kinds"]) == ["unseen to unseen"]


def test_every_pair_of_genders_among_the_unseen_has_its_own_scores(panel):
    genders = _scores(panel, True)["genders"]
    assert set(genders) == {"female to female", "female to male", "male to female"}
    assert sum(each["count"] for each in genders.values()) == 6


def test_the_speaker_probe_is_accurate_only_where_the_content_holds_the_speaker():
    tight, leaky = (
        adainvc.speaker_probe_accuracy(Model(leaky=leaky), sources()["test"])
        for leaky in (False, True)
    )
    assert leaky["accuracy"] == 1 and tight["accuracy"] < 0.7
    assert tight["chance"] == pytest.approx(1 / 3) and tight["speakers"] == 3


def test_the_speaker_probe_leaves_out_speakers_of_whom_it_has_too_little(panel, monkeypatch):
    source = Source("test")
    source.items = [item for item in source.items if item[0] != "faye" or item[1] == TEXTS[0]]
    found = adainvc.speaker_probe_accuracy(Model(leaky=True), source)
    assert (found["speakers"], found["accuracy"]) == (2, 1)
    source.items = [(name, TEXTS[0]) for name in source.speakers]
    assert adainvc.speaker_probe_accuracy(Model(), source) is None
    # One recording of each to train on: the fourth text is tested.
    source.items = [(name, TEXTS[k]) for k, name in enumerate(source.speakers)]
    source.items += [(name, TEXTS[3]) for name in source.speakers]
    order = np.arange(len(source)), source.speaker_of()
    monkeypatch.setattr(adainvc.speakerencoder, "chosen", lambda *_: order)
    assert adainvc.speaker_probe_accuracy(Model(), source) is None
    monkeypatch.undo()
    scores = _scores(panel, True) | {"speaker_probe": None}
    cells = adainvc.tables(scores)[-1]["rows"][0]
    assert cells[:3] == ["content code", "–", "–"]


def test_tables_have_a_cell_for_each_column_and_metrics_are_numbers(panel):
    scores = _scores(panel, True)
    for table in scores["tables"]:
        assert table["rows"] and all(len(row) == len(table["columns"]) for row in table["rows"])
        assert all(isinstance(cell, str) for row in table["rows"] for cell in row)
    assert scores["metrics"]["nearer to the target"] == 1
    assert all(isinstance(value, float) for value in scores["metrics"].values())


def test_where_neither_phones_nor_texts_are_known_there_is_no_table_of_them(panel):
    scores = _scores(panel, False)
    titles = [table["title"] for table in adainvc.tables(scores)]
    nothing = {"phones": None, "mcd_db": None}
    kinds = {
        name: kind | {"content": dict.fromkeys(kind["content"], nothing)}
        for name, kind in scores["kinds"].items()
    }
    left = [table["title"] for table in adainvc.tables(scores | {"kinds": kinds})]
    titles.remove("Phonetic content")
    assert left == titles


def test_independent_judges_hear_conversions_between_unseen_speakers(panel):
    asked = Asked()
    scores = adainvc.conversion_scores(
        Model(), VOICES["train"], sources(), panel, count=4, independent=asked
    )
    assert scores["notes"] == ["independent judges: deaf"] and len(asked.utterances) == 2
    for k, (source, voice) in enumerate(zip(asked.utterances, asked.voices_wanted)):
        assert NAMES[source["speaker"]] in VOICES["test"]
        frames = len(source["mel"])
        waves = {name: waves[k] for name, waves in asked.made.items()}
        assert list(waves) == ["converted", adainvc.TRANSPOSED, "recording through the vocoder"]
        assert len(waves["recording through the vocoder"]) == frames * SPEC.hop
        assert len(waves["converted"]) > 50 * SPEC.hop
        (wanted,) = [
            name
            for name in VOICES["test"]
            for text in TEXTS
            if np.array_equal(audio.deemphasised(utterance(name, text)["wave"], SPEC), voice)
        ]
        assert wanted != NAMES[source["speaker"]]


def test_without_a_run_resemblyzer_judges_where_it_is_installed(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    voice = Voice(Encoder(), ENCODER_SPEC)
    monkeypatch.setattr(adainvc.independent, "resemblyzer", lambda: voice)
    found = adainvc.Encoder.of("", tmp_path)
    assert (found.voice, found.name, found.speakers, found.data) == (voice, "Resemblyzer", [], "")
    with pytest.raises(KvoiceError, match="--encoder=nowhere: there is no such run"):
        adainvc.Encoder.of("nowhere", tmp_path)
    monkeypatch.setattr(adainvc.independent, "resemblyzer", lambda: None)
    with pytest.raises(KvoiceError, match="runs/speakerencoder/default.*--no-deps resemblyzer"):
        adainvc.Encoder.of("", tmp_path)


def test_the_judges_are_named_beside_the_numbers(panel):
    said = (
        "Judged on folder:mine by ../ears, which was trained on demo:25-224 "
        "and on none of these voices."
    )
    scores = _scores(panel, True)
    assert JUDGED["description"] == scores["judged"]["description"] == said
    assert (
        scores["tables"][0]["note"].startswith(said)
        and " Mean cosines" in scores["tables"][0]["note"]
    )
    assert adainvc.judged("demo", "ears", "")["description"] == (
        "Judged on demo by ears, whose weights were imported: whether it was trained on "
        "these voices is not known."
    )


class Deaf(Encoder):
    """An encoder of random embeddings."""

    def embed(self, clips):
        points = np.random.default_rng(len(clips)).normal(size=(len(clips), 40))
        return points / np.linalg.norm(points, axis=1, keepdims=True)


def test_an_encoder_that_hardly_separates_voices_is_named(monkeypatch):
    judge = Source("judge")
    judge.arrays = ("mel", "wave")
    panel = adainvc.ConversionJudges(
        Voice(Deaf(), ENCODER_SPEC), judge, [sources()["test"]], JUDGED
    )
    rate = panel.verification["rate"]
    assert rate > 0.3
    assert panel.judged["warning"] == (
        f"../ears hardly distinguishes these voices (equal error rate {rate:.1%}): "
        "its judgement means little"
    )
    (first, *_) = adainvc.tables(
        _scores_of_nothing() | {"judged": panel.judged, "encoder": panel.verification}
    )
    assert f"Mind that {panel.judged['warning']}. Mean" in first["note"]
    monkeypatch.setattr(adainvc, "UNRELIABLE", rate)
    panel = adainvc.ConversionJudges(
        Voice(Deaf(), ENCODER_SPEC), judge, [sources()["test"]], JUDGED
    )
    assert panel.judged == JUDGED | {"warning": ""}


def _scores_of_nothing():
    return {
        "kinds": {},
        "genders": {},
        "reconstruction": {"l1": 0, "error_db": 0},
        "speaker_probe": {"speakers": 2, "accuracy": 1, "low": 1, "high": 1, "chance": 0.5},
    }


# --- Examples


def _plan(panel, trained_on=VOICES["train"]):
    rng = np.random.default_rng(0)
    return adainvc._planned(adainvc._people(trained_on, sources(), panel, rng), panel, rng)


@pytest.fixture(scope="module")
def made(panel, tmp_path_factory):
    """Examples of unseen speakers: what the folder lists, the folder, and who was asked."""
    folder, asked = tmp_path_factory.mktemp("examples"), Asked()
    about = {"command": "kvoice evaluate"}
    with pytest.MonkeyPatch.context() as changed:
        changed.setattr(adainvc.render, "ROUNDS", 4)  # of Griffin-Lim: how it sounds is not tested
        made = adainvc.examples(Model(), (), sources(), panel, folder, about, independent=asked)
    return made, folder, asked


def test_there_are_examples_of_each_kind_and_of_each_pair_of_genders(panel):
    plan = _plan(panel)
    assert list(plan) == [
        "unseen to unseen",
        "unseen to seen",
        "seen to unseen",
        "seen to seen",
        "towards what is no voice",
    ]
    notes = [[each["note"] for each in planned] for planned in plan.values()]
    one_man = ["female to female"] * 2 + ["female to male"] * 2 + ["male to female"] * 2
    changed = ["female to male", "male to female"]
    assert notes == [one_man, changed, changed, changed, ["", ""]]


def test_few_speakers_make_many_pairs():
    women, men = (list(names) for names in ("abcde", "vwxyz"))
    found = adainvc._of_genders({0: women, 1: men}, {0: women, 1: men}, 4)
    pairs = sum(found.values(), [])
    assert len(set(pairs)) == 16 and {*sum(pairs, ())} == {*"abcd", *"vwxy"}
    assert found[0, 0] == [tuple(each) for each in "ab bc cd da".split()]
    assert found[0, 1] == [tuple(each) for each in "av bw cx dy".split()]
    assert adainvc._of_genders({0: ["a"]}, {0: ["a"]}, 4) == {(0, 0): []}
    assert adainvc._of_genders({0: women}, {0: women}, 1) == {(0, 0): [("a", "b")]}


def test_examples_are_as_long_and_as_loud_as_their_source(made):
    made, folder, _ = made
    rows = [row for group in made["groups"] for row in group["rows"]]
    assert len(rows) == 8
    for row in rows:
        assert (folder / row["picture"]).exists()
        source, converted = (
            soundfile.read(folder / row[part])[0] for part in ("source", "converted")
        )
        loudness = np.sqrt(np.mean(source**2))
        full = np.abs(converted).max() > 0.98  # then it is quieter
        assert full or np.sqrt(np.mean(converted**2)) == pytest.approx(loudness, rel=0.05)
    assert (folder / made["embeddings"]["picture"]).exists()
    assert made["embeddings"]["silhouette"]["speaker"] > 0.9  # the styles are the speaker


def test_a_recording_is_written_and_judged_once(made):
    made, folder, asked = made
    (group, tones), parts = made["groups"], ("source", "target")
    recordings = {row[part] for row in group["rows"] for part in parts}
    assert len(recordings) <= 4 < len(group["rows"])  # of three speakers; one says what another did
    assert len([*folder.glob("*.wav")]) == len(recordings) + 2 + 8
    converted, compared = (
        {row["source"] for row in group["rows"]},
        {row["target"] for row in group["rows"]},
    )
    assert {row["source"] for row in tones["rows"]} < converted
    alone = [wave for wave, expected in asked.judged if expected is None]
    assert len(alone) == len(compared)
    assert len(asked.judged) == 3 * len(converted) + 8 + len(compared)
    assert {expected for _, expected in asked.judged} - {None} <= {*TEXTS}


def test_all_that_judges_say_of_an_example_is_kept(made):
    made, _, asked = made
    assert made["independent"] == {"english": True, "against": "text", "threshold": 0.5}
    for group in made["groups"]:
        recording, vocoded = "recording as it is", "recording through the vocoder"
        assert list(group["references"]) == [recording, vocoded, "noise", "converted"]
        for k, row in enumerate(group["rows"]):
            found = row["independent"]
            has_voice = group["title"] == "unseen to unseen"
            assert list(found) == [recording, vocoded, "converted", *["target"] * has_voice]
            assert found["converted"]["voice"]["cosine"] > 0 and "quality" in found[vocoded]
            means = group["references"]["converted"]
            assert means["independent"][k] == found["converted"]
    (first, _), references = made["groups"], made["groups"][0]["references"]
    for key in ("to_source", "to_target"):
        mean = np.mean([row[key] for row in first["rows"]])
        assert references["converted"][key] == pytest.approx(mean)
    assert references["noise"]["phone_accuracy"] < references["converted"]["phone_accuracy"]
    assert references["recording as it is"]["to_source"] > references["noise"]["to_source"]


def test_of_a_long_recording_the_beginning_is_an_example(panel, monkeypatch):
    people = adainvc.Speakers(sources()["test"], panel, np.random.default_rng(0))
    whole = people.example("elsa")
    assert whole["text"] in TEXTS and len(whole["wave"]) == len(whole["mel"]) * SPEC.hop
    assert people.example("elsa")["row"] == whole["row"]
    assert people.example("elsa", other_than=whole["text"])["text"] != whole["text"]
    monkeypatch.setattr(adainvc, "EXAMPLE_S", 0.5)
    people = adainvc.Speakers(sources()["test"], panel, np.random.default_rng(0))
    cut, frames = people.example("elsa"), int(0.5 * SPEC.sample_rate_hz) // SPEC.hop
    assert cut["row"] == whole["row"] and cut["text"] == ""
    assert [len(cut[name]) for name in ("mel", "f0", "phone")] == [frames] * 3
    assert len(cut["wave"]) == frames * SPEC.hop and abs(cut["wave"][-1]) < 1e-4  # faded out
    np.testing.assert_array_equal(cut["mel"], whole["mel"][:frames])


def test_short_recordings_with_a_text_are_examples_first(panel):
    class Untold(Source):
        def utterance(self, i):
            return super().utterance(i) | ({} if i % 8 == 5 and i > 8 else {"text": ""})

    people = adainvc.Speakers(Untold("test"), panel, np.random.default_rng(0))
    for name in ("emil", "faye"):
        assert people.example(name)["text"] == TEXTS[5]
    assert people.by_gender(np.random.default_rng(1))[0] == ["faye", "elsa"]  # of elsa, no text


def test_pairs_are_of_two_speakers_and_each_as_often_as_the_others():
    found = adainvc.pairs("abc", "abc", 12, np.random.default_rng(0))
    assert sorted(found) == sorted(2 * [(a, b) for a in "abc" for b in "abc" if a != b])
    with pytest.raises(KvoiceError, match="two speakers"):
        adainvc.pairs("a", "a", 4, np.random.default_rng(0))


class Parallel(Source):
    """Two speakers say 30 texts each, of which some are the same but for case and signs."""

    def __init__(self, shared=(12, 17), emotions=(0, 0)):
        self.speakers, self.shared, self.emotions = ["elsa", "emil"], shared, emotions
        self.items = [(name, number) for name in self.speakers for number in range(30)]

    def utterance(self, i):
        name, number = self.items[i]
        text = f"{name} alone says {number}."
        if number in self.shared:
            text = f"Both say: {number}!" if name == "elsa" else f"both say {number}"
        emotion = self.emotions[self.speakers.index(name)]
        return utterance(name, TEXTS[0]) | {"text": text, "emotion": emotion}


def test_what_two_speakers_say_in_the_same_words_is_converted_first(panel):
    people = adainvc.Speakers(Parallel(), panel, np.random.default_rng(0))
    first, second = (people.source.items[row][1] for row in people.rows["elsa"][:2])
    assert {first, second} == {12, 17} and len(people.rows["elsa"]) == adainvc.POOL
    for seed in range(4):
        rng = np.random.default_rng(seed)
        source = people.drawn("elsa", rng, people.said("emil"))
        assert source["text"].startswith("Both say")
        own = people.parallel("emil", source)
        assert own["text"].casefold() in source["text"].replace(":", "").casefold()
        same = next(row for row in people.rows["emil"] if people.source.items[row][1] in (12, 17))
        other = next(row for row in people.rows["emil"] if row != same)
        said = people.source.utterance(same)["text"].upper()
        people.rows["emil"] = [same, other]
        assert people.drawn("emil", rng, other_than=said)["row"] == other


def test_words_in_another_emotion_or_without_a_text_are_not_the_same(panel):
    people = adainvc.Speakers(Parallel(emotions=(0, 1)), panel, np.random.default_rng(0))
    assert not people.said("elsa") & people.said("emil")
    source = people.drawn("elsa", np.random.default_rng(0), people.said("emil"))
    assert people.parallel("emil", source) is None
    assert people.parallel("emil", source | {"text": "..."}) is None
