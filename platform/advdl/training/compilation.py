"""Compilation: how XLA compiles the updates of a run, as the user says or as it was measured, once a run."""

import time
from collections.abc import Callable, Sequence
from typing import Any

import keras
import tensorflow as tf

from advdl.training.learner import Learner

_UNDECIDED, _PLAIN, _XLA = -1, 0, 1
_BATCH = 128
_REPEATS = 5
# Measured times scatter, and both are within a fifth of each other for most networks: XLA is left only for a clear
# gain, so that the same run makes the same choice whenever there is none.
_CLEARLY = 0.75
_CONVOLUTIONS = (
    keras.layers.Conv1D,
    keras.layers.Conv2D,
    keras.layers.Conv3D,
    keras.layers.Conv1DTranspose,
    keras.layers.Conv2DTranspose,
    keras.layers.Conv3DTranspose,
    keras.layers.DepthwiseConv1D,
    keras.layers.DepthwiseConv2D,
    keras.layers.SeparableConv1D,
    keras.layers.SeparableConv2D,
)


class Compilation:
    """Chooses between XLA and TensorFlow's own kernels (oneDNN's on a CPU).

    XLA is faster for small dense networks, without a doubt and so without measuring. For convolutions it depends on the
    network and on the machine: there a forward and a backward pass are measured both ways. What was found is a variable
    of the run, so that a run that goes on goes on with the same program.

    Attributes:
        assumed: Whether a program that is traced before the decision is one for XLA.
        apart: Whether XLA, if it compiles updates, gets each as a program of its own. On a CPU it has fast kernels for
            the gradients of convolutions at the top of a program only; in the body of a loop they are ten times slower.

    Args:
        setting: Whether XLA compiles, or None to measure where it is in doubt.
        networks: The networks that are measured, those of them for which it is in doubt; ``measured_of`` finds them.
        say: Told what was found, in a sentence.
        apart: Whether updates are programs of their own.
    """

    def __init__(
        self,
        setting: bool | None,
        networks: Sequence[keras.Model] = (),
        say: Callable[[str], None] = lambda text: None,
        *,
        apart: bool = False,
    ) -> None:
        self._measured = list(filter(_measurable, networks)) if setting is None else []
        self._found = tf.Variable(_UNDECIDED if self._measured else int(setting is not False), trainable=False)
        self._say = say
        self.assumed, self.apart = setting is not False, apart

    def decide(self) -> bool:
        """Returns whether XLA compiles; measures if that is in doubt and not yet known."""
        if int(self._found) == _UNDECIDED:
            with_xla, without = (sum(seconds) for seconds in zip(*map(measure, self._measured), strict=True))
            self._found.assign(_PLAIN if without < _CLEARLY * with_xla else _XLA)
            self._report(with_xla, without)
        return int(self._found) == _XLA

    def state(self) -> dict[str, tf.Variable]:
        """Returns what was measured, for the checkpoint; nothing where nothing is in doubt."""
        return {"xla": self._found} if self._measured else {}

    def _report(self, with_xla: float, without: float) -> None:
        chosen = "XLA compiles the updates" if self.decide() else "TensorFlow's own kernels make the updates"
        names = " and ".join(repr(network.name) for network in self._measured)
        self._say(
            f"trainer.jit=auto: {chosen}; a forward and backward pass through {names} takes "
            f"{1e3 * with_xla:.1f} ms with XLA and {1e3 * without:.1f} ms without"
        )


def as_compilation(jit: bool | Compilation, learner: Learner) -> Compilation:
    """Returns the compilation that an engine was given, or that of a plain yes or no for what it trains."""
    return jit if isinstance(jit, Compilation) else Compilation(jit, apart=convolves(learner))


def measured_of(learner: Learner) -> list[keras.Model]:
    """Returns the networks whose speed decides: what a learner sees through, else every network that it trains."""
    models = [model for model in learner.models.values() if isinstance(model, keras.Model)]
    return list(learner.backbones()[:1]) or [model for model in models if model.trainable_variables]


def convolves(learner: Learner) -> bool:
    """Says whether a learner's models have a convolution in them, at any depth."""
    return any(map(_convolves, learner.models.values()))


def measure(model: keras.Model) -> tuple[float, float]:
    """Returns the seconds of one forward and backward pass over 128 samples, with XLA and without.

    Each is the least of five, compilation apart. They take turns, so that whatever else the machine does slows both.
    Changes no variable.

    Args:
        model: A functional model.
    """

    def zeros(part: Any) -> tf.Tensor:
        return tf.zeros([_BATCH if side is None else side for side in part.shape], part.dtype)

    inputs = tf.nest.map_structure(zeros, model.input)

    def passes(batch: Any) -> list[tf.Tensor]:
        values = [variable.value for variable in model.trainable_variables]
        with tf.GradientTape(watch_accessed_variables=False) as tape:
            tape.watch(values)
            loss = tf.reduce_mean(tf.square(model(batch, training=False)))
        gradients = tape.gradient(loss, values, unconnected_gradients=tf.UnconnectedGradients.ZERO)
        return [loss, *map(tf.reduce_sum, gradients)]

    programs = [tf.function(passes, jit_compile=jit, autograph=False) for jit in (True, False)]
    for program in programs:
        program(inputs)
    turns = [[_seconds(program, inputs) for program in programs] for _ in range(_REPEATS)]
    with_xla, without = map(min, zip(*turns, strict=True))
    return with_xla, without


def _seconds(program: Callable[[Any], list[tf.Tensor]], inputs: Any) -> float:
    began = time.perf_counter()
    for result in program(inputs):
        result.numpy()
    return time.perf_counter() - began


def _measurable(model: keras.Model) -> bool:
    """Says whether a network is functional, and it is in doubt what is faster for it."""
    return getattr(model, "input", None) is not None and _convolves(model)


def _convolves(model: keras.layers.Layer) -> bool:
    return any(isinstance(layer, _CONVOLUTIONS) for layer in model._flatten_layers())
