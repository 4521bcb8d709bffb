"""The only file that differs per backend: gradients, and the adapter to Keras' `fit`.

A model writes its training step once, in stateful style, as
`train_on(batch) -> terms`, with two functions from here:

* `value_and_grad(loss, variables)`: the gradient of a loss,
* `input_gradient(function, x)`: the gradient with respect to an input, which can be
  differentiated again (for gradient penalties).

and with three outside of training: `input_value_and_grad(function, models)`, the compiled gradient
of a function of trained models by their input (activation maximisation), `compiled(function)` of
tensors, and `compiled_reading(function)` of variables. `any_length(function)` wraps a function that
JAX compiles for every length of a recording.

`normal` and `bernoulli` are the distributions of latents and of decoded values: those of TensorFlow
Probability on TensorFlow, and on JAX where its substrate imports; elsewhere the same formulas in
`keras.ops`. Samples are `mean + scale * noise` with noise of a `SeedGenerator`, so that a run
resumes exactly.

`TrainStep` turns that step into the `train_step` that Keras expects from TensorFlow, from
torch, and from JAX, where a step must be a pure function of all state. There the step runs
inside a `keras.StatelessScope` that holds the whole state of the trainer, and the new values
are read back out of it; `value_and_grad` forks that scope inside `jax.value_and_grad`.

Rules for a step: no `add_loss`, no toggling of `trainable`, every random number from a
`keras.random.SeedGenerator` that the model owns, every optimizer inside a
`kvoice.steps.OptimizerGroup`.
"""

import contextlib
import functools
import importlib
import math

import keras
from keras import ops, tree

# What the models are written for, whatever ~/.keras/keras.json says.
keras.config.set_floatx("float32")
keras.config.set_image_data_format("channels_last")
keras.config.set_epsilon(1e-7)

BACKEND = keras.backend.backend()


class _Normal:
    """The distribution of `normal` without TensorFlow Probability."""

    def __init__(self, loc, scale):
        self.loc, self.scale = loc, scale

    def log_prob(self, value):
        deviations = (value - self.loc) / self.scale
        return -0.5 * (ops.square(deviations) + math.log(2 * math.pi)) - ops.log(self.scale)

    def kl_divergence(self, other):
        ratio = self.scale / other.scale
        distance = (self.loc - other.loc) / other.scale
        return 0.5 * (ops.square(ratio) + ops.square(distance) - 1) - ops.log(ratio)


class _Bernoulli:
    """The distribution of `bernoulli` without TensorFlow Probability."""

    def __init__(self, logits):
        self.logits = logits

    def log_prob(self, value):
        return ops.multiply(value, self.logits) - ops.softplus(self.logits)


@functools.cache
def _distributions():
    """TensorFlow Probability's distributions for this backend, or None."""
    name = {
        "tensorflow": "tensorflow_probability",
        "jax": "tensorflow_probability.substrates.jax",
    }.get(BACKEND)
    try:
        return importlib.import_module(name).distributions if name else None
    except Exception:  # its substrate falls behind JAX in many ways, none of them an ImportError
        return None


def normal(loc, scale):
    """Independent normal distributions, with `log_prob(value)` and `kl_divergence(other)` in nats.

    Shapes: `loc`, `scale` (standard deviations) and values of any shapes that broadcast.
    """
    found = _distributions()
    return found.Normal(loc, scale) if found else _Normal(loc, scale)


def bernoulli(logits):
    """Independent Bernoulli distributions, with `log_prob(value)` in nats for values from 0 to 1.

    A value between 0 and 1 gives the cross-entropy, which is no density over [0, 1].

    Shapes: `logits` and values of any shapes that broadcast.
    """
    found = _distributions()
    # Of its default, whole numbers, NumPy's values between 0 and 1 would become 0.
    return found.Bernoulli(logits=logits, dtype="float32") if found else _Bernoulli(logits)


def _single(data):
    """Undoes the (x, y, sample_weight) tuples of Keras: a batch is one dict."""
    return data[0] if isinstance(data, (tuple, list)) else data


def repeated(function, state, weights):
    """Applies layers of one size in sequence: `state = function(state, i, *weights of layer i)`.

    JAX compiles the function once for all layers instead of once for each, which saves minutes.

    Args:
        function: Function that returns a state of the same shapes; i may be a tensor.
        state: A structure of tensors.
        weights: Tensors whose first axis is that of the layers.
    """
    for i, own in enumerate(zip(*map(ops.unstack, weights))):
        state = function(state, i, *own)
    return state


