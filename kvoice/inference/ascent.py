"""Changes a generator's noise by gradient ascent until a classifier predicts a label.

    path = Path(generator, classifier, spec)
    found = ascend(path, noise, targets, labels)         # found.values [snapshots, starts, noise]

The generator is the prior: its output for any noise resembles its training data, so that the ascent
finds speech, where an ascent on the item itself (`ascend_items`) finds an adversarial pattern for
this one classifier. `invert` searches the noise of a recording, so that an ascent can start there.

Source: Nguyen et al. 2016, arXiv:1605.09304; over voices the objective, rate and schedule here
follow the earlier work of that name (Adam, .01 * .99^step, 301 evaluations, snapshots at log-spaced
steps). Differs: `losses.typical_norm` in place of a pull to zero; an ascent stops where the
classifier is confident; Adam's bias is corrected step by step.
"""

import dataclasses

import numpy as np
from keras import ops

from kvoice import audio, backend, losses, progress
from kvoice.errors import KvoiceError
from kvoice.layers.mel import mel

STEPS = 300
RATE, DECAY = 0.01, 0.99
SNAPSHOTS = 13
GROUP = 64  # rows of a batch at most
SURE = 0.999  # probability of the target at which an ascent stops


def pull_to_zero(noise, size: int):
    """Computes the published prior: `100 |noise|^2 / values of the item`, [batch]."""
    return 100 * ops.sum(ops.square(noise), axis=-1) / size


PRIORS = {
    "typical": lambda noise, size: losses.typical_norm(noise),
    "zero": pull_to_zero,
    "none": lambda noise, size: 0.0,
}


class Path:
    """The differentiable path from the noise of a generator to the logits of a classifier.

    Args:
        generator: A model that generates from noise.
        classifier: A model that classifies.
        spec: The `audio.Spec` of both.
        vocoder: A `vocode.Vocoder`, needed where the generator makes mels and the classifier takes
            waves: its `graph` maps mels [batch, time, mels] to waves [batch, samples] in
            `keras.ops` with the weights of its `model`.

    Raises:
        KvoiceError: If a vocoder is needed and there is none.
    """

    def __init__(
        self, generator: object, classifier: object, spec: audio.Spec, vocoder: object = None
    ) -> None:
        if (generator.domain, classifier.domain) == ("mel", "wave") and vocoder is None:
            raise KvoiceError(
                "the generator makes mels and the classifier takes waves: between them a vocoder "
                "is needed: give --vocoder=RUN, or choose a classifier of mels"
            )
        self.generator, self.classifier, self.spec = generator, classifier, spec
        self.vocoder = vocoder
        self.models = [
            generator.generator,
            classifier.network,
            *([vocoder.model] if vocoder else []),
        ]

    def conditions(self, labels: np.ndarray | None, count: int) -> np.ndarray:
        """Returns the labels of `count` starts as one-hot rows; unconditional ones ignore them."""
        rows = np.zeros(count, int) if labels is None else np.asarray(labels)
        return np.eye(max(1, self.generator.labels), dtype="float32")[rows]

    def items(self, noise, label):
        """Generates items on the scale of the Spec.

        Shapes: `noise` [batch, noise], `label` [batch, labels] one-hot (ignored by an unconditional
        generator) -> [batch, time, mels] or [batch, samples].
        """
        inputs = {"noise": noise, "label": label} if self.generator.labels else {"noise": noise}
        return self.generator.item(self.generator.generator(inputs, training=False)["image"])

    def mels(self, items):
        """Converts items of the generator's domain to mels: [batch, time, mels]."""
        if self.generator.domain == "mel":
            return items
        return mel(items, **audio.numbers(self.spec))[:, :-1]  # as `audio.as_mels`

    def logits(self, items):
        """Computes the classifier's logits for items of the generator's domain: [batch, labels]."""
        if self.classifier.domain == self.generator.domain:
            return self.classifier.logits(items)
        convert = self.mels if self.classifier.domain == "mel" else self.vocoder.graph
        return self.classifier.logits(convert(items))


# --- The ascent


@dataclasses.dataclass(frozen=True)
class Found:
    """The result of an ascent.

    Attributes:
        steps: The steps of the snapshots, 0 first: [snapshots].
        values: The optimised values at each snapshot: [snapshots, starts, ...].
        stopped: The step at which each start reached its target, or the last step: [starts].
    """

    steps: np.ndarray
    values: np.ndarray
    stopped: np.ndarray


def snapshot_steps(steps: int, count: int = SNAPSHOTS) -> np.ndarray:
    """Returns log-spaced steps from 0 to the last: (steps + 1)^(k / (count - 1)) - 1, rounded."""
    return np.unique(np.round(np.geomspace(1, steps + 1, count) - 1).astype(int))


def ascend(
    path: Path,
    noise: np.ndarray,
    targets: np.ndarray,
    labels: np.ndarray | None = None,
    prior: str = "typical",
    steps: int = STEPS,
    rate: float = RATE,
    sure: float = SURE,
) -> Found:
    """Changes noises until the classifier predicts their targets for the generated items.

    Minimised by Adam for each start: `losses.activation(logits, target)` plus the prior.

    Shapes: `noise` [starts, noise], `targets` [starts] int, `labels` [starts] int or None -> a
    `Found` whose values are noises [snapshots, starts, noise].

    Args:
        path: A `Path`.
        noise: The noises of the starts.
        targets: Indices of the classifier's labels.
        labels: The labels that the generator is conditioned on; None if it is unconditional.
        prior: A key of `PRIORS`: "typical" keeps the noise at the length of a random draw, "zero"
            pulls it to zero as published, "none" has no effect.
        steps: The number of steps, at most.
        rate: The learning rate of the first step; each is .99 times the one before.
        sure: Probability of the target at which a start stops; above 1 = none stops early.
    """
    size = int(np.prod(path.generator.shape))

    def objective(noise, target, label):
        logits = path.logits(path.items(noise, label))
        loss = losses.activation(logits, target) + PRIORS[prior](noise, size)
        return ops.sum(loss), logits

    rest = np.asarray(targets, "int32"), path.conditions(labels, len(noise))
    gradient = backend.input_value_and_grad(objective, path.models)
    return _adam(gradient, noise, rest, steps, rate, _sure_of(targets, sure))


