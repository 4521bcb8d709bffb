"""The judges from elsewhere compare what they should, and leave out what they cannot judge."""

import numpy as np
import pytest

from kvoice import audio, exchange, frameworks, recognisers
from kvoice.errors import KvoiceError
from kvoice.evaluation import Options, independent, speakerencoder, tables
from kvoice.evaluation.independent import NOISE, RECORDING, VOCODED, IndependentJudges, added

SPEC = audio.SPECS["waveglow"]


def utterance(text="one two three four", seconds=0.5, loudness=0.1):
    samples = round(seconds * SPEC.sample_rate_hz) // SPEC.hop * SPEC.hop
    wave = np.full(samples, loudness, np.float32)
    wave[::2] *= -1
    return {"wave": wave, "mel": audio.mel(wave, SPEC)[:-1], "text": text}


class Source:
    spec = SPEC

    def __init__(self, data="librispeech:DIR"):
        self.data = data


@pytest.fixture(autouse=True)
def fakes(monkeypatch):
    """All are installed, and hear as many numerals as a sound is loud."""
    said = ["one", "two", "three", "four"]

    def heard(wave, rate_hz):
        assert rate_hz == SPEC.sample_rate_hz
        return said[: round(40 * float(np.abs(wave).max()))]

    monkeypatch.setattr(frameworks, "installed", lambda name: True)
    monkeypatch.setattr(recognisers, "require", lambda package: None)
    monkeypatch.setattr(recognisers, "phones", heard)
    monkeypatch.setattr(recognisers, "words", heard)
    monkeypatch.setattr(recognisers, "phones_of_text", recognisers.words_of_text)
    monkeypatch.setattr(
        recognisers,
        "quality",
        lambda wave, _: dict.fromkeys(recognisers.QUALITIES.values(), 3),
    )
    monkeypatch.setattr(independent, "resemblyzer", lambda: None)
    monkeypatch.setattr(independent.render, "sound", lambda mel, spec: np.full(999, 0.075))


def quieter(wave):
    return 0.5 * wave


def test_words_and_phones_are_compared_with_the_text_of_an_english_corpus():
    said = [utterance(), utterance()]
    found = IndependentJudges(Source()).scores(said, {"made": [quieter(e["wave"]) for e in said]})
    rows = found["rows"]
    assert list(rows) == [RECORDING, VOCODED, "made", NOISE] and found["against"] == "text"
    for what in ("phones", "words"):
        rates = [rows[name][what]["rate"] for name in (RECORDING, VOCODED, "made")]
        assert rates == [0, 0.25, 0.5]
    (table,) = independent.table(found)
    assert table["columns"][1:3] == ["phone error rate (95 %)", "word error rate (95 %)"]
    assert [row[1] for row in table["rows"]][:3] == ["0% (0%-0%)", "25% (25%-25%)", "50% (50%-50%)"]
    assert "against those of the text" in table["note"] and "2 utterances (1 s)" in table["title"]


def test_without_texts_phones_are_compared_with_the_recording_and_words_are_not_judged():
    said = [utterance(text="", loudness=0.05)]  # the recording itself is heard as "one two"
    found = IndependentJudges(Source()).scores(said, {"made": [quieter(said[0]["wave"])]})
    rows = found["rows"]
    assert rows[RECORDING]["phones"]["rate"] == 0 and rows["made"]["phones"]["rate"] == 0.5
    assert rows["made"]["words"] is None and found["against"] == "recording"
    (table,) = independent.table(found)
    assert not [title for title in table["columns"] if "word" in title or "uncalib" in title]
    assert table["columns"][1] == "phone error rate against the recording (95 %)"
    assert found["missing"][-1] == "words are not judged: no English text is known of them"
    assert "those that it hears in the recording" in table["note"]


@pytest.mark.parametrize("data", ["folder:DIR", "librispeech:DIR+folder:DIR"])
def test_what_may_not_be_english_is_uncalibrated_and_never_compared_with_its_text(data):
    said = [utterance()]
    found = IndependentJudges(Source(data)).scores(said, {"made": [quieter(said[0]["wave"])]})
    assert found["against"] == "recording" and found["rows"]["made"]["words"] is None
    (table,) = independent.table(found)
    assert table["columns"][1] == "phone error rate against the recording, uncalibrated (95 %)"
    assert "knows English only" in table["note"]


def test_what_was_trained_on_the_phones_of_hama_is_judged_by_its_words():
    said = [utterance()]
    judges = IndependentJudges(Source(), trained_on_phones=True)
    found = judges.scores(said, {"made": [quieter(said[0]["wave"])]})
    made = found["rows"]["made"]
    assert made["phones"] is None and made["words"]["rate"] == 0.5
    assert not [line for line in found["missing"] if "hama" in line]
    assert "trained on the phones of hama" in independent.table(found)[0]["note"]
    silent = judges.scores([utterance(text="")], {})
    assert "has no English texts; prepare one of English speech with texts" in silent["missing"][-1]