if BACKEND == "tensorflow":
    import tensorflow as tf

    no_grad = contextlib.nullcontext

    def value_and_grad(loss, variables):
        """Returns the value of a loss and its gradients.

        Args:
            loss: A function without arguments that returns (scalar loss, aux); `aux` is any
                structure of tensors.
            variables: The Keras variables to differentiate by.

        Returns:
            `(loss, aux), gradients`; an unused variable has a gradient of zeros.
        """
        values = [variable.value for variable in variables]
        with tf.GradientTape(watch_accessed_variables=False) as tape:
            tape.watch(values)
            value, aux = loss()
        zero = tf.UnconnectedGradients.ZERO
        return (value, aux), tape.gradient(value, values, unconnected_gradients=zero)

    def input_gradient(function, x):
        """Returns the gradient of `sum(function(x))` by x, itself differentiable.

        Args:
            function: Function of x that returns a tensor with one value for each item (any shape).
            x: The input, e.g. [batch, time, mels].

        Returns:
            A tensor of the shape of x. As items do not mix, row i is the gradient of item i.
        """
        with tf.GradientTape(watch_accessed_variables=False) as tape:
            tape.watch(x)
            total = tf.reduce_sum(function(x))
        return tape.gradient(total, x)

    def input_value_and_grad(function, models):
        """Compiles the value of a function of trained models and its gradient by the input.

        For use outside of a training step. The models are read as they are at each call, in
        inference mode, and do not change.

        Args:
            function: Function (x, *rest) -> (scalar, aux), where `aux` is any structure of tensors.
            models: The Keras models (or layers) whose variables `function` reads.

        Returns:
            A function (x, *rest) -> ((scalar, aux), gradient by x) of arrays, compiled where the
            backend compiles: once for each shape.
        """

        @tf.function
        def graded(x, *rest):
            with tf.GradientTape(watch_accessed_variables=False) as tape:
                tape.watch(x)
                value, aux = function(x, *rest)
            return (value, aux), tape.gradient(value, x)

        return lambda *arrays: graded(*map(tf.convert_to_tensor, arrays))

    def compiled(function):
        """Compiles a pure function of tensors and structures of them, where the backend compiles.

        It is not differentiated. TensorFlow traces it for the first shapes and once more for all
        others; JAX for each.
        """
        return tf.function(function, reduce_retracing=True)

    def compiled_reading(function):
        """Compiles a function without arguments that reads the current values of variables."""
        return tf.function(function)

    def any_length(function):
        """Bounds what is kept of a function that is compiled for every shape of its arguments.

        JAX keeps what it compiled for as long as the function lives: some 20 MB and 300 memory maps
        for a length of a conversion. The kernel ends a process that has 65,530 maps, which some 200
        recordings of different lengths make. After `SHAPES` of them all are forgotten.
        """
        return function

    class TrainStep:
        """Keras' `train_step` and `test_step` around `fit_on` and `test_on`."""

        def train_step(self, data):
            return self.fit_on(_single(data))

        def test_step(self, data):
            return self.test_on(_single(data))

elif BACKEND == "torch":
    import torch

    no_grad = torch.no_grad

    def _tensors(data):
        # `train_on_batch` hands over NumPy arrays as they are.
        return tree.map_structure(keras.ops.convert_to_tensor, _single(data))

    def value_and_grad(loss, variables):
        values = [variable.value for variable in variables]
        value, aux = loss()
        gradients = torch.autograd.grad(value, values, allow_unused=True)
        gradients = [torch.zeros_like(v) if g is None else g for v, g in zip(values, gradients)]
        return tree.map_structure(lambda t: t.detach(), (value, aux)), gradients

    def input_gradient(function, x):
        if not x.requires_grad:
            x = x.detach().requires_grad_(True)
        with torch.enable_grad():
            (gradient,) = torch.autograd.grad(function(x).sum(), x, create_graph=True)
        return gradient

    def input_value_and_grad(function, models):
        def graded(*arrays):
            x, *rest = map(keras.ops.convert_to_tensor, arrays)
            x = x.detach().requires_grad_(True)
            value, aux = function(x, *rest)
            (gradient,) = torch.autograd.grad(value, x)
            return tree.map_structure(lambda t: t.detach(), (value, aux)), gradient

        return graded

    def compiled(function):
        return torch.no_grad()(function)

    compiled_reading = compiled

    def any_length(function):
        return function

    class TrainStep:
        """Keras' `train_step` and `test_step` around `fit_on` and `test_on`."""

        def train_step(self, data):
            return self.fit_on(_tensors(data))

        def test_step(self, data):
            with torch.no_grad():
                return self.test_on(_tensors(data))

