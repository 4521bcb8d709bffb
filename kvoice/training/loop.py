"""Training with Keras' `fit`: compile, feed, validate, checkpoint, resume.

The state of a run is its newest `.weights.h5` (weights, optimizers, random states) and
`state.json`; the data is a pure function of the seed and the step. A run that is killed and started
again resumes from its last checkpoint with the same losses.
"""

import contextlib
import os
from collections.abc import Callable, Iterable, Iterator

import keras

from kvoice import frameworks, runs
from kvoice.audio import OF_MEL, Spec
from kvoice.data.factors import FactorSource
from kvoice.data.source import Source
from kvoice.errors import KvoiceError
from kvoice.models import MODELS
from kvoice.steps import OptimizerGroup
from kvoice.training import checkpoints
from kvoice.training.callbacks import CheckpointCallback, EpochLine, StopOnNonFinite
from kvoice.training.config import TrainConfig

NAMED = 4  # values that a message lists


def model(run: runs.Run) -> keras.Model:
    """Creates the untrained model of a run, in the current precision.

    Raises:
        KvoiceError: If the config names an unknown model, or the model rejects a value.
    """
    name = run.config["model_name"]
    if name not in MODELS:
        raise KvoiceError(f"{run.path}: unknown model {name!r}; known: {', '.join(MODELS)}.")
    return from_values(name, run.config["model"])


def from_values(name: str, values: dict) -> keras.Model:
    """Creates a model by its name in `MODELS` and its arguments.

    Raises:
        KvoiceError: If the model rejects a value.
    """
    try:
        return MODELS[name](**values)
    except ValueError as error:
        raise KvoiceError(f"{name}: {error}") from None


@contextlib.contextmanager
def beginning(config: TrainConfig) -> Iterator[None]:
    """A context in which a model is created with the initial weights and precision of a training.

    Args:
        config: A `TrainConfig`.
    """
    keras.utils.set_random_seed(config.seed)
    with _precision(config.precision):
        yield


def load(
    directory: str | os.PathLike, best: bool = True, average: bool = True, compiled: bool = False
) -> keras.Model:
    """Loads the trained model of a run.

    Args:
        directory: The folder of the run.
        best: Whether to load the best checkpoint by the first validation metric where there is one,
            instead of the newest.
        average: Whether to load the moving average of the weights where the run has one.
        compiled: Whether to load the optimizers too, as Keras' `fit` and `evaluate` need them; it
            takes twice as long.

    Raises:
        KvoiceError: If the run holds no checkpoint yet.
    """
    run = runs.load(directory)
    state = run.state
    if not state:
        raise KvoiceError(f"{run.path}: no checkpoint yet; train it first.")
    config = TrainConfig(**run.config["train"])
    with _precision("float32"):
        built = model(run)
    if compiled:
        _compile(built, config)
    checkpoints.load_weights(built, run, checkpoints.chosen(run, best), average and config.ema > 0)
    built.names = run.names
    return built


def train(
    run: runs.Run,
    source: Source | FactorSource,
    valid: Source | FactorSource | None = None,
    *,
    built: keras.Model | None = None,
    validate: Callable[[keras.Model], dict[str, float]] | None = None,
    callbacks: Iterable[keras.callbacks.Callback] = (),
    init: str = "",
    verbose: int = 1,
) -> keras.Model:
    """Trains a run to its last step, or resumes it where it stopped.

    Args:
        run: The return value of `runs.create`; its group `train` is a `TrainConfig`.
        source: Training data: `batch(step) -> dict of arrays`.
        valid: Validation data of the same form, or None.
        built: The run's model, created in `beginning`, with the weights of `init` where that is
            given; None = it is created here. Large models take minutes to create.
        validate: Function `model -> {name: value}` of the validation metrics, called at the end of
            each epoch. They are logged as `val_NAME`; the lowest first metric selects the best
            checkpoint.
        callbacks: Further Keras callbacks (TensorBoard).
        init: The folder of a run whose weights are the initial ones, or "".
        verbose: What is printed: 0 nothing, 1 Keras' progress bar with ETA, 2 a line for each
            epoch.

    Returns:
        The model, with its last weights, not averaged.

    Raises:
        KvoiceError: If a value is out of range, the run is finished, another process trains it, the
            disk is full, or a loss is not finite.
    """
    config = TrainConfig(**run.config["train"])
    with run.locked():
        _refuse_changed(run)
        state = checkpoints.usable_state(run)
        if state.get("step", 0) >= config.steps:
            raise KvoiceError(
                f"{run.path}: this run is finished ({config.steps} steps); start another with "
                "another --run."
            )
        begun = built is not None
        if not begun:
            with beginning(config):
                built = model(run)
        _compile(built, config)
        size = len(next(iter(source.batch(0).values())))
        if size % built.parts:
            raise KvoiceError(
                f"data.batch: {size} must be a multiple of {built.parts}: the {built.parts} steps "
                "of a parameter group share it in equal parts."
            )
        if state:
            checkpoints.load_weights(built, run, state["weights"])
        elif not init:
            built.adapt(source)
        elif not begun:
            begin_from(built, init, run.spec)
        start = state.get("step", 0)
        saving = CheckpointCallback(run, config.steps_per_epoch, config.keep, validate)
        if config.decay < 1:  # the rate of an OptimizerGroup is a factor on those of its groups
            schedule = keras.callbacks.LearningRateScheduler(lambda epoch: config.decay**epoch)
            callbacks = [schedule, *callbacks]
        if verbose == 2:
            callbacks = [*callbacks, EpochLine(config.steps)]
        try:
            built.fit(
                feed(source, start),
                steps_per_epoch=config.steps_per_epoch,
                initial_epoch=start // config.steps_per_epoch,
                epochs=config.steps // config.steps_per_epoch,
                validation_data=valid and Batches(valid, config.valid_steps),
                callbacks=[StopOnNonFinite(start), saving, *callbacks],
                shuffle=False,
                verbose=int(verbose == 1),
            )
        except BaseException:
            if verbose == 1:
                print()  # ends the line of the progress bar
            raise
        save(run)
    return built


