"""AdaIN-VC: one-shot voice conversion; instance normalisation parts speaker and content.

A content encoder removes what is constant over time, a speaker encoder keeps only that, and a
decoder combines the two: it converts the content of one recording to the voice of another.
Trained on single recordings; no parallel speech, no speaker labels.

Sources:
    Chou, Yeh & Lee 2019, arXiv:1904.05742. The networks are those of the authors' public code and
    checkpoint (August 2019), which differ from the paper: normalisation before the activation, no
    dropout, a learned log-variance with the ordinary KL, whose weight grows to 1.
    With 512 mels 9,040,512 parameters, with 80 mels 4,892,880. Differs: convolutions and dense
    layers draw their first weights as PyTorch does; Adam's epsilon is added before the bias of the
    second moment is corrected, as Keras has it.
    The options: a decoder of 5 or 7 stages (those beyond the encoders' do not upsample); a content
    encoder without normalisation; `speaker="statistics"`, one encoder for both, whose means and
    spreads the mirrored layers of the decoder take instead of predicted ones, as Huang & Belongie
    2017, arXiv:1703.06868, take the statistics of a style image.
"""

import keras
import numpy as np
from keras import layers, ops

from kvoice import backend, losses
from kvoice.layers.adain import AdaIN, InstanceNorm
from kvoice.layers.resample import PixelShuffle1D, ReflectConv1D
from kvoice.layers.standardised import Standardised
from kvoice.layers.vtlp import shifted
from kvoice.steps import StepModel

SPEAKERS = ("encoder", "statistics")
PARTS = ("bank", "speaker", "content", "decoder")  # those that have a width


def _uniform(inputs):
    """Keyword arguments of a layer that begins as PyTorch's do, given the inputs of a unit."""
    bound = inputs**-0.5
    return {
        name: keras.initializers.RandomUniform(-bound, bound)
        for name in ("kernel_initializer", "bias_initializer")
    }


def _conv(x, filters, kernel=1, stride=1, **more):
    return ReflectConv1D(filters, kernel, stride, **more, **_uniform(kernel * x.shape[-1]))(x)


def _dense(x, units, name=None):
    return layers.Dense(units, name=name, **_uniform(x.shape[-1]))(x)


def _bank(mel, width, kernels):
    """Convolutions of 1 to `kernels` frames side by side, then the mel itself."""
    features = [
        ops.relu(_conv(mel, width, k, name=f"conv_bank_{k - 1}")) for k in range(1, kernels + 1)
    ]
    return layers.Concatenate()([*features, mel])


def _shorter(x, stride):
    """The mean of every `stride` frames; of what is left at the end, the mean of that."""
    return layers.AveragePooling1D(stride, padding="same")(x) if stride > 1 else x


def speaker_encoder(
    mels: int,
    bank: int,
    kernels: int,
    width: int,
    size: int,
    kernel: int,
    stages: int,
    dense_blocks: int,
) -> keras.Model:
    """The speaker encoder: [batch, time, mels] -> `embedding` [batch, size]."""
    mel = keras.Input((None, mels), name="mel")
    x = ops.relu(_conv(_bank(mel, bank, kernels), width, name="in_conv_layer"))
    for i in range(2 * stages):
        stride = 1 + i % 2
        y = ops.relu(_conv(x, width, kernel, name=f"first_conv_layers_{i}"))
        y = ops.relu(_conv(y, width, kernel, stride, name=f"second_conv_layers_{i}"))
        x = y + _shorter(x, stride)
    x = layers.GlobalAveragePooling1D()(x)  # [B, C]
    for i in range(dense_blocks):
        y = ops.relu(_dense(x, width, name=f"first_dense_layers_{i}"))
        x = x + ops.relu(_dense(y, width, name=f"second_dense_layers_{i}"))
    return keras.Model(mel, _dense(x, size, name="output_layer"), name="speaker_encoder")


def content_encoder(
    mels: int,
    bank: int,
    kernels: int,
    width: int,
    size: int,
    kernel: int,
    stages: int,
    norm: bool,
    statistics: bool,
) -> keras.Model:
    """The content encoder: the posterior of the content, and the instance statistics.

    Shapes: [batch, time, mels] -> dict of `mean` and `log_var` [batch, ceil(time / 2**stages),
    size] and, with `statistics`, `styles` [batch, layers, 2 * width], those of the last layer
    first.
    """
    mel = keras.Input((None, mels), name="mel")
    taken = []

    def normalised(x):
        if not norm:
            return x
        if not statistics:
            return InstanceNorm()(x)
        x, style = InstanceNorm(statistics=True)(x)
        taken.append(style)
        return x

    x = _conv(_bank(mel, bank, kernels), width, name="in_conv_layer")
    x = ops.relu(InstanceNorm()(x) if norm else x)
    for i in range(2 * stages):
        stride = 1 + i % 2
        y = ops.relu(normalised(_conv(x, width, kernel, name=f"first_conv_layers_{i}")))
        y = ops.relu(normalised(_conv(y, width, kernel, stride, name=f"second_conv_layers_{i}")))
        x = y + _shorter(x, stride)
    outputs = {
        "mean": _conv(x, size, name="mean_layer", dtype="float32"),
        "log_var": _conv(x, size, name="std_layer", dtype="float32"),
    }
    if statistics:
        outputs["styles"] = ops.stack(taken[::-1], axis=1)
    return keras.Model(mel, outputs, name="content_encoder")


