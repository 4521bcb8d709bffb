"""Phones, words and quality of speech as heard by recognisers that were trained elsewhere.

    phones(wave, 22050), phones_of_text("How are you?")        # hama
    words(wave, 22050), words_of_text("How are you?")          # pocketsphinx
    quality(wave, 22050)                                       # DNSMOS, of speechmos
    labels = frame_phones(wave, 22050, hop=256)                # hama, a phone for each frame

They are optional, in the extra `[judges]`, and bring their weights with them. Nothing here is
needed to train or to convert; each package is imported when it is first used, and its model is
loaded once in each process. All of them know English only. Their errors are their own: a figure
means something beside those of the recordings, and of noise.

Sources:
    hama 1.7 (Apache-2.0): phones of speech by connectionist temporal classification, and phones of
        English text.
    pocketsphinx 5 (BSD): Huggins-Daines et al. 2006, doi:10.1109/ICASSP.2006.1659988.
    speechmos 0.0.1 (MIT): DNSMOS P.835, Reddy, Gopal & Cutler 2022, arXiv:2110.01763.
"""

import functools
import importlib
import importlib.metadata
import re
import unicodedata

import numpy as np

from kvoice import audio, frameworks
from kvoice.errors import KvoiceError

RATE_HZ = 16_000  # of the sound that all three are given
HAMA, POCKETSPHINX, SPEECHMOS = "hama", "pocketsphinx", "speechmos"
PACKAGES = {HAMA: (HAMA,), POCKETSPHINX: (POCKETSPHINX,), SPEECHMOS: (SPEECHMOS, "onnxruntime")}
QUALITIES = {
    "p808_mos": "p808",
    "ovrl_mos": "overall",
    "sig_mos": "signal",
    "bak_mos": "background",
}

SILENCE = "sil"
# The names of ARPAbet, with AX for schwa; those of the built-in corpus `demo`, in its order.
PHONES = (
    *(SILENCE, "IY", "IH", "EH", "AE", "AA", "AO", "UH", "UW", "AH", "AX", "ER"),
    *("EY", "OW", "AY", "AW", "OY", "W", "Y", "R", "L", "M", "N", "NG", "F", "TH", "S", "SH"),
    *("HH", "V", "DH", "Z", "ZH", "P", "T", "K", "B", "D", "G", "CH", "JH"),
)
# IPA without ties and diacritics, and what is nearest to it in English.
_IPA = {
    **{"i": "IY", "ɪ": "IH", "ɨ": "IH", "e": "EY", "eɪ": "EY", "ɛ": "EH", "æ": "AE", "a": "AA"},
    **{"ɑ": "AA", "ɒ": "AA", "ɔ": "AO", "o": "OW", "oʊ": "OW", "ʊ": "UH", "u": "UW", "y": "UW"},
    **{"ʌ": "AH", "ə": "AX", "ɐ": "AX", "ɝ": "ER", "ɚ": "ER", "ɜ": "ER", "ø": "ER", "œ": "ER"},
    **{"aɪ": "AY", "aʊ": "AW", "ɔɪ": "OY", "w": "W", "j": "Y", "ɹ": "R", "r": "R", "ʁ": "R"},
    **{"l": "L", "ɫ": "L", "m": "M", "n": "N", "ŋ": "NG", "f": "F", "θ": "TH", "s": "S"},
    **{"ʃ": "SH", "h": "HH", "ɦ": "HH", "x": "HH", "ç": "HH", "v": "V", "ʋ": "V", "β": "V"},
    **{"ð": "DH", "z": "Z", "ʒ": "ZH", "p": "P", "t": "T", "ɾ": "T", "ʔ": "T", "k": "K"},
    **{"b": "B", "d": "D", "g": "G", "ɡ": "G", "ɣ": "G", "tʃ": "CH", "dʒ": "JH"},
}
_IN_ORDER = re.compile("|".join(sorted(_IPA, key=len, reverse=True)))
_TIE = "\u0361"
_SIBILANTS, _VOICELESS = ("S", "Z", "SH", "ZH", "CH", "JH"), ("P", "T", "K", "F", "TH")

