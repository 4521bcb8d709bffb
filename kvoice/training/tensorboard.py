"""What TensorBoard shows of a run: the losses, mels as pictures, and audio (Keras' has no audio)."""

import keras
import numpy as np
import tensorflow as tf

from kvoice import audio

SAID = 2  # validation utterances that a vocoder is heard with

class Summaries(keras.callbacks.Callback):
    """Writes the scalars of each epoch to RUN/logs, and what a model makes as pictures and audio.

    Of generators a mel and a wave of each label; of vocoders some validation mels as they sound, and the
    recordings once.

    It belongs behind `callbacks.CheckpointCallback`: what it writes of an epoch then has a
    checkpoint, so that a resumed run shows nothing twice.

    Args:
        run: The run; where its model has a verb `generate(count, label, seed)` or `infer(mel)`, it is
            heard.
        steps_per_epoch: Steps of an epoch, the axis of the curves.
        waves: `inference.render.waves`: what is heard of what the model makes.
        valid: Validation data, for vocoders.
    """

    def __init__(self, run, steps_per_epoch, waves, valid=None):
        super().__init__()
        self.run, self.steps_per_epoch, self.waves, self.valid = run, steps_per_epoch, waves, valid

    def on_train_begin(self, logs=None):
        self.writer = tf.summary.create_file_writer(str(self.run.path / "logs"))

    def on_epoch_end(self, epoch, logs=None):
        step = (epoch + 1) * self.steps_per_epoch
        with self.writer.as_default(step=step):
            for name, value in logs.items():
                tf.summary.scalar(name, value)
            if hasattr(self.model, "generate"):
                self._heard()
            if hasattr(self.model, "infer"):
                self._said_again(first=epoch == 0)
        self.writer.flush()

    def _heard(self):
        spec, domain = self.run.spec, self.model.domain
        for label, name in enumerate(self.run.names or ["sample"]):
            item = self.model.generate(1, label if self.run.names else None)
            tf.summary.image(f"mel/{name}", picture(audio.as_mels(item, domain, spec), spec))
            wave = self.waves(item, spec, domain)
            tf.summary.audio(f"audio/{name}", wave[:, :, None].clip(-1, 1), spec.sample_rate_hz)

    def _said_again(self, first):
        for i in range(min(SAID, len(self.valid))):
            utterance = self.valid.utterance(i)
            waves = {"audio": self.model.infer(utterance["mel"])}
            if first:
                waves["recording"] = utterance["wave"]
            for name, wave in waves.items():
                wave = self.waves(wave[None], self.run.spec, "wave").clip(-1, 1)
                tf.summary.audio(f"{name}/{i}", wave[:, :, None], self.run.spec.sample_rate_hz)

    def on_train_end(self, logs=None):
        self.writer.close()


def picture(mels, spec):
    """Mels as grey pictures, time to the right and low frequencies at the bottom.

    Shapes: mels [n, time, mels] -> [n, mels, time, 1] float32 in [0, 1], the Spec's bounds.
    """
    scaled = (np.asarray(mels) - spec.low) / (spec.high - spec.low)
    return scaled.clip(0, 1).transpose(0, 2, 1)[:, ::-1, :, None].astype(np.float32)
