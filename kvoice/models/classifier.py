"""Classifier: predicts the emotion, gender or speaker of a crop of speech.

Five architectures of the earlier work on activation maximisation over voices, as targets for
`maximize` and as judges: on mels a CNN, a WaveNet and an LSTM, on waves a WaveNet and an LSTM. They
stand in `ARCHITECTURES`, with the published sizes in `configs/classifier.py`.

Sources:
    Krizhevsky, Sutskever & Hinton 2012 (convolutions that begin with 11 x 11), van den Oord et al.
    2016, arXiv:1609.03499 (WaveNet), Hochreiter & Schmidhuber 1997 (LSTM).
    Differs from the earlier work: logits go to the cross-entropy, where a softmax came in between;
    mels keep fixed bounds, where every clip was scaled to its own range, which threw its level
    away; waves keep their level too; LSTMs are in inference mode when they are maximised; the
    training clips may be augmented by blur and noise (`noise`), so that the classifier does not
    depend on recording artefacts, and by vocal tract length perturbation (VTLP, `vtlp`), so that it
    does not depend on the speaker.
    Where the earlier work is silent: both directions of a "bi" WaveNet are two stacks, the kernels
    of the convolutions behind it span 3 frames or 9 samples, and means over time end every network.
"""

import keras
import numpy as np
from keras import layers, ops

from kvoice import losses
from kvoice.layers.bidirectional import bidirectional
from kvoice.layers.vtlp import shifted
from kvoice.layers.wavenet import WaveNet
from kvoice.steps import StepModel


def pooled(x, channels, kernel, pool, rank):
    """A convolution, then maximum pooling, batch normalisation and ReLU; rank 1 or 2."""
    convolution, pooling = {
        1: (layers.Conv1D, layers.MaxPooling1D),
        2: (layers.Conv2D, layers.MaxPooling2D),
    }[rank]
    x = convolution(channels, kernel, padding="same")(x)
    x = pooling(pool)(x)
    return layers.ReLU()(layers.BatchNormalization(momentum=0.98)(x))


def both_ways(x, depth, residual, gate, skip):
    """A causal and an anti-causal WaveNet, concatenated: [batch, time, 2 * skip]."""
    return layers.Concatenate()(
        [WaveNet(depth, residual, gate, skip, backwards=way)(x) for way in (False, True)]
    )


def recurrent(x, depth, width, features):
    """`depth` bidirectional LSTMs of `width` cells per direction, and their mean over time."""
    for i in range(depth):
        x = bidirectional(layers.LSTM(width, return_sequences=True))(x)
        features[f"lstm_{i}"] = x  # [B, T, 2 W]
    return layers.GlobalAveragePooling1D()(x)


def mel_cnn(x, width, depth, features):
    """11 x 11 convolution, then `depth` of 3 x 3, each twice as wide: 64, 128, 256, 512 published.

    Shapes: `x` [batch, time, mels] -> [batch, 2^depth * width].
    """
    x = layers.Reshape((-1, x.shape[-1], 1))(x)  # [B, T, M, 1]
    for i in range(depth + 1):
        x = pooled(x, 2**i * width, 3 if i else 11, 2, rank=2)  # half T and M
        features[f"block_{i}"] = x
    return layers.GlobalAveragePooling2D()(x)