def styles_of(size: int, width: int, blocks: int) -> keras.Model:
    """Predicts the mean and standard deviation of each AdaIN layer from a speaker embedding.

    Shapes: [batch, size] -> [batch, 2 * blocks, 2 * width].
    """
    embedding = keras.Input((size,), name="embedding")
    affine = [
        _dense(embedding, 2 * width, name=f"conv_affine_layers_{i}") for i in range(2 * blocks)
    ]
    return keras.Model(embedding, ops.stack(affine, axis=1), name="styles")


def decoder(
    size: int,
    width: int,
    mels: int,
    kernel: int,
    stages: int,
    upsampling: int,
) -> keras.Model:
    """The decoder: predicts a mel from content and the statistics of its AdaIN layers.

    Shapes: `content` [batch, time, size], `styles` [batch, 4 * stages, 2 * width] ->
    [batch, time * 2**upsampling, mels].
    """
    content = keras.Input((None, size), name="content")
    styles = keras.Input((4 * stages, 2 * width), name="styles")
    x = ops.relu(InstanceNorm()(_conv(content, width, name="in_conv_layer")))
    for i in range(2 * stages):
        up = 2 if i % 2 == 0 and i < 2 * upsampling else 1
        y = _conv(x, width, kernel, name=f"first_conv_layers_{i}")
        y = ops.relu(AdaIN()(y, styles[:, 2 * i]))
        y = _conv(y, up * width, kernel, name=f"second_conv_layers_{i}")
        if up > 1:
            x, y = layers.UpSampling1D(up)(x), PixelShuffle1D(up)(y)
        x = ops.relu(AdaIN()(y, styles[:, 2 * i + 1])) + x
    return keras.Model(
        [content, styles], _conv(x, mels, name="out_conv_layer", dtype="float32"), name="decoder"
    )


