"""VoiceGAN: a conditional Wasserstein GAN that speaks from noise.

A generator turns noise (and a label: an emotion, a gender, a speaker) into a patch of
log-mel spectrogram, against a critic with gradient penalty and a class head.

Sources:
    Gulrajani et al. 2017, arXiv:1704.00028 (WGAN-GP): the critic's loss, five critic steps for
    one of the generator, no batch normalisation in the critic.
    Choi et al. 2018, arXiv:1711.09020 (StarGAN): the critic's class head; real items teach it,
    generated ones are judged by it.
    The layer sizes at `width=64` are those of the 80 x 160 DCGAN with a 512-d noise used for
    activation maximisation over voices. Differs: no batch normalisation in the critic, no
    sigmoid on its output, fixed bounds instead of a per-clip scale, the Wasserstein loss
    instead of a squared error, no bias before a batch normalisation.
"""

import keras
import numpy as np
from keras import layers, ops

from kvoice import backend, losses
from kvoice.players import StepModel


def mel_generator(noise, labels, shape, width):
    """Noise and label -> image in [0, 1], by one dense and four transposed convolutions.

    At `width=64`: [10, 5, 512] -> 256 -> 128 -> 64 -> 1 channels, each step twice as long and
    as high. Batch normalisation uses momentum .9 and epsilon 1e-5.

    Shapes: `noise` [batch, noise], `label` [batch, labels] one-hot (absent when labels = 0)
    -> dict of the activations `up_0` ... `up_3` and `image` [batch, time, mels].
    """
    time, mels = shape
    z = keras.Input((noise,), name="noise")
    inputs = {"noise": z}
    x = z
    if labels:
        inputs["label"] = keras.Input((labels,), name="label")
        x = layers.Concatenate()([z, inputs["label"]])
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


def mel_critic(labels, shape, width):
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


DOMAINS = {"mel": (mel_generator, mel_critic)}


