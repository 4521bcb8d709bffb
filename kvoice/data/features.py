"""Waves and mels as TensorFlow graphs, equal to `kvoice.audio`, for tf.data and exported models.

`mel` is pure TensorFlow. `decode` reads files through the kernels of tensorflow-io where it is
installed, and through soundfile for the files that these do not read (or when it is not
installed): this is the only module that uses tensorflow-io. Faults of its kernels in version
0.37.1, and how this module avoids them:

- a 32-bit PCM wav comes back as noise, a wav with a chunk before its data as silence, and an 8- or
  24-bit wav with an odd number of bytes not at all: of wav files they get plain 16-bit ones only;
- their errors name no file: a file that fails there is read again by soundfile, whose error does;
- `IOTensor.graph` mixes files up when a map runs in parallel: only the stateless `decode_*` are
  used, and the rate is read from the header here;
- the resampler is late by 32 samples of the slower rate and slow: `audio.resample` (soxr) takes
  its place.
"""

import functools

import numpy as np
import tensorflow as tf

from kvoice import audio

_MP3_RATES_HZ = (44100, 48000, 32000, 0)  # by a frame's index; MPEG 2 halves, 2.5 quarters them


def mel(wave: tf.Tensor, spec: audio.Spec) -> tf.Tensor:
    """The scaled mel spectrogram of a wave, equal to that of `audio.mel`.

    Shapes: wave [..., samples] -> [..., 1 + samples // hop, mels] float32; batch and samples may
    be unknown.

    Args:
        wave: Samples as float32 with a full scale of 1, conditioned by the Spec.
        spec: The `audio.Spec` of the mel.
    """
    known = audio.numbers(spec)
    wave = _mirrored(wave, spec.fft // 2)  # [..., samples + fft]
    frames = tf.signal.frame(wave, spec.fft, spec.hop)  # [..., frames, fft]
    spectrum = tf.signal.rfft(frames * known["window"])  # [..., frames, bins]
    size = tf.abs(spectrum) ** known["power"]
    magnitude = tf.tensordot(size, known["filters"], 1)  # [..., frames, mels]
    magnitude = tf.maximum(magnitude, known["floor"])
    values = tf.math.log(magnitude) if known["logarithm"] else magnitude
    return tf.clip_by_value(known["slope"] * values + known["offset"], known["low"], known["high"])


def _mirrored(wave, edge):
    """The wave with `edge` mirrored samples at both ends, however short it is."""
    samples = wave.shape[-1] or tf.shape(wave)[-1]
    period = tf.maximum(2 * (samples - 1), 1)
    before, after = tf.range(-edge, 0) % period, tf.range(samples, samples + edge) % period
    ends = [
        tf.gather(wave, tf.minimum(place, period - place), axis=-1) for place in (before, after)
    ]
    return tf.concat([ends[0], wave, ends[1]], axis=-1)


def decode(path: tf.Tensor, sample_rate_hz: int) -> tf.Tensor:
    """The sound in a file, as one channel at the given rate, equal to that of `audio.read`.

    It works inside tf.data and tf.function, in parallel. It is no part of an exported model: the
    resampler and soundfile are Python.

    Shapes: path [] -> [samples] float32, full scale = 1.

    Args:
        path: The path of a file, a string tensor.
        sample_rate_hz: Sample rate of the result, in Hz.

    Raises:
        tf.errors.OpError: If the file cannot be read; the text names it and is that of
            `audio.read`.
    """
    if _kernels() is None:
        return _read(path, sample_rate_hz)
    wave, rate_hz = _decoded(tf.io.read_file(path))
    wave = tf.cond(
        (tf.size(wave) > 0) & (rate_hz > 0),
        lambda: tf.cond(
            rate_hz == sample_rate_hz,
            lambda: wave,
            lambda: _resampled(wave, rate_hz, sample_rate_hz),
        ),
        lambda: _read(path, sample_rate_hz),
    )
    return tf.ensure_shape(wave, [None])


@functools.lru_cache
def _kernels():
    """The audio module of tensorflow-io; None where it is missing or does not fit TensorFlow."""
    try:
        import tensorflow_io

        return tensorflow_io.audio
    except (ImportError, NotImplementedError):  # the latter: a kernel library that does not load
        return None


def _read(path, sample_rate_hz):
    """`audio.read` as an operation of the graph."""

    def read(name):
        return audio.read(np.asarray(name).item().decode(), sample_rate_hz)[0]

    return tf.ensure_shape(tf.numpy_function(read, [path], tf.float32), [None])


def _resampled(wave, from_hz, to_hz):
    """`audio.resample` as an operation of the graph."""

    def resample(wave, from_hz):
        return audio.resample(wave, int(from_hz), to_hz)

    return tf.ensure_shape(tf.numpy_function(resample, [wave, from_hz], tf.float32), [None])


def _decoded(content):
    """The mono wave and the rate in a file's bytes, by the kernels; no samples where they fail."""
    kernels = _kernels()
    head = tf.strings.substr(content, 0, 64) + b"\0" * 64

    def holds(start, expected):
        return tf.strings.substr(head, start, len(expected)) == expected

    def number(start, little_endian=True):
        return tf.io.decode_raw(tf.strings.substr(head, start, 4), tf.int32, little_endian)[0]

    plain_wav = holds(0, b"RIFF") & holds(8, b"WAVEfmt \x10\0\0\0\1\0") & holds(34, b"\x10\0data")
    return tf.case(
        [
            (
                plain_wav,
                lambda: (_attempt(kernels.decode_wav, content, dtype=tf.int16), number(24)),
            ),
            (
                holds(
                    0, b"fLaC"
                ),  # the rate is in 20 bits; other than 16-bit samples are an error of the kernel
                lambda: (
                    _attempt(kernels.decode_flac, content, dtype=tf.int16),
                    number(18, False) // 4096,
                ),
            ),
            (
                holds(28, b"\1vorbis"),
                lambda: (_attempt(kernels.decode_vorbis, content), number(40)),
            ),
            (
                _mp3_rate_hz(content) > 0,
                lambda: (_attempt(kernels.decode_mp3, content), _mp3_rate_hz(content)),
            ),
        ],
        default=lambda: (tf.zeros([0]), 0),
    )


def _attempt(kernel, content, **options):
    """The mono wave that a kernel decodes, or no samples where it raises an error.

    A graph has no `try`; a dataset of one element that ignores its errors serves as one.
    """

    def wave(content):
        channels = kernel(content, **options)
        scale = 32768 if channels.dtype == tf.int16 else 1
        return tf.reduce_mean(tf.cast(channels, tf.float32), axis=1) / scale

    quick = tf.data.Options()  # tuning and rewriting the dataset would cost more than the decoding
    quick.autotune.enabled = False
    quick.experimental_optimization.apply_default_optimizations = False
    attempt = tf.data.Dataset.from_tensors(content).map(wave).ignore_errors()
    otherwise = tf.data.Dataset.from_tensors(tf.zeros([0]))
    return attempt.concatenate(otherwise).take(1).with_options(quick).get_single_element()


def _mp3_rate_hz(content):
    """The rate in the first frame of an mp3 file, behind its ID3 tag; 0 where there is no frame."""
    padded = content + b"\0" * 10
    head = tf.cast(tf.io.decode_raw(tf.strings.substr(padded, 0, 10), tf.uint8), tf.int32)
    tag = 10 + tf.reduce_sum(
        head[6:] * [1 << 21, 1 << 14, 1 << 7, 1]
    )  # its size: four numbers of 7 bits
    start = tf.where(tf.strings.substr(padded, 0, 3) == b"ID3", tag, 0)
    start = tf.clip_by_value(start, 0, tf.strings.length(content))
    frame = tf.cast(tf.io.decode_raw(tf.strings.substr(padded, start, 4), tf.uint8), tf.int32)
    synchronous = (frame[0] == 0xFF) & (frame[1] >= 0xE0)
    rate_hz = tf.gather(_MP3_RATES_HZ, frame[2] // 4 % 4)
    rate_hz //= tf.gather([4, 1, 2, 1], frame[1] // 8 % 4)  # versions 2.5, none, 2, 1
    return tf.where(synchronous, rate_hz, 0)
