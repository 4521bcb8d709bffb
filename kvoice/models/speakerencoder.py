"""SpeakerEncoder: a recording -> a point on the unit sphere, near those of the same speaker.

Three LSTMs read a second and a half of speech; the last state of the last one, projected and
normalised to length 1, is the d-vector. The cosine of two d-vectors measures how similar the voices
are.

Sources:
    Wan, Wang, Papir & Lopez Moreno 2018, arXiv:1710.10467 (GE2E): the loss, equations 5, 6, 8 and
    9. The sizes (40 mels, three LSTMs of 256, 160 frames, rectified before the norm) are those of
    Resemblyzer, whose published weights can be imported. Differs: the gradients of the two numbers
    that scale the cosines are not made smaller, a mean over the batch in place of the sum, one bias
    for each LSTM where PyTorch adds two, training clips of random loudness.
"""

import keras
import numpy as np
from keras import layers, ops

from kvoice.layers.standardised import Standardised
from kvoice.steps import StepModel

SCALE, OFFSET = 10.0, -5.0  # of the cosines, at the first step


@keras.saving.register_keras_serializable(package="kvoice")
class SpeakerEncoder(StepModel):
    """Embeds recordings by speaker; trained by the GE2E softmax loss.

    With e an embedding and c_k the mean of those of speaker k in the batch, where e itself is left
    out of the mean of its own speaker, the loss of e is the cross-entropy, in nats, of
    `scale * cos(e, c_k) + offset` as the logits of who is speaking.

    Mels are standardised band by band with the mean and spread of the training data, which the
    model keeps.

    Args:
        mels: Number of mel bands of the Spec.
        partial_frames: Length of the window that the network sees at once, in frames.
        width: Number of units of each LSTM.
        depth: Number of LSTMs.
        embedding: Number of values of an embedding.
        per_speaker: Number of utterances of each speaker in a batch, which holds one speaker after
            the other.
        loudness: Augmentation by a random gain: standard deviation of the level that is added to
            each training clip, in standard deviations of a band; for mels on a logarithmic scale.
        noise: Augmentation by noise: largest standard deviation of the noise that is added to a
            training clip, in standard deviations of a band.
        seed: Seed of both augmentations.

    Raises:
        ValueError: If an argument is out of range; the message names it.
    """

    verbs = ("encode",)
    terms = ("loss", "accuracy")

    @classmethod
    def from_data(cls, values, facts):
        """As in `StepModel`."""
        return {
            "mels": facts.mels,
            "partial_frames": facts.crop_frames,
            "per_speaker": facts.per_speaker,
        }

    @classmethod
    def description(cls, values, names):
        """As in `StepModel`."""
        window = f"windows of {values['partial_frames']} frames"
        return f"embeddings of {values['embedding']} values, {window}"

    def __init__(
        self,
        *,
        mels: int,
        partial_frames: int = 160,
        width: int = 256,
        depth: int = 3,
        embedding: int = 256,
        per_speaker: int = 8,
        loudness: float = 0.0,
        noise: float = 0.0,
        seed: int = 0,
        **kwargs,
    ):
        super().__init__(**kwargs)
        for name, value, least in (
            ("mels", mels, 1),
            ("partial_frames", partial_frames, 2),
            ("width", width, 1),
            ("depth", depth, 1),
            ("embedding", embedding, 2),
            ("per_speaker", per_speaker, 2),
            ("loudness", loudness, 0),
            ("noise", noise, 0),
            ("seed", seed, 0),
        ):
            if value < least:
                raise ValueError(f"{name}: {value} must be at least {least}.")
        self._config = dict(
            mels=mels,
            partial_frames=partial_frames,
            width=width,
            depth=depth,
            embedding=embedding,
            per_speaker=per_speaker,
            loudness=loudness,
            noise=noise,
            seed=seed,
        )
        self.mels, self.bands = mels, Standardised(mels, dtype="float32")
        self.partial_frames, self.per_speaker = partial_frames, per_speaker
        self.loudness, self.noise = loudness, noise
        self.names = []  # the names of the training speakers are not needed
        x = mel = keras.Input((None, mels), name="mel")
        for i in range(depth):
            x = layers.LSTM(width, return_sequences=i < depth - 1, name=f"lstm_{i}")(x)
        projected = ops.relu(layers.Dense(embedding, dtype="float32", name="linear")(x))
        length = ops.sqrt(ops.sum(ops.square(projected), axis=-1, keepdims=True) + 1e-10)
        self.network = keras.Model(mel, projected / length, name="network")
        self.scale, self.offset = (
            self.add_weight(shape=(), initializer=keras.initializers.Constant(value), name=name)
            for name, value in (("scale", SCALE), ("offset", OFFSET))
        )
        self._random = keras.random.SeedGenerator(seed)
        self.built = True

    def adapt(self, source):
        self.bands.adapt(source)

    def parameter_groups(self):
        return {"encoder": self.trainable_variables}

    def call(self, batch, training=False):
        """Clips -> embeddings of length 1.

        Shapes: `mel` [batch, time, mels] in the unit of the Spec -> dict of `embedding` [batch,
        embedding].
        """
        return {"embedding": self.network(self.bands(batch["mel"]), training=training)}

    # Verbs

    def embed(self, clips: np.ndarray, batch: int = 64) -> np.ndarray:
        """Returns the embeddings of clips as a NumPy array.

        Shapes: `clips` [n, time, mels] in the unit of the Spec -> [n, embedding].
        """
        return self.network.predict(
            ops.convert_to_numpy(self.bands(np.asarray(clips, np.float32))),
            batch_size=batch,
            verbose=0,
        )

    # Training

    def _augmented(self, mel):
        """Adds a random gain and noise of a random level to each clip."""
        shape = (ops.shape(mel)[0], 1, 1)
        level = self.loudness * keras.random.normal(shape, seed=self._random)
        noise = self.noise * keras.random.uniform(shape, seed=self._random)
        return mel + level + noise * keras.random.normal(ops.shape(mel), seed=self._random)

    def loss_and_terms(self, batch, training):
        """Returns the cross-entropy in nats, and the accuracy of the nearest speaker."""
        mel = self.bands(batch["mel"])
        if training and (self.loudness or self.noise):
            mel = self._augmented(mel)
        each = self.network(mel, training=training)
        similarity, own = similarities(each, self.per_speaker)  # [B, speakers], [B]
        logits = ops.maximum(self.scale, 1e-6) * similarity + self.offset
        loss = ops.mean(keras.losses.sparse_categorical_crossentropy(own, logits, from_logits=True))
        right = ops.cast(ops.equal(ops.cast(ops.argmax(logits, axis=-1), "int32"), own), "float32")
        return loss, {"accuracy": ops.mean(right)}

    def train_on(self, batch):
        loss, terms = self.update("encoder", lambda: self.loss_and_terms(batch, training=True))
        return {"loss": loss, **terms}

    def eval_on(self, batch):
        loss, terms = self.loss_and_terms(batch, training=False)
        return {"loss": loss, **terms}

    def get_config(self) -> dict:
        return {**super().get_config(), **self._config}


