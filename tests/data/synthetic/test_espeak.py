import shutil

import numpy as np
import pytest

from kvoice.data.synthetic import demo, espeak
from kvoice.errors import KvoiceError

needs_program = pytest.mark.skipif(
    shutil.which("espeak-ng") is None,
    reason="espeak-ng is not installed (apt-get install espeak-ng)",
)
TEXT = list(espeak.SENTENCES)[2]


def test_without_the_program_the_error_says_what_to_do(monkeypatch):
    monkeypatch.setenv("PATH", "")
    assert not espeak.available()
    utterance = espeak.Utterance("f1-us", "sad", TEXT)
    for attempt in (espeak.utterances, lambda: espeak.render(utterance)):
        with pytest.raises(KvoiceError, match="apt-get install espeak-ng, or use --data=demo"):
            attempt()


@needs_program
def test_more_speakers_than_there_are_is_refused():
    with pytest.raises(KvoiceError, match="espeak has 60 speakers"):
        espeak.utterances(speakers=61)


@needs_program
def test_it_reads_the_texts_of_demo_in_the_same_emotions():
    some = espeak.utterances()
    assert {u.sentence for u in some} == set(demo.SENTENCES)
    assert {u.emotion for u in some} == set(demo.EMOTIONS)
    items = [espeak.item(u) for u in some]
    assert len({item.name for item in items}) == len(items)
    assert {item.speaker: item.gender for item in items}["espeak/f2-us"] == "female"


@needs_program
def test_a_rendering_is_speech_without_ground_truth_at_the_rate_asked_for():
    usual = espeak.render(espeak.Utterance("f2-us", "neutral", TEXT))
    slow = espeak.render(espeak.Utterance("f2-us", "neutral", TEXT), sample_rate_hz=16000)
    assert (usual.sample_rate_hz, slow.sample_rate_hz) == (22050, 16000)
    assert usual.f0 is None and usual.phone is None and usual.rate == 0
    assert len(usual.wave) / 22050 == pytest.approx(len(slow.wave) / 16000, abs=1e-3)
    assert 1.5 < len(usual.wave) / 22050 < 4 and np.std(usual.wave) > 0.02


@needs_program
def test_emotions_change_loudness_and_rate_and_never_clip():
    sounds = {
        emotion: espeak.render(espeak.Utterance("m1-us", emotion, TEXT)).wave
        for emotion in espeak.EMOTIONS
    }
    level = {emotion: np.std(wave) for emotion, wave in sounds.items()}
    assert level["sad"] < level["neutral"] < level["angry"]
    assert len(sounds["happy"]) < len(sounds["neutral"]) < len(sounds["sad"])
    assert max(np.abs(wave).max() for wave in sounds.values()) < 0.99


@needs_program
def test_accents_and_variants_are_different_voices():
    spoken = {
        espeak.render(espeak.Utterance(speaker, "neutral", TEXT)).wave.tobytes()
        for speaker in espeak.SPEAKERS
    }
    assert len(spoken) == len(espeak.SPEAKERS)


@needs_program
def test_takes_differ_and_repeat():
    def take(number):
        return espeak.render(espeak.Utterance("f1-us", "happy", TEXT, number)).wave.tobytes()

    assert take(0) != take(1) and take(1) == take(1)
