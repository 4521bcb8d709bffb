"""BetaVAE: finds the factors of tones, images or voices without labels.

An encoder predicts a posterior N(mean, variance) of each latent, a decoder reconstructs the item
from a sample of the posterior, and the KL divergence of the posteriors from N(0, 1) has a weight
above 1, which penalises latents that share information. The pairs of encoder and decoder are in
`ARCHITECTURES`, the objectives in `OBJECTIVES`.

Sources:
    Higgins et al. 2017 (beta-VAE, ICLR), Burgess et al. 2018, arXiv:1804.03599 (capacity), Chen et
    al. 2018, arXiv:1802.04942 (beta-TCVAE), Kim & Mnih 2018, arXiv:1802.05983 (FactorVAE), Kingma
    et al. 2016, arXiv:1606.04934 (free bits). The pair `utterance` follows the encoder of the
    speech system that put a beta-VAE before VoiceLoop (Taigman et al. 2018, arXiv:1707.06588): four
    convolutions of 3 x 3, their mean over time, 64 latents. Differs: mels in place of vocoder
    features; padding takes no part in the mean; batch normalisation of that mean
    in place of weight normalisation; the decoder is a stack of convolutions that is conditioned
    on the phone of each frame, in place of VoiceLoop and its attention.
    The pair `dense` has the layers of the earlier VAE on tones (400 units, leaky ReLU, ReLU),
    `convolutional` its convolutions of 5 x 5 (16, 32, then 500 units): strides in place of pooling,
    no dropout, no ReLU on mean and log-variance, which kept every sigma above 1. `recurrent` has
    LSTMs and additive attention (Bahdanau et al. 2015, arXiv:1409.0473) as the earlier one, but one
    code for an item where that had one for each frame. The pair `shift` is our own.
"""

import math

import keras
import numpy as np
from keras import layers, ops

from kvoice import losses
from kvoice.layers.bidirectional import bidirectional
from kvoice.layers.shift import ShiftedBasis
from kvoice.steps import StepModel

OBJECTIVES = ("beta", "capacity", "tcvae", "factorvae")
LIKELIHOODS = ("gaussian", "bernoulli")
CONVENTIONS = ("sum", "mean")
LOG_VAR = (-14.0, 6.0)  # bounds of a posterior's log-variance, against overflow
ACTIVE = 0.01  # variance of its means over the batch from which on a latent counts as active
STRIDE = 8  # frames that the utterance encoder sees as one
DISCRIMINATOR = 256  # units of FactorVAE's discriminator, 1000 published


# --- Pairs of encoder and decoder: (shape, width, ...) -> two lists of layers


def _posterior(x, latents):
    return layers.Dense(2 * latents, dtype="float32", name="posterior")(x)


def dense(shape: tuple[int, int], latents: int, width: int) -> tuple[keras.Model, keras.Model]:
    """One hidden layer each way: 400 units published.

    Shapes: items [batch, *shape] -> [batch, 2 * latents]; codes [batch, latents] -> [batch,
        *shape].
    """
    x = items = keras.Input(shape)
    x = layers.LeakyReLU(0.2)(layers.Dense(width)(layers.Flatten()(x)))
    encoder = keras.Model(items, _posterior(x, latents))
    x = codes = keras.Input((latents,))
    x = layers.Dense(width, activation="relu")(x)
    x = layers.Dense(math.prod(shape), dtype="float32")(x)
    return encoder, keras.Model(codes, layers.Reshape(shape, dtype="float32")(x))


def convolutional(
    shape: tuple[int, int],
    latents: int,
    width: int,
) -> tuple[keras.Model, keras.Model]:
    """Two convolutions of 5 x 5 with strides, one hidden layer, and the way back.

    Published: 16 and 32 channels and 500 units, hence a width of 16.

    Shapes: as `dense`.
    """
    small = [math.ceil(n / 4) for n in shape]
    x = items = keras.Input(shape)
    x = layers.Reshape((*shape, 1))(x)  # [B, H, W, 1]
    for channels in (width, 2 * width):
        x = layers.Conv2D(channels, 5, 2, padding="same", activation="relu")(x)
    x = layers.Dense(500, activation="relu")(layers.Flatten()(x))
    encoder = keras.Model(items, _posterior(x, latents))
    x = codes = keras.Input((latents,))
    x = layers.Dense(500, activation="relu")(x)
    x = layers.Dense(math.prod(small) * 2 * width, activation="relu")(x)
    x = layers.Reshape((*small, 2 * width))(x)  # [B, H/4, W/4, C]
    x = layers.Conv2DTranspose(width, 5, 2, padding="same", activation="relu")(x)
    x = layers.Conv2DTranspose(1, 5, 2, padding="same", dtype="float32")(x)
    x = layers.Reshape(x.shape[1:3], dtype="float32")(x)
    return encoder, keras.Model(codes, x[:, : shape[0], : shape[1]])