# Chosen on 72 utterances of `demo`, whose phones are known.
DELAY_S = 0.035  # from the middle of a phone to where hama emits it
QUIET_DB = 35.0  # below the loudest frame: silence, where it lasts
PAUSE_S = 0.1  # shortest pause between two phones; shorter ones are closures of stops


# --- What is installed


def installed(package: str) -> bool:
    """Returns whether one of `PACKAGES` can be used, without importing it."""
    return all(map(frameworks.installed, PACKAGES[package]))


def require(package: str) -> None:
    """Raises where one of `PACKAGES` is missing, or is there and cannot be imported.

    Raises:
        KvoiceError: With the way to install it, or the reason.
    """
    for name in PACKAGES[package]:
        if not frameworks.installed(name):
            raise KvoiceError(f"{name} is not installed; {frameworks.way_to('judges')}")
        try:
            importlib.import_module(name)
        except Exception as error:  # a broken package fails in any way
            line = next(iter(str(error).splitlines()), "") or type(error).__name__
            raise KvoiceError(f"{name} is installed and cannot be imported ({line})") from None


def version(package: str) -> str:
    """Returns the name and the version of one of `PACKAGES`, such as "hama 1.7.0"."""
    require(package)
    return f"{package} {importlib.metadata.version(package)}"


# --- Phones


def phones(wave: np.ndarray, sample_rate_hz: int) -> list[str]:
    """Returns the phones that are heard in a wave [samples]: names of `PHONES`, no silence.

    Raises:
        KvoiceError: If hama is not installed, or the wave is empty or not finite.
    """
    return [phone for _, phone in _heard(_sound(wave, sample_rate_hz))]


def phones_of_text(text: str) -> list[str]:
    """Returns the phones of an English text, as hama pronounces each word by itself.

    Its dictionary is the one that it hears by: the pronunciations of another one differ from what
    it hears in one phone of eight even where it recognises every word.

    Raises:
        KvoiceError: If hama is not installed, or the text is none of words (see `words_of_text`).
    """
    return [phone for word in words_of_text(text) for phone in _pronounced(word)]