@keras.saving.register_keras_serializable(package="kvoice")
class VoiceGAN(StepModel):
    """Generates items of one domain from noise, of a chosen label.

    Losses of one step, with D the critic, C its class head and y the labels of the real batch:
        critic, `n_critic` times on fresh items:
            mean D(fake) - mean D(real) + penalty * GP + class_weight * CE(C(real), y)
        generator, once:
            -mean D(fake) + class_weight * CE(C(fake), y), fakes made with a permutation of y.

    Args:
        shape: Of one item: (time in frames, mels), both multiples of 16.
        low: The value of the Spec's mel that the generator's 0 stands for.
        high: The value that its 1 stands for. Real mels are clipped to [low, high].
        labels: The number of labels of the condition; 0 makes the plain GAN.
        condition: The named array that holds the labels ("emotion", "gender", "speaker"), or "".
        domain: A key of `DOMAINS`: which named array is generated.
        noise: The size of the noise, drawn from N(0, 1).
        width: Channels of the widest map; 64 in the paper.
        n_critic: Critic steps for one of the generator. They share the batch in equal parts.
        penalty: The weight of the gradient penalty.
        class_weight: The weight of the class loss, in both players.
        seed: Of the noise.

    Raises:
        ValueError: If an argument does not fit, by its name.
    """

    terms = (
        "loss", "loss_generator", "wasserstein", "gradient_penalty", "class_real", "class_fake",
    )

    def __init__(
        self, *, shape, low, high, labels=0, condition="", domain="mel", noise=512, width=64,
        n_critic=5, penalty=10.0, class_weight=1.0, seed=0, **kwargs,
    ):
        super().__init__(**kwargs)
        shape = tuple(shape)
        if domain not in DOMAINS:
            raise ValueError(f"domain: {domain!r} is none of {', '.join(DOMAINS)}.")
        if any(size < 16 or size % 16 for size in shape):
            raise ValueError(
                f"shape: {shape} (frames, mels) must be multiples of 16: set "
                "data.crop_frames and audio.mels so."
            )
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
            shape=shape, low=low, high=high, labels=labels, condition=condition, domain=domain,
            noise=noise, width=width, n_critic=n_critic, penalty=penalty,
            class_weight=class_weight, seed=seed,
        )
        self.domain, self.condition, self.labels = domain, condition, labels
        self.low, self.high, self.noise_size = low, high, noise
        self.n_critic, self.penalty, self.class_weight = n_critic, penalty, class_weight
        self.parts = n_critic
        self.names = []  # of the labels, where they are known: `kvoice.load` tells them
        generator, critic = DOMAINS[domain]
        self.generator = generator(noise, labels, shape, width)
        self.critic = critic(labels, shape, width)
        self._random = keras.random.SeedGenerator(seed)
        self.built = True

    def players(self):
        return {
            "critic": self.critic.trainable_variables,
            "generator": self.generator.trainable_variables,
        }

    def call(self, batch, training=False):
        """Noise and label -> the generated item and every activation on its way.

        Shapes: `noise` [batch, noise], `label` [batch] int (unless plain) -> dict with the
        generator's activations, `image` in [0, 1], the item in the unit of the Spec under the
        name of the domain (`mel` [batch, time, mels]), and the critic's activations, `value`
        and `logits` for it.
        """
        made = self._generated(batch["noise"], batch.get("label"), training)
        item = self.low + (self.high - self.low) * made["image"]
        return {**made, self.domain: item, **self.critic(made["image"], training=training)}

    # Verbs

    def noise(self, count, seed=0):
        """`count` noises from N(0, 1), NumPy float32 [count, noise]: the same on any backend."""
        rng = np.random.default_rng(seed)
        return rng.standard_normal((count, self.noise_size)).astype("float32")

    def decode(self, noise, label=None, batch=64):
        """Noises [n, noise] and labels -> items in the unit of the Spec, NumPy.

        Args:
            noise: As `noise` draws them, at least one.
            label: One of `names`, its index, or an index for each noise.
            batch: Items at a time.

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
        made = self.generator.predict(inputs, batch_size=batch, verbose=0)
        return self.low + (self.high - self.low) * made["image"]

    def generate(self, count, label=None, seed=0):
        """`count` items of a label (a name, an index, or [count] indices), in the Spec's unit.

        Shapes: -> NumPy float32 [count, time, mels].
        """
        return self.decode(self.noise(count, seed), label)

    # Training

    def _generated(self, noise, label, training):
        inputs = {"noise": noise}
        if self.labels:
            inputs["label"] = ops.one_hot(label, self.labels)
        return self.generator(inputs, training=training)

    def _fakes(self, batch, training):
        """Generated images, and their labels: those of the batch in another order."""
        count = ops.shape(batch[self.domain])[0]
        noise = keras.random.normal((count, self.noise_size), seed=self._random)
        label = None
        if self.labels:
            label = keras.random.shuffle(batch[self.condition], seed=self._random)
        return self._generated(noise, label, training)["image"], label

    def _image(self, batch):
        """The real items scaled to [0, 1]."""
        scaled = (batch[self.domain] - self.low) / (self.high - self.low)
        return ops.clip(scaled, 0.0, 1.0)

    def critic_loss(self, batch, training=True):
        """The critic's loss and its terms on a batch of real items."""
        real = self._image(batch)
        with backend.no_grad():
            fake, _ = self._fakes(batch, training)
            fake = ops.stop_gradient(fake)
        count = ops.shape(real)[0]
        judged = self.critic(ops.concatenate([real, fake]), training=training)
        distance = losses.wasserstein(judged["value"][:count], judged["value"][count:])
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
            logits = judged["logits"][:count]
            terms["class_real"] = losses.label_cross_entropy(logits, batch[self.condition])
            loss = loss + self.class_weight * terms["class_real"]
        return loss, terms

    def generator_loss(self, batch, training=True):
        """The generator's loss and its terms; of the batch only the size and labels are used."""
        fake, label = self._fakes(batch, training)
        judged = self.critic(fake, training=training)
        loss, terms = -ops.mean(judged["value"]), {}
        if self.labels:
            terms["class_fake"] = losses.label_cross_entropy(judged["logits"], label)
            loss = loss + self.class_weight * terms["class_fake"]
        return loss, terms

    def train_on(self, batch):
        """`n_critic` critic steps on equal parts of the batch, then one generator step."""
        count = ops.shape(batch[self.domain])[0] // self.n_critic
        for i in range(self.n_critic):
            part = {k: v[i * count : (i + 1) * count] for k, v in batch.items()}
            loss, terms = self.update("critic", lambda: self.critic_loss(part))
        made, more = self.update("generator", lambda: self.generator_loss(part))
        return {"loss": loss, "loss_generator": made, **terms, **more}

    def eval_on(self, batch):
        loss, terms = self.critic_loss(batch, training=False)
        made, more = self.generator_loss(batch, training=False)
        return {"loss": loss, "loss_generator": made, **terms, **more}

    def get_config(self):
        return {**super().get_config(), **self._config}
