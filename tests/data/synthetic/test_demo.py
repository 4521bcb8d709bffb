import numpy as np
import pytest
from scipy import signal
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from kvoice.data.synthetic import demo
from kvoice.data.synthetic.demo import INVENTORY, PHONES, SENTENCES, Utterance
from kvoice.errors import KvoiceError

RATE_HZ, HOP = 22050, 256
TEXTS = list(SENTENCES)
VOWELS = {name for name, phone in INVENTORY.items() if phone.kind == "vowel"}


def rendered(speaker="ada", emotion="neutral", sentence=3, take=0, **kwargs):
    return demo.render(Utterance(speaker, emotion, TEXTS[sentence], take), **kwargs)


def stretches(recording):
    """(phone, first frame, frame after the last) of each phone of a recording."""
    first = np.flatnonzero(np.diff(recording.phone, prepend=-1))
    return [
        (PHONES[recording.phone[a]], a, b)
        for a, b in zip(first, [*first[1:], len(recording.phone)])
    ]


def db(wave):
    return 10 * np.log10(np.mean(np.square(wave)) + 1e-12)


# --- Independent measurements


def tracked_f0_hz(wave, sample_rate_hz, centre, expected_hz):
    """The peak of the normalised autocorrelation within a third of an octave of the expected F0.

    Nowhere else, so that octave errors of this simple tracker are not the renderer's.
    """
    half = round(1.5 * sample_rate_hz / expected_hz)
    piece = wave[centre - half : centre + half].astype(float)
    lags = np.arange(
        round(sample_rate_hz / expected_hz * 0.79), round(sample_rate_hz / expected_hz * 1.26) + 1
    )
    scores = np.array([np.corrcoef(piece[:-lag], piece[lag:])[0, 1] for lag in lags])
    best = np.clip(np.argmax(scores), 1, len(lags) - 2)
    left, here, right = scores[best - 1 : best + 2]
    return sample_rate_hz / (lags[best] + 0.5 * (left - right) / (left - 2 * here + right))


def first_formant_hz(piece, sample_rate_hz):
    """The lowest narrow pole of a linear prediction of order 10 at 8 kHz."""
    piece = signal.resample_poly(piece.astype(float), 8000, sample_rate_hz)
    piece = np.diff(piece) * np.hamming(len(piece) - 1)
    lags = np.correlate(piece, piece, "full")[len(piece) - 1 : len(piece) + 10]
    toeplitz = lags[np.abs(np.subtract.outer(np.arange(10), np.arange(10)))]
    poles = np.roots([1, *-np.linalg.solve(toeplitz, lags[1:])])
    hz = np.angle(poles) * 8000 / (2 * np.pi)
    widths_hz = -np.log(np.abs(poles)) * 8000 / np.pi
    return hz[(hz > 150) & (widths_hz < 400)].min(initial=np.inf)


# --- Ground truth


@pytest.mark.parametrize("sample_rate_hz, hop", [(22050, 256), (16000, 200)])
@pytest.mark.parametrize("speaker", ["ada", "abel", "f013", "m017"])
@pytest.mark.parametrize("emotion", demo.EMOTIONS)
def test_measured_f0_is_the_label(speaker, emotion, sample_rate_hz, hop):
    sound = rendered(speaker, emotion, sample_rate_hz=sample_rate_hz, hop=hop)
    errors = []
    for name, a, b in stretches(sound):
        if name in VOWELS:
            errors += [
                tracked_f0_hz(sound.wave, sample_rate_hz, i * hop, sound.f0[i]) / sound.f0[i] - 1
                for i in range(a + 1, b - 1)
            ]
    assert len(errors) >= 50
    assert abs(np.median(errors)) < 0.01
    assert np.median(np.abs(errors)) < 0.02  # single periods are off by the voice's jitter