def test_what_was_not_made_of_the_recordings_has_a_quality_only():
    said = [utterance(text="")]
    found = IndependentJudges(Source()).scores(
        said, {"generated": [np.zeros(99)]}, of_recordings=False
    )
    assert found["rows"]["generated"]["phones"] is None
    assert found["rows"]["generated"]["quality"]["overall"] == 3
    assert found["rows"][VOCODED]["phones"]["rate"] > 0
    row = independent.table(found)[0]["rows"][2]
    assert row[:2] == ["generated", "–"] and row[2] == "3.00"


def test_noise_is_as_loud_as_the_recording(monkeypatch):
    levels = []
    monkeypatch.setattr(
        recognisers,
        "quality",
        lambda wave, _: (
            levels.append(np.std(wave)) or dict.fromkeys(recognisers.QUALITIES.values(), 1)
        ),
    )
    said = [utterance(loudness=0.05), utterance(loudness=0.2)]
    IndependentJudges(Source()).scores(said, {})
    np.testing.assert_allclose(levels[-2:], [0.05, 0.2], rtol=0.05)  # of 11,025 random samples


# --- One by one


def test_sounds_are_judged_one_by_one_and_the_row_of_a_table_is_their_mean(ears):
    said = [utterance(), utterance(text="one two")]
    waves, judges = [quieter(said[0]["wave"]), said[1]["wave"]], IndependentJudges(Source())
    found = judges.judgements(waves, judges.expected(said))
    assert [each["phones"] for each in found] == [{"errors": 2, "count": n} for n in (4, 2)]
    assert found[0]["words"] == found[0]["phones"] and found[0]["quality"]["p808"] == 3
    voices = judges.voices(waves, judges.embeddings([each["wave"] for each in said]))
    assert voices == [{"cosine": 0, "accepted": False}, {"cosine": 1, "accepted": True}]
    mean = judges.mean([each | {"voice": voice} for each, voice in zip(found, voices)])
    assert mean == judges.scores(said, {"made": waves})["rows"]["made"]
    assert mean["phones"]["rate"] == 4 / 6 and mean["voice"] == {"cosine": 0.5, "accepted": 0.5}


def test_of_recordings_some_of_which_have_a_text_only_the_words_are_compared_with_it():
    said = [utterance(text="one two"), utterance(text="", loudness=0.05)]
    judges = IndependentJudges(Source())
    assert judges.against(said) == "recording" and judges.against(said[:1]) == "text"
    assert judges.expected(said) == [
        {"phones": ["one", "two", "three", "four"], "words": ["one", "two"]},
        {"phones": ["one", "two"], "words": None},
    ]
    rows = judges.scores(said, {})["rows"]
    assert rows[RECORDING]["phones"]["rate"] == 0 and rows[RECORDING]["words"]["rate"] == 1


def test_where_nothing_is_expected_only_the_quality_is_judged():
    (found,) = IndependentJudges(Source()).judgements([utterance()["wave"]])
    assert found["phones"] is None is found["words"] and found["quality"]["overall"] == 3


# --- Which recordings


def test_recordings_with_texts_are_judged_first():
    said = [utterance(text=text) for text in ("", "one", "Room 5", "two", "")]
    assert IndependentJudges(Source()).chosen(said) == [1, 3]
    assert IndependentJudges(Source("folder:DIR")).chosen(said) == [0, 1, 2, 3, 4]
    assert IndependentJudges(Source()).chosen([said[0], said[2]]) == [0, 1]


def test_no_more_are_judged_than_there_is_time_for(monkeypatch):
    said, judges = [utterance(seconds=0.5) for _ in range(40)], IndependentJudges(Source())
    chosen = judges.chosen(said)
    assert len(chosen) == independent.UTTERANCES and chosen[0] == 0 and chosen[-1] == 39
    monkeypatch.setattr(independent, "SECONDS", 3.0)
    chosen = judges.chosen(said)
    assert len(chosen) == 6 and chosen[-1] == 39
    monkeypatch.setattr(independent, "SECONDS", 0.1)
    assert judges.chosen(said) == [0]


def test_as_many_are_judged_as_are_asked_for_and_words_of_a_few(monkeypatch):
    said = [utterance(seconds=0.5, text="one") for _ in range(40)]
    judges = IndependentJudges(Source(), most=30)
    monkeypatch.setattr(independent, "SECONDS", 3.0)
    chosen = judges.chosen(said)
    assert len(chosen) == 30 and (chosen[0], chosen[-1]) == (0, 39)
    assert len(judges.chosen(said[:7])) == 7
    expected = judges.expected([said[k] for k in chosen])
    assert sum(each["words"] is not None for each in expected) == 6
    assert all(each["phones"] is not None for each in expected)


# --- What is not installed


