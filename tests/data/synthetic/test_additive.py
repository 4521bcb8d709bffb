import json
import os
import tracemalloc

import numpy as np
import pytest

from kvoice.data.synthetic import additive
from kvoice.data.synthetic.additive import (
    PARTIALS,
    PRESETS,
    SAMPLE_RATE_HZ,
    SAMPLES,
    Space,
    Tones,
    View,
)
from kvoice.errors import KvoiceError

NYQUIST_HZ = SAMPLE_RATE_HZ / 2
TIMES_S = np.arange(SAMPLES) / SAMPLE_RATE_HZ
SMALL = {"f0_hz": (100, 500, 200), "slope": (-0.1, -0.9, -0.4), "decay": (0, 10, 5)}


def tone(f0_hz=200.0, slope=-0.5, inharmonicity=0.0, decay=0.0, presence=0, samples=SAMPLES):
    return additive.tones(f0_hz, slope, inharmonicity, decay, presence, samples)[0]


def energy_at(wave, hz):
    """Amplitude of a sine of a frequency that is a whole number of periods long."""
    return 2 * abs(np.mean(wave * np.exp(-2j * np.pi * hz * np.arange(len(wave)) / SAMPLE_RATE_HZ)))


# The sound


def test_a_tone_is_its_formula():
    f0_hz, slope, inharmonicity, decay = 417.3, -0.3, 0.07, 4.2
    n = np.arange(1, PARTIALS + 1)
    hz = n * f0_hz * np.sqrt(1 + (n**2 - 1) * inharmonicity)
    amplitude = (1 + (n - 1) * slope / 10) * (hz < NYQUIST_HZ)
    assert 0 < (hz >= NYQUIST_HZ).sum() < 6
    sines = amplitude[:, None] * np.sin(2 * np.pi * hz[:, None] * TIMES_S)
    expected = sines.sum(axis=0) * np.exp(-decay * TIMES_S)
    found = tone(f0_hz, slope, inharmonicity, decay)
    assert found.shape == (SAMPLES,)
    np.testing.assert_allclose(found, expected, atol=1e-9)


def test_all_ten_partials_sound_where_the_formula_says():
    wave = tone(f0_hz=200, slope=-0.5, inharmonicity=0)
    found = [energy_at(wave, 200 * n) for n in range(1, 12)]
    np.testing.assert_allclose(found[:10], 1 - 0.05 * np.arange(10), atol=1e-9)
    assert found[10] < 1e-9


def test_spectral_peaks_of_an_inharmonic_tone():
    hz, amplitude = additive.partials(150, -0.5, 0.02, 0)
    wave = tone(f0_hz=150, inharmonicity=0.02) * np.hanning(SAMPLES)
    size = 1 << 18
    spectrum = np.abs(np.fft.rfft(wave, size))
    for partial_hz in hz[amplitude > 0]:
        nearby = np.arange(
            int((partial_hz - 20) * size / 16000), int((partial_hz + 20) * size / 16000)
        )
        peak_hz = nearby[spectrum[nearby].argmax()] * SAMPLE_RATE_HZ / size
        assert peak_hz == pytest.approx(partial_hz, abs=0.2)


def test_inharmonicity_leaves_the_first_partial_where_f0_is():
    for inharmonicity in (0, 0.3, 1):
        assert additive.partials(310, -0.1, inharmonicity, 0)[0][0] == 310


def test_nothing_is_folded_back():
    """f0 = 1000, B = 1: nine of ten partials are above 8 kHz or at 4 kHz; none may come back."""
    wave = tone(f0_hz=1000, inharmonicity=1, slope=-0.1)
    np.testing.assert_allclose(
        wave,
        np.sin(2 * np.pi * 1000 * TIMES_S) + 0.99 * np.sin(2 * np.pi * 4000 * TIMES_S),
        atol=1e-9,
    )
    hz, amplitude = additive.partials(800, 0, 0, 0)  # the tenth is at 8000 Hz exactly
    assert hz[-1] == NYQUIST_HZ and amplitude.tolist() == [1] * 9 + [0]


