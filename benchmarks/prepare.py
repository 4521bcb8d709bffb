"""Speed of `prepare` per file, compared with librosa on the same files.

    python benchmarks/prepare.py

Files are utterances of the demo corpus, written as 48 kHz wavs. Both libraries read them, resample
them to 22,050 Hz, and compute F0 (YIN) and the log-mels of the `waveglow` Spec, in one process, in
turns. F0 and mels are the expensive parts: each is timed alone too. Then `prepare` itself is timed,
from the folder to the shards on all processors.
"""

import argparse
import os
import pathlib
import tempfile
import time

import measure
import numpy as np


def files(folder, count):
    """Writes `count` wavs in the layout speaker/NAME.wav; their paths and seconds of audio."""
    from kvoice import audio
    from kvoice.data.synthetic import demo

    paths, total = [], 0.0
    utterances = demo.utterances()
    for utterance in utterances[:: max(1, len(utterances) // count)][:count]:
        recording = demo.render(utterance)
        wave = audio.resample(recording.wave, recording.sample_rate_hz, 48000)
        path = pathlib.Path(folder) / f"speaker{len(paths) % 8}" / f"{len(paths)}.wav"
        path.parent.mkdir(exist_ok=True)
        audio.write(path, np.clip(wave, -1, 1), 48000)
        paths.append(path)
        total += len(wave) / 48000
    return paths, total


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--count", type=int, default=48)
    options = parser.parse_args()

    import librosa

    from kvoice import audio
    from kvoice.data import prepare

    spec = audio.SPECS["waveglow"]
    rate, hop = spec.sample_rate_hz, spec.hop
    stft = dict(n_fft=spec.fft, hop_length=hop, win_length=spec.window, pad_mode="reflect")

    def ours(path):
        wave, _ = audio.read(path, rate)
        return audio.f0(wave, rate, hop), audio.mel(wave, spec)

    def theirs(path):
        wave, _ = librosa.load(path, sr=rate)
        mel = librosa.feature.melspectrogram(
            y=wave, sr=rate, n_mels=spec.mels, fmax=spec.fmax_hz, power=1.0, **stft
        )
        f0 = librosa.yin(wave, fmin=60, fmax=600, sr=rate, hop_length=hop)
        return f0, np.log(np.maximum(mel, spec.floor))

    with tempfile.TemporaryDirectory() as folder:
        paths, total = files(folder, options.count)
        waves = [audio.read(path, rate)[0] for path in paths]
        jobs = {
            "read + resample + f0 + mel": (
                lambda: [ours(p) for p in paths],
                lambda: [theirs(p) for p in paths],
            ),
            "read + resample": (
                lambda: [audio.read(p, rate) for p in paths],
                lambda: [librosa.load(p, sr=rate) for p in paths],
            ),
            "f0": (
                lambda: [audio.f0(w, rate, hop) for w in waves],
                lambda: [librosa.yin(w, fmin=60, fmax=600, sr=rate, hop_length=hop) for w in waves],
            ),
            "mel": (
                lambda: [audio.mel(w, spec) for w in waves],
                lambda: [
                    librosa.feature.melspectrogram(
                        y=w, sr=rate, n_mels=spec.mels, fmax=spec.fmax_hz, power=1.0, **stft
                    )
                    for w in waves
                ],
            ),
        }
        table = {}
        for name, (mine, other) in jobs.items():
            kvoice, librosa_s = measure.seconds(mine, 3), measure.seconds(other, 3)
            table[name] = {
                "kvoice_x_real_time": total / kvoice["median_s"],
                "librosa_x_real_time": total / librosa_s["median_s"],
                "ratio": librosa_s["median_s"] / kvoice["median_s"],
            }
        start = time.perf_counter()
        prepare.prepare(f"folder:{folder}", os.path.join(folder, "shards"), spec)
        whole = time.perf_counter() - start
    measure.write(
        "prepare",
        {
            "seconds_of_audio": total,
            "files": len(paths),
            "one_process": table,
            "prepare_x_real_time": total / whole,
        },
    )


if __name__ == "__main__":
    main()