def test_a_line_says_how_to_get_what_is_missing_and_the_others_judge(monkeypatch, tmp_path):
    monkeypatch.setattr(frameworks, "installed", lambda name: name != "pocketsphinx")
    scores = {"tables": [], "metrics": {}}
    judged = added(scores, IndependentJudges(Source()).scores([utterance()], {}))
    (table,) = judged["tables"]
    assert table["columns"][1:3] == ["phone error rate (95 %)", "DNSMOS P.808"]
    first, second = judged["notes"]
    assert first.startswith("independent judges: pocketsphinx is not installed; install it with")
    assert "kvoice[judges]" in first and "pip install --no-deps resemblyzer" in second
    shown = tables.written(tmp_path, judged, Options())
    assert f"{first}\n{second}\n\n{tmp_path / 'evaluation.json'} holds" in shown


def test_where_none_is_installed_there_is_no_table(monkeypatch):
    monkeypatch.setattr(frameworks, "installed", lambda name: False)
    judged = added({"tables": ["other"]}, IndependentJudges(Source()).scores([utterance()], {}))
    assert judged["tables"] == ["other"]
    assert "hama, pocketsphinx, speechmos are not installed" in judged["notes"][0]


# --- Voices


class Loudness:
    """A speaker encoder that tells apart loud and quiet."""

    spec = SPEC


@pytest.fixture
def ears(monkeypatch):
    def of_waves(voice, waves):
        loud = np.array([[float(np.abs(wave).max()) > 0.08] for wave in waves], float)
        return np.concatenate([loud, 1 - loud], axis=1)

    def embedded(voice, source, per_speaker):
        points = np.repeat(np.eye(2), 2, axis=0)
        return points, np.array([0, 0, 1, 1]), np.zeros(4)

    monkeypatch.setattr(independent, "resemblyzer", Loudness)
    monkeypatch.setattr(independent.encode, "of_waves", of_waves)
    monkeypatch.setattr(speakerencoder, "embedded", embedded)


def test_voices_are_compared_with_those_that_are_wanted(ears):
    said = [utterance(), utterance()]
    quiet = [quieter(each["wave"]) for each in said]
    judges = IndependentJudges(Source())
    of_recordings = judges.scores(said, {"made": quiet})["rows"]
    assert of_recordings[RECORDING]["voice"] == {"cosine": 1, "accepted": 1}
    assert of_recordings["made"]["voice"] == {"cosine": 0, "accepted": 0}
    three = [*said, utterance()]
    made = [quiet[0], quiet[0], three[0]["wave"]]
    found = judges.scores(three, {"made": made}, voices=[quiet[0]] * 3)
    assert found["rows"]["made"]["voice"] == pytest.approx({"cosine": 2 / 3, "accepted": 2 / 3})
    (table,) = independent.table(found)
    assert (
        table["columns"][-2:] == ["voice", "same voice (≥ 0.50)"] and "Resemblyzer" in table["note"]
    )
    assert "recordings of 2 speakers is 0.0%" in table["note"]


def test_with_too_few_speakers_there_is_no_threshold(ears, monkeypatch):
    def one(voice, source, per_speaker):
        return np.eye(2)[:1], np.array([0]), np.zeros(1)

    monkeypatch.setattr(speakerencoder, "embedded", one)
    found = IndependentJudges(Source()).scores([utterance()], {})
    assert found["verification"] is None and found["rows"][RECORDING]["voice"]["accepted"] is None
    assert independent.table(found)[0]["columns"][-1] == "voice"


@pytest.mark.backend
def test_the_encoder_has_the_weights_of_the_installed_package(monkeypatch):
    monkeypatch.undo()
    if exchange.installed("speakerencoder") is None:
        monkeypatch.setattr(exchange, "installed", lambda name: None)
        assert independent.resemblyzer() is None
        pytest.skip("resemblyzer is not installed")
    voice = independent.resemblyzer()
    assert voice.spec == audio.SPECS["resemblyzer"]
    noises = np.random.default_rng(0).normal(0, 0.1, (2, 32000)).astype(np.float32)
    points = independent.encode.of_waves(voice, list(noises))
    np.testing.assert_allclose(np.linalg.norm(points, axis=1), 1, atol=1e-5)


def test_a_text_with_digits_is_refused_where_it_is_needed():
    with pytest.raises(KvoiceError, match="Room 5.*write it in letters"):
        recognisers.words_of_text("Room 5")


def test_a_judge_that_cannot_be_imported_costs_a_line_and_its_columns(monkeypatch):
    def require(package):
        if package == recognisers.SPEECHMOS:
            raise KvoiceError("speechmos is installed and cannot be imported (no libonnx)")

    monkeypatch.setattr(recognisers, "require", require)
    found = IndependentJudges(Source()).scores([utterance()], {})
    assert "speechmos does not judge: speechmos is installed and cannot" in found["missing"][0]
    assert found["rows"][RECORDING]["quality"] is None and found["rows"][RECORDING]["phones"]
