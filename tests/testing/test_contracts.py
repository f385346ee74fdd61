"""Every clause of the conformance kit is broken once, and named."""

from collections.abc import Callable
from functools import partial
from typing import Any

import keras
import pytest
import tensorflow as tf

from advdl.errors import PluginError, UsageError
from advdl.testing import (
    ContractError,
    check_backbone,
    check_layer,
    check_loss,
    check_optimizer,
    check_schedule,
    check_tracker,
    component,
)


def breaks(check: Callable[..., None], factory: Callable[..., Any], clause: str) -> None:
    with pytest.raises(ContractError) as caught:
        check(factory)
    assert caught.value.clause == clause, caught.value.message
    assert isinstance(caught.value, PluginError)
    assert caught.value.hint == f"the contract: docs/plugins.md#{check.__name__.removeprefix('check_')}"


def backbone(*layers: Callable[[], Any], named: bool = True) -> Callable[[Any], Any]:
    def build(space: Any) -> keras.Model:
        if len(space.shape) != 1:
            raise UsageError("vectors only")
        x = inputs = keras.Input(space.shape, dtype=str(space.dtype), name="observation")
        for layer in layers:
            x = layer()(x)
        return keras.Model(inputs, keras.layers.Dense(5, name="last" if named else None)(x))

    return build


class Noisy(keras.layers.Layer):
    def call(self, x: Any) -> Any:
        return x + keras.random.normal(keras.ops.shape(x))


class HostOnly(keras.layers.Layer):
    def call(self, x: Any) -> Any:
        return tf.ensure_shape(tf.numpy_function(lambda value: value, [x], tf.float32), x.shape)


class Counting(keras.layers.Layer):
    """Changes a variable at every training call, frozen or not."""

    def build(self, shape: Any) -> None:
        self.count = self.add_weight(name="count", initializer="zeros", trainable=False)

    def call(self, x: Any, training: bool = False) -> Any:
        if training:
            self.count.assign_add(1.0)
        return x


class Unused(keras.layers.Layer):
    def build(self, shape: Any) -> None:
        self.extra = self.add_weight(name="extra", initializer="zeros")

    def call(self, x: Any) -> Any:
        return x


class Infinite(keras.layers.Layer):
    def call(self, x: Any) -> Any:
        return x / 0.0


class Twice(keras.layers.Layer):
    """Has two variables of one name."""

    def build(self, shape: Any) -> None:
        self.weights_ = [self.add_weight(shape=(shape[-1],), name="twice", initializer="ones") for _ in range(2)]

    def call(self, x: Any) -> Any:
        return x * self.weights_[0] * self.weights_[1]


class Unsaved(keras.layers.Layer):
    """Leaves its variable out of the file."""

    def build(self, shape: Any) -> None:
        self.shift = self.add_weight(shape=(shape[-1],), name="shift", initializer="ones")

    def call(self, x: Any) -> Any:
        return x + self.shift

    def save_own_variables(self, store: Any) -> None:
        pass

    def load_own_variables(self, store: Any) -> None:
        pass


class Fixed(keras.Model):
    def set_weights(self, weights: Any) -> None:
        raise TypeError("its weights are its own")


def ending(model: type[keras.Model] = keras.Model, dtype: str = "float32") -> Callable[[Any], Any]:
    """A backbone of another class, or whose features are of another dtype."""

    def build(space: Any) -> keras.Model:
        plain = backbone()(space)
        return model(inputs=plain.inputs, outputs=keras.ops.cast(plain.output, dtype))

    return build


def growing() -> Callable[[Any], Any]:
    """A backbone that is another one every time."""
    widths = iter(range(3, 100))

    def build(space: Any) -> keras.Model:
        width = next(widths)
        return backbone(lambda: keras.layers.Dense(width, name="first"))(space)

    return build


def test_a_good_backbone_passes() -> None:
    check_backbone(backbone())
    check_backbone(component("backbone", "mlp", units=[8]))


@pytest.mark.parametrize(
    ("factory", "clause"),
    [
        (lambda space: "no model", "it is a keras.Model"),
        (lambda space: 1 / 0, "a space that it cannot take is refused with a UsageError"),
        (
            backbone(named=False),
            "every layer has an explicit name, so that weights are found again by their paths",
        ),
        (growing(), "the same options give the same variables"),
        (
            backbone(lambda: keras.layers.Reshape((2, 2), name="a")),
            "observations [batch, ...] become features [batch, features]",
        ),
        (backbone(lambda: Infinite(name="a")), "features are finite"),
        (backbone(lambda: Noisy(name="a")), "inference is deterministic"),
        (backbone(lambda: HostOnly(name="a")), "outputs under XLA are those of eager execution"),
        (backbone(lambda: Unused(name="a")), "every trainable variable gets a gradient"),
        (backbone(lambda: Counting(name="a")), "trainable = False freezes it"),
        (ending(dtype="int32"), "features are floats"),
        (backbone(lambda: Twice(name="a")), "every variable's path is unique"),
        (ending(Fixed), "weights can be copied with set_weights"),
        (backbone(lambda: Unsaved(name="a")), "weights that are saved and loaded give the same outputs"),
    ],
)
def test_a_backbone_that_breaks_a_clause(factory: Callable[..., Any], clause: str) -> None:
    breaks(check_backbone, factory, clause)


