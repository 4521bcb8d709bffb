"""What the recognisers hear is spelt, timed and counted as it should be.

The packages are imitated where only kvoice's part is tested; tests with the real ones skip where
they are not installed.
"""

import sys
import types

import numpy as np
import pytest

from kvoice import frameworks, recognisers
from kvoice.data.synthetic import demo
from kvoice.errors import KvoiceError

RATE_HZ = 16_000
MODELS = ("_hama", "_hama_text", "_pocketsphinx", "_dnsmos")


@pytest.fixture(autouse=True)
def no_model_stays():
    """The models are loaded again after a test: some are imitations."""
    loaded = [getattr(recognisers, name) for name in MODELS]
    yield
    for model in (*loaded, recognisers._pronounced):
        model.cache_clear()


def needs(package):
    missing = not recognisers.installed(package)
    return pytest.mark.skipif(missing, reason=f"{package} is not installed")


def noise(seconds, level=0.1):
    wave = np.random.default_rng(0).normal(0, level, round(seconds * RATE_HZ))
    return wave.astype(np.float32)


class Hama:
    """Hears the given phones at the given times, in s."""

    def __init__(self, *spans):
        self.spans = spans
        self.sounds = []

    def transcribe_waveform(self, sound, rate):
        assert rate == RATE_HZ
        self.sounds.append(sound)
        return self

    def phoneme_spans(self, result):
        return [types.SimpleNamespace(phoneme=ipa, start_ms=1000 * at) for ipa, at in self.spans]


def hearing(monkeypatch, *spans):
    fake = Hama(*spans)
    fake.module = types.SimpleNamespace(ASRModel=lambda: fake)
    monkeypatch.setitem(sys.modules, "hama", fake.module)
    monkeypatch.setattr(frameworks, "installed", lambda name: True)
    return fake


# --- Spelling


def test_phones_are_those_of_the_built_in_corpus():
    assert recognisers.PHONES == tuple(demo.PHONES)
    assert set(recognisers._IPA.values()) == set(recognisers.PHONES) - {recognisers.SILENCE}


@pytest.mark.parametrize(
    "ipa, names",
    [
        ("t͡ʃ", ["CH"]),
        ("tʃ", ["CH"]),
        ("d͡ʒʌd͡ʒ", ["JH", "AH", "JH"]),
        ("aɪ", ["AY"]),
        ("t̪", ["T"]),
        ("ĩn", ["IY", "N"]),
        ("ç", ["HH"]),
        ("̪", []),
        ("⁵", []),
        (" ", []),
    ],
)
def test_every_spelling_of_a_phone_has_one_name(ipa, names):
    assert recognisers._names(ipa) == names


def test_phones_of_two_tokens_are_not_joined(monkeypatch):
    hearing(monkeypatch, ("t", 0.1), ("ʃ", 0.2), ("i", 0.3), ("̪", 0.4))
    assert recognisers.phones(noise(0.5), RATE_HZ) == ["T", "SH", "IY"]


def test_the_possessive_follows_the_last_sound_of_its_word(monkeypatch):
    known = {"cat": "kæt", "king": "kɪŋ", "church": "t͡ʃɝt͡ʃ"}
    text = types.SimpleNamespace(
        predict=lambda word: types.SimpleNamespace(ipa=known[word], alignments=[])
    )
    monkeypatch.setattr(recognisers, "_hama_text", lambda: text)
    try:
        assert recognisers.phones_of_text("Cat's, KING’S") == "K AE T S K IH NG Z".split()
        assert recognisers.phones_of_text("church's") == "CH ER CH IH Z".split()
    finally:
        monkeypatch.undo()


def test_words_have_no_case_and_no_punctuation():
    words = recognisers.words_of_text("“Don’t go,” said O'Neil; 'stay' -- NOW!")
    assert words == ["don't", "go", "said", "o'neil", "stay", "now"]


@pytest.mark.parametrize("text", ["", "  ", "...", "'", "Room 101"])
def test_a_text_without_comparable_words_is_refused(text):
    with pytest.raises(KvoiceError, match="no words that can be compared; write it in letters"):
        recognisers.words_of_text(text)


# --- Times


def test_a_frame_has_the_phone_whose_middle_is_nearest(monkeypatch):
    delay = recognisers.DELAY_S
    hearing(monkeypatch, ("i", 0.1 + delay), ("s", 0.3 + delay))
    labels = recognisers.frame_phones(noise(0.5), RATE_HZ, hop=160)
    assert len(labels) == 51 and labels.dtype == np.int32
    names = [recognisers.PHONES[each] for each in labels]
    assert names == ["IY"] * 20 + ["S"] * 31 or names == ["IY"] * 21 + ["S"] * 30


