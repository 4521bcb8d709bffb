"""Models with one optimizer for each parameter group, trained by Keras' `fit` on every backend.

All of Keras (the JAX trainer's state, the savers, the callbacks) looks only at
`model.optimizer`. A second optimizer beside it would silently never advance on JAX and never be
saved. `OptimizerGroup` is one optimizer to Keras and holds one for each parameter group inside.
"""

import inspect
import weakref

import keras

from kvoice import backend
from kvoice.earlier import renamed


@keras.saving.register_keras_serializable(package="kvoice")
class OptimizerGroup(keras.optimizers.Optimizer):
    """One optimizer for each parameter group, seen by Keras as a single one.

    Its `learning_rate` is a factor on the rates of all groups, 1 at the start, so that a
    schedule scales the groups and keeps their ratio.

    Args:
        optimizers: Name of a parameter group -> Keras optimizer.
        weight_decay: Factor of the L2 penalty: this share of a variable is added to its gradient,
            as in PyTorch's Adam (unlike Keras' decoupled `weight_decay`); 0 = none.
        clip_norm: The largest global norm of a group's gradient before the weight decay; 0 = no
            clipping here, whatever each optimizer does itself.
    """

    def __init__(
        self,
        optimizers: dict,
        weight_decay: float = 0.0,
        clip_norm: float = 0.0,
        name: str = "optimizer_group",
    ):
        super().__init__(learning_rate=1.0, name=name)
        self.coupled_decay, self.norm = weight_decay, clip_norm
        self.groups = sorted(optimizers)
        for group in self.groups:  # the attribute is a path in the files of checkpoints
            setattr(self, f"player_{group}", keras.optimizers.get(optimizers[group]))
        self._rates = {group: float(self[group].learning_rate) for group in self.groups}
        self._model = None

    def __getitem__(self, group):
        return getattr(self, f"player_{group}")

    def bind(self, model):
        """Sets the model, whose `parameter_groups()` define the variables of each optimizer."""
        self._model = weakref.ref(model)

    def build(self, variables):
        """Creates the slots of every group.

        Raises:
            ValueError: If the model's `parameter_groups()` and the optimizers differ in their
                names, or do not cover the trainable variables exactly once.
        """
        if self.built:
            return
        parts = self._model().parameter_groups()
        if sorted(parts) != self.groups:
            raise ValueError(
                f"The model's parameter groups are {sorted(parts)}, the optimizers' {self.groups}."
            )
        covered = [id(v) for part in parts.values() for v in part]
        if len(covered) != len(set(covered)):
            raise ValueError("A variable belongs to two parameter groups.")
        missing = [v.path for v in variables if id(v) not in covered]
        if missing or len(covered) != len(variables):
            raise ValueError(
                f"The parameter groups do not cover the trainable variables: {missing}."
            )
        for group in self.groups:
            self[group].build(parts[group])
        super().build(list(variables))

    @property
    def variables(self):
        return self._variables + [v for group in self.groups for v in self[group].variables]

    @property
    def learning_rate(self):
        return self._learning_rate

    @learning_rate.setter
    def learning_rate(self, factor):
        self._learning_rate.assign(factor)
        for group in self.groups:
            self[group].learning_rate = self._rates[group] * factor

    def apply_to(self, group, gradients):
        """Updates the variables of one group, given their gradients in the same order."""
        variables = self._model().parameter_groups()[group]
        with backend.no_grad():
            if self.norm:
                squares = [keras.ops.sum(keras.ops.square(gradient)) for gradient in gradients]
                scale = self.norm / keras.ops.maximum(keras.ops.sqrt(sum(squares)), self.norm)
                gradients = [gradient * scale for gradient in gradients]
            if self.coupled_decay:
                gradients = [
                    gradient + self.coupled_decay * variable
                    for gradient, variable in zip(gradients, variables)
                ]
            self[group].apply(gradients, variables)

    def apply(self, *args, **kwargs):
        raise NotImplementedError("Use apply_to(group, gradients).")

    def finalize_variable_values(self, var_list):
        """Leaves the raw weights in place, so that training can go on from them.

        `StepModel.average_weights` puts the moving averages there on demand.
        """

    # The savers walk into the optimizers by themselves: only the own variables here.
    def save_own_variables(self, store):
        for i, variable in enumerate(self._variables):
            store[str(i)] = keras.ops.convert_to_numpy(variable)

    def load_own_variables(self, store):
        for i, variable in enumerate(self._variables):
            variable.assign(store[str(i)])

    def get_config(self):
        # Class names instead of serialized objects: on torch those name a private class, which
        # the other backends cannot use.
        optimizers = {
            group: {
                "class_name": type(self[group]).__name__,
                "config": {**self[group].get_config(), "learning_rate": self._rates[group]},
            }
            for group in self.groups
        }
        return {
            "name": self.name,
            "optimizers": optimizers,
            "weight_decay": self.coupled_decay,
            "clip_norm": self.norm,
        }

    @classmethod
    def from_config(cls, config, custom_objects=None):
        optimizers = {
            group: keras.optimizers.deserialize(optimizer, custom_objects)
            for group, optimizer in config["optimizers"].items()
        }
        return cls(**config | {"optimizers": optimizers})