def ascend_items(
    path: Path,
    items: np.ndarray,
    targets: np.ndarray,
    steps: int = STEPS,
    rate: float = RATE,
    sure: float = SURE,
) -> Found:
    """Runs the same ascent on the items themselves, without the generator as a prior.

    The items are scaled to [0, 1] between the bounds of the generator, and clipped to this range.

    Shapes: `items` [starts, time, mels] or [starts, samples] -> a `Found` of such.
    """
    low, high = path.generator.low, path.generator.high

    def objective(scaled, target):
        logits = path.logits(low + (high - low) * scaled)
        return ops.sum(losses.activation(logits, target)), logits

    gradient = backend.input_value_and_grad(objective, path.models)
    scaled = (np.asarray(items) - low) / (high - low)
    found = _adam(
        gradient,
        scaled,
        (np.asarray(targets, "int32"),),
        steps,
        rate,
        _sure_of(targets, sure),
        bounds=(0, 1),
    )
    return dataclasses.replace(found, values=low + (high - low) * found.values)


def invert(
    path: Path,
    item: np.ndarray,
    noise: np.ndarray,
    labels: np.ndarray | None = None,
    steps: int = STEPS,
    rate: float = 0.05,
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Finds noises whose items are close to a given one, by descent from several starts.

    Minimised for each start: the unexplained share of the variance of the item's mel, times the
    number of values of a noise, plus `losses.typical_norm`.

    Shapes: `item` [time, mels] or [samples], `noise` [starts, noise], `labels` [starts] int or None
    -> noise [starts, noise], unexplained share [starts]; the best start first, and the order
    [starts] of the starts in it.
    """
    wanted = ops.convert_to_numpy(path.mels(item[None]))
    weight = noise.shape[-1] / np.var(wanted)

    def objective(noise, label):
        error = ops.subtract(path.mels(path.items(noise, label)), wanted)
        error = ops.mean(ops.square(error), axis=(1, 2))
        return ops.sum(weight * error + losses.typical_norm(noise)), error

    gradient = backend.input_value_and_grad(objective, path.models)
    found = _adam(gradient, noise, (path.conditions(labels, len(noise)),), steps, rate)
    noise = found.values[-1]
    (_, error), _ = gradient(noise, path.conditions(labels, len(noise)))
    share = ops.convert_to_numpy(error) / np.var(wanted)
    order = np.argsort(share, kind="stable")
    return noise[order], share[order], order


def _sure_of(targets, sure):
    """Returns a function (logits, rows) -> which rows have reached their target probability."""
    targets = np.asarray(targets)

    def done(logits, rows):
        odds = np.exp(logits - logits.max(axis=-1, keepdims=True))
        return odds[np.arange(len(rows)), targets[rows]] / odds.sum(axis=-1) >= sure

    return done


def _adam(gradient, values, rest, steps, rate, done=None, bounds=(-np.inf, np.inf)):
    """Runs Adam with a state for each row, so that finished rows leave the batch.

    Args:
        gradient: (values, *rest) -> ((sum of losses, aux), gradient).
        values: The initial values, [rows, ...].
        rest: Arrays with a row for each of `values`.
        steps: The number of steps, at most.
        rate: The learning rate of the first step; each is `DECAY` times the one before.
        done: A function (aux of the rows, their indices) -> which of them are finished; None = all
            rows run to the end.
        bounds: The lower and upper bound of the values.

    Source: Kingma & Ba 2015, arXiv:1412.6980, algorithm 1.
    """
    values = np.array(values, "float32")
    keep, stopped, kept = snapshot_steps(steps), np.full(len(values), steps), []
    first, second = np.zeros_like(values), np.zeros_like(values)
    active = np.arange(len(values))
    for step in progress.bar(range(steps + 1), desc="ascent", unit="step"):
        if step in keep:
            kept.append(values.copy())
        if not len(active) or step == steps:
            continue
        slope, finished = (
            np.concatenate(each)
            for each in zip(
                *(
                    _graded(gradient, values, rest, part, done)
                    for part in np.split(active, range(GROUP, len(active), GROUP))
                )
            )
        )
        stopped[active[finished]] = step
        active, slope = active[~finished], slope[~finished]
        first[active] = 0.9 * first[active] + 0.1 * slope
        second[active] = 0.999 * second[active] + 0.001 * slope**2
        mean = first[active] / (1 - 0.9 ** (step + 1))
        spread = second[active] / (1 - 0.999 ** (step + 1))
        moved = values[active] - rate * DECAY**step * mean / (np.sqrt(spread) + 1e-8)
        values[active] = np.clip(moved, *bounds)
    return Found(keep, np.stack(kept), stopped)


def _graded(gradient, values, rest, part, done):
    """Computes the gradients of some rows, and which of them are finished.

    The batch is padded to one of a few sizes, since a function is compiled for each size.
    """
    size = min(GROUP, len(values))
    while size // 2 >= len(part):
        size //= 2
    rows = np.resize(part, size)
    (_, aux), slope = gradient(values[rows], *(array[rows] for array in rest))
    finished = np.zeros(len(part), bool)
    if done is not None:
        finished = done(ops.convert_to_numpy(aux)[: len(part)], part)
    return ops.convert_to_numpy(slope)[: len(part)], finished
