"""Keras callbacks of a training: stop on non-finite values, progress, validation, checkpoints."""

import csv
import io
import math
import sys
import time
from collections.abc import Callable

import keras
import numpy as np

from kvoice.errors import KvoiceError
from kvoice.files import replaced
from kvoice.runs import Run
from kvoice.training import checkpoints


class StopOnNonFinite(keras.callbacks.Callback):
    """Stops the run at the first loss term that is not finite, and names it.

    The last checkpoint stays as it is. The callback checks every tenth step, and the end of an
    epoch before anything is saved: a mean over the epoch stays non-finite once it is.

    Args:
        step: The number of steps that the run has done.

    Raises:
        KvoiceError: From `fit`.
    """

    def __init__(self, step: int) -> None:
        super().__init__()
        self.step = step

    def on_train_batch_end(self, batch: int, logs: dict | None = None) -> None:
        self.step += 1
        if batch % 10 == 0:
            self._check(logs)

    def on_epoch_end(self, epoch: int, logs: dict | None = None) -> None:
        self._check(logs)
        for variable in self.model.trainable_variables:
            if not np.isfinite(keras.ops.convert_to_numpy(variable)).all():
                self._stop(f"the weights {variable.path}")

    def _check(self, logs):
        order = sorted(self.model.terms, key=lambda name: "loss" in name)  # the sums last
        bad = [name for name in order if name in logs and not math.isfinite(logs[name])]
        if bad:
            self._stop(bad[0])

    def _stop(self, what):
        raise KvoiceError(
            f"{what} is not finite at step {self.step}: stopped; the last checkpoint is kept. "
            f"Lower train.rates, or set train.clip_norm."
        )


class EpochLine(keras.callbacks.Callback):
    """Prints one line at the end of each epoch: the step, the seconds it took, and what is logged.

    It must come after the callbacks that add to the logs.

    Args:
        steps: Total number of training steps.
    """

    def __init__(self, steps: int) -> None:
        super().__init__()
        self.steps = steps

    def on_epoch_begin(self, epoch: int, logs: dict | None = None) -> None:
        self.begin_s = time.monotonic()

    def on_epoch_end(self, epoch: int, logs: dict | None = None) -> None:
        step = (epoch + 1) * self.params["steps"]
        values = " - ".join(
            f"{name}: {value:.4g}"
            for name, value in logs.items()
            if name != "learning_rate"  # a factor on those of the groups
        )
        print(
            f"step {step} of {self.steps}, {time.monotonic() - self.begin_s:.0f} s - {values}",
            flush=True,
        )


class TimeEstimate(keras.callbacks.Callback):
    """Prints once how long the training will take, estimated from the first steps.

    The first step does not count: it compiles.

    Args:
        steps: Number of steps that remain.
        after: Number of steps that are timed.
    """

    def __init__(self, steps: int, after: int = 5) -> None:
        super().__init__()
        self.steps, self.after = steps, after
        self.times_s = []

    def on_train_batch_end(self, batch: int, logs: dict | None = None) -> None:
        if len(self.times_s) > self.after:
            return
        self.times_s.append(time.monotonic())
        if len(self.times_s) > self.after:
            minutes = (self.times_s[-1] - self.times_s[0]) / self.after * self.steps / 60
            left = f"{minutes:.0f} min" if minutes >= 2 else f"{60 * minutes:.0f} s"
            behind_bar = "\n" if sys.stdout.isatty() else ""
            print(f"{behind_bar}about {left} to the last step", flush=True)


class CheckpointCallback(keras.callbacks.Callback):
    """Validates, logs and saves at the end of each epoch; atomically, and state.json last.

    Args:
        run: The run.
        steps_per_epoch: Number of steps of an epoch.
        keep: Number of newest checkpoints that are kept.
        validate: As in `loop.train`.
    """

    def __init__(
        self,
        run: Run,
        steps_per_epoch: int,
        keep: int,
        validate: Callable[[keras.Model], dict[str, float]] | None,
    ) -> None:
        super().__init__()
        self.run, self.steps_per_epoch, self.keep, self.validate = (
            run,
            steps_per_epoch,
            keep,
            validate,
        )
        self.folder = run.path / "checkpoints"
        self.rows = []

    def on_train_begin(self, logs: dict | None = None) -> None:
        self.folder.mkdir(exist_ok=True)
        for leftover in self.folder.glob(".*"):
            leftover.unlink()
        step = self.run.state.get("step", 0)
        log = self.run.path / "log.csv"
        if log.exists():
            with open(log, encoding="utf-8", newline="") as file:
                rows = list(csv.DictReader(file))
            self.rows = [row for row in rows if int(row["step"]) <= step]

    def on_epoch_end(self, epoch: int, logs: dict | None = None) -> None:
        step = (epoch + 1) * self.steps_per_epoch
        metrics = self._validation_metrics()
        logs.update({f"val_{name}": value for name, value in metrics.items()})
        self.rows.append({"step": step, **{name: f"{value:.6g}" for name, value in logs.items()}})
        self._write_log()
        state = self.run.state
        best = state.get("best")
        weights = self.folder / f"step-{step:07d}.weights.h5"
        checkpoints.save_weights(self.model, weights)
        if metrics:
            name, value = next(iter(metrics.items()))
            if math.isfinite(value) and (best is None or value < best["value"]):
                best = {"name": name, "value": value, "step": step, "weights": "best.weights.h5"}
                with replaced(self.folder / best["weights"]) as file:
                    file.write(weights.read_bytes())
        checkpoints.write_state(self.run, step, weights, best)
        for old in sorted(self.folder.glob("step-*.weights.h5"))[: -self.keep]:
            old.unlink()

    def _validation_metrics(self):
        if self.validate is None:
            return {}
        raw = self.model.get_weights()
        self.model.average_weights()  # the weights that `load` returns, hence those to validate
        metrics = self.validate(self.model)
        self.model.set_weights(raw)
        return {name: float(value) for name, value in metrics.items()}

    def _write_log(self):
        log = self.run.path / "log.csv"
        names = list(dict.fromkeys(name for row in self.rows for name in row))
        text = io.StringIO(newline="")
        writer = csv.DictWriter(text, names, restval="")
        writer.writeheader()
        writer.writerows(self.rows)
        with replaced(log) as file:
            file.write(text.getvalue().encode())