def shift(shape: tuple[int, int], latents: int, width: int) -> tuple[keras.Model, keras.Model]:
    """Convolutions along the bins, and a decoder in which a latent can shift its output along them.

    Meant for constant-Q transforms, where another pitch is another place. The decoder is a function
    of the place and of the code (Watters et al. 2019, arXiv:1901.07017), and sees the place only as
    waves that the code has shifted (`layers.shift`).

    Shapes: as `dense`, items [batch, time, bins].
    """
    time, bins = shape
    x = items = keras.Input(shape)
    x = layers.Permute((2, 1))(x)  # [B, bins, time]
    for channels in (width // 2, width // 2, width, width):
        x = layers.Conv1D(channels, 5, 2, padding="same", activation="relu")(x)
    x = layers.Dense(4 * width, activation="relu")(layers.Flatten()(x))
    encoder = keras.Model(items, _posterior(x, latents))
    x = codes = keras.Input((latents,))
    place = ShiftedBasis(bins, dtype="float32")(codes)  # [B, bins, waves]
    x = layers.Dense(2 * width, use_bias=False)(place) + layers.Dense(2 * width)(codes)[:, None, :]
    x = layers.ReLU()(x)
    for _ in range(2):
        x = layers.Dense(2 * width, activation="relu")(x)
    x = layers.Dense(time, dtype="float32")(x)  # [B, bins, time]
    return encoder, keras.Model(codes, layers.Permute((2, 1), dtype="float32")(x))


def recurrent(shape: tuple[int, int], latents: int, width: int) -> tuple[keras.Model, keras.Model]:
    """An LSTM each way and attention over its frames; an LSTM that reads what it attends to.

    Published: 400 cells. The decoder makes, from the code, one memory for each frame, and attends
    to them for each frame that it writes.

    Shapes: as `dense`, items [batch, time, bins].
    """
    time, bins = shape
    x = items = keras.Input(shape)
    x = bidirectional(layers.LSTM(width, return_sequences=True))(x)  # [B, T, 2 W]
    score = layers.Dense(1)(layers.Dense(width, activation="tanh")(x))  # [B, T, 1]
    x = layers.Flatten()(layers.Dot(axes=1)([layers.Softmax(axis=1)(score), x]))  # [B, 2 W]
    encoder = keras.Model(items, _posterior(x, latents))
    codes = keras.Input((latents,))
    memory = layers.Reshape((time, width))(layers.Dense(time * width, activation="tanh")(codes))
    query = layers.LSTM(width, return_sequences=True)(memory)  # [B, T, W]
    attended = layers.AdditiveAttention()([query, memory])
    x = layers.LSTM(width, return_sequences=True)(layers.Concatenate()([query, attended]))
    return encoder, keras.Model(codes, layers.Dense(bins, dtype="float32")(x))


def utterance(
    shape: tuple[int, int],
    latents: int,
    width: int,
    phones: int,
    dropout: float,
    seed: int,
) -> tuple[keras.Model, keras.Model]:
    """Builds four convolutions of 3 x 3 and their mean over the frames of the utterance.

    Published: a width of 32, dropout of 0.1.

    Shapes: items [batch, time, mels] and mask [batch, time], time a multiple of 8 ->
    [batch, 2 * latents]; codes [batch, latents], with phones [batch, time] -> [batch, time, mels],
    without -> [batch, *shape].
    """
    time, mels = shape
    if time % STRIDE:
        raise ValueError(f"shape: {time} frames must be a multiple of {STRIDE}.")
    items, mask = keras.Input((None, mels), name="items"), keras.Input((None,), name="mask")
    inside = layers.Reshape((-1, 1, 1))(mask)  # [B, T, 1, 1]
    x = layers.Reshape((-1, mels, 1))(items) * inside  # [B, T, M, 1]
    for i, (channels, strides) in enumerate(
        ((width, (1, 1)), (width, (2, 1)), (2 * width, 2), (width, 2))
    ):
        if i:
            x = layers.SpatialDropout2D(dropout, seed=seed + i)(x)
        x = layers.Conv2D(channels, 3, strides, padding="same", activation="relu")(x)
        if strides != (1, 1):
            inside = layers.MaxPooling2D((2, 1))(inside)
        x = x * inside  # padding after the end of an utterance does not count
    x = ops.sum(x, axis=1) / ops.maximum(ops.sum(inside, axis=1), 1.0)  # [B, M/4, C]
    # Without it, what voices have in common dominates their differences, and the codes collapse.
    x = layers.BatchNormalization(momentum=0.95)(layers.Flatten()(x))
    encoder = keras.Model([items, mask], _posterior(x, latents))

    codes = keras.Input((latents,), name="codes")
    if not phones:
        x = layers.Dense(time // STRIDE * 4 * width, activation="relu")(codes)
        x = layers.Reshape((time // STRIDE, 4 * width))(x)
        for _ in range(3):
            x = layers.Conv1DTranspose(4 * width, 4, 2, padding="same", activation="relu")(x)
        return encoder, keras.Model(codes, layers.Dense(mels, dtype="float32")(x))
    phone = keras.Input((None,), dtype="int32", name="phone")
    x = layers.Embedding(phones + 1, 4 * width)(phone + 1)  # [B, T, C]; -1 = unknown
    voice = layers.Dense(4 * width)(codes)[:, None, :]
    x = x + voice
    for dilation in (1, 2, 4, 1):
        gate, change = (
            layers.Conv1D(4 * width, 5, dilation_rate=dilation, padding="same")(x) for _ in range(2)
        )
        bias = layers.Dense(4 * width)(codes)[:, None, :]
        x = x + layers.Activation("sigmoid")(gate) * layers.Activation("tanh")(change + bias)
    return encoder, keras.Model([codes, phone], layers.Dense(mels, dtype="float32")(x))


ARCHITECTURES = {
    "dense": dense,
    "convolutional": convolutional,
    "shift": shift,
    "recurrent": recurrent,
    "utterance": utterance,
}


@keras.saving.register_keras_serializable(package="kvoice")
class BetaVAE(StepModel):
    """A variational autoencoder whose latents are to be factors.

    The loss of an item is its cost under the likelihood, in nats, and what the objective adds:

    * "beta": `beta * KL`,
    * "capacity": `gamma * |KL - capacity|`, the capacity growing from 0,
    * "tcvae": `KL + (beta - 1) * TC`, the total correlation estimated from the batch,
    * "factorvae": `KL + gamma * TC`, estimated by a discriminator that separates codes from codes
      whose latents were permuted independently over the batch.

    Over `anneal_steps` beta goes linearly from `beta_start` (below 1 counts as 1 in "tcvae"), and
    gamma of "factorvae" and the capacity from 0. With a falling beta the latents become active one
    after the other, as with a growing capacity. For
    pictures and tones the cost is summed over the values of an item; for mels it is summed over the
    bands and averaged over the frames of the utterance, as in the speech system. The KL is summed
    over the latents (`kl="sum"`, the literature) or averaged over them (`kl="mean"`, the speech
    system: beta = 1 there is 1 / latents here). The logs give the sum in both.

    Args:
        shape: Shape of an item: (height, width), (time, bins) or (frames, mels).
        low: The value that is scaled to 0, in the unit of the data; 0 for images.
        high: The value that is scaled to 1. Mels are clipped to [low, high].
        domain: Name of the array that is modelled: "image" or "mel".
        architecture: A name in `ARCHITECTURES`; "utterance" is for mels, the others for images.
        latents: Number of latents of a code, two or more.
        width: Number of channels or units, as the architecture counts them.
        likelihood: "gaussian", or "bernoulli" for values in [0, 1].
        sigma: Standard deviation of the Gaussian, in the scaled unit: 1 = high - low.
        objective: One of `OBJECTIVES`.
        beta: Weight of the KL ("beta"), or of the total correlation ("tcvae").
        beta_start: Beta at the first step, where it is annealed.
        gamma: Weight of the distance from the capacity, or of FactorVAE's total correlation.
        capacity_nats: Capacity at the end of the annealing, in nats.
        anneal_steps: Number of steps until the full weight; 0 = from the start.
        free_nats: Free bits: KL divergence of a latent, averaged over the batch, that is not
            penalised, in nats; 0 = none.
        kl: Whether the KL is the "sum" or the "mean" over the latents.
        phones: Number of phones that the decoder is conditioned on, frame by frame; 0 = none, and
            it decodes segments of the length of the crops.
        dropout: Dropout rate of the encoder "utterance".
        seed: Seed of the posterior draws and the dropout.

    Raises:
        ValueError: If an argument is out of range or does not fit another; the message names it.
    """

    verbs = ("encode", "traverse")
    terms = (
        "loss",
        "reconstruction",
        "kl",
        "elbo",
        "total_correlation",
        "active_units",
        "loss_discriminator",
    )

    @classmethod
    def arrays(cls, values):
        """As in `StepModel`."""
        phone = ["mask", *["phone"][: values["phones"]]] if "phones" in values else []
        return [values["domain"], *phone]

    @classmethod
    def from_data(cls, values, facts):
        """As in `StepModel`."""
        phones = {"phones": facts.phones if values["phones"] else 0} if "phones" in values else {}
        return facts.domains.get(values["domain"], {}) | phones

    @classmethod
    def description(cls, values, names):
        """As in `StepModel`."""
        phones = values.get("phones")
        conditioned = f", conditioned on {phones} phones" if phones else ""
        return f"{values['latents']} latents{conditioned}"

    @classmethod
    def warning(cls, values):
        """As in `StepModel`."""
        if values.get("phones") != 0 or values["domain"] != "mel":
            return ""
        return (
            "the decoder is not conditioned on phones, so that a code has to hold the words of "
            f"{values['shape'][0]} frames too, and hardly finds the voice; where the corpus has no "
            "phones, `kvoice prepare --phones=hama` labels them"
        )

    def __init__(
        self,
        *,
        shape: tuple[int, int],
        low: float,
        high: float,
        domain: str = "image",
        architecture: str = "convolutional",
        latents: int = 10,
        width: int = 32,
        likelihood: str = "gaussian",
        sigma: float = 0.1,
        objective: str = "beta",
        beta: float = 4.0,
        beta_start: float = 0.0,
        gamma: float = 100.0,
        capacity_nats: float = 20.0,
        anneal_steps: int = 0,
        free_nats: float = 0.0,
        kl: str = "sum",
        phones: int = 0,
        dropout: float = 0.0,
        seed: int = 0,
        **kwargs,
    ):
        super().__init__(**kwargs)
        shape = tuple(shape)
        for name, value, known in (
            ("architecture", architecture, ARCHITECTURES),
            ("objective", objective, OBJECTIVES),
            ("likelihood", likelihood, LIKELIHOODS),
            ("kl", kl, CONVENTIONS),
            ("domain", domain, ("image", "mel")),
        ):
            if value not in known:
                raise ValueError(f"{name}: {value!r} is none of {', '.join(known)}.")
        if (domain == "mel") != (architecture == "utterance"):
            raise ValueError(
                f"architecture: {architecture!r} does not fit domain {domain!r}: "
                "utterance is for mels, the others are for images."
            )
        if len(shape) != 2:
            raise ValueError(f"shape: {shape} must be two numbers, rows and columns.")
        if phones and domain != "mel":
            raise ValueError(f"phones: {phones} must be 0 for images, which have none.")
        if not low < high:
            raise ValueError(f"low: {low} must be below high: {high}.")
        for name, value, least in (
            ("latents", latents, 2),
            ("width", width, 2),
            ("beta", beta, 0),
            ("beta_start", beta_start, 0),
            ("gamma", gamma, 0),
            ("capacity_nats", capacity_nats, 0),
            ("anneal_steps", anneal_steps, 0),
            ("free_nats", free_nats, 0),
            ("phones", phones, 0),
            ("dropout", dropout, 0),
            ("seed", seed, 0),
        ):
            if value < least:
                raise ValueError(f"{name}: {value} must be at least {least}.")
        if not sigma > 0:
            raise ValueError(f"sigma: {sigma} must be above 0.")
        if dropout >= 1:
            raise ValueError(f"dropout: {dropout} must be below 1.")
        self._config = dict(
            shape=shape,
            low=low,
            high=high,
            domain=domain,
            architecture=architecture,
            latents=latents,
            width=width,
            likelihood=likelihood,
            sigma=sigma,
            objective=objective,
            beta=beta,
            beta_start=beta_start,
            gamma=gamma,
            capacity_nats=capacity_nats,
            anneal_steps=anneal_steps,
            free_nats=free_nats,
            kl=kl,
            phones=phones,
            dropout=dropout,
            seed=seed,
        )
        self.shape, self.low, self.high, self.domain = shape, low, high, domain
        self.latents, self.phones = latents, phones
        self.likelihood, self.sigma, self.objective = likelihood, sigma, objective
        self.beta, self.beta_start = beta, beta_start
        self.gamma, self.capacity_nats = gamma, capacity_nats
        self.anneal_steps, self.free_nats, self.convention = anneal_steps, free_nats, kl
        self.parts = 2 if objective == "factorvae" else 1
        self.names = []  # the model is trained without labels
        more = dict(phones=phones, dropout=dropout, seed=seed) if domain == "mel" else {}
        self.encoder, self.decoder = ARCHITECTURES[architecture](shape, latents, width, **more)
        if objective == "factorvae":
            self.discriminator = keras.Sequential(
                [
                    keras.Input((latents,)),
                    *(layers.Dense(DISCRIMINATOR, activation="leaky_relu") for _ in range(4)),
                    layers.Dense(1, dtype="float32"),
                ],
                name="discriminator",
            )
        self._random = keras.random.SeedGenerator(seed)
        self.step = self.add_weight(shape=(), initializer="zeros", trainable=False, name="step")
        self.built = True

    def parameter_groups(self):
        groups = {"vae": self.encoder.trainable_variables + self.decoder.trainable_variables}
        if self.objective == "factorvae":
            groups["discriminator"] = self.discriminator.trainable_variables
        return groups

    def call(self, batch, training=False):
        """Returns the posteriors of items, samples of them, and the reconstructions.

        Shapes: `image` [batch, height, width], or `mel` [batch, time, mels] with `mask` and, where
        the decoder is conditioned on phones, `phone` [batch, time] -> dict of `mean`, `log_var`,
        `codes` [batch, latents] and `decoded`, scaled and before the sigmoid of a Bernoulli
        likelihood.
        """
        posterior = self.encoder(self._encoder_inputs(batch), training=training)
        mean, log_var = ops.split(posterior, 2, axis=-1)
        log_var = ops.clip(log_var, *LOG_VAR)
        noise = keras.random.normal(ops.shape(mean), seed=self._random)
        codes = mean + ops.exp(log_var / 2) * noise
        inputs = [codes, batch["phone"]] if self.phones else codes
        return {
            "mean": mean,
            "log_var": log_var,
            "codes": codes,
            "decoded": self.decoder(inputs, training=training),
        }

    def _encoder_inputs(self, batch):
        items = self._scaled(batch[self.domain])
        return [items, batch["mask"]] if self.domain == "mel" else items

    def _scaled(self, items):
        return ops.clip((items - self.low) / (self.high - self.low), 0.0, 1.0)

    # Verbs

    def encode(
        self,
        items: np.ndarray,
        mask: np.ndarray | None = None,
        batch: int = 64,
    ) -> tuple[np.ndarray, np.ndarray]:
        """Returns the posteriors of items as NumPy arrays.

        Utterances are padded to a multiple of 8 frames; what is outside of the mask does not count.

        Shapes: `items` [n, *shape], mels [n, time, mels] in the unit of the Spec, `mask` [n, time],
        1 inside (all if not given) -> mean and log-variance [n, latents].
        """
        x = np.clip((np.asarray(items, np.float32) - self.low) / (self.high - self.low), 0, 1)
        if self.domain == "mel":
            mask = np.ones(x.shape[:2], np.float32) if mask is None else np.float32(mask)
            more = -x.shape[1] % STRIDE
            x = [np.pad(x, ((0, 0), (0, more), (0, 0))), np.pad(mask, ((0, 0), (0, more)))]
        posterior = self.encoder.predict(x, batch_size=batch, verbose=0)
        mean, log_var = np.split(posterior, 2, axis=-1)
        return mean, np.clip(log_var, *LOG_VAR)

    def decode(
        self,
        codes: np.ndarray,
        phone: np.ndarray | None = None,
        batch: int = 64,
    ) -> np.ndarray:
        """Decodes codes to items in the unit of the data, a NumPy array.

        Shapes: `codes` [n, latents], `phone` [n, time] where the decoder is conditioned on phones
        (-1 = unknown) -> [n, *shape], of phones [n, time, mels].

        Raises:
            ValueError: If phones are missing, or given to a decoder that takes none.
        """
        if (phone is not None) != bool(self.phones):
            raise ValueError(
                "phone: "
                + (
                    "is missing: this decoder is conditioned on the phone of each frame."
                    if self.phones
                    else "this decoder is not conditioned on phones."
                )
            )
        codes = np.asarray(codes, np.float32)
        given = [codes, np.asarray(phone, np.int32)] if self.phones else codes
        decoded = self.decoder.predict(given, batch_size=batch, verbose=0)
        if self.likelihood == "bernoulli":
            decoded = (1 + np.tanh(decoded / 2)) / 2  # the sigmoid, without an overflow
        return self.low + (self.high - self.low) * np.clip(decoded, 0, 1)

    # Training

    def _share(self):
        """Returns the progress of the annealing, from 0 to 1."""
        if not self.anneal_steps:
            return 1.0
        return ops.minimum(1.0, self.step / self.anneal_steps)

    def cost(self, batch, decoded):
        """Returns the reconstruction cost of each item in nats, [batch]; see the class."""
        items = self._scaled(batch[self.domain])
        if self.likelihood == "bernoulli":
            values = losses.bernoulli_nll(items, decoded)
        else:
            values = losses.gaussian_nll(items, decoded, self.sigma)
        if self.domain == "mel":
            frames = ops.sum(values, axis=-1) * batch["mask"]  # [B, T]
            return ops.sum(frames, axis=1) / ops.maximum(ops.sum(batch["mask"], axis=1), 1.0)
        return ops.sum(values, axis=(1, 2))

    def loss_and_terms(self, batch, training):
        """Returns the loss of encoder and decoder and the logged terms, averaged over the batch."""
        out = self.call(batch, training=training)
        mean, log_var, codes = out["mean"], out["log_var"], out["codes"]
        reconstruction = ops.mean(self.cost(batch, out["decoded"]))
        latent_kl = ops.mean(losses.gaussian_kl(mean, log_var), axis=0)  # [latents]
        kl = ops.sum(latent_kl)
        charged = ops.sum(ops.maximum(latent_kl, self.free_nats)) if self.free_nats else kl
        if self.convention == "mean":
            charged = charged / self.latents
        _, correlation, _ = losses.decomposed_kl(codes, mean, log_var)
        share = self._share()
        beta = self.beta_start + share * (self.beta - self.beta_start)
        if self.objective == "beta":
            penalty = beta * charged
        elif self.objective == "capacity":
            penalty = self.gamma * ops.abs(charged - share * self.capacity_nats)
        elif self.objective == "tcvae":
            penalty = charged + (ops.maximum(beta, 1.0) - 1) * correlation
        else:
            # The logit of "joint" against "permuted" is the log of the density ratio.
            correlation = ops.mean(self.discriminator(codes, training=training))
            penalty = charged + share * self.gamma * correlation
        active = ops.sum(ops.cast(ops.var(mean, axis=0) > ACTIVE, "float32"))
        return reconstruction + penalty, {
            "reconstruction": reconstruction,
            "kl": kl,
            "elbo": -(reconstruction + kl),
            "total_correlation": correlation,
            "active_units": active,
        }

    def _discrimination(self, batch):
        """Returns the discriminator's cross-entropy in nats, without a gradient of the codes."""
        codes = ops.stop_gradient(self.call(batch)["codes"])
        permuted = losses.permute_dims(codes, self._random)
        joint_logit, permuted_logit = self.discriminator(codes), self.discriminator(permuted)
        return ops.mean(ops.softplus(-joint_logit) + ops.softplus(permuted_logit)) / 2, {}

    def train_on(self, batch):
        first, second = batch, batch
        if self.objective == "factorvae":  # the discriminator is trained on a half of its own
            half = ops.shape(batch[self.domain])[0] // 2
            first = {name: values[:half] for name, values in batch.items()}
            second = {name: values[half:] for name, values in batch.items()}
        loss, terms = self.update("vae", lambda: self.loss_and_terms(first, training=True))
        discriminator_loss = ops.zeros(())
        if self.objective == "factorvae":
            discriminator_loss, _ = self.update(
                "discriminator", lambda: self._discrimination(second)
            )
        self.step.assign(self.step + 1)
        return {"loss": loss, **terms, "loss_discriminator": discriminator_loss}

    def eval_on(self, batch):
        loss, terms = self.loss_and_terms(batch, training=False)
        discriminator_loss = ops.zeros(())
        if self.objective == "factorvae":
            discriminator_loss, _ = self._discrimination(batch)
        return {"loss": loss, **terms, "loss_discriminator": discriminator_loss}

    def get_config(self) -> dict:
        return {**super().get_config(), **self._config}