@keras.saving.register_keras_serializable(package="kvoice")
class AdaINVC(StepModel):
    """One-shot voice conversion, trained to reconstruct each recording.

    The loss is `reconstruction_weight * L1 + w * KL`: the mean absolute error of the standardised
    mels, and the mean over all values of the content of its divergence from N(0, 1), in nats, whose
    weight w goes from 0 to `kl_weight` over `anneal_steps`. Content is sampled from its posterior
    in training; inference takes the mean.

    Mels are standardised band by band with the mean and spread of the training data, which the
    model keeps.

    Args:
        mels: Number of mel bands of the Spec.
        width: Number of channels of each of the parts "bank", "speaker", "content" and "decoder".
        latents: Number of content values per content frame.
        embedding: Number of values of a speaker embedding.
        bank: Number of parallel convolutions at the entry of both encoders, with kernels of 1 to
            `bank` frames.
        kernel: Kernel size of the other convolutions, in frames; odd.
        encoder_stages: Number of stages of both encoders. Each has two residual blocks, the second
            of which halves the time.
        decoder_stages: Number of stages of the decoder. Each has two residual blocks, the first of
            which doubles the time, in as many stages as the encoders have.
        dense_blocks: Number of dense blocks of the speaker encoder.
        content_norm: Whether the content encoder has instance normalisation.
        speaker: Where the speaker's statistics come from: "encoder", a speaker encoder of its own,
            or "statistics", the instance statistics of the content encoder.
        reconstruction_weight: Weight of the L1 error.
        kl_weight: Weight of the KL divergence at the end of the annealing.
        anneal_steps: Number of steps until `kl_weight` is reached; 0 = from the start.
        vtlp: In training, the content encoder sees each mel shifted by up to this share of its
            bands (`layers.vtlp`), so that the content does not tell the size of a voice; 0 = none,
            as published.
        seed: Seed of the posterior draws.

    Raises:
        ValueError: If an argument is out of range or does not fit another; the message names it.
    """

    verbs = ("convert", "encode")
    terms = ("loss", "reconstruction", "kl", "kl_weight")

    @classmethod
    def description(cls, values, names):
        """As in `StepModel`."""
        content = "normalised" if values["content_norm"] else "not normalised"
        return f"content {content}, voice from {values['speaker']}"

    def __init__(
        self,
        *,
        mels: int,
        width: dict[str, int],
        latents: int = 128,
        embedding: int = 128,
        bank: int = 8,
        kernel: int = 5,
        encoder_stages: int = 3,
        decoder_stages: int = 3,
        dense_blocks: int = 6,
        content_norm: bool = True,
        speaker: str = "encoder",
        reconstruction_weight: float = 10.0,
        kl_weight: float = 1.0,
        anneal_steps: int = 20_000,
        vtlp: float = 0.0,
        seed: int = 0,
        **kwargs,
    ):
        super().__init__(**kwargs)
        width = dict(width)
        if sorted(width) != sorted(PARTS):
            raise ValueError(f"width: {', '.join(width) or 'nothing'} must be {', '.join(PARTS)}.")
        for name, value, least in (
            ("mels", mels, 1),
            *((f"width.{part}", each, 1) for part, each in width.items()),
            ("latents", latents, 1),
            ("embedding", embedding, 1),
            ("bank", bank, 1),
            ("kernel", kernel, 1),
            ("encoder_stages", encoder_stages, 1),
            ("dense_blocks", dense_blocks, 0),
            ("reconstruction_weight", reconstruction_weight, 0),
            ("kl_weight", kl_weight, 0),
            ("anneal_steps", anneal_steps, 0),
            ("vtlp", vtlp, 0),
            ("seed", seed, 0),
        ):
            if value < least:
                raise ValueError(f"{name}: {value} must be at least {least}.")
        if kernel % 2 == 0:
            raise ValueError(f"kernel: {kernel} must be odd.")
        if decoder_stages < encoder_stages:
            raise ValueError(
                f"decoder_stages: {decoder_stages} must be at least the {encoder_stages} of "
                "the encoders, whose halvings it undoes."
            )
        if speaker not in SPEAKERS:
            raise ValueError(f"speaker: {speaker!r} is none of {', '.join(SPEAKERS)}.")
        if speaker == "statistics":
            if not content_norm:
                raise ValueError(
                    "content_norm: must be true where the statistics that it removes "
                    "represent the speaker."
                )
            if vtlp:
                raise ValueError(
                    f"vtlp: {vtlp:g} must be 0 where the content encoder represents the speaker."
                )
            if decoder_stages != encoder_stages or width["content"] != width["decoder"]:
                raise ValueError(
                    "decoder_stages and width.decoder: must be those of the content encoder, "
                    "whose statistics its layers take."
                )
        self._config = dict(
            mels=mels,
            width=width,
            latents=latents,
            embedding=embedding,
            bank=bank,
            kernel=kernel,
            encoder_stages=encoder_stages,
            decoder_stages=decoder_stages,
            dense_blocks=dense_blocks,
            content_norm=content_norm,
            speaker=speaker,
            reconstruction_weight=reconstruction_weight,
            kl_weight=kl_weight,
            anneal_steps=anneal_steps,
            vtlp=vtlp,
            seed=seed,
        )
        self.mels, self.speaker = mels, speaker
        self.reconstruction_weight, self.kl_weight = reconstruction_weight, kl_weight
        self.anneal_steps, self.vtlp = anneal_steps, vtlp
        self.names = []  # the model is trained without labels
        # A convolution mirrors kernel // 2 frames, and needs more than that at the lowest rate too.
        self.minimum_frames = max(2**encoder_stages * (kernel // 2) + 1, bank // 2 + 1)
        self.style_layers = 4 * decoder_stages
        entry = (mels, width["bank"], bank)
        statistics = speaker == "statistics"
        self.content_encoder = content_encoder(
            *entry, width["content"], latents, kernel, encoder_stages, content_norm, statistics
        )
        if not statistics:
            self.speaker_encoder = speaker_encoder(
                *entry, width["speaker"], embedding, kernel, encoder_stages, dense_blocks
            )
            self.styles = styles_of(embedding, width["decoder"], 2 * decoder_stages)
        self.decoder = decoder(
            latents, width["decoder"], mels, kernel, decoder_stages, encoder_stages
        )
        self._random = keras.random.SeedGenerator(seed)
        self.bands = Standardised(mels, dtype="float32")
        self.step = self.add_weight(shape=(), initializer="zeros", trainable=False, name="step")
        self._decode_on_batch = backend.any_length(self.decoder.predict_on_batch)
        self._encode_on_batch = None
        self.built = True

    def adapt(self, source):
        self.bands.adapt(source)

    def parameter_groups(self):
        return {"vae": self.trainable_variables}

    def call(self, batch, training=False):
        """Encodes recordings, and decodes their content with their own speaker statistics.

        Shapes: `mel` [batch, time, mels] in the unit of the Spec -> dict of `mean`, `log_var` and
        `content` (a sample) [batch, ceil(time / 2**stages), latents], `styles` [batch, style
        layers, 2 * width], `embedding` [batch, embedding] where there is a speaker encoder, and
        `decoded` [batch, time, mels], standardised.
        """
        mel = self.bands(batch["mel"])
        spoken = self.bands(self._perturbed(batch["mel"])) if training and self.vtlp else mel
        outputs = dict(self.content_encoder(spoken, training=training))
        noise = keras.random.normal(ops.shape(outputs["mean"]), seed=self._random)
        outputs["content"] = outputs["mean"] + ops.exp(outputs["log_var"] / 2) * noise
        if self.speaker == "encoder":
            outputs["embedding"] = self.speaker_encoder(mel, training=training)
            outputs["styles"] = self.styles(outputs["embedding"], training=training)
        decoded = self.decoder([outputs["content"], outputs["styles"]], training=training)
        return {**outputs, "decoded": decoded[:, : ops.shape(mel)[1]]}

    def _perturbed(self, mel):
        """Shifts the frequencies of each mel by chance, pitch and formants together."""
        shares = keras.random.uniform(
            (ops.shape(mel)[0], 1), -self.vtlp, self.vtlp, seed=self._random
        )
        return shifted(ops.convert_to_tensor(mel), shares)

    # Verbs

    def encode(self, mel: np.ndarray) -> dict[str, np.ndarray]:
        """Encodes a recording into its content and its speaker statistics, as NumPy arrays.

        Shapes: `mel` [time, mels] in the unit of the Spec -> dict of `content` [ceil(time /
        2**stages), latents], the mean of its posterior, `styles` [style layers, 2 * width], and
        `embedding` [embedding] where there is a speaker encoder.

        Raises:
            ValueError: If the recording is shorter than `minimum_frames`.
        """
        mel = np.asarray(mel, np.float32)
        if len(mel) < self.minimum_frames:
            raise ValueError(f"mel: {len(mel)} frames must be at least {self.minimum_frames}.")
        found = self._encoder()(ops.convert_to_numpy(self.bands(mel[None])))
        return {name: value[0] for name, value in found.items()}

    def _encoder(self):
        """Returns both encoders as one function of standardised mels.

        By `predict_on_batch`: TensorFlow traces a graph for the first length and one for all
        others; JAX compiles for every length, which is faster than to do so for every operation by
        itself.
        """
        if self._encode_on_batch is None:
            mel = keras.Input((None, self.mels), name="mel")
            outputs = self.content_encoder(mel)
            found = {"content": outputs["mean"]}
            if self.speaker == "encoder":
                found["embedding"] = self.speaker_encoder(mel)
                found["styles"] = self.styles(found["embedding"])
            else:
                found["styles"] = outputs["styles"]
            # The method alone: Keras would save a model as one more part of this one.
            self._encode_on_batch = backend.any_length(keras.Model(mel, found).predict_on_batch)
        return self._encode_on_batch

    def decode(self, content: np.ndarray, styles: np.ndarray) -> np.ndarray:
        """Decodes content with speaker statistics to a mel, a NumPy array in the unit of the Spec.

        Shapes: `content` [time, latents], `styles` [style layers, 2 * width] -> [time * 2**stages,
        mels]: up to 2**stages - 1 frames more than the encoded recording had.
        """
        decoded = self._decode_on_batch([np.float32(content)[None], np.float32(styles)[None]])
        return ops.convert_to_numpy(self.bands.undone(decoded))[0]

    # Training

    def loss_and_terms(self, batch, training):
        """Returns the loss and the logged terms, averaged over the batch."""
        out = self.call(batch, training=training)
        reconstruction = ops.mean(ops.abs(out["decoded"] - self.bands(batch["mel"])))
        kl = ops.mean(losses.gaussian_kl(out["mean"], out["log_var"]))
        share = ops.minimum(1.0, (self.step + 1) / self.anneal_steps) if self.anneal_steps else 1.0
        weight = self.kl_weight * share * ops.ones(())
        return self.reconstruction_weight * reconstruction + weight * kl, {
            "reconstruction": reconstruction,
            "kl": kl,
            "kl_weight": weight,
        }

    def train_on(self, batch):
        loss, terms = self.update("vae", lambda: self.loss_and_terms(batch, training=True))
        self.step.assign(self.step + 1)
        return {"loss": loss, **terms}

    def eval_on(self, batch):
        loss, terms = self.loss_and_terms(batch, training=False)
        return {"loss": loss, **terms}

    def get_config(self) -> dict:
        return {**super().get_config(), **self._config}