def test_measured_f1_of_steady_vowels_is_the_phones_times_the_speakers_scale():
    errors = {}
    for speaker in ("abel", "boris", "ada", "m014"):
        for sentence in range(8):
            sound = rendered(speaker, sentence=sentence)
            for name, a, b in stretches(sound):
                middle = (a + b) // 2
                expected_hz = INVENTORY[name].formants_hz[0] * demo.voice(speaker).formant_scale
                steady = name in VOWELS and not INVENTORY[name].to_hz and b - a >= 7
                if steady and 0 < sound.f0[middle] < expected_hz / 2:
                    piece = sound.wave[middle * HOP - 440 : middle * HOP + 440]
                    hz = first_formant_hz(piece, RATE_HZ)
                    errors.setdefault(name, []).append(abs(hz / expected_hz - 1))
    assert {"AO", "AE", "EH", "AA"} <= set(errors)
    assert max(np.median(some) for some in errors.values()) < 0.10
    assert np.mean(np.concatenate(list(errors.values())) < 0.10) > 0.9


def test_phones_line_up_with_the_sound():
    above = signal.butter(4, 3000, "high", fs=RATE_HZ, output="sos")
    sharpness, level = {}, {}
    for sentence in (1, 5, 9, 12, 16):
        sound = rendered("cora", sentence=sentence)
        high = signal.sosfilt(above, sound.wave)
        for name, a, b in stretches(sound):
            kind = INVENTORY[name].kind
            if name == "sil":
                part = slice(HOP * a, HOP * (b - 4)) if a == 0 else slice(HOP * (a + 4), HOP * b)
            elif kind == "stop":  # its closure
                part = slice(HOP * a + 300, HOP * a + round(HOP * (b - a) * 0.4))
            else:
                part = slice(HOP * a + HOP, HOP * b - HOP)
            if part.stop - part.start >= 100:
                sharpness.setdefault(name, []).append(db(high[part]) - db(sound.wave[part]))
                level.setdefault(name, []).append(db(sound.wave[part]))
    mean = {name: np.mean(some) for name, some in level.items()}
    vowels = [mean[name] for name in VOWELS & set(mean)]
    for hiss in ("S", "Z", "SH", "F"):
        assert (
            np.mean(sharpness[hiss])
            > max(np.mean(sharpness[name]) for name in VOWELS & set(sharpness)) + 6
        ), hiss
    for closure in ("P", "T", "K"):
        assert mean[closure] < min(vowels) - 20, closure
    for closure in ("B", "D"):
        assert mean[closure] < min(vowels) - 6, closure
    assert mean["sil"] < min(vowels) - 30
    assert max(mean[name] for name in ("M", "N") if name in mean) < np.mean(vowels)


def test_voiced_frames_are_those_of_voiced_phones():
    voiced, unvoiced = [], []
    for sentence in range(0, 24, 4):
        sound = rendered("dean", sentence=sentence)
        for name, a, b in stretches(sound):
            inside = sound.f0[a + 1 : b - 1]
            (voiced if INVENTORY[name].voice else unvoiced).append(inside > 0)
    assert np.mean(np.concatenate(voiced)) > 0.99
    assert np.mean(np.concatenate(unvoiced)) < 0.05


@pytest.mark.parametrize(
    "sample_rate_hz, hop", [(22050, 256), (16000, 256), (24000, 300), (48000, 512)]
)
def test_labels_have_a_frame_per_hop_at_any_rate(sample_rate_hz, hop):
    sound = rendered("gus", "happy", sample_rate_hz=sample_rate_hz, hop=hop)
    usual = rendered("gus", "happy")
    assert len(sound.f0) == len(sound.phone) == 1 + len(sound.wave) // hop
    assert sound.wave.dtype == sound.f0.dtype == np.float32 and sound.phone.dtype == np.int32
    assert len(sound.wave) / sample_rate_hz == pytest.approx(len(usual.wave) / RATE_HZ, abs=1e-4)
    spoken = [name for name, _, _ in stretches(sound)]
    assert spoken == ["sil", *(name.rstrip("1") for name in SENTENCES[TEXTS[3]]), "sil"]
    low = signal.butter(4, 5000, fs=sample_rate_hz, output="sos")
    usual_low = signal.butter(4, 5000, fs=RATE_HZ, output="sos")
    assert db(signal.sosfilt(low, sound.wave)) == pytest.approx(
        db(signal.sosfilt(usual_low, usual.wave)), abs=1.0
    )


def test_the_rate_is_phones_over_the_time_of_speech():
    sound = rendered("hana")
    speech_s = np.sum(sound.phone > 0) * HOP / RATE_HZ
    assert sound.rate == pytest.approx(len(SENTENCES[TEXTS[3]]) / speech_s, rel=0.02)