def frame_phones(wave: np.ndarray, sample_rate_hz: int, hop: int) -> np.ndarray:
    """Labels each frame of a wave with the phone that is heard in it.

    The recogniser emits each phone once, some time after its middle (`DELAY_S`); a frame belongs to
    the phone whose middle is nearest. Silent are frames `QUIET_DB` below the loudest one, at the
    ends or for `PAUSE_S`, and every frame where no phone is heard.

    Shapes: wave [samples] -> int32 [1 + samples // hop], indices in `PHONES`; frame i is centred on
    sample i * hop.

    Raises:
        KvoiceError: If hama is not installed, or the wave is empty or not finite.
    """
    sound = _sound(wave, sample_rate_hz)
    times = np.arange(1 + len(wave) // hop) * hop / sample_rate_hz
    heard = _heard(sound)
    labels = np.zeros(len(times), np.int32)
    if heard:
        middles = np.array([time for time, _ in heard])
        nearest = np.searchsorted((middles[1:] + middles[:-1]) / 2, times)
        labels = np.array([PHONES.index(phone) for _, phone in heard], np.int32)[nearest]
    labels[_quiet(sound, times)] = PHONES.index(SILENCE)
    return labels


def _heard(sound):
    """Returns the phones in a sound at `RATE_HZ`, each with the time of its middle in s."""
    model = _hama()
    spans = model.phoneme_spans(model.transcribe_waveform(sound, RATE_HZ))
    return [
        (span.start_ms / 1000 - DELAY_S, name) for span in spans for name in _names(span.phoneme)
    ]


@functools.lru_cache(maxsize=10_000)
def _pronounced(word):
    """Returns the phones of a word; hama does not know the words with 's."""
    stem = word.removesuffix("'s")
    found = _names(_hama_text().predict(stem).ipa)
    if stem == word or not found:
        return found
    ending = ["IH", "Z"] if found[-1] in _SIBILANTS else ["S" if found[-1] in _VOICELESS else "Z"]
    return [*found, *ending]


def _names(ipa):
    """Returns the names in `PHONES` of IPA; none of a diacritic or a tone by itself."""
    composed = unicodedata.normalize("NFC", ipa.replace(_TIE, ""))
    plain = "".join(
        each if each in _IPA else unicodedata.normalize("NFD", each) for each in composed
    )
    plain = "".join(each for each in plain if not unicodedata.combining(each))
    return [_IPA[each] for each in _IN_ORDER.findall(plain)]


def _quiet(sound, times):
    """Returns which frames are silent: sound at `RATE_HZ`, times [frames] in s -> [frames] bool."""
    size = round(0.025 * RATE_HZ)
    padded = np.pad(np.square(sound, dtype=np.float64), size // 2)
    total = np.concatenate([[0], np.cumsum(padded)])
    starts = np.minimum((times * RATE_HZ).round().astype(int), len(padded) - size)
    power = np.maximum(total[starts + size] - total[starts], 0)
    quiet = power <= power.max() * 10 ** (-QUIET_DB / 10)
    edges = np.flatnonzero(np.diff(quiet, prepend=False, append=False)).reshape(-1, 2)
    shortest = PAUSE_S / max(times[1] - times[0], 1e-9) if len(times) > 1 else 1
    for start, end in edges:
        if 0 < start and end < len(quiet) and end - start < shortest:
            quiet[start:end] = False
    return quiet


# --- Words


def words(wave: np.ndarray, sample_rate_hz: int) -> list[str]:
    """Returns the English words that are heard in a wave [samples], in lower case.

    Raises:
        KvoiceError: If pocketsphinx is not installed, or the wave is empty or not finite.
    """
    sound, decoder = _sound(wave, sample_rate_hz), _pocketsphinx()
    decoder.reinit_feat()  # forgets the mean of the sounds before
    decoder.start_utt()
    decoder.process_raw((sound * 32767).astype("<i2").tobytes(), full_utt=True)
    decoder.end_utt()
    found = decoder.hyp()
    return words_of_text(found.hypstr) if found and found.hypstr else []


def words_of_text(text: str) -> list[str]:
    """Returns the words of an English text in lower case, without punctuation.

    Raises:
        KvoiceError: If there is no word in it, or a digit, whose words are not known.
    """
    lower = text.lower().replace("’", "'")
    found = [word.strip("'") for word in re.findall(r"[a-z']+", lower)]
    found = [word for word in found if word]
    if not found or not comparable(text):
        what = f"the text {text!r}" if text else "an empty text"
        raise KvoiceError(f"{what} has no words that can be compared; write it in letters")
    return found


def comparable(text: str) -> bool:
    """Returns whether a text consists of words in Latin letters, without a digit."""
    return bool(re.search("[a-zA-Z]", text)) and not re.search(r"\d", text)


# --- Quality


def quality(wave: np.ndarray, sample_rate_hz: int) -> dict[str, float]:
    """Estimates the opinion of listeners of the quality of speech, 1 to 5, by DNSMOS.

    "p808" is that of listeners who judge the sound as a whole (ITU-T P.808); the others are of
    P.835, where they judge speech and background too. A wave shorter than 9 s is repeated. Only
    what is below 8 kHz counts.

    Returns:
        {"p808", "overall", "signal", "background"}.

    Raises:
        KvoiceError: If speechmos is not installed, or the wave is empty or not finite.
    """
    sound = _sound(wave, sample_rate_hz)
    found = _dnsmos()(sound, RATE_HZ)
    return {name: float(found[key]) for key, name in QUALITIES.items()}


# --- The packages


def _sound(wave, sample_rate_hz):
    """Resamples a wave to `RATE_HZ`, within full scale."""
    wave = np.asarray(wave, np.float32)
    if wave.ndim != 1 or not len(wave) or not np.isfinite(wave).all():
        raise KvoiceError(
            f"a wave of finite samples [samples] can be judged, got one of shape {wave.shape}"
        )
    return np.clip(audio.resample(wave, sample_rate_hz, RATE_HZ), -1, 1)


@functools.cache
def _hama():
    require(HAMA)
    import hama

    return hama.ASRModel()


@functools.cache
def _hama_text():
    require(HAMA)
    import hama

    return hama.G2PModel()


@functools.cache
def _pocketsphinx():
    require(POCKETSPHINX)
    import pocketsphinx

    return pocketsphinx.Decoder(samprate=RATE_HZ, loglevel="FATAL")


@functools.cache
def _dnsmos():
    require(SPEECHMOS)
    from speechmos import dnsmos

    return dnsmos.run
