"""WaveGlow: waves from mels by a normalising flow, with an exact likelihood.

Invertible steps, each conditioned on the mel, turn audio in groups of samples into noise; the
inverse steps turn noise into audio. The model is trained with the likelihood alone.

Source: Prenger, Valle & Catanzaro 2019, arXiv:1811.00002. The network is that of the authors'
public code, from which the paper differs in widths: 268,294,760 parameters with 512 channels,
87,879,272 with 256, 34,830,440 with 128, 17,595,752 with 64, at 80 mels and a hop of 256 samples.
Differs: `ln |det|` of the mixing where that code takes `ln det`; audio is dequantised in training,
and padding does not count. The upsampler has four hops of taps, whatever the hop. Ours, for small
networks: `upsample_to="groups"`, where the condition has the rate of the groups and as many
channels as there are mels; and `prewhiten`, where the flow models the audio without the spectral
envelope that the mel gives (see `layers.prewhitening`), so that it need not learn what is known.
"""

import math

import keras
import numpy as np
from keras import ops

from kvoice import backend
from kvoice.layers.flow import FlowStep
from kvoice.layers.prewhitening import FRAMES, Prewhitening
from kvoice.layers.weight_norm import convolved
from kvoice.steps import StepModel

TAPS = 4  # frames that an output of the upsampler depends on: its own, and those before it
RATES = ("samples", "groups")
LEVELS = 32768  # of 16-bit audio, for one sign


@keras.saving.register_keras_serializable(package="kvoice")
class Upsampler(keras.layers.Layer):
    """A causal transposed convolution from the rate of frames to a higher one.

    It equals the published one, of whose output the last three hops are dropped.

    Shapes: [batch, time, channels] -> [batch, time * rate, channels].

    Args:
        channels: Number of mel bands.
        rate: Number of output steps per frame.
        seed: Seed of the initial weights.
    """

    def __init__(self, channels: int, rate: int, seed: int = 0, **kwargs):
        super().__init__(**kwargs)
        self._config = dict(channels=channels, rate=rate, seed=seed)
        self.channels, self.rate = channels, rate
        bound = (channels * TAPS * rate) ** -0.5
        self.kernel, self.bias = (
            self.add_weight(
                shape=shape,
                name=name,
                initializer=keras.initializers.RandomUniform(-bound, bound, seed + i),
            )
            for i, (name, shape) in enumerate(
                (("kernel", (TAPS * rate, channels, channels)), ("bias", (channels,)))
            )
        )
        self.built = True

    def call(self, mel):
        time, size = ops.shape(mel)[1], self.channels
        padded = ops.pad(mel, ((0, 0), (TAPS - 1, 0), (0, 0)))
        first = TAPS - 1
        frames = ops.concatenate(
            [padded[:, first - i : first - i + time] for i in range(TAPS)], axis=-1
        )
        taps = ops.reshape(self.kernel.value, (TAPS, self.rate, size, size))  # [tap, step, out, in]
        taps = ops.reshape(ops.transpose(taps, (0, 3, 1, 2)), (1, TAPS * size, self.rate * size))
        steps = convolved(frames, taps, 0.0)  # [B, F, rate * C]
        return ops.reshape(steps, (-1, time * self.rate, size)) + self.bias.value

    def compute_output_shape(self, shape):
        return (shape[0], shape[1] and shape[1] * self.rate, self.channels)

    def get_config(self) -> dict:
        return {**super().get_config(), **self._config}