class StepModel(backend.TrainStep, keras.Model):
    """A model that writes its training step once and reports named loss terms.

    A subclass builds all its layers in `__init__` and defines

    * `parameter_groups() -> {name: [variables]}`: the variables of each optimizer,
    * `train_on(batch) -> {term: scalar}`: one step, which calls `self.update(group, loss)`,
    * `eval_on(batch) -> {term: scalar}`: the same terms, without a change of the model,
    * `terms`: the names of those terms, "loss" among them,
    * `parts`: the number of equal parts into which a step divides its batch.

    Its `.weights.h5` holds everything that is needed to resume exactly: the layers, the optimizers,
    and the states of the random generators, which Keras does not save.
    """

    terms = ("loss",)
    parts = 1
    verbs = ()  # the commands that take a trained model

    @classmethod
    def arrays(cls, values: dict) -> list[str]:
        """Returns the names of its training arrays, given the group `model` of its config."""
        return [values.get("domain", "mel")]

    @classmethod
    def from_data(cls, values: dict, facts) -> dict:
        """Returns the arguments that follow from the training data rather than from the config.

        Args:
            values: The group `model` of the config.
            facts: A `training.corpus.Facts`.
        """
        return {"mels": facts.mels}

    @classmethod
    def description(cls, values: dict, names: list[str]) -> str:
        """Returns a description of the model in a few words.

        Args:
            values: All arguments of the model.
            names: The names of the labels of its condition; [] = none.
        """
        return (
            f"conditional on {values['condition']} ({', '.join(names)})"
            if names
            else "unconditional"
        )

    @classmethod
    def defaults(cls) -> dict:
        """Returns the default of each argument: its value in runs from before it existed."""
        parameters = inspect.signature(cls).parameters.values()
        return {each.name: each.default for each in parameters if each.default is not each.empty}

    @classmethod
    def warning(cls, values: dict) -> str:
        """Returns a sentence on what the training data lacks; "" = nothing.

        Args:
            values: All arguments of the model.
        """
        return ""

    def __init__(self, **kwargs):
        super().__init__(**kwargs)
        self._means = {t: keras.metrics.Mean(name=t) for t in self.terms if t != "loss"}

    @classmethod
    def from_config(cls, config, custom_objects=None):
        return super().from_config(renamed(config), custom_objects)

    def compile(self, optimizer, **kwargs):
        """As in Keras; `optimizer` is an `OptimizerGroup`. Creates the optimizers' slots."""
        super().compile(optimizer=optimizer, **kwargs)
        self.optimizer.bind(self)
        self.optimizer.build(self.trainable_variables)

    def adapt(self, source):
        """Sets statistics of the training data, such as means, before the first step."""

    def update(self, group: str, loss):
        """One optimizer step of one parameter group.

        Args:
            group: A name in `parameter_groups()`.
            loss: A function without arguments that returns (scalar, dict of scalar terms).

        Returns:
            (loss, terms) before the step.
        """
        (value, terms), gradients = backend.value_and_grad(loss, self.parameter_groups()[group])
        self.optimizer.apply_to(group, gradients)
        return value, terms

    def fit_on(self, batch):
        return self._logged(self.train_on(batch))

    def test_on(self, batch):
        return self._logged(self.eval_on(batch))

    def _logged(self, terms):
        for name, value in terms.items():
            mean = self._loss_tracker if name == "loss" else self._means[name]
            mean.update_state(value)
        return self.get_metrics_result()

    def average_weights(self) -> None:
        """Replaces the weights by their moving averages, where the optimizers keep them."""
        for group in self.optimizer.groups:
            optimizer = self.optimizer[group]
            if optimizer.use_ema:
                optimizer.finalize_variable_values(self.parameter_groups()[group])
                for variable in self.parameter_groups()[group]:
                    # On JAX both would share a buffer, which `predict` gives away.
                    variable.assign(keras.ops.copy(variable.value))

    def get_compile_config(self):
        if not self.compiled:
            return {}
        # Keras would store the resolved value: True from JAX breaks double gradients on torch.
        return {**self._compile_config.serialize(), "jit_compile": "auto"}

    def compile_from_config(self, config):
        self.compile(**keras.saving.deserialize_keras_object(config))

    def _generators(self):
        return [v for v in self.variables if v.name == "seed_generator_state"]

    def save_own_variables(self, store):
        super().save_own_variables(store)
        for i, state in enumerate(self._generators()):
            store[f"generator_{i}"] = keras.ops.convert_to_numpy(state).astype("int64")

    def load_own_variables(self, store):
        names = [f"generator_{i}" for i in range(len(self._generators()))]
        super().load_own_variables({k: store[k] for k in store.keys() if k not in names})
        for name, state in zip(names, self._generators()):
            state.assign(store[name][...])
