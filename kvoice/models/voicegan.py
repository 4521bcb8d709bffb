"""VoiceGAN: a conditional Wasserstein GAN that generates speech from noise.

A generator maps noise (and a label: an emotion, a gender, a speaker) to a patch of log-mel
spectrogram, or to a wave; it is trained against a critic with gradient penalty and a class head.

Sources:
    Gulrajani et al. 2017, arXiv:1704.00028 (WGAN-GP): the critic's loss, five critic steps for
    one of the generator, no batch normalisation in the critic.
    Choi et al. 2018, arXiv:1711.09020 (StarGAN): the critic's class head, trained on real items;
    the generator is trained with its cross-entropy on generated ones.
    The layer sizes at `width=64` are those of the 80 x 160 DCGAN with a 512-d noise used for
    activation maximisation over voices. Differs: no batch normalisation in the critic, no
    sigmoid on its output, fixed bounds instead of a per-clip scale, the Wasserstein loss
    instead of a squared error, no bias before a batch normalisation.
    Donahue, McAuley & Puckette 2018, arXiv:1802.04208 (WaveGAN): the networks of the waves, at
    `width=64` with the sizes of the paper; for 32,768 samples with those of the official code.
    Differs: noise from N(0, 1) instead of uniform, a label beside it and the class head, one fixed
    full scale for all waves.
"""

import dataclasses
from collections.abc import Callable

import keras
import numpy as np
from keras import layers, ops

from kvoice import backend, losses
from kvoice.layers.phase_shuffle import PhaseShuffle
from kvoice.steps import StepModel


def _condition(noise, labels):
    """The inputs of a generator, and noise and one-hot label joined [batch, noise + labels]."""
    inputs = {"noise": keras.Input((noise,), name="noise")}
    if not labels:
        return inputs, inputs["noise"]
    inputs["label"] = keras.Input((labels,), name="label")
    return inputs, layers.Concatenate()([inputs["noise"], inputs["label"]])


