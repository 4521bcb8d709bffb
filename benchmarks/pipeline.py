"""Throughput of the data pipeline, and the time that training steps wait for it.

    KERAS_BACKEND=tensorflow python benchmarks/pipeline.py --corpus=prepared/DIR

Throughput is in hours of audio per second: of training batches from the NumPy source and through
tf.data (a crop of each utterance), of whole utterances from the shards with mels computed in the
graph, and of wav files that are decoded, resampled and turned into mels. The wavs are the test
split of the corpus, written to a temporary folder at 44.1 kHz. Waiting is the share of the training
time of the default voicegan in which the step has no batch yet.
"""

import argparse
import itertools
import pathlib
import tempfile
import time

import measure
import numpy as np


def rate(batches, spec_hop_s, repeat):
    """Hours of audio per second of an iterator of batches."""
    next(batches)
    start, frames = time.perf_counter(), 0
    for batch in itertools.islice(batches, repeat):
        frames += int(np.prod(batch["mel"].shape[:-1]))
    return frames * spec_hop_s / 3600 / (time.perf_counter() - start)


def waiting(source, steps):
    """The share of a training of `steps` steps spent in the iterator of the data."""
    import keras

    from kvoice.cli import configs
    from kvoice.data import pipeline
    from kvoice.models import VoiceGAN
    from kvoice.steps import OptimizerGroup

    config = configs.configuration("voicegan")
    spec = source.spec
    model = VoiceGAN(
        shape=(source.crop_frames, spec.mels),
        low=spec.low,
        high=spec.high,
        labels=len(source.labels["emotion"]),
        **config["model"],
    )
    adam = {
        name: keras.optimizers.Adam(1e-4, beta_1=0.5, beta_2=0.9)
        for name in model.parameter_groups()
    }
    model.compile(OptimizerGroup(adam), jit_compile=keras.backend.backend() == "jax")
    waited, steps_s, iterator = [], [], iter(pipeline.batches(source))
    for _ in range(steps + 3):
        start = time.perf_counter()
        batch = next(iterator)
        middle = time.perf_counter()
        model.train_on_batch(batch)
        waited.append(middle - start)
        steps_s.append(time.perf_counter() - middle)
    waited, steps_s = sum(waited[3:]), sum(steps_s[3:])
    return {"share": waited / (waited + steps_s), "step_s": steps_s / steps}


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--corpus", required=True, help="a prepared corpus")
    parser.add_argument("--steps", type=int, default=30)
    options = parser.parse_args()

    from kvoice import audio
    from kvoice.cli import configs, corpora
    from kvoice.data import pipeline
    from kvoice.data.source import Source

    config = configs.configuration("voicegan")
    spec = corpora.conditioned(audio.Spec(**config["audio"]), f"prepared:{options.corpus}")
    hop_s = spec.hop / spec.sample_rate_hz
    source = Source(options.corpus, spec=spec, condition="emotion", **config["data"])
    numpy_batches = (source.batch(step) for step in itertools.count())
    tf_batches = iter(pipeline.batches(source))
    shards = iter(pipeline.utterances(options.corpus, "train", spec).batch(1).repeat())
    found = {
        "batches_numpy": rate(numpy_batches, hop_s, 200),
        "batches_tf_data": rate(tf_batches, hop_s, 200),
        "utterances_from_shards": rate(shards, hop_s, 500),
    }
    test = Source(options.corpus, "test", spec, 1, 1, arrays=("wave",))
    with tempfile.TemporaryDirectory() as folder:
        paths = []
        for i in range(len(test)):
            paths.append(pathlib.Path(folder) / f"{i}.wav")
            wave = audio.resample(test.utterance(i)["wave"], spec.sample_rate_hz, 44100)
            audio.write(paths[-1], wave, 44100)
        wavs = iter(pipeline.files(paths, spec).batch(1).repeat())
        found["utterances_from_wavs"] = rate(wavs, hop_s, len(paths) - 1)
    measure.write(
        "pipeline",
        {"hours_of_audio_per_second": found, "waiting_for_data": waiting(source, options.steps)},
    )


if __name__ == "__main__":
    main()