def mel_wavenet(x, width, depth, features):
    """A WaveNet each way over the frames (16 residual, 8 gate, 16 skip), then three convolutions.

    Shapes: `x` [batch, time, mels] -> [batch, 8 * width].
    """
    x = features["wavenet"] = both_ways(x, depth, width, width // 2, width)  # [B, T, 2 W]
    for i in range(3):
        x = features[f"block_{i}"] = pooled(x, 2 ** (i + 1) * width, 3, 2, rank=1)  # half T
    return layers.GlobalAveragePooling1D()(x)


def mel_lstm(x, width, depth, features):
    """Bidirectional LSTMs over the frames: 5 of 128 published.

    Shapes: `x` [batch, time, mels] -> [batch, 2 * width].
    """
    return recurrent(x, depth, width, features)


def wave_wavenet(x, width, depth, features):
    """A WaveNet each way over the samples (16, 4, 8), then three convolutions, each pooled by 8.

    Shapes: `x` [batch, samples] -> [batch, 8 * width].
    """
    x = layers.Reshape((-1, 1))(x)  # [B, T, 1]
    x = features["wavenet"] = both_ways(x, depth, width, width // 4, width // 2)  # [B, T, W]
    for i in range(3):
        x = features[f"block_{i}"] = pooled(x, 2 ** (i + 1) * width, 9, 8, rank=1)  # an eighth of T
    return layers.GlobalAveragePooling1D()(x)


def wave_lstm(x, width, depth, features):
    """Three convolutions, each pooled by 8, then bidirectional LSTMs: 5 of 256 published.

    Shapes: `x` [batch, samples] -> [batch, 2 * width].
    """
    x = layers.Reshape((-1, 1))(x)  # [B, T, 1]
    for i in range(3):
        channels = max(1, 2**i * width // 8)
        x = features[f"block_{i}"] = pooled(x, channels, 9, 8, rank=1)  # an eighth of T
    return recurrent(x, depth, width, features)


ARCHITECTURES = {
    ("mel", "cnn"): mel_cnn,
    ("mel", "wavenet"): mel_wavenet,
    ("mel", "lstm"): mel_lstm,
    ("wave", "wavenet"): wave_wavenet,
    ("wave", "lstm"): wave_lstm,
}


def smallest_crop(domain: str, architecture: str, depth: int) -> tuple[int, ...]:
    """The smallest crop that is at least one step long after the pooling of an architecture."""
    if domain == "wave":
        return (8**3,)
    return {"cnn": (2 ** (depth + 1),) * 2, "wavenet": (2**3, 1), "lstm": (1, 1)}[architecture]


@keras.saving.register_keras_serializable(package="kvoice")
class Classifier(StepModel):
    """Predicts one label of a crop; trained with the cross-entropy of its logits.

    Args:
        shape: Shape of a training crop: (frames, mels), or (samples,). Crops of other lengths can
            be classified too.
        low: The value that is scaled to 0, in the unit of the Spec's mel; -1 for waves.
        high: The value that is scaled to 1. Mels are clipped to [low, high].
        labels: Number of classes, two or more.
        condition: Name of the array that holds the labels: "emotion", "gender" or "speaker".
        domain: Name of the input array: "mel" or "wave".
        architecture: "cnn" (mels only), "wavenet" or "lstm".
        width: Number of channels, as each architecture counts them.
        depth: Number of layers, as each architecture counts them.
        noise: Augmentation by blur and noise: a third of the training clips is blurred (two passes
            of a moving average over five values along each axis), a third is partly blurred and
            a third is not; noise is added in the same way, with a standard deviation of up to
            `noise` times that of the clip. 0 = no blur and no noise.
        vtlp: Augmentation by vocal tract length perturbation (VTLP): the largest change of the
            frequencies. Mels are shifted by up to this share of their bands, waves are played up to
            this share faster or slower. 0 = none.
        seed: Seed of both augmentations.

    Raises:
        ValueError: If an argument is out of range or does not fit another; the message names it.
    """

    verbs = ("classify",)
    terms = ("loss", "accuracy")

    @classmethod
    def from_data(cls, values, facts):
        """As in `StepModel`."""
        return facts.domains.get(values["domain"], {}) | {"labels": facts.labels}

    @classmethod
    def description(cls, values, names):
        """As in `StepModel`."""
        return f"classifies {values['condition']} ({', '.join(names)})"

    def __init__(
        self,
        *,
        shape: tuple[int, ...],
        low: float,
        high: float,
        labels: int,
        condition: str = "emotion",
        domain: str = "mel",
        architecture: str = "cnn",
        width: int = 16,
        depth: int = 3,
        noise: float = 0.0,
        vtlp: float = 0.0,
        seed: int = 0,
        **kwargs,
    ):
        super().__init__(**kwargs)
        shape = tuple(shape)
        if (domain, architecture) not in ARCHITECTURES:
            known = ", ".join(f"{a} on {d}" for d, a in ARCHITECTURES)
            raise ValueError(
                f"architecture: {architecture!r} on domain {domain!r} is none of {known}."
            )
        if not condition:
            raise ValueError("condition: must name what to predict: emotion, gender or speaker.")
        if labels < 2:
            raise ValueError(f"labels: {labels} must be at least 2 to classify.")
        if not low < high:
            raise ValueError(f"low: {low} must be below high: {high}.")
        for name, value, least in (
            ("width", width, 4),
            ("depth", depth, 1),
            ("noise", noise, 0),
            ("vtlp", vtlp, 0),
            ("seed", seed, 0),
        ):
            if value < least:
                raise ValueError(f"{name}: {value} must be at least {least}.")
        smallest = smallest_crop(domain, architecture, depth)
        if len(shape) != len(smallest) or any(a < b for a, b in zip(shape, smallest)):
            sizes, wanted = (" x ".join(f"{n:,}" for n in each) for each in (shape, smallest))
            unit = {"mel": "frames x mels", "wave": "samples"}[domain]
            raise ValueError(
                f"shape: {sizes} must be at least {wanted} {unit}, or pooling leaves "
                "nothing: set data.crop_frames so, or a smaller depth."
            )
        self._config = dict(
            shape=shape,
            low=low,
            high=high,
            labels=labels,
            condition=condition,
            domain=domain,
            architecture=architecture,
            width=width,
            depth=depth,
            noise=noise,
            vtlp=vtlp,
            seed=seed,
        )
        self.shape, self.low, self.high, self.labels = shape, low, high, labels
        self.condition, self.domain, self.architecture = condition, domain, architecture
        self.noise, self.vtlp = noise, vtlp
        self.names = []  # the names of the labels; `kvoice.load` sets them
        x = keras.Input((None, *shape[1:]), name=domain)
        outputs = {}
        pooled_over_time = ARCHITECTURES[domain, architecture](x, width, depth, outputs)
        outputs["embedding"] = pooled_over_time
        outputs["logits"] = layers.Dense(labels, dtype="float32")(pooled_over_time)
        self.network = keras.Model(x, outputs, name="network")
        self._random = keras.random.SeedGenerator(seed)
        self.built = True

    def parameter_groups(self):
        return {"classifier": self.network.trainable_variables}

    def call(self, batch, training=False):
        """Returns the intermediate outputs of every block, the logits, and the probabilities.

        Shapes: `mel` [batch, time, mels] or `wave` [batch, samples], in the unit of the Spec ->
        dict with `logits` and `probabilities` [batch, labels] and the `embedding` before them.
        """
        outputs = self.network(self._scaled(batch[self.domain]), training=training)
        return {**outputs, "probabilities": ops.softmax(outputs["logits"])}

    # Verbs

    def logits(self, items):
        """Returns the logits of crops as tensors, differentiable for activation maximisation.

        Shapes: `items` [batch, time, mels] or [batch, samples] -> [batch, labels].
        """
        return self.network(self._scaled(items), training=False)["logits"]

    def probabilities(self, items: np.ndarray, batch: int = 64) -> np.ndarray:
        """Returns the probability of each label for each crop as a NumPy array.

        Shapes: `items` [n, time, mels] or [n, samples], in the unit of the Spec -> [n, labels].
        """
        scaled = ops.convert_to_numpy(self._scaled(ops.convert_to_tensor(items, "float32")))
        logits = self.network.predict(scaled, batch_size=batch, verbose=0)["logits"]
        odds = np.exp(logits - logits.max(axis=-1, keepdims=True))
        return odds / odds.sum(axis=-1, keepdims=True)

    # Training

    def _scaled(self, items):
        """Mels to [0, 1], waves as they are."""
        if self.domain == "wave":
            return items
        return ops.clip((items - self.low) / (self.high - self.low), 0.0, 1.0)

    def _vocal_tract_perturbed(self, items):
        """Applies vocal tract length perturbation to each crop; waves are played faster."""
        size = items.shape[-1]
        share = keras.random.uniform(
            (ops.shape(items)[0], 1), -self.vtlp, self.vtlp, seed=self._random
        )
        if self.domain == "mel":
            return shifted(items, share)
        steps = ops.arange(size, dtype="float32")
        places = ops.clip(steps * (1 + share), 0, size - 1)  # [B, S]
        left = ops.floor(places)
        part = places - left
        left = ops.cast(left, "int32")
        right = ops.minimum(left + 1, size - 1)
        return (1 - part) * ops.take_along_axis(items, left, axis=1) + part * ops.take_along_axis(
            items, right, axis=1
        )

    def _blurred_and_noisy(self, items):
        """Blurs a third of the crops, a third in part, a third not; adds noise likewise."""
        axes = tuple(range(1, len(items.shape)))
        shape = (ops.shape(items)[0],) + (1,) * len(axes)
        share, level = (
            ops.clip(keras.random.uniform(shape, -1, 2, seed=self._random), 0.0, 1.0)
            for _ in range(2)
        )
        blurred = items[..., None]
        for _ in range(2):
            blurred = ops.average_pool(blurred, 5, 1, "same")
        items = items + share * (blurred[..., 0] - items)
        spread = ops.std(items, axis=axes, keepdims=True)
        noise = keras.random.normal(ops.shape(items), seed=self._random)
        return items + self.noise * level * spread * noise

    def loss_and_terms(self, batch, training):
        """Returns the cross-entropy in nats, and the accuracy."""
        items = self._scaled(batch[self.domain])
        if training and self.vtlp:
            items = self._vocal_tract_perturbed(items)
        if training and self.noise:
            items = self._blurred_and_noisy(items)
        logits = self.network(items, training=training)["logits"]
        label = batch[self.condition]
        right = ops.cast(
            ops.equal(ops.argmax(logits, axis=-1), ops.cast(label, "int32")), "float32"
        )
        return losses.label_cross_entropy(logits, label), {"accuracy": ops.mean(right)}

    def train_on(self, batch):
        loss, terms = self.update("classifier", lambda: self.loss_and_terms(batch, training=True))
        return {"loss": loss, **terms}

    def eval_on(self, batch):
        loss, terms = self.loss_and_terms(batch, training=False)
        return {"loss": loss, **terms}

    def get_config(self) -> dict:
        return {**super().get_config(), **self._config}
