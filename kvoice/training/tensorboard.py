"""TensorBoard summaries of a run: losses, mels as images, and audio."""

from collections.abc import Callable

import keras
import numpy as np
import tensorflow as tf

from kvoice import audio
from kvoice.data.factors import FactorSource
from kvoice.data.source import Source
from kvoice.runs import Run

UTTERANCES = 2  # validation utterances that a vocoder resynthesises


class Summaries(keras.callbacks.Callback):
    """Writes the scalars of each epoch to RUN/logs, and the output of a model as images and audio.

    For generators it writes a mel and a wave of each label; for vocoders the audio of some
    validation mels, and the recordings once.

    It must come after `callbacks.CheckpointCallback`: then an epoch that it writes has a
    checkpoint, so that a resumed run writes nothing twice.

    Args:
        run: The run; audio is written if its model has `generate(count, label, seed)` or
            `infer(mel)`.
        steps_per_epoch: Number of steps of an epoch.
        waves: `inference.render.waves`, which renders what the model makes.
        valid: Source of validation data, for vocoders.
    """

    def __init__(
        self,
        run: Run,
        steps_per_epoch: int,
        waves: Callable[[np.ndarray, audio.Spec, str], np.ndarray],
        valid: Source | FactorSource | None = None,
    ) -> None:
        super().__init__()
        self.run, self.steps_per_epoch, self.waves, self.valid = run, steps_per_epoch, waves, valid

    def on_train_begin(self, logs: dict | None = None) -> None:
        self.writer = tf.summary.create_file_writer(str(self.run.path / "logs"))

    def on_epoch_end(self, epoch: int, logs: dict | None = None) -> None:
        step = (epoch + 1) * self.steps_per_epoch
        with self.writer.as_default(step=step):
            for name, value in logs.items():
                tf.summary.scalar(name, value)
            if hasattr(self.model, "generate"):
                self._write_generated()
            if hasattr(self.model, "infer"):
                self._write_resynthesised(first=epoch == 0)
        self.writer.flush()

    def _write_generated(self):
        spec, domain = self.run.spec, self.model.domain
        for label, name in enumerate(self.run.names or ["sample"]):
            item = self.model.generate(1, label if self.run.names else None)
            tf.summary.image(f"mel/{name}", picture(audio.as_mels(item, domain, spec), spec))
            wave = self.waves(item, spec, domain)
            tf.summary.audio(f"audio/{name}", wave[:, :, None].clip(-1, 1), spec.sample_rate_hz)

    def _write_resynthesised(self, first):
        for i in range(min(UTTERANCES, len(self.valid))):
            utterance = self.valid.utterance(i)
            waves = {"audio": self.model.infer(utterance["mel"])}
            if first:
                waves["recording"] = utterance["wave"]
            for name, wave in waves.items():
                wave = self.waves(wave[None], self.run.spec, "wave").clip(-1, 1)
                tf.summary.audio(f"{name}/{i}", wave[:, :, None], self.run.spec.sample_rate_hz)

    def on_train_end(self, logs: dict | None = None) -> None:
        self.writer.close()


def picture(mels: np.ndarray, spec: audio.Spec) -> np.ndarray:
    """Converts mels to grey images, time to the right and low frequencies at the bottom.

    Shapes: mels [n, time, mels] -> [n, mels, time, 1] float32 in [0, 1], the Spec's bounds.
    """
    scaled = (np.asarray(mels) - spec.low) / (spec.high - spec.low)
    return scaled.clip(0, 1).transpose(0, 2, 1)[:, ::-1, :, None].astype(np.float32)