# --- The sound


@pytest.mark.parametrize("sample_rate_hz", [16000, 22050, 48000])
def test_every_utterance_fills_a_crop_of_160_frames(sample_rate_hz):
    shortest = min(
        SENTENCES, key=lambda text: sum(INVENTORY[name.rstrip("1")].ms for name in SENTENCES[text])
    )
    for speaker in ("ada", "f030", "m031"):
        sound = demo.render(Utterance(speaker, "angry", shortest, 1), sample_rate_hz)
        assert len(sound.wave) / sample_rate_hz >= 1.9 > 160 * 256 / 22050
    hurried = demo.timing(shortest, 2.0, np.random.default_rng(0))[1]
    assert hurried[-1] == pytest.approx(demo.MINIMUM_S)


def test_waves_neither_clip_nor_hum_nor_begin_with_a_click():
    for emotion in demo.EMOTIONS:
        for speaker in ("beth", "boris", "f040"):
            wave = rendered(speaker, emotion, sentence=5).wave
            assert 0.29 < np.abs(wave).max() < 0.81
            assert abs(wave.mean()) < 1e-4
            assert max(np.abs(wave[:300]).max(), np.abs(wave[-300:]).max()) < 0.01
            assert np.isfinite(wave).all()


def loudest_spike(sound):
    """The largest energy above 8.5 kHz in 3 ms of a vowel, nasal or glide: a click has some, a
    voice next to none. In units of the peak."""
    high = signal.sosfiltfilt(signal.butter(6, 8500, "high", fs=RATE_HZ, output="sos"), sound.wave)
    smooth = np.array([INVENTORY[name].kind in ("vowel", "nasal", "glide") for name in PHONES])
    inside = signal.convolve(smooth[sound.phone], np.ones(7), "same") > 6.5
    blocks = high[: len(high) // 64 * 64].reshape(-1, 64)
    frames = (np.arange(len(blocks)) * 64 + 32) // HOP
    return np.sqrt(np.mean(blocks[inside[frames]] ** 2, 1)).max() / np.abs(sound.wave).max()


def test_voiced_sounds_are_free_of_clicks():
    for emotion in ("neutral", "happy", "angry"):
        for speaker in ("beth", "boris"):
            for sentence in (2, 14):
                sound = rendered(speaker, emotion, sentence=sentence)
                assert loudest_spike(sound) < 0.004
    middle = np.flatnonzero(sound.phone == PHONES.index("UW"))[3] * HOP
    sound.wave[middle:] = np.roll(sound.wave[middle:], 40)  # a splice, for the test of the test
    assert loudest_spike(sound) > 0.004


# --- Speakers and emotions


def test_the_same_utterance_is_the_same_bytes_and_another_take_is_not():
    assert rendered("iris", "sad").wave.tobytes() == rendered("iris", "sad").wave.tobytes()
    other = rendered("iris", "sad", take=1)
    assert other.wave.tobytes() != rendered("iris", "sad").wave.tobytes()
    assert abs(len(other.wave) / len(rendered("iris", "sad").wave) - 1) < 0.25


def test_version_1_is_frozen():
    """Change these numbers only together with VERSION."""
    sound = rendered("ada", "happy", sentence=0)
    assert demo.VERSION == "1"
    assert (len(sound.wave), sound.phone.sum(), (sound.f0 > 0).sum()) == (44166, 3091, 118)
    assert (sound.f0.max(), db(sound.wave)) == pytest.approx((398.52, -22.107), rel=1e-3)


def test_all_speakers_read_all_sentences_in_all_emotions():
    some = demo.utterances(speakers=30, sentences=TEXTS[:2], takes=2)
    assert len(set(some)) == len(some) == 30 * 4 * 2 * 2
    assert {(u.emotion, u.sentence, u.take) for u in some if u.speaker == "ada"} == {
        (u.emotion, u.sentence, u.take) for u in some if u.speaker == "m015"
    }
    items = [demo.item(utterance) for utterance in some]
    assert len({item.name for item in items}) == len(items)
    assert {item.gender for item in items} == {"female", "male"}
    assert items[0].text == TEXTS[0] and items[0].speaker == "demo/ada"


def test_voices_do_not_depend_on_how_many_are_asked_for():
    assert demo.voices(200)[:24] == list(demo.SPEAKERS) == demo.voices(24)
    for count in (4, 24, 100):
        genders = [voice.gender for voice in demo.voices(count)]
        assert genders.count("female") == genders.count("male") == count // 2
    assert len({voice.f0_hz for voice in demo.voices(200)}) == 200


@pytest.mark.parametrize("count, first", [(3, 1), (3, 23), (200, 25), (1, 224)])
def test_voices_from_a_number_on_are_a_stretch_of_the_one_list(count, first):
    assert demo.voices(count, first) == demo.voices(224)[first - 1 : first - 1 + count]
    assert [u.speaker for u in demo.utterances(count, TEXTS[:1], first=first)[::4]] == [
        voice.name for voice in demo.voices(count, first)
    ]


def test_women_speak_higher_with_a_shorter_vocal_tract():
    def measured_hz(speaker):
        sound = rendered(speaker, sentence=5)
        centre = [(a + b) // 2 for name, a, b in stretches(sound) if name == "AE"][0]
        piece = sound.wave[centre * HOP - 440 : centre * HOP + 440]
        f0_hz = tracked_f0_hz(sound.wave, RATE_HZ, centre * HOP, sound.f0[centre])
        return f0_hz, first_formant_hz(piece, RATE_HZ)

    f0_hz, f1_hz = np.array([measured_hz(voice.name) for voice in demo.voices(12)]).T
    women = np.array([voice.gender == "female" for voice in demo.voices(12)])
    assert f0_hz[women].min() > f0_hz[~women].max()
    assert 1.08 < f1_hz[women].mean() / f1_hz[~women].mean() < 1.28


# Per utterance: mean F0 in semitones, level in dB, phones per second, spread of F0 in semitones.
@pytest.fixture(scope="module")
def measured():
    def row(utterance):
        sound = demo.render(utterance)
        st = 12 * np.log2(sound.f0[sound.f0 > 0])
        return [st.mean(), db(sound.wave), sound.rate, st.std()]

    some = demo.utterances(speakers=16, sentences=TEXTS[7:9])
    return some, np.array([row(utterance) for utterance in some])


def test_emotions_differ_on_average(measured):
    some, features = measured
    st, level, rate, spread = np.array(
        [features[[u.emotion == emotion for u in some]].mean(0) for emotion in demo.EMOTIONS]
    ).T
    order = {emotion: i for i, emotion in enumerate(demo.EMOTIONS)}

    def ascending(values, *emotions):
        return all(np.diff([values[order[emotion]] for emotion in emotions]) > 0)

    assert ascending(st, "sad", "neutral", "angry", "happy")
    assert ascending(level, "sad", "neutral", "angry") and ascending(level, "sad", "happy", "angry")
    assert ascending(rate, "sad", "neutral", "happy") and ascending(rate, "sad", "neutral", "angry")
    assert ascending(spread, "sad", "neutral", "happy")


def test_means_of_f0_energy_and_rate_do_not_give_the_emotions_away(measured):
    some, features = measured
    emotions = np.array([u.emotion for u in some])
    number = {voice.name: i for i, voice in enumerate(demo.voices(16))}
    half = np.array([number[u.speaker] // 2 % 2 for u in some])
    scores = []
    for train in (0, 1):
        model = make_pipeline(StandardScaler(), LogisticRegression(max_iter=1000))
        model.fit(features[half == train, :3], emotions[half == train])
        scores.append(model.score(features[half != train, :3], emotions[half != train]))
    assert 0.60 < min(scores) and max(scores) < 0.85


# --- Bad input


@pytest.mark.parametrize(
    "utterance, line",
    [
        (Utterance("adaa", "happy", TEXTS[0]), "no speaker 'adaa': did you mean ada?"),
        (Utterance("ada", "hapy", TEXTS[0]), "no emotion 'hapy': did you mean 'happy'?"),
        (Utterance("ada", "happy", "Hello."), "no sentence 'Hello.'"),
    ],
)
def test_unknown_names_are_refused_with_a_hint(utterance, line):
    with pytest.raises(KvoiceError) as error:
        demo.render(utterance)
    assert line in str(error.value)
