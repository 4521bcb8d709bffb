"""Losses as pure functions of tensors, each with its paper and its unit."""

import keras
from keras import ops

from kvoice import backend


def wasserstein(real, fake):
    """Computes the critic's estimate of the Wasserstein-1 distance, `mean(real) - mean(fake)`.

    A critic minimises its negative; it estimates the distance only as far as the critic is
    1-Lipschitz, hence the gradient penalty. Unit: the critic's.

    Shapes: critic values `real` [batch], `fake` [batch] -> scalar.

    Source: Arjovsky, Chintala & Bottou 2017, arXiv:1701.07875, equation 2.
    """
    return ops.mean(real) - ops.mean(fake)


def gradient_penalty(gradient):
    """Computes the mean of `(|gradient| - 1)^2`, with the norm over all values of an item.

    Shapes: `gradient` [batch, ...] of the critic at points between real and fake -> scalar.

    Source: Gulrajani et al. 2017, arXiv:1704.00028, equation 3. The norm is
    sqrt(sum of squares + 1e-12), so that its own gradient is finite at zero.
    """
    squared = ops.sum(ops.square(gradient), axis=tuple(range(1, len(gradient.shape))))
    return ops.mean(ops.square(ops.sqrt(squared + 1e-12) - 1.0))


def between(real, fake, share):
    """Interpolates `share * real + (1 - share) * fake`, with one share for each item.

    Shapes: `real`, `fake` [batch, ...], `share` [batch] in [0, 1] -> [batch, ...].

    Source: Gulrajani et al. 2017, arXiv:1704.00028, algorithm 1.
    """
    share = ops.reshape(share, (-1,) + (1,) * (len(real.shape) - 1))
    return share * real + (1.0 - share) * fake


def label_cross_entropy(logits, label):
    """Computes the mean softmax cross-entropy in nats.

    Shapes: `logits` [batch, labels], `label` [batch] int -> scalar.

    Source: the class loss of Choi et al. 2018 (StarGAN), arXiv:1711.09020, equations 2 and 3.
    """
    return ops.mean(keras.losses.sparse_categorical_crossentropy(label, logits, from_logits=True))


def activation(logits, target):
    """The loss of activation maximisation: `mean(other logits) - logit of the target`, per item.

    Logits rather than probabilities: their slope does not vanish where the classifier is sure.

    Shapes: `logits` [batch, labels], two labels or more, `target` [batch] int -> [batch].

    Source: Nguyen et al. 2016, arXiv:1605.09304 (through a generator); differs: the mean of the
    other logits is pushed down too, as the earlier activation maximisation over voices did.
    """
    labels = logits.shape[-1]
    one = ops.one_hot(target, labels)
    wanted = ops.sum(one * logits, axis=-1)  # [B]
    return (ops.sum(logits, axis=-1) - wanted) / (labels - 1) - wanted


def typical_norm(noise):
    """Penalises a noise whose norm is not typical of a sample from N(0, 1), per item.

    With n values, `|noise|^2` of a sample has mean n and standard deviation sqrt(2 n); the loss is
    half of the squared z-score, the negative log-density of the norm up to a constant. It is 0 for
    every noise of typical length, whatever its direction, while a pull to zero leaves the sphere of
    radius sqrt(n) where the generator was trained.

    Shapes: `noise` [batch, n] -> [batch].
    """
    size = noise.shape[-1]
    deviations = (ops.sum(ops.square(noise), axis=-1) - size) / (2 * size) ** 0.5
    return ops.square(deviations) / 2


def gaussian_kl(mean, log_var):
    """Computes the KL divergence of each latent's posterior from N(0, 1), in nats.

    `(mean^2 + variance - 1 - ln variance) / 2`.

    Shapes: `mean`, `log_var` [batch, latents] -> [batch, latents].

    Source: Kingma & Welling 2014, arXiv:1312.6114, appendix B.
    """
    posterior = backend.normal(mean, ops.exp(log_var / 2))
    return posterior.kl_divergence(backend.normal(ops.zeros_like(mean), ops.ones_like(mean)))


def gaussian_nll(items, decoded, sigma: float):
    """Computes the negative log-likelihood of each value under N(decoded, sigma), in nats.

    A density: it may be negative where sigma is small.

    Shapes: `items`, `decoded` [batch, ...] -> the same.

    Args:
        sigma: Standard deviation, in the unit of the items.
    """
    return -backend.normal(decoded, ops.full_like(decoded, sigma)).log_prob(items)


def bernoulli_nll(items, logits):
    """Computes the negative log-likelihood of each value under Bernoulli(sigmoid(logits)), in nats.

    Shapes: `items` in [0, 1], `logits` [batch, ...] -> the same.
    """
    return -backend.bernoulli(logits).log_prob(items)


def decomposed_kl(codes, mean, log_var) -> tuple:
    """Estimates the three parts of the KL divergence from one batch, in nats.

    Index-code mutual information, total correlation of the aggregate posterior, and the divergence
    of each latent's own aggregate posterior from N(0, 1), where the aggregate is the mean of the
    batch's posteriors. Their sum is an estimate of the KL. The estimate of the mutual information
    from a batch of B is at most ln B: where codes hold more, the first is too small and the second
    too large.

    Shapes: `codes` (draws of the posteriors), `mean`, `log_var` [batch, latents] -> three scalars.

    Source: Chen et al. 2018, arXiv:1802.04942, equation 2, with minibatch-weighted sampling
    (appendix C.1); differs: the logarithm of the size of the data is left out, a constant that
    moves nats from the first part and the last to the second, and no gradient.
    """
    share = ops.log(ops.cast(ops.shape(codes)[0], "float32"))
    posterior = backend.normal(mean, ops.exp(log_var / 2)).log_prob(codes)  # [B, D]
    everyone = backend.normal(mean[None], ops.exp(log_var / 2)[None]).log_prob(codes[:, None])
    prior = backend.normal(ops.zeros_like(codes), ops.ones_like(codes)).log_prob(codes)
    joint = ops.logsumexp(ops.sum(everyone, axis=-1), axis=1) - share  # [B]
    marginals = ops.logsumexp(everyone, axis=1) - share  # [B, D]
    parts = (
        ops.sum(posterior, axis=-1) - joint,
        joint - ops.sum(marginals, axis=-1),
        ops.sum(marginals - prior, axis=-1),
    )
    return tuple(ops.mean(part) for part in parts)


def permute_dims(codes, seed: keras.random.SeedGenerator):
    """Permutes each latent independently over the items of a batch.

    The result is an approximate sample of the product of the marginals of the aggregate posterior.

    Shapes: `codes` [batch, latents] -> [batch, latents].

    Args:
        seed: A `keras.random.SeedGenerator`.

    Source: Kim & Mnih 2018, arXiv:1802.05983, algorithm 1.
    """
    order = ops.argsort(keras.random.uniform(ops.shape(codes), seed=seed), axis=0)
    return ops.take_along_axis(codes, order, axis=0)