def test_the_decay_is_that_of_the_envelope():
    whole = tone(f0_hz=200, decay=7)
    levels = np.sqrt(np.mean(whole.reshape(-1, 80) ** 2, axis=1))  # one period each
    slope = np.polyfit(np.arange(len(levels)) * 80 / SAMPLE_RATE_HZ, np.log(levels), 1)[0]
    assert slope == pytest.approx(-7, abs=1e-6)


@pytest.mark.parametrize(
    "presence, audible",
    [(0, [1, 2, 3, 4, 5, 6, 7, 8, 9, 10]), (1, [1, 3, 5, 7, 9]), (2, [1, 2, 4, 6, 8, 10])],
)
def test_presence_chooses_the_partials(presence, audible):
    wave = tone(f0_hz=200, presence=presence)
    assert [n for n in range(1, 11) if energy_at(wave, 200 * n) > 1e-6] == audible


def test_slopes_too_steep_for_the_last_partials_silence_them():
    amplitude = additive.partials(100, -2.5, 0, 0)[1]
    np.testing.assert_allclose(amplitude, [1, 0.75, 0.5, 0.25, 0, 0, 0, 0, 0, 0])


def test_tones_of_any_length_begin_alike():
    np.testing.assert_allclose(tone(samples=77, decay=3), tone(decay=3)[:77], atol=1e-12)


def test_noise_is_a_share_of_the_energy():
    rng = np.random.default_rng(0)
    sounds, noise = tone()[None].repeat(3, 0), rng.normal(size=(3, SAMPLES))
    found = additive.mixed(sounds, noise, [0, 0.35, 1])
    for sound, row, share in zip(found, noise, (0, 0.35, 1)):
        rest = sound - np.sqrt(share) * row / np.linalg.norm(row)
        assert np.sum(rest**2) == pytest.approx(1 - share)
        assert np.sum((sound - rest) ** 2) == pytest.approx(share)
    np.testing.assert_allclose(found[0] / found[0, 5], sounds[0] / sounds[0, 5])


def test_the_noise_of_a_space_can_be_measured_and_is_white():
    space = Space({"noise": (0, 0.5, 0.1), "f0_hz": (200, 400, 200)})
    waves = space.waves(np.arange(len(space)))
    for wave, (share, f0_hz) in zip(waves, space.values(np.arange(len(space)))):
        spectrum = np.abs(np.fft.rfft(wave)) ** 2
        harmonic = np.arange(len(spectrum)) % round(f0_hz * SAMPLES / SAMPLE_RATE_HZ) == 0
        noise = spectrum[~harmonic].mean() * len(spectrum)
        assert noise / spectrum.sum() == pytest.approx(share, abs=0.02)
        if share:
            halves = np.array_split(spectrum * ~harmonic, 2)
            assert halves[0].sum() / halves[1].sum() == pytest.approx(1, abs=0.1)


# The space


def test_the_grids_that_were_published_have_their_sizes():
    sizes = {name: len(Space.parse(name)) for name in PRESETS}
    assert sizes == {"audible": 18513, "published": 20691, "shipped": 21780, "noisy": 37800}
    assert Space.parse("").ranges == Space.parse("audible").ranges


def test_items_are_the_cartesian_product_with_both_ends():
    space = Space(SMALL)
    items = space.values(np.arange(len(space)))
    assert items.shape == (27, 3) and items.dtype == np.float32
    expected = [
        (f0, slope, decay)
        for f0 in (100, 300, 500)
        for slope in (-0.1, -0.5, -0.9)
        for decay in (0, 5, 10)
    ]
    np.testing.assert_allclose(items, expected, rtol=1e-6)
    assert space.factors == list(SMALL) and space.levels == [3, 3, 3]


def test_levels_are_the_digits_of_an_item():
    space = Space.parse("published")
    items = np.arange(0, len(space), 7)
    levels = space.level(space.values(items))
    np.testing.assert_array_equal(np.ravel_multi_index(levels.T, space.levels), items)