def test_a_backbone_must_take_a_usual_space() -> None:
    def refuse(space: Any) -> None:
        raise UsageError("nothing at all")

    breaks(check_backbone, refuse, "it takes vectors or images")


class Scale(keras.layers.Layer):
    def __init__(self, *, factor: float = 2.0, **options: Any) -> None:
        super().__init__(**options)
        self.factor = factor

    def build(self, shape: Any) -> None:
        self.weight = self.add_weight(shape=(shape[-1],), name="weight", initializer="ones")

    def call(self, x: Any) -> Any:
        return x * self.factor * self.weight

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "factor": self.factor}


class Forgetful(Scale):
    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "factor": 3.0}


class Misshapen(Scale):
    def compute_output_shape(self, shape: Any) -> Any:
        return (*shape[:-1], 99)


class NoConfig(Scale):
    def __init__(self, must: Any = None, **options: Any) -> None:
        super().__init__(**options)

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "unknown": 1}


class Unnamed(Scale):
    """Has a layer inside that is called otherwise every time."""

    def build(self, shape: Any) -> None:
        self.inner = keras.layers.Dense(shape[-1])
        self.inner.build(shape)

    def call(self, x: Any) -> Any:
        return self.inner(x)


class Halved(Scale):
    """Its configuration leaves out that it has two variables."""

    def __init__(self, *, more: bool = True, **options: Any) -> None:
        super().__init__(**options)
        self.more = more

    def build(self, shape: Any) -> None:
        super().build(shape)
        if self.more:
            self.other = self.add_weight(shape=(shape[-1],), name="other", initializer="zeros")

    def call(self, x: Any) -> Any:
        return super().call(x) + (self.other if self.more else 0.0)

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "more": False}


def test_shapes_that_a_layer_must_take() -> None:
    with pytest.raises(ContractError) as caught:
        check_layer(partial(keras.layers.Conv2D, 3, 3), shapes=[(8,)])
    assert caught.value.clause == "it takes inputs of shape [batch, 8]"


def test_a_good_layer_passes() -> None:
    check_layer(Scale)


@pytest.mark.parametrize(
    ("factory", "clause"),
    [
        (lambda: 1 / 0, "it can be built from its options alone"),
        (lambda: "no layer", "it is a keras.layers.Layer"),
        (lambda: Scale(factor=2.0), "it takes a name, by which a backbone finds its weights again"),
        (partial(keras.layers.Reshape, (7, 11)), "it takes a vector, a sequence or an image"),
        (Infinite, "outputs are finite"),
        (Misshapen, "the shape that a functional model computes is that of the outputs"),
        (NoConfig, "get_config and from_config rebuild it"),
        (Forgetful, "the same weights give the same outputs"),
        (Noisy, "inference is deterministic"),
        (Halved, "the configuration gives the same variables again"),
        (Unnamed, "every layer has an explicit name, so that weights are found again by their paths"),
    ],
)
def test_a_layer_that_breaks_a_clause(factory: Callable[..., Any], clause: str) -> None:
    breaks(check_layer, factory, clause)


def loss(function: Callable[[Any, Any], Any]) -> Callable[[], Any]:
    class Loss(keras.losses.Loss):
        def call(self, target: Any, prediction: Any) -> Any:
            return function(target, prediction)

    return Loss


def squared(target: Any, prediction: Any) -> Any:
    return keras.ops.mean(keras.ops.square(prediction - target), axis=-1)


class Unweighted(keras.losses.MeanSquaredError):
    def __call__(self, target: Any, prediction: Any, sample_weight: Any = None) -> Any:
        return super().__call__(target, prediction)


def test_good_losses_pass() -> None:
    check_loss(loss(squared))
    check_loss(keras.losses.SparseCategoricalCrossentropy)


@pytest.mark.parametrize(
    ("factory", "clause"),
    [
        (lambda: "no loss", "it is a keras.losses.Loss"),
        (loss(lambda t, p: 1 / 0), "it takes targets and predictions [batch, n], or class numbers [batch]"),
        (loss(lambda t, p: squared(t, p) / 0.0), "loss(target, prediction) is a finite scalar"),
        (loss(lambda t, p: keras.ops.square(p - t)), "call(target, prediction) is a value a sample, [batch]"),
        (
            loss(lambda t, p: -tf.stop_gradient(squared(t, p))),
            "it has a finite gradient in the prediction, and following it makes the loss smaller",
        ),
        (Unweighted, "samples of weight 0 do not count"),
        (loss(lambda t, p: tf.py_function(squared, [t, p], tf.float32)), "it can be compiled by XLA"),
    ],
)
def test_a_loss_that_breaks_a_clause(factory: Callable[..., Any], clause: str) -> None:
    breaks(check_loss, factory, clause)