def _refuse_changed(run):
    """Refuses a run that another process has begun with other values since it was opened."""
    now = runs.load(run.path)
    if runs.differences(
        {"config": run.config, "labels": run.labels}, {"config": now.config, "labels": now.labels}
    ):
        raise KvoiceError(
            f"{run.path}: another process has begun this run with other values; choose another "
            "--run."
        )


def finished(run: runs.Run, built: keras.Model) -> None:
    """Completes a run, at step 0, with a model whose weights were imported.

    It writes the checkpoint and model.keras as for a trained run; there is no log.

    Args:
        run: The return value of `runs.create`, without a checkpoint yet.
        built: The model of its config.

    Raises:
        OSError: If the disk is full.
    """
    with run.locked():
        _compile(built, TrainConfig(**run.config["train"]))
        weights = run.path / "checkpoints" / "step-0000000.weights.h5"
        weights.parent.mkdir(exist_ok=True)
        checkpoints.save_weights(built, weights)
        checkpoints.write_state(run, 0, weights, best=None)
        save(run)


def save(run: runs.Run) -> None:
    """Writes the model that `load` returns to RUN/model.keras, compiled as in its training."""
    temporary = run.path / "model.tmp.keras"
    finished = load(run.path, compiled=True)
    checkpoints.check_room(run.path, finished)
    finished.save(temporary)
    os.replace(temporary, run.path / "model.keras")


def begin_from(built: keras.Model, directory: str | os.PathLike, spec: Spec) -> None:
    """Initialises a model with the last weights of a run.

    Args:
        built: The model.
        directory: The folder of the run.
        spec: The Spec of the data that the model will be trained on.

    Raises:
        KvoiceError: If the folder is no run, was trained on another Spec, or its weights do not
            fit.
    """
    run = runs.load(directory)
    if changed := spec.differences(run.spec, OF_MEL):
        raise KvoiceError(
            f"--init={directory}: has another Spec ({'; '.join(changed)}); train with"
            f"{audio_flags(run, spec)}"
        )
    other = load(directory, average=False)
    try:
        built.set_weights(other.get_weights())
    except ValueError:
        raise KvoiceError(
            f"--init={directory}: its weights do not fit this model; {_misfit(built, other, run)}"
        ) from None


def audio_flags(run: runs.Run, spec: Spec) -> str:
    """Returns the flags of `train`, each behind a space, with which its mels are those of a run.

    Args:
        run: The run.
        spec: The Spec that a training has without them.
    """
    values = {name: getattr(run.spec, name) for name in OF_MEL}
    return "".join(
        f" --config.audio.{name}={value}"
        for name, value in values.items()
        if value != getattr(spec, name)
    )


def _misfit(built, other, run):
    """What makes the weights of a run unfit for a model."""
    if type(built) is not type(other):
        return f"it is a run of {run.config['model_name']}"
    here, there = ({**each.get_config(), "name": ""} | {"bands": ""} for each in (built, other))
    changed = runs.differences(there, here)
    return "train with the same config.model and labels: " + "; ".join(changed[:NAMED])


@contextlib.contextmanager
def _precision(policy):
    before = keras.config.dtype_policy()
    keras.config.set_dtype_policy(policy)
    try:
        yield
    finally:
        keras.config.set_dtype_policy(before)


def _compile(built, config):
    groups = built.parameter_groups()
    if missing := sorted(set(groups) - set(config.rates)):
        raise KvoiceError(
            f"train.rates: the rate of {', '.join(missing)} is missing, got those of "
            f"{', '.join(sorted(config.rates))}."
        )
    average = dict(use_ema=True, ema_momentum=config.ema) if config.ema else {}
    coupled = (
        dict(weight_decay=config.weight_decay, clip_norm=config.clip_norm)
        if config.weight_decay
        else {}
    )
    own = {} if coupled else dict(global_clipnorm=config.clip_norm or None)
    optimizers = {
        group: keras.optimizers.Adam(
            config.rates[group],
            beta_1=config.beta_1,
            beta_2=config.beta_2,
            epsilon=config.epsilon,
            amsgrad=config.amsgrad,
            **own,
            **average,
        )
        for group in groups
    }
    name = keras.backend.backend()
    built.compile(
        OptimizerGroup(optimizers, **coupled),
        jit_compile=name == "jax" or (config.jit and name != "torch"),
    )


def feed(source: Source | FactorSource, start: int) -> Iterable:
    """Returns the batches of a source from a step on, by tf.data or by a generator."""
    if frameworks.installed("tensorflow"):
        from kvoice.data import pipeline

        return pipeline.batches(source, start)
    return generated(source, start)


def generated(source: Source | FactorSource, start: int) -> Iterator[tuple[dict]]:
    """Yields the same batches as a Python generator, for machines without TensorFlow."""
    while True:
        yield (source.batch(start),)
        start += 1


class Batches(keras.utils.PyDataset):
    """The first `count` batches of a source, as a data set that ends (for validation)."""

    def __init__(self, source: Source | FactorSource, count: int) -> None:
        super().__init__()
        self.source, self.count = source, count

    def __len__(self):
        return self.count

    def __getitem__(self, i):
        return (self.source.batch(i),)