def test_values_beside_the_grid_are_at_the_nearest_level():
    space = Space(SMALL)
    assert space.level([[160, -0.68, 99], [230, -0.72, -9]]).tolist() == [[0, 1, 2], [1, 2, 0]]


def test_a_space_larger_than_any_memory_is_addressed():
    text = "f0_hz=100/500/0.01,slope=-0.1/-0.9/-0.001,decay=0/10/0.01,inharmonicity=0/1/0.001"
    tracemalloc.start()
    space = Space.parse(text)
    assert len(space) == 40001 * 801 * 1001 * 1001
    np.testing.assert_allclose(space.values([len(space) - 1]), [[500, -0.9, 10, 1]])
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 1e7
    levels = space.level(space.values([len(space) // 3]))
    assert np.ravel_multi_index(levels[0], space.levels) == len(space) // 3


def test_waves_are_the_tones_of_their_factors():
    space = Space(SMALL | {"presence": (1, 1, 0)})  # odd ones everywhere
    items = np.array([26, 4])
    waves = space.waves(items)
    assert waves.dtype == np.float32 and waves.shape == (2, SAMPLES)
    assert space.factors == list(SMALL)
    for wave, (f0_hz, slope, decay) in zip(waves, space.values(items).astype(float)):
        expected = tone(f0_hz, slope, decay=decay, presence=1)
        np.testing.assert_allclose(wave, expected / abs(expected).max(), atol=1e-5)


def test_the_peak_is_1_on_whichever_side_it_is():
    space = Space.parse("audible")
    waves = space.waves(np.arange(0, len(space), 199))
    assert (waves.max(axis=1) < 0.9).any() and (waves.min(axis=1) > -0.9).any()
    np.testing.assert_allclose(np.abs(waves).max(axis=1), 1)


def test_the_wave_of_an_item_is_always_the_same():
    space = Space.parse("noisy")
    together, alone = space.waves([700, 20001]), space.waves([20001])
    np.testing.assert_array_equal(together[1:], alone)
    assert np.abs(space.waves([20000]) - alone).max() > 0.1


def test_ranges_on_the_command_and_in_a_file_are_one_space(tmp_path):
    (tmp_path / "space.json").write_text(json.dumps(SMALL))
    written = Space.parse("f0_hz=100/500/200, slope=-.1/-.9/-.4,decay=0/10/5")
    assert written.ranges == Space.parse(str(tmp_path / "space.json")).ranges == Space(SMALL).ranges


@pytest.mark.parametrize(
    "text, said",
    [
        ("publishd", "did you mean published?"),
        ("f0=100/500/25", "there is no factor 'f0': choose among f0_hz, slope"),
        ("f0_hz=100/500", "f0_hz must be three numbers"),
        ("f0_hz=100/500/x", "f0_hz must be three numbers"),
        ("f0_hz=100/500/nan", "f0_hz must be three numbers"),
        ("f0_hz=100/500/30", "f0_hz: no whole number of steps of 30"),
        ("decay=0/10/-1", "decay: no whole number of steps of -1"),
        ("decay=0/10/0", "decay: no whole number of steps of 0"),
        ("f0_hz=100/9000/100", "f0_hz must be from 1 to 7999"),
        ("noise=0/2/1", "noise must be from 0 to 1"),
        ("presence=0/2/0.5", "presence must be 0 (all)"),
        ("f0_hz=100/100/1", "no factor varies"),
        ("decay=0/1/1,decay=0/2/1", "decay is named twice"),
        ("missing.json", "missing.json: cannot be read"),
    ],
)
def test_a_space_that_is_none_is_refused_in_one_line(text, said):
    with pytest.raises(KvoiceError) as error:
        Space.parse(text)
    assert said in str(error.value) and "\n" not in str(error.value)


@pytest.mark.parametrize(
    "content", ["[1]", "{", '{"f0_hz": 100}', '{"f0_hz": [1, null, 2]}', '{"f0_hz": "159"}']
)
def test_a_file_that_is_no_space_is_refused_in_one_line(content, tmp_path):
    path = tmp_path / "bad.json"
    path.write_text(content)
    with pytest.raises(KvoiceError, match="bad.json: (f0_hz|is not)") as error:
        Space.parse(str(path))
    assert "\n" not in str(error.value)


# What a model sees


def views(representation, **fields):
    """Two tones, the second two octaves higher and decaying, and their images."""
    waves = np.stack([tone(f0_hz=125, slope=-0.9), tone(f0_hz=500, slope=-0.9, decay=8)])
    waves = (waves / np.abs(waves).max(axis=1, keepdims=True)).astype(np.float32)
    view = View(representation, **fields)
    found = view(waves)
    assert found.shape == (2, *view.shape) and found.dtype == np.float32
    assert found.min() >= 0 and found.max() <= 1
    return waves, found


def test_a_waveform_is_moved_between_0_and_1():
    waves, found = views("waveform")
    np.testing.assert_allclose(2 * found[..., 0] - 1, waves, atol=1e-6)


def test_decibels_are_below_the_loudest_of_the_item():
    waves, found = views("stft", range_db=40)
    share = views("stft", scale="amplitude")[1]
    np.testing.assert_allclose(share.max(axis=(1, 2)), 1)
    loud = share > 0.01  # -40 dB
    np.testing.assert_allclose(found[loud], 1 + 20 * np.log10(share[loud]) / 40, atol=1e-5)
    assert not found[~loud].any() and loud.any() and not loud.all()


def test_the_transform_has_its_peak_at_f0_and_nothing_where_no_partial_is():
    _, found = views("stft")
    assert found.shape == (2, 16, 512)
    middle = found[:, 8]
    assert middle.argmax(axis=1).tolist() == [8, 32]  # 15.625 Hz each
    assert not middle[1, 335:].any()  # the tenth partial is at 5000 Hz


def test_the_loudest_mel_band_is_that_of_a_partial():
    waves = np.stack([tone(f0_hz=hz, slope=-10) for hz in (125, 500, 2000)])  # one partial
    found = View("mel")(waves)
    filters = additive.audio.mel_filters(additive._MEL)  # [bins, mels]
    assert found.shape == (3, 16, 80)
    assert found[:, 8].argmax(axis=1).tolist() == filters[[8, 32, 128]].argmax(axis=1).tolist()


def test_a_change_of_pitch_is_a_shift_in_the_constant_q_transform():
    _, found = views("cqt")
    hz = additive.cqt_hz(12)
    assert found.shape == (2, 16, 80) and len(hz) == 80
    low, high = found[:, 8]
    assert (low.argmax(), high.argmax()) == tuple(
        np.abs(np.log(hz[:, None] / [125, 500])).argmin(0)
    )
    # Two octaves up, it is the same image 24 bins higher, softer by what has decayed.
    audible = (low[10:50] > 0.3) & (high[34:74] > 0.05)
    assert audible.sum() > 20
    softer = low[10:50][audible] - high[34:74][audible]
    np.testing.assert_allclose(softer, np.median(softer), atol=0.02)
    # 60 dB are 1: the level falls by 8 nepers per second.
    fall_db = 60 * (found[1, 4, high.argmax()] - found[1, 8, high.argmax()])
    assert fall_db == pytest.approx(8 * 4 * 512 / SAMPLE_RATE_HZ * 20 / np.log(10), abs=0.3)


@pytest.mark.parametrize("representation", ["mel", "stft"])
def test_silence_is_black(representation):
    for scale in additive.SCALES:
        assert not View(representation, scale)(np.zeros((1, SAMPLES), np.float32)).any()


@pytest.mark.parametrize("bins_per_octave, bins", [(3, 16), (12, 80), (23, 144), (24, 160)])
def test_constant_q_bins_end_below_nyquist_with_their_bands(bins_per_octave, bins):
    hz = additive.cqt_hz(bins_per_octave)
    assert len(hz) == bins and hz[0] == pytest.approx(65.406, abs=1e-3)
    assert hz[bins_per_octave] == pytest.approx(2 * hz[0])
    half_band = 0.75 * additive._bandwidth(bins_per_octave)
    assert (
        hz[-1] * (1 + half_band)
        < NYQUIST_HZ
        <= hz[-1] * (1 + half_band) * 2 ** (16 / bins_per_octave)
    )


@pytest.mark.parametrize(
    "fields, said",
    [
        ({"representation": "spectro"}, "data.representation: 'spectro' must be one of cqt"),
        ({"scale": "log"}, "data.scale: 'log' must be one of db"),
        ({"range_db": 0}, "data.range_db: 0 must be above 0"),
        ({"range_db": float("inf")}, "data.range_db: inf must be above 0"),
        ({"bins_per_octave": 2}, "data.bins_per_octave: 2 must be"),
        ({"bins_per_octave": 12.5}, "data.bins_per_octave: 12.5 must be"),
    ],
)
def test_a_view_names_what_it_cannot_be(fields, said):
    with pytest.raises(KvoiceError) as error:
        View(**fields)
    assert said in str(error.value)


# All of them


@pytest.fixture
def here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_tones_are_rendered_once_for_all_sources(here, monkeypatch):
    monkeypatch.setattr(additive, "_CHUNK", 4)
    tones = Tones(Space(SMALL), View("mel"))
    expected = tones.images(np.arange(27))
    tones.keep()
    (path,) = here.glob("prepared/additive-*/images.npy")
    assert path.parent.name == f"additive-{tones.fingerprint}"
    assert json.loads((path.parent / "made_of.json").read_text()) == tones.made_of
    monkeypatch.setattr(Space, "waves", None)  # nothing can be rendered any more
    again = Tones(Space(SMALL), View("mel"))
    again.keep()
    for kept in (tones, again):
        assert type(kept.images(np.array([26]))) is np.ndarray
        np.testing.assert_allclose(kept.images(np.array([26, 3])), expected[[26, 3]], atol=1e-6)


def test_a_damaged_or_foreign_file_is_rendered_again(here):
    tones = Tones(Space(SMALL), View("mel"))
    tones.keep()
    (path,) = here.glob("prepared/*/images.npy")
    whole = path.read_bytes()
    np.save(here / "other.npy", np.zeros((27, 16, 79), np.float32))
    for content in (whole[:-100], b"", b"text", (here / "other.npy").read_bytes()):
        path.write_bytes(content)
        Tones(Space(SMALL), View("mel")).keep()
        assert path.read_bytes() == whole


def test_other_items_or_another_view_have_another_fingerprint(monkeypatch):
    prints = [
        Tones(Space(space), view).fingerprint
        for space, view in [
            (SMALL, View()),
            (SMALL | {"decay": (0, 10, 10)}, View()),
            (SMALL, View("mel")),
            (SMALL, View(range_db=50)),
            (SMALL | {"noise": (0.5, 0.5, 0)}, View()),
        ]
    ]
    monkeypatch.setattr(additive, "VERSION", 0)
    prints.append(Tones(Space(SMALL), View()).fingerprint)
    assert len(set(prints)) == 6


def test_what_is_stopped_leaves_nothing_behind(here, monkeypatch):
    tones = Tones(Space(SMALL), View("mel"))
    monkeypatch.setattr(additive, "_rendered", lambda images, count: iter([1 / 0]))
    with pytest.raises(ZeroDivisionError):
        tones.keep()
    assert not [name for _, _, names in os.walk(here) for name in names]


def test_more_than_the_disk_holds_is_refused_before_anything_is_rendered(here):
    space = Space.parse("f0_hz=100/500/0.01,slope=-0.1/-0.9/-0.001,decay=0/10/0.01")
    with pytest.raises(KvoiceError, match="GB are free: use larger steps") as error:
        Tones(space, View("mel")).keep()
    assert "\n" not in str(error.value)


def test_a_directory_that_cannot_be_written_is_named(here):
    (here / "prepared").write_text("")
    with pytest.raises(KvoiceError, match="prepared/additive-.*cannot be written"):
        Tones(Space(SMALL), View("mel")).keep()