elif BACKEND == "jax":
    import jax

    no_grad = contextlib.nullcontext

    class _Scope(keras.StatelessScope):
        """A stateless scope that refuses to lose an update, and can be forked."""

        def __init__(self, state=(), known=None):
            super().__init__(state_mapping=state)
            self.known = known or frozenset(self.state_mapping)

        def fork(self):
            child = _Scope(known=self.known)
            child.state_mapping = dict(self.state_mapping)
            return child

        def add_update(self, update):
            if id(update[0]) not in self.known:
                raise ValueError(
                    f"{update[0].path} is updated inside the step but is not part of the "
                    "trainer's state (an untracked layer or a second optimizer?): the update "
                    "would be lost."
                )
            super().add_update(update)

        def changes(self, parent):
            before = parent.state_mapping
            return {k: v for k, v in self.state_mapping.items() if v is not before.get(k)}

    _scopes = []  # the open scopes, innermost last

    @contextlib.contextmanager
    def _opened(scope):
        _scopes.append(scope)
        try:
            with scope:
                yield scope
        finally:
            _scopes.pop()

    def _parent():
        if not _scopes:
            raise RuntimeError(
                "value_and_grad and input_gradient work inside a step (train_on, eval_on): "
                "on JAX they need the scope that TrainStep opens."
            )
        return _scopes[-1]

    def value_and_grad(loss, variables):
        parent = _parent()
        own = {id(variable) for variable in variables}

        def pure(values):
            child = parent.fork()
            child.state_mapping.update(zip(map(id, variables), values))
            with _opened(child):
                value, aux = loss()
            changes = {k: v for k, v in child.changes(parent).items() if k not in own}
            return value, (aux, changes)

        values = [parent.state_mapping[id(variable)] for variable in variables]
        (value, (aux, changes)), gradients = jax.value_and_grad(pure, has_aux=True)(values)
        parent.state_mapping.update(changes)
        return (value, aux), gradients

    def input_gradient(function, x):
        parent = _parent()

        def pure(x):
            child = parent.fork()
            with _opened(child):
                total = function(x).sum()
            return total, child.changes(parent)

        gradient, changes = _differentiable_gradient(pure, x)
        parent.state_mapping.update(changes)
        return gradient

    def input_value_and_grad(function, models):
        variables = list({id(v): v for model in models for v in model.variables}.values())

        # The weights are arguments: as constants XLA would fold them, which takes long.
        def pure(x, values, *rest):
            with keras.StatelessScope(state_mapping=list(zip(variables, values))):
                return function(x, *rest)

        graded = jax.jit(jax.value_and_grad(pure, has_aux=True))
        return lambda x, *rest: graded(x, [v.value for v in variables], *rest)

    SHAPES = 32

    def any_length(function):
        seen = set()

        @functools.wraps(function)
        def called(*arguments):
            shapes = tuple(array.shape for array in tree.flatten(arguments))
            if shapes not in seen and len(seen) >= SHAPES:
                jax.clear_caches()
                seen.clear()
            seen.add(shapes)
            return function(*arguments)

        return called

    def compiled(function):
        return any_length(jax.jit(function))

    def compiled_reading(function):
        return function  # compiled, it would go on with the variables as they were

    def repeated(function, state, weights):
        layers = jax.numpy.arange(len(weights[0]))
        return jax.lax.scan(
            lambda state, each: (function(state, *each), None), state, (layers, *weights)
        )[0]

    def _differentiable_gradient(function, x):
        """`jax.grad(function, has_aux=True)(x)`, whose own derivative avoids slow operations.

        The derivative of a gradient in the direction u is the gradient of the slope along u. That
        way only ordinary convolutions come up, where reverse mode over reverse mode needs some
        that XLA is slow at: the penalty of a four-layer critic took 0.06 s instead of 0.42 s on
        two cores.
        """
        function, outer = jax.closure_convert(function, x)

        @jax.custom_vjp
        def gradient(x, outer):
            return jax.grad(function, has_aux=True)(x, *outer)

        def forward(x, outer):
            return gradient(x, outer), (x, outer)

        def backward(saved, direction):
            def slope(x, outer):
                return jax.jvp(lambda x: function(x, *outer)[0], (x,), direction[:1])[1]

            return jax.grad(slope, argnums=(0, 1))(*saved)

        gradient.defvjp(forward, backward)
        return gradient(x, outer)

    class TrainStep:
        """Keras' `train_step` and `test_step` around `fit_on` and `test_on`."""

        def _stateless(self, step, groups, state, data):
            pairs = [pair for group, values in zip(groups, state) for pair in zip(group, values)]
            with _opened(_Scope(pairs)) as scope:
                logs = step(_single(data))
            return logs, tuple([scope.get_current_value(v) for v in group] for group in groups)

        def train_step(self, state, data):
            groups = (
                self.trainable_variables,
                self.non_trainable_variables,
                self.optimizer.variables,
                self.metrics_variables,
            )
            return self._stateless(self.fit_on, groups, state, data)

        def test_step(self, state, data):
            groups = (
                self.trainable_variables,
                self.non_trainable_variables,
                self.metrics_variables,
            )
            return self._stateless(self.test_on, groups, state, data)

else:
    raise ImportError(f"kvoice runs on KERAS_BACKEND=tensorflow, jax or torch, not on {BACKEND!r}.")