class Descent(keras.optimizers.Optimizer):
    sign = -1.0

    def __init__(self) -> None:
        super().__init__(learning_rate=0.1, name="descent")

    def update_step(self, gradient: Any, variable: Any, learning_rate: Any) -> None:
        variable.assign_add(self.sign * learning_rate * gradient)


class Ascent(Descent):
    sign = 1.0


class Hidden(Descent):
    """Counts in Python: what is not a variable is lost in a checkpoint."""

    def __init__(self) -> None:
        super().__init__()
        self.count = 0

    def update_step(self, gradient: Any, variable: Any, learning_rate: Any) -> None:
        if tf.executing_eagerly():
            self.count += 1
        variable.assign_add(-learning_rate * gradient / (1.0 + self.count / 100))


class Tiring(Hidden):
    """Slows down after five steps, which it does not count in a variable."""

    def update_step(self, gradient: Any, variable: Any, learning_rate: Any) -> None:
        self.count += 1
        variable.assign_add(-learning_rate * gradient * (1.0 if self.count <= 5 else 0.5))


class NoGraph(Descent):
    def update_step(self, gradient: Any, variable: Any, learning_rate: Any) -> None:
        variable.assign_add(-gradient.numpy() * 0.1)


class Stuck(Descent):
    @property
    def learning_rate(self) -> Any:
        return 0.1

    @learning_rate.setter
    def learning_rate(self, value: Any) -> None:
        pass


class Idle(Descent):
    def update_step(self, gradient: Any, variable: Any, learning_rate: Any) -> None:
        raise NotImplementedError("not today")


class Namesakes(Descent):
    def build(self, variables: Any) -> None:
        if not self.built:
            super().build(variables)
            self.pair = [self.add_variable((), name="same") for _ in range(2)]


def test_a_good_optimizer_passes() -> None:
    check_optimizer(Descent)
    check_optimizer(component("optimizer", "adam"))


@pytest.mark.parametrize(
    ("factory", "clause"),
    [
        (lambda: "no optimizer", "it is a keras.optimizers.Optimizer"),
        (Ascent, "a few steps make a square smaller"),
        (Stuck, "its learning rate can be assigned"),
        (Idle, "apply(gradients, variables) updates the variables"),
        (Namesakes, "every variable's path is unique"),
        (NoGraph, "apply can be compiled by XLA"),
        (Tiring, "its variables are its whole state: restored, it goes on as if it had never stopped"),
        (Hidden, "XLA does not change what is computed"),
    ],
)
def test_an_optimizer_that_breaks_a_clause(factory: Callable[..., Any], clause: str) -> None:
    breaks(check_optimizer, factory, clause)


def test_a_good_schedule_passes() -> None:
    check_schedule(lambda: lambda step, total: 1.0 - step / total)
    check_schedule(component("schedule", "linear", start=1.0))


@pytest.mark.parametrize(
    ("factory", "clause"),
    [
        (lambda: 0.5, "schedule(step, total) takes numbers and returns a number"),
        (lambda: lambda step, total: float("nan"), "values are finite, after the end too"),
        (
            lambda: lambda step, total: float(step),
            "schedule(step, total) takes tensors, in a graph and under XLA",
        ),
        (
            lambda: lambda step, total: step / total * (2 if tf.is_tensor(step) else 1),
            "tensors and numbers give the same values",
        ),
        (
            lambda: lambda step, total: [step] if tf.is_tensor(step) else 1,
            "for tensors it returns a float scalar",
        ),
        (
            lambda: lambda step, total: step[None] if tf.is_tensor(step) else step,
            "for tensors it returns a float scalar",
        ),
    ],
)
def test_a_schedule_that_breaks_a_clause(factory: Callable[..., Any], clause: str) -> None:
    breaks(check_schedule, factory, clause)


class Quiet:
    def advdl_metrics(self, step: int, metrics: Any) -> None: ...


def tracker(**methods: Any) -> Callable[[], Any]:
    return type("Odd", (), methods)


def fails(self: Any, run: Any) -> None:
    if run.resumed_from is not None:
        raise OSError("gone")


def test_a_good_tracker_passes() -> None:
    check_tracker(Quiet)
    check_tracker(component("tracker", "tensorboard"))


@pytest.mark.parametrize(
    ("factory", "clause"),
    [
        (tracker(), "it has a method for at least one of a run's hooks"),
        (tracker(advdl_metric=lambda self, step: None), "its advdl_ methods are hooks"),
        (tracker(advdl_metrics=lambda self, steps: None), "its methods take the hooks' arguments"),
        (tracker(advdl_run_started=fails), "advdl_run_started of a resumed run does not raise"),
        (tracker(advdl_checkpoint_saved=lambda self, folder: 1 / 0), "advdl_checkpoint_saved does not raise"),
    ],
)
def test_a_tracker_that_breaks_a_clause(factory: Callable[..., Any], clause: str) -> None:
    breaks(check_tracker, factory, clause)