def channels_of(flows: int, group: int, early_every: int, early_size: int) -> list[int]:
    """Channels of the audio at each step: some leave the flow early."""
    return [group - early_size * (k // early_every) for k in range(flows)]


@keras.saving.register_keras_serializable(package="kvoice")
class WaveGlow(StepModel):
    """A flow between audio and noise, conditioned on the mel.

    The loss is `(|z|^2 / (2 sigma^2) - sum of the logarithms of all scales) / samples`, in nats per
    sample: minus the log-likelihood but for `ln(sigma) + ln(2 pi) / 2`. It may be negative. In
        evaluation audio is taken
    as it is, without the noise of training: its bits are those of the density there.

    The sums of the coupling networks are in the dtype of the policy, such as bfloat16; the audio,
    the condition and the determinants are float32 always.

    Args:
        mels: Number of mel bands of the Spec.
        hop: Samples from one frame to the next.
        width: Number of channels of the coupling networks.
        flows: Number of steps of the flow.
        group: Number of samples in a group, one step of time of the flow.
        early_every: Number of flow steps between two early outputs.
        early_size: Number of channels of each early output; even.
        depth: Number of layers of each coupling network.
        kernel: Kernel size of each layer, in steps of time; odd.
        alternate: Whether the halves of the channels swap roles from step to step, as in the first
            published weights (`waveglow_old.pt`).
        upsample_to: "samples", as published, whose condition has `mels * group` channels; or
            "groups".
        prewhiten: Whether the audio is whitened by the envelope of the mel before the flow.
        bands: The return value of `audio.band_powers` for the mels; required with `prewhiten`.
        sigma: Standard deviation of the noise in training.
        dequantise: Whether uniform noise of one 16-bit level is added to training audio, so that it
            has a density.
        seed: Seed of the initial weights and the noise.

    Raises:
        ValueError: If an argument is out of range or does not fit another; the message names it.
    """

    verbs = ("vocode",)
    terms = ("loss", "log_likelihood", "bits_per_sample")

    @classmethod
    def arrays(cls, values):
        """As in `StepModel`."""
        return ["mel", "wave", "mask"]

    @classmethod
    def from_data(cls, values, facts):
        """As in `StepModel`."""
        bands = {"bands": facts.bands} if values.get("prewhiten") else {}
        return {"mels": facts.mels, "hop": facts.hop, **bands}

    @classmethod
    def description(cls, values, names):
        """As in `StepModel`."""
        return f"{values['flows']} steps of flow, {values['width']} channels"

    def __init__(
        self,
        *,
        mels: int,
        hop: int,
        width: int,
        flows: int = 12,
        group: int = 8,
        early_every: int = 4,
        early_size: int = 2,
        depth: int = 8,
        kernel: int = 3,
        alternate: bool = False,
        upsample_to: str = "samples",
        prewhiten: bool = False,
        bands: dict | None = None,
        sigma: float = 1.0,
        dequantise: bool = True,
        seed: int = 0,
        **kwargs,
    ):
        super().__init__(**kwargs)
        for name, value, least in (
            ("mels", mels, 1),
            ("hop", hop, 1),
            ("width", width, 1),
            ("flows", flows, 1),
            ("group", group, 2),
            ("early_every", early_every, 1),
            ("early_size", early_size, 2),
            ("depth", depth, 1),
            ("kernel", kernel, 1),
            ("seed", seed, 0),
        ):
            if value < least:
                raise ValueError(f"{name}: {value} must be at least {least}.")
        for name, value in (("group", group), ("early_size", early_size)):
            if value % 2:
                raise ValueError(
                    f"{name}: {value} must be even, since one half of the channels "
                    "conditions the other."
                )
        if kernel % 2 == 0:
            raise ValueError(f"kernel: {kernel} must be odd.")
        if not sigma > 0:
            raise ValueError(f"sigma: {sigma} must be above 0.")
        if depth > 16:
            raise ValueError(
                f"depth: {depth} must be at most 16: the last layer would reach "
                f"{2 ** (depth - 1)} steps."
            )
        if upsample_to not in RATES:
            raise ValueError(f"upsample_to: {upsample_to!r} is none of {', '.join(RATES)}.")
        if upsample_to == "groups" and hop % group:
            raise ValueError(
                f"group: {group} must divide the hop of {hop} samples; or set upsample_to=samples."
            )
        if prewhiten and len((bands or {}).get("centres", [])) != mels:
            raise ValueError(
                f"bands: those of the {mels} mels are required with prewhiten, from "
                "audio.band_powers."
            )
        channels = channels_of(flows, group, early_every, early_size)
        if channels[-1] < 2:
            raise ValueError(
                f"early_size: {early_size} channels every {early_every} of {flows} steps leave "
                f"{channels[-1]} of {group}, at least 2 are needed; let fewer leave."
            )
        self._config = dict(
            mels=mels,
            hop=hop,
            width=width,
            flows=flows,
            group=group,
            early_every=early_every,
            early_size=early_size,
            depth=depth,
            kernel=kernel,
            alternate=alternate,
            upsample_to=upsample_to,
            prewhiten=prewhiten,
            bands=bands,
            sigma=sigma,
            dequantise=dequantise,
            seed=seed,
        )
        self.mels, self.hop, self.group, self.sigma = mels, hop, group, sigma
        self.early_every, self.early_size, self.dequantise = early_every, early_size, dequantise
        self.names = []  # the model is trained without labels
        self.upsample_to = upsample_to
        # Frames whose samples fill whole groups, and whole blocks.
        self.frames_step = math.lcm(group // math.gcd(hop, group), FRAMES if prewhiten else 1)
        # The receptive field to either side, in steps of time.
        self.reach = flows * (kernel // 2) * (2**depth - 1)
        self.prewhitening = Prewhitening(hop, bands) if prewhiten else None
        to_samples = upsample_to == "samples"
        self.upsample = Upsampler(
            mels, hop if to_samples else hop // group, seed=10_000, dtype="float32"
        )
        self.flows = [
            FlowStep(
                size,
                swapped=alternate and k % 2 == 1,
                seed=seed + 1000 * k,
                name=f"flow_{k}",
                conditions=mels * group if to_samples else mels,
                width=width,
                depth=depth,
                kernel=kernel,
            )
            for k, size in enumerate(channels)
        ]
        self._random = keras.random.SeedGenerator(seed)
        self._compiled = None
        self.built = True

    def parameter_groups(self):
        return {"flow": self.trainable_variables}

    # The flow

    def conditions(self, mel):
        """Upsamples the mel to the rate of the groups.

        Shapes: [batch, frames, mels] -> [batch, frames * hop / group, channels]; of the published
        one, channel `mel * group + sample`.
        """
        steps = self.upsample.call(mel)
        if self.upsample_to == "groups":
            return steps
        count = ops.shape(mel)[1] * self.hop // self.group
        grouped = ops.reshape(steps, (-1, count, self.group, self.mels))
        return ops.reshape(
            ops.transpose(grouped, (0, 1, 3, 2)), (-1, count, self.mels * self.group)
        )

    def forward(self, wave, mel, inside=None):
        """Maps audio to noise, and returns the logarithms of the determinants of the steps.

        Shapes: `wave` [batch, frames * hop], `mel` [batch, frames, mels], `inside` [batch, frames],
        from `counted`, or None: all -> dict of `z` [batch, frames * hop / group, group], first what
        left the flow first; `log_scale`, the sum of the logarithms of the scales of each step of
        time [batch, frames * hop / group]; `log_determinant`, the sum for the mixings, a scalar
        that holds for each step of time.
        """
        conditions = self.conditions(mel)
        grouped = (-1, ops.shape(conditions)[1], self.group)
        left, log_scale, log_determinant = [], 0.0, 0.0
        if self.prewhitening:
            wave, space = self.prewhitening.whitened(wave, mel)
            if inside is not None:
                # A wave that is cut off would be loud beside the silence of its padding.
                wave = wave * ops.repeat(inside, self.hop, axis=1)
            log_scale = ops.sum(ops.reshape(space, grouped), axis=-1)
        x = ops.reshape(wave, grouped)  # [B, T / 8, 8]
        for k, step in enumerate(self.flows):
            if k and k % self.early_every == 0:
                left.append(x[..., : self.early_size])
                x = x[..., self.early_size :]
            x, scales, determinant = step.forward(x, conditions)
            log_scale = log_scale + ops.sum(scales, axis=-1)
            log_determinant = log_determinant + determinant
        return {
            "z": ops.concatenate([*left, x], axis=-1),
            "log_scale": log_scale,
            "log_determinant": log_determinant,
        }

    def folded(self):
        """Returns the weights for `inverse`: kernels without weight norm, inverted matrices.

        They are a copy: call this again after each change of the weights.
        """
        return [step.folded() for step in self.flows]

    def inverse(self, z, mel, weights):
        """Maps noise to audio, the inverse of `forward`. Differentiable by `z` and `mel`.

        Shapes: `z` [batch, frames * hop / group, group], `mel` [batch, frames, mels] ->
        [batch, frames * hop].

        Args:
            weights: The return value of `folded`.
        """
        conditions = self.conditions(mel)
        first = z.shape[-1] - self.flows[-1].half * 2  # channel of z that is in the flow
        x = z[..., first:]
        for k, step in reversed(list(enumerate(self.flows))):
            x = step.inverse(x, conditions, weights[k])
            if k and k % self.early_every == 0:
                first -= self.early_size
                x = ops.concatenate([z[..., first : first + self.early_size], x], axis=-1)
        wave = ops.reshape(x, (-1, ops.shape(mel)[1] * self.hop))
        return self.prewhitening.coloured(wave, mel) if self.prewhitening else wave

    def sounded(self, mel, sigma, seed):
        """Vocodes mels as tensors with the same noise, differentiable for activation maximisation.

        Shapes: [batch, frames, mels] -> [batch, frames * hop].
        """
        time = mel.shape[1]
        mel = ops.concatenate([mel, *[mel[:, -1:]] * (-time % self.frames_step)], axis=1)
        z = ops.convert_to_tensor(self._noise(1, mel.shape[1], sigma, seed))
        z = ops.broadcast_to(z, (ops.shape(mel)[0], *z.shape[1:]))
        return self.inverse(z, mel, self.folded())[:, : time * self.hop]

    def _noise(self, count, frames, sigma, seed):
        """Returns noise for a number of frames, NumPy: [count, frames * hop / group, group]."""
        shape = count, frames * self.hop // self.group, self.group
        return np.random.default_rng(seed).standard_normal(shape, np.float32) * np.float32(sigma)

    def call(self, batch, training=False):
        """Returns the outputs of `forward` for `wave` and `mel`."""
        wave = batch["wave"]
        if training and self.dequantise:
            wave = wave + keras.random.uniform(
                ops.shape(wave), -0.5 / LEVELS, 0.5 / LEVELS, seed=self._random
            )
        return self.forward(wave, batch["mel"], self.counted(batch))

    def counted(self, batch):
        """Returns the mask of the frames that count, [batch, frames], 1 = inside; None = all."""
        mask = batch.get("mask")
        return mask if mask is None or not self.prewhitening else self.prewhitening.apart(mask)

    # Verbs

    def infer(
        self,
        mel: np.ndarray,
        sigma: float = 0.6,
        seed: int = 0,
        frames: int = 400,
    ) -> np.ndarray:
        """Vocodes a mel to a NumPy array; the backends agree within 1e-4 for the same seed.

        Long mels are converted in chunks of `frames` with a context as long as the receptive field,
        so that the result does not depend on the chunks.

        Shapes: `mel` [time, mels] in the unit of the Spec -> [time * hop]; or [batch, time, mels]
        -> [batch, time * hop].

        Args:
            sigma: Standard deviation of the noise: less is less noisy, and duller.
            seed: Seed of the noise.
            frames: Number of frames of a chunk; more is faster, and takes more memory.

        Raises:
            ValueError: If the mel has no frames, or another number of bands.
        """
        mel = np.asarray(mel, np.float32)
        if mel.ndim not in (2, 3) or mel.shape[-1] != self.mels or not mel.shape[-2]:
            raise ValueError(
                f"mel: has the shape {list(mel.shape)}, expected [time, {self.mels}] or "
                f"[batch, time, {self.mels}]."
            )
        single, mel = mel.ndim == 2, mel if mel.ndim == 3 else mel[None]
        time, step = mel.shape[1], self.frames_step
        mel = np.pad(mel, ((0, 0), (0, -time % step), (0, 0)), mode="edge")
        total, per_frame = mel.shape[1], self.hop / self.group
        noise = self._noise(len(mel), total, sigma, seed)
        if self._compiled is None:
            self._compiled = backend.compiled_reading(self.folded), backend.compiled(self.inverse)
        folded, inverse = self._compiled
        weights = folded()
        margin = step * math.ceil((self.reach / per_frame + TAPS) / step)
        frames = step * math.ceil(frames / step)
        whole = total <= frames + 2 * margin
        size = total if whole else frames + 2 * margin
        waves = []
        for start in range(0, total, total if whole else frames):
            first = min(max(0, start - margin), total - size)
            groups = slice(round(first * per_frame), round((first + size) * per_frame))
            wave = ops.convert_to_numpy(
                inverse(
                    ops.convert_to_tensor(noise[:, groups]),
                    ops.convert_to_tensor(mel[:, first : first + size]),
                    weights,
                )
            )
            waves.append(
                wave[:, (start - first) * self.hop :][:, : None if whole else frames * self.hop]
            )
        wave = np.concatenate(waves, axis=1)[:, : time * self.hop]
        return wave[0] if single else wave

    # Training

    def loss_and_terms(self, batch, training):
        """Returns the loss and the logged terms, averaged over all samples that are no padding."""
        out = self.call(batch, training=training)
        cost = ops.sum(ops.square(out["z"]), axis=-1) / (2 * self.sigma**2) - out["log_scale"]
        cost = (cost - out["log_determinant"]) / self.group  # [B, T / 8]
        inside = self.counted(batch)
        if inside is not None:
            inside = ops.repeat(inside, self.hop, axis=1)[:, :: self.group]
            loss = ops.sum(cost * inside) / ops.maximum(ops.sum(inside), 1.0)
        else:
            loss = ops.mean(cost)
        likelihood = -loss - math.log(self.sigma) - math.log(2 * math.pi) / 2
        bits = math.log2(LEVELS) - likelihood / math.log(2)
        return loss, {"log_likelihood": likelihood, "bits_per_sample": bits}

    def train_on(self, batch):
        loss, terms = self.update("flow", lambda: self.loss_and_terms(batch, training=True))
        return {"loss": loss, **terms}

    def eval_on(self, batch):
        loss, terms = self.loss_and_terms(batch, training=False)
        return {"loss": loss, **terms}

    def get_config(self) -> dict:
        return {**super().get_config(), **self._config}
