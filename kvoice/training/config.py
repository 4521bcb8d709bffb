"""The group `train` of a config. No framework is imported here."""

import dataclasses

from kvoice.errors import KvoiceError


@dataclasses.dataclass(frozen=True, kw_only=True)
class TrainConfig:
    """The hyperparameters of a training; what a config or an old run lacks has its default.

    Args:
        steps: Total number of training steps, a multiple of `steps_per_epoch`.
        steps_per_epoch: Number of steps between two checkpoints.
        rates: Parameter group -> learning rate; groups that the model does not have are ignored.
        decay: Factor on all learning rates after each epoch; 1 = constant.
        beta_1: The exponential decay rate of the first moment of Adam, for all parameter groups.
        beta_2: The exponential decay rate of the second moment of Adam.
        amsgrad: Whether Adam uses the maximum of its second moments so far (AMSGrad).
        epsilon: The constant that Adam adds to the root of the second moment.
        weight_decay: Factor of the L2 penalty: the share of each weight that is added to its
            gradient, after the clipping.
        clip_norm: The largest global norm of a parameter group's gradient; 0 = no clipping.
        ema: Momentum of the exponential moving average of the weights, e.g. 0.999; 0 = no average.
        precision: The dtype policy, "float32" or "mixed_bfloat16".
        jit: Whether the step is compiled with XLA on TensorFlow. JAX always does; torch never.
        seed: Seed of the initial weights.
        keep: Number of newest checkpoints that are kept.
        valid_steps: Number of validation batches at the end of each epoch.

    Raises:
        KvoiceError: If a value is out of range; the message names it.
    """

    steps: int
    steps_per_epoch: int
    rates: dict[str, float]
    decay: float = 1.0
    beta_1: float = 0.9
    beta_2: float = 0.999
    amsgrad: bool = False
    epsilon: float = 1e-7
    weight_decay: float = 0.0
    clip_norm: float = 0.0
    ema: float = 0.0
    precision: str = "float32"
    jit: bool = False
    seed: int = 0
    keep: int = 2
    valid_steps: int = 2

    def __post_init__(self):
        if self.precision not in ("float32", "mixed_bfloat16"):
            raise KvoiceError(
                f"train.precision: {self.precision!r} must be float32 or mixed_bfloat16 (float16 "
                f"would need a loss scale for each parameter group)."
            )
        for name in ("steps", "steps_per_epoch", "keep", "valid_steps"):
            if getattr(self, name) < 1:
                raise KvoiceError(f"train.{name}: {getattr(self, name)} must be at least 1.")
        for name, value in {
            "clip_norm": self.clip_norm,
            "seed": self.seed,
            "weight_decay": self.weight_decay,
            **{f"rates.{group}": rate for group, rate in self.rates.items()},
        }.items():
            if value < 0:
                raise KvoiceError(f"train.{name}: {value} must not be negative.")
        if not 0 < self.decay <= 1:
            raise KvoiceError(
                f"train.decay: {self.decay} must be above 0 and at most 1 (constant rates)."
            )
        if not 0 <= self.ema < 1:
            raise KvoiceError(f"train.ema: {self.ema} must be from 0 (no average) to below 1.")
        if self.steps % self.steps_per_epoch:
            raise KvoiceError(
                f"train.steps: {self.steps} must be a multiple of train.steps_per_epoch: "
                f"{self.steps_per_epoch}."
            )


# The fields that have a default.
DEFAULTS = {
    field.name: field.default
    for field in dataclasses.fields(TrainConfig)
    if field.default is not dataclasses.MISSING
}