@pytest.mark.parametrize("rate_hz, hop", [(16_000, 200), (22_050, 256), (48_000, 1024)])
def test_there_are_as_many_labels_as_frames_at_any_rate(monkeypatch, rate_hz, hop):
    fake = hearing(monkeypatch, ("i", 0.1), ("s", 0.3))
    wave = np.random.default_rng(0).normal(0, 0.1, rate_hz // 2 + 17).astype(np.float32)
    labels = recognisers.frame_phones(wave, rate_hz, hop)
    assert len(labels) == 1 + len(wave) // hop
    assert len(fake.sounds[0]) == pytest.approx(len(wave) * RATE_HZ / rate_hz, abs=1)
    change = np.flatnonzero(np.diff(labels))[0] * hop / rate_hz
    assert change == pytest.approx(0.2 - recognisers.DELAY_S, abs=hop / rate_hz)


def test_silence_is_quiet_at_the_ends_or_long(monkeypatch):
    hearing(monkeypatch, ("i", 0.1), ("s", 0.9))
    wave = noise(1.0)
    wave[:1600] = wave[-800:] = 0  # the ends
    wave[4000:8000] = 0  # a pause
    wave[9600:10400] = 0  # a closure
    labels = recognisers.frame_phones(wave, RATE_HZ, hop=160)
    silent = labels == recognisers.PHONES.index("sil")
    assert silent[:9].all() and silent[97:].all() and silent[27:49].all()
    assert not silent[12:24].any() and not silent[52:94].any()


def test_a_wave_in_which_no_phone_is_heard_is_silent(monkeypatch):
    hearing(monkeypatch)
    assert not recognisers.frame_phones(noise(0.2), RATE_HZ, hop=160).any()
    assert recognisers.phones(noise(0.2), RATE_HZ) == []


def test_the_model_is_loaded_once(monkeypatch):
    fake, loaded = hearing(monkeypatch), []
    fake.module.ASRModel = lambda: loaded.append(1) or fake
    for _ in range(3):
        recognisers.phones(noise(0.2), RATE_HZ)
    assert loaded == [1]


def test_the_words_do_not_depend_on_the_sounds_before(monkeypatch):
    calls = []

    class Decoder:
        def __getattr__(self, name):
            return lambda *args, **options: calls.append((name, *args, options))

        def hyp(self):
            return types.SimpleNamespace(hypstr="one two")

    monkeypatch.setattr(recognisers, "_pocketsphinx", Decoder)
    try:
        assert recognisers.words(np.array([0, 2.0, -2.0] * 100), RATE_HZ) == ["one", "two"]
    finally:
        monkeypatch.undo()
    assert [name for name, *_ in calls] == ["reinit_feat", "start_utt", "process_raw", "end_utt"]
    samples = np.frombuffer(calls[2][1], "<i2")
    assert (samples[:3] == [0, 32767, -32767]).all() and calls[2][2] == {"full_utt": True}


# --- What cannot be judged


@pytest.mark.parametrize("wave", [np.zeros(0), np.full(100, np.nan), np.zeros((2, 100))])
def test_an_empty_or_broken_wave_is_refused(wave):
    # DNSMOS would repeat an empty one for ever.
    for judge in (recognisers.phones, recognisers.words, recognisers.quality):
        with pytest.raises(KvoiceError, match="a wave of finite samples"):
            judge(wave, RATE_HZ)


@pytest.mark.parametrize(
    "judge, package",
    [
        (recognisers.phones, "hama"),
        (recognisers.words, "pocketsphinx"),
        (recognisers.quality, "speechmos"),
    ],
)
def test_a_package_that_is_missing_is_named_with_its_extra(monkeypatch, judge, package):
    monkeypatch.setattr(frameworks, "installed", lambda name: False)
    assert not recognisers.installed(package)
    with pytest.raises(KvoiceError, match=rf"{package} is not .* pip install 'kvoice\[judges\]'"):
        judge(noise(0.2), RATE_HZ)
    with pytest.raises(KvoiceError, match=f"{package} is not installed"):
        recognisers.version(package)


def test_a_package_that_cannot_be_imported_is_told_in_one_line(monkeypatch):
    def broken(name):
        raise ImportError("libonnx.so: cannot open\nmore")

    monkeypatch.setattr(frameworks, "installed", lambda name: True)
    monkeypatch.setattr(recognisers.importlib, "import_module", broken)
    with pytest.raises(KvoiceError) as error:
        recognisers.require("hama")
    line = "hama is installed and cannot be imported (libonnx.so: cannot open)"
    assert str(error.value) == line


def test_dnsmos_needs_the_package_that_runs_it(monkeypatch):
    monkeypatch.setattr(frameworks, "installed", lambda name: name != "onnxruntime")
    assert not recognisers.installed("speechmos") and recognisers.installed("hama")


# --- The packages themselves


@pytest.fixture(scope="module")
def spoken():
    text = "Her voice was louder than the noise of the crowd."
    utterance = demo.Utterance("ivan", "sad", text)
    return text, demo.render(utterance, RATE_HZ, 160)


@needs("hama")
def test_hama_hears_most_phones_of_a_sentence_and_none_in_noise(spoken):
    text, sound = spoken
    truth, heard = recognisers.phones_of_text(text), recognisers.phones(sound.wave, RATE_HZ)
    assert truth[:8] == "HH ER V OY S W AA Z".split()
    assert len(set(truth) & set(heard)) > 0.7 * len(set(truth))
    assert len(recognisers.phones(noise(1.0), RATE_HZ)) < 5


@needs("hama")
def test_hama_labels_more_than_half_of_the_frames_right(spoken):
    _, sound = spoken
    labels = recognisers.frame_phones(sound.wave, RATE_HZ, 160)
    assert np.mean(labels == sound.phone) > 0.5  # 0.64 on average; of shuffled labels 0.06


@needs("pocketsphinx")
def test_pocketsphinx_hears_words(spoken):
    text, sound = spoken
    heard = recognisers.words(sound.wave, RATE_HZ)
    assert len(set(heard) & set(recognisers.words_of_text(text))) >= 4


@needs("speechmos")
def test_dnsmos_prefers_speech_to_noise(spoken):
    _, sound = spoken
    speech = recognisers.quality(sound.wave, RATE_HZ)
    assert speech["overall"] > 1 + recognisers.quality(noise(1.0), RATE_HZ)["overall"]
    assert set(speech) == set(recognisers.QUALITIES.values())