def similarities(embeddings, per_speaker: int):
    """Cosines of each embedding with the mean of every speaker, without itself in its own mean.

    Shapes: `embeddings` [speakers * per_speaker, size], of length 1 and speaker by speaker ->
    cosines [speakers * per_speaker, speakers], and the number of its own speaker for each.

    Source: Wan et al. 2018, arXiv:1710.10467, equations 8 and 9.
    """
    size = embeddings.shape[-1]
    grouped = ops.reshape(embeddings, (-1, per_speaker, size))  # [S, U, E]
    sums = ops.sum(grouped, axis=1)  # [S, E]
    others = ops.reshape(sums[:, None] - grouped, (-1, size))  # [S * U, E]
    speakers = ops.shape(grouped)[0]
    own = ops.repeat(ops.arange(speakers, dtype="int32"), per_speaker)
    across = ops.matmul(embeddings, ops.transpose(_unit(sums)))  # [S * U, S]
    within = ops.sum(embeddings * _unit(others), axis=-1, keepdims=True)
    mine = ops.cast(
        ops.equal(own[:, None], ops.arange(speakers, dtype="int32")[None]), across.dtype
    )
    return across + mine * (within - across), own


def _unit(vectors):
    return vectors * ops.rsqrt(ops.sum(ops.square(vectors), axis=-1, keepdims=True) + 1e-10)