def mel_generator(noise: int, labels: int, shape: tuple[int, ...], width: int) -> keras.Model:
    """Noise and label -> image in [0, 1], by one dense and four transposed convolutions.

    At `width=64`: [10, 5, 512] -> 256 -> 128 -> 64 -> 1 channels, each step twice as long and
    as high. Batch normalisation uses momentum .9 and epsilon 1e-5.

    Shapes: `noise` [batch, noise], `label` [batch, labels] one-hot (absent when labels = 0)
    -> dict of the activations `up_0` ... `up_3` and `image` [batch, time, mels].
    """
    time, mels = shape
    inputs, x = _condition(noise, labels)
    x = layers.Dense(time // 16 * (mels // 16) * 8 * width, use_bias=False)(x)
    x = layers.Reshape((time // 16, mels // 16, 8 * width))(x)  # [B, T/16, M/16, 8W]
    outputs = {}
    for i, channels in enumerate((4 * width, 2 * width, width, 1)):
        x = layers.BatchNormalization(momentum=0.9, epsilon=1e-5)(x)
        x = layers.LeakyReLU(0.2)(x)
        outputs[f"up_{i}"] = x
        x = layers.Conv2DTranspose(channels, 4, 2, "same", use_bias=False)(x)  # twice T and M
    x = layers.BatchNormalization(momentum=0.9, epsilon=1e-5)(x)
    x = layers.Activation("sigmoid", dtype="float32")(x)
    outputs["image"] = layers.Reshape((time, mels), dtype="float32")(x)  # [B, T, M]
    return keras.Model(inputs, outputs, name="generator")


def mel_critic(labels: int, shape: tuple[int, ...], width: int) -> keras.Model:
    """Image -> one critic value and the class logits, by four strided convolutions.

    At `width=64`: 64, 128, 256, 512 channels, each half as long and as high, LeakyReLU .2, no
    normalisation; the value is the mean over the last map of a 1 x 1 convolution, the logits a
    convolution over the whole of it (as in StarGAN).

    Shapes: `image` [batch, time, mels] -> dict of the activations `down_0` ... `down_3`,
    `value` [batch] and `logits` [batch, labels] (absent when labels = 0).
    """
    image = keras.Input(shape, name="image")
    x = layers.Reshape((*shape, 1))(image)  # [B, T, M, 1]
    outputs = {}
    for i, channels in enumerate((width, 2 * width, 4 * width, 8 * width)):
        x = layers.Conv2D(channels, 4, 2, "same")(x)  # half T and M
        x = layers.LeakyReLU(0.2)(x)
        outputs[f"down_{i}"] = x
    value = layers.Conv2D(1, 1, dtype="float32")(x)  # [B, T/16, M/16, 1]
    value = layers.GlobalAveragePooling2D(dtype="float32")(value)
    outputs["value"] = layers.Reshape((), dtype="float32")(value)  # [B]
    if labels:
        outputs["logits"] = layers.Dense(labels, dtype="float32")(layers.Flatten()(x))
    return keras.Model(image, outputs, name="critic")


WAVE_STRIDES = {16_384: (4, 4, 4, 4, 4), 32_768: (4, 4, 4, 4, 4, 2)}  # 16 steps -> samples
WAVE_KERNEL = 25


def wave_generator(noise: int, labels: int, shape: tuple[int, ...], width: int) -> keras.Model:
    """Noise and label -> wave in [-1, 1], by one dense and five or six transposed convolutions.

    At `width=64`: [16, 1024] -> 512 -> 256 -> 128 -> 64 -> 1 channels, kernel 25, each step four
    times as long; for 32,768 samples [16, 2048] -> 1024 -> ... -> 64 -> 1, the last step twice as
    long. ReLU between them, no normalisation.

    Of the 25 - 4 = 21 surplus steps of a convolution the first 10 are cut and the last 11, on every
    backend.

    Shapes: `noise` [batch, noise], `label` [batch, labels] one-hot (absent when labels = 0)
    -> dict of the activations `up_0` ... `up_4` (`up_5`) and `image` [batch, samples].
    """
    strides = WAVE_STRIDES[shape[0]]
    channels = [width * 2**i for i in reversed(range(len(strides)))]  # 16 W, 8 W ... W
    inputs, x = _condition(noise, labels)
    x = layers.Dense(16 * channels[0])(x)
    x = layers.Reshape((16, channels[0]))(x)  # [B, 16, 16W]
    outputs = {}
    for i, (filters, stride) in enumerate(zip([*channels[1:], 1], strides)):
        x = layers.ReLU()(x)
        outputs[f"up_{i}"] = x
        x = layers.Conv1DTranspose(filters, WAVE_KERNEL, stride, "same")(x)  # stride times T
    x = layers.Activation("tanh", dtype="float32")(x)  # [B, S, 1]
    outputs["image"] = layers.Reshape(shape, dtype="float32")(x)  # [B, S]
    return keras.Model(inputs, outputs, name="generator")


def wave_critic(labels: int, shape: tuple[int, ...], width: int) -> keras.Model:
    """Wave -> one critic value and the class logits, by five or six strided convolutions.

    At `width=64`: 64, 128, 256, 512, 1024 (2048) channels, kernel 25, each a quarter as long (the
    sixth half), LeakyReLU .2, no normalisation; in training a phase shuffle of 2 behind each of
    the first four. Value and logits are a dense layer each over the whole last map.

    Shapes: `image` [batch, samples] -> dict of the activations `down_0` ... `down_4` (`down_5`)
    before their shuffle, `value` [batch] and `logits` [batch, labels] (absent when labels = 0).
    """
    image = keras.Input(shape, name="image")
    x = layers.Reshape((*shape, 1))(image)  # [B, S, 1]
    outputs = {}
    for i, stride in enumerate(WAVE_STRIDES[shape[0]]):
        x = layers.Conv1D(width * 2**i, WAVE_KERNEL, stride, "same")(x)  # T / stride
        x = layers.LeakyReLU(0.2)(x)
        outputs[f"down_{i}"] = x
        if i < 4:
            x = PhaseShuffle(2, seed=i)(x)
    x = layers.Flatten()(x)  # [B, 16 * 16W]
    value = layers.Dense(1, dtype="float32")(x)
    outputs["value"] = layers.Reshape((), dtype="float32")(value)  # [B]
    if labels:
        outputs["logits"] = layers.Dense(labels, dtype="float32")(x)
    return keras.Model(image, outputs, name="critic")


def _fault_of_mel(shape):
    if len(shape) != 2 or any(size < 16 or size % 16 for size in shape):
        return (
            f"{shape} (frames, mels) must be multiples of 16: set data.crop_frames and audio.mels "
            "so"
        )
    return ""


def _fault_of_wave(shape):
    if len(shape) == 1 and shape[0] in WAVE_STRIDES:
        return ""
    samples = " x ".join(map(str, shape))
    return (
        f"{samples} samples must be 16,384 or 32,768 (data.crop_frames=64 or 128 at a hop of 256)"
    )


@dataclasses.dataclass(frozen=True)
class Domain:
    """The networks of one kind of generated array.

    Args:
        generator: Function (noise, labels, shape, width) -> the generator, whose `image` is in
            [lowest, 1].
        critic: Function (labels, shape, width) -> the critic of such images.
        lowest: The lowest value of an image: 0 for a sigmoid, -1 for a tanh.
        fault: Function shape -> the reason why it is not supported, or "".
    """

    generator: Callable
    critic: Callable
    lowest: float
    fault: Callable


DOMAINS = {
    "mel": Domain(mel_generator, mel_critic, 0.0, _fault_of_mel),
    "wave": Domain(wave_generator, wave_critic, -1.0, _fault_of_wave),
}


@keras.saving.register_keras_serializable(package="kvoice")
class VoiceGAN(StepModel):
    """Generates items of one domain from noise, conditioned on a label.

    Losses of one step, with D the critic, C its class head and y the labels of the real batch:
        critic, `n_critic` times on fresh items:
            mean D(fake) - mean D(real) + penalty * GP + class_weight * CE(C(real), y)
        generator, once:
            -mean D(fake) + class_weight * CE(C(fake), y), with the labels y in a random order.

    Args:
        shape: Shape of an item: (frames, mels), both multiples of 16; or (samples,), 16,384 or
            32,768.
        low: The value, in the unit of the Spec, that the generator's lowest output represents.
        high: The value that its output 1 represents. Real items are clipped to [low, high]. Low and
            high are the bounds of the Spec's mel; -1 and 1 for waves, which are thus not scaled.
        labels: The number of labels of the condition; 0 = an unconditional GAN.
        condition: Name of the array that holds the labels: "emotion", "gender", "speaker", or "".
        domain: Name of the array that is generated, a key of `DOMAINS`.
        noise: The size of the noise, drawn from N(0, 1).
        width: Number of channels of the widest feature map; 64 in the paper.
        n_critic: Number of critic steps per generator step. They share the batch in equal parts.
        penalty: The weight of the gradient penalty.
        class_weight: The weight of the class loss, of generator and critic.
        seed: Seed of the noise.

    Raises:
        ValueError: If an argument is out of range or does not fit another; the message names it.
    """

    verbs = ("generate",)
    terms = (
        "loss",
        "loss_generator",
        "wasserstein",
        "gradient_penalty",
        "class_real",
        "class_fake",
    )

    @classmethod
    def from_data(cls, values, facts):
        """As in `StepModel`."""
        return facts.domains.get(values["domain"], {}) | {"labels": facts.labels}

    def __init__(
        self,
        *,
        shape: tuple[int, ...],
        low: float,
        high: float,
        labels: int = 0,
        condition: str = "",
        domain: str = "mel",
        noise: int = 512,
        width: int = 64,
        n_critic: int = 5,
        penalty: float = 10.0,
        class_weight: float = 1.0,
        seed: int = 0,
        **kwargs,
    ):
        super().__init__(**kwargs)
        shape = tuple(shape)
        if domain not in DOMAINS:
            raise ValueError(f"domain: {domain!r} is none of {', '.join(DOMAINS)}.")
        if fault := DOMAINS[domain].fault(shape):
            raise ValueError(f"shape: {fault}.")
        if bool(labels) != bool(condition):
            raise ValueError(f"condition: {condition!r} does not go with {labels} labels.")
        if not low < high:
            raise ValueError(f"low: {low} must be below high: {high}.")
        for name, value in dict(noise=noise, width=width, n_critic=n_critic).items():
            if value < 1:
                raise ValueError(f"{name}: {value} must be at least 1.")
        for name, value in dict(penalty=penalty, class_weight=class_weight, seed=seed).items():
            if value < 0:
                raise ValueError(f"{name}: {value} must not be negative.")
        self._config = dict(
            shape=shape,
            low=low,
            high=high,
            labels=labels,
            condition=condition,
            domain=domain,
            noise=noise,
            width=width,
            n_critic=n_critic,
            penalty=penalty,
            class_weight=class_weight,
            seed=seed,
        )
        self.shape, self.domain, self.condition, self.labels = shape, domain, condition, labels
        self.low, self.high, self.noise_size = low, high, noise
        self.n_critic, self.penalty, self.class_weight = n_critic, penalty, class_weight
        self.parts = n_critic
        self.names = []  # the names of the labels; `kvoice.load` sets them
        self.generator = DOMAINS[domain].generator(noise, labels, shape, width)
        self.critic = DOMAINS[domain].critic(labels, shape, width)
        self._lowest = DOMAINS[domain].lowest
        self._random = keras.random.SeedGenerator(seed)
        self.built = True

    def parameter_groups(self):
        return {
            "critic": self.critic.trainable_variables,
            "generator": self.generator.trainable_variables,
        }

    def call(self, batch, training=False):
        """Generates items, and returns them with all intermediate outputs of both networks.

        Shapes: `noise` [batch, noise], `label` [batch] int (unless plain) -> dict with the
        generator's activations, `image` in [0, 1] (a wave in [-1, 1]), the item in the unit of the
        Spec under the name of the domain (`mel` [batch, time, mels], `wave` [batch, samples]), and
        the critic's activations, `value` and `logits` for it.
        """
        generated = self._generated(batch["noise"], batch.get("label"), training)
        item = self.item(generated["image"])
        critic_outputs = self.critic(generated["image"], training=training)
        return {**generated, self.domain: item, **critic_outputs}

    # Verbs

    def noise(self, count: int, seed: int = 0) -> np.ndarray:
        """Draws noise from N(0, 1), NumPy float32 [count, noise]: the same on every backend."""
        rng = np.random.default_rng(seed)
        return rng.standard_normal((count, self.noise_size)).astype("float32")

    def decode(
        self,
        noise: np.ndarray,
        label: int | str | np.ndarray | None = None,
        batch: int = 64,
    ) -> np.ndarray:
        """Generates items in the unit of the Spec, NumPy, from noise [n, noise] and labels.

        Args:
            noise: The return value of `noise`, at least one row.
            label: One of `names`, its index, or an index for each row of `noise`.
            batch: Number of items per batch.

        Raises:
            ValueError: If the model is conditional and no label is given, a label is none of
                the model's, or there is no noise.
        """
        if len(noise) < 1:
            raise ValueError("count: at least one item is to be generated.")
        inputs = {"noise": np.asarray(noise, "float32")}
        if self.labels:
            if label is None:
                raise ValueError(f"label: this model is conditional on {self.condition}.")
            if isinstance(label, str):
                if label not in self.names:
                    raise ValueError(f"label: {label!r} is none of {', '.join(self.names)}.")
                label = self.names.index(label)
            label = np.broadcast_to(np.asarray(label, "int32"), len(inputs["noise"]))
            if label.min() < 0 or label.max() >= self.labels:
                raise ValueError(f"label: must be from 0 to {self.labels - 1}.")
            inputs["label"] = np.eye(self.labels, dtype="float32")[label]
        generated = self.generator.predict(inputs, batch_size=batch, verbose=0)
        return self.item(generated["image"])

    def generate(
        self,
        count: int,
        label: int | str | np.ndarray | None = None,
        seed: int = 0,
    ) -> np.ndarray:
        """Generates `count` items of a label (a name, an index, or [count] indices).

        Shapes: -> NumPy float32 [count, time, mels] in the unit of the Spec, or waves [count,
        samples].
        """
        return self.decode(self.noise(count, seed), label)

    # Training

    def _generated(self, noise, label, training):
        inputs = {"noise": noise}
        if self.labels:
            inputs["label"] = ops.one_hot(label, self.labels)
        return self.generator(inputs, training=training)

    def _fakes(self, batch, training):
        """Generates images for the labels of the batch in a random order; returns both."""
        count = ops.shape(batch[self.domain])[0]
        noise = keras.random.normal((count, self.noise_size), seed=self._random)
        label = None
        if self.labels:
            label = keras.random.shuffle(batch[self.condition], seed=self._random)
        return self._generated(noise, label, training)["image"], label

    def _image(self, batch):
        """Scales the real items to the range of the generator: [0, 1], waves [-1, 1]."""
        scaled = (batch[self.domain] - self.low) / (self.high - self.low)  # low 0, high 1
        return self._lowest + (1.0 - self._lowest) * ops.clip(scaled, 0.0, 1.0)

    def item(self, image):
        """Converts an image to an item in the unit of the Spec, the inverse of `_image`."""
        share = (image - self._lowest) / (1.0 - self._lowest)
        return self.low + (self.high - self.low) * share

    def critic_loss(self, batch, training=True):
        """Returns the critic's loss and its terms for a batch of real items."""
        real = self._image(batch)
        with backend.no_grad():
            fake, _ = self._fakes(batch, training)
            fake = ops.stop_gradient(fake)
        count = ops.shape(real)[0]
        outputs = self.critic(ops.concatenate([real, fake]), training=training)
        distance = losses.wasserstein(outputs["value"][:count], outputs["value"][count:])
        share = keras.random.uniform((count,), seed=self._random)
        gradient = backend.input_gradient(
            lambda x: self.critic(x, training=training)["value"],
            losses.between(real, fake, share),
        )
        terms = {
            "wasserstein": distance,
            "gradient_penalty": losses.gradient_penalty(gradient),
        }
        loss = -distance + self.penalty * terms["gradient_penalty"]
        if self.labels:
            logits = outputs["logits"][:count]
            terms["class_real"] = losses.label_cross_entropy(logits, batch[self.condition])
            loss = loss + self.class_weight * terms["class_real"]
        return loss, terms

    def generator_loss(self, batch, training=True):
        """Returns the generator's loss and its terms; uses only size and labels of the batch."""
        fake, label = self._fakes(batch, training)
        outputs = self.critic(fake, training=training)
        loss, terms = -ops.mean(outputs["value"]), {}
        if self.labels:
            terms["class_fake"] = losses.label_cross_entropy(outputs["logits"], label)
            loss = loss + self.class_weight * terms["class_fake"]
        return loss, terms

    def train_on(self, batch):
        """`n_critic` critic steps on equal parts of the batch, then one generator step."""
        count = ops.shape(batch[self.domain])[0] // self.n_critic
        for i in range(self.n_critic):
            part = {k: v[i * count : (i + 1) * count] for k, v in batch.items()}
            loss, terms = self.update("critic", lambda: self.critic_loss(part))
        generator_loss, generator_terms = self.update(
            "generator", lambda: self.generator_loss(part)
        )
        return {"loss": loss, "loss_generator": generator_loss, **terms, **generator_terms}

    def eval_on(self, batch):
        loss, terms = self.critic_loss(batch, training=False)
        generator_loss, generator_terms = self.generator_loss(batch, training=False)
        return {"loss": loss, "loss_generator": generator_loss, **terms, **generator_terms}

    def get_config(self) -> dict:
        return {**super().get_config(), **self._config}
