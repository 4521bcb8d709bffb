import os

import numpy as np
import pytest
import soundfile

tf = pytest.importorskip("tensorflow")

from kvoice import audio  # noqa: E402
from kvoice.data import features  # noqa: E402

PRESETS = sorted(audio.SPECS)


@pytest.fixture(params=["kernels", "soundfile"])
def reader(request, monkeypatch):
    """Both ways to read: with tensorflow-io, and as if it were not installed."""
    if request.param == "soundfile":
        monkeypatch.setattr(features, "_kernels", lambda: None)
    elif features._kernels() is None:
        pytest.skip("tensorflow-io is not installed")
    return request.param


def sound(rate_hz, seconds=0.5, seed=0):
    """Noise without the highest octave, which resampling keeps, with a gap of silence."""
    narrow = np.random.default_rng(seed).normal(size=int(4000 * seconds)).astype(np.float32)
    wave = 0.2 * audio.resample(narrow, 4000, rate_hz)
    wave[len(wave) // 3 : len(wave) // 2] = 0
    return np.clip(wave, -0.99, 0.99)


# --- mel ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("preset", PRESETS)
def test_mel_equals_numpys(preset):
    spec = audio.SPECS[preset]
    wave = sound(spec.sample_rate_hz)
    got = features.mel(tf.constant(wave), spec).numpy()
    assert got.dtype == np.float32 and got.shape == (spec.frames(len(wave)), spec.mels)
    np.testing.assert_allclose(got, audio.mel(wave, spec), atol=5e-3)
    np.testing.assert_allclose(
        audio.magnitude(got, spec), audio.magnitude(audio.mel(wave, spec), spec), atol=1e-4
    )


@pytest.mark.parametrize("preset", PRESETS)
def test_mel_takes_any_batch_and_length(preset):
    spec = audio.SPECS[preset]
    signature = [tf.TensorSpec([None, None], tf.float32)]
    graph = tf.function(lambda wave: features.mel(wave, spec), input_signature=signature)
    for rows, samples in ((1, 1), (2, 50), (3, spec.fft), (2, 5 * spec.hop - 1)):
        waves = np.random.default_rng(0).normal(size=(rows, samples)).astype(np.float32) / 10
        np.testing.assert_allclose(graph(waves), audio.mel(waves, spec), atol=5e-3)


def test_mel_has_a_static_shape_where_the_wave_has():
    spec = audio.SPECS["adainvc"]
    data = tf.data.Dataset.from_tensor_slices(np.zeros((4, 3000), np.float32)).batch(2, True)
    assert data.map(lambda wave: features.mel(wave, spec)).element_spec.shape == [2, 11, 512]


def test_mel_survives_export_with_unknown_batch_and_length(tmp_path):
    spec, module = audio.SPECS["speechsplit"], tf.Module()
    signature = [tf.TensorSpec([None, None], tf.float32)]
    module.mel = tf.function(lambda wave: features.mel(wave, spec), input_signature=signature)
    tf.saved_model.save(module, str(tmp_path))
    again = tf.saved_model.load(str(tmp_path)).mel
    for rows, samples in ((1, 700), (3, 4000)):
        waves = np.stack([sound(16000, 0.25, seed)[:samples] for seed in range(rows)])
        np.testing.assert_allclose(again(waves), audio.mel(waves, spec), atol=1e-4)


def test_mel_has_a_finite_gradient_even_in_silence():
    spec = audio.SPECS["waveglow"]
    wave = tf.constant(sound(22050))
    with tf.GradientTape() as tape:
        tape.watch(wave)
        total = tf.reduce_sum(features.mel(wave, spec))
    slope = tape.gradient(total, wave).numpy()
    assert np.isfinite(slope).all() and np.abs(slope).max() > 0


# --- decode ------------------------------------------------------------------------------------

FILES = [  # name, rate, how it is written
    ("plain.wav", 22050, dict(subtype="PCM_16")),
    ("8_bit.wav", 22050, dict(subtype="PCM_U8")),
    ("24_bit.wav", 22050, dict(subtype="PCM_24")),
    ("32_bit.wav", 22050, dict(subtype="PCM_32")),
    ("float.wav", 22050, dict(subtype="FLOAT")),
    ("8_khz.wav", 8000, {}),
    ("96_khz.wav", 96000, {}),
    ("16_bit.flac", 44100, {}),
    ("24_bit.flac", 22050, dict(subtype="PCM_24")),
    ("vorbis.ogg", 16000, {}),
    ("opus.ogg", 24000, dict(format="OGG", subtype="OPUS")),
    ("mpeg_1.mp3", 44100, {}),
    ("mpeg_2.mp3", 16000, {}),
    ("mpeg_2_5.mp3", 8000, {}),
]


@pytest.mark.parametrize("channels", [1, 2])
def test_decode_equals_read_for_every_kind_of_file(tmp_path, reader, channels):
    paths = []
    for seed, (name, rate_hz, kind) in enumerate(FILES):
        rows = [sound(rate_hz, 0.4 + 0.0137 * seed, seed + channel) for channel in range(channels)]
        paths.append(str(tmp_path / name))
        soundfile.write(paths[-1], np.stack(rows, 1), rate_hz, **kind)
    decoded = tf.data.Dataset.from_tensor_slices(paths).map(
        lambda path: features.decode(path, 22050), num_parallel_calls=4
    )
    assert decoded.element_spec == tf.TensorSpec([None], tf.float32)
    for path, got in zip(paths, decoded, strict=True):
        expected, _ = audio.read(path, 22050)
        np.testing.assert_allclose(got, expected, atol=1e-5, err_msg=path)


@pytest.mark.parametrize("rate_hz", [8000, 44100, 48000])
def test_decode_resamples_without_delay(tmp_path, reader, rate_hz):
    time, out_time = (np.arange(n) / n for n in (rate_hz, 22050))
    path = str(tmp_path / "a.wav")
    soundfile.write(path, 0.5 * np.sin(2 * np.pi * 440 * time), rate_hz)
    got = features.decode(tf.constant(path), 22050).numpy()
    expected = 0.5 * np.sin(2 * np.pi * 440 * out_time)
    np.testing.assert_allclose(got[500:-500], expected[500:-500], atol=1e-3)


def test_decode_is_not_fooled_by_a_chunk_before_the_samples(tmp_path, reader):
    path = tmp_path / "a.wav"
    soundfile.write(path, sound(22050), 22050)
    plain, chunk = path.read_bytes(), b"LIST\5\0\0\0abcde\0"
    start = plain.index(b"data")
    size = (len(plain) + len(chunk) - 8).to_bytes(4, "little")
    path.write_bytes(plain[:4] + size + plain[8:start] + chunk + plain[start:])
    got = features.decode(tf.constant(str(path)), 22050)
    np.testing.assert_allclose(got, sound(22050), atol=1e-4)


def test_decode_reads_an_mp3_behind_its_tag(tmp_path, reader):
    path = tmp_path / "a.mp3"
    soundfile.write(path, sound(16000), 16000)
    plain = features.decode(tf.constant(str(path)), 22050)
    assert features._mp3_rate_hz(path.read_bytes()) == 16000
    tag = b"ID3\4\0\0" + bytes([0, 0, 2, 44]) + b"\xff\xfb\x90\0" * 75  # 300 bytes, like frames
    path.write_bytes(tag + path.read_bytes())
    assert features._mp3_rate_hz(path.read_bytes()) == 16000
    np.testing.assert_allclose(features.decode(tf.constant(str(path)), 22050), plain, atol=1e-5)


def test_decode_names_the_file_that_it_cannot_read(tmp_path, reader):
    soundfile.write(tmp_path / "whole.flac", sound(22050), 22050)
    whole = (tmp_path / "whole.flac").read_bytes()
    contents = {
        "empty.wav": b"",
        "noise.wav": b"RIFF" + bytes(range(256)) * 8,
        "noise.mp3": bytes(range(7, 247)) * 8,
        "tag_only.mp3": b"ID3\4\0\0\x7f\x7f\x7f\x7f",
        "cut.flac": whole[: len(whole) // 2],
        "pointer.wav": b"version https://git-lfs.github.com/spec/v1\n",
    }
    for name, content in contents.items():
        (tmp_path / name).write_bytes(content)
    soundfile.write(tmp_path / "none.wav", np.zeros(0), 22050)
    for name in [*contents, "none.wav", "missing.wav"]:
        path = os.fspath(tmp_path / name)
        data = tf.data.Dataset.from_tensors(path).map(lambda name: features.decode(name, 22050))
        with pytest.raises(tf.errors.OpError) as error:
            list(data)
        assert path in str(error.value)


def test_decode_keeps_files_apart_when_it_reads_many_at_once(tmp_path, reader):
    paths = [str(tmp_path / f"{index}.flac") for index in range(60)]
    for index, path in enumerate(paths):
        soundfile.write(path, np.full(2000 + index, index / 100), 22050)
    data = tf.data.Dataset.from_tensor_slices(paths)
    data = data.map(lambda path: features.decode(path, 22050), num_parallel_calls=8)
    for index, wave in enumerate(data):
        np.testing.assert_allclose(wave, np.full(2000 + index, index / 100), atol=1e-4)
