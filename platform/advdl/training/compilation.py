"""Compilation: whether XLA compiles the updates of a run, as the user says or as it was measured, once a run."""

import time
from collections.abc import Callable, Sequence
from typing import Any

import keras
import tensorflow as tf

_UNDECIDED, _PLAIN, _XLA = -1, 0, 1
_BATCH = 128
_REPEATS = 5
# Measured times scatter, and both are within a fifth of each other for most networks: XLA is left only for a clear
# gain, so that the same run makes the same choice whenever there is none.
_CLEARLY = 0.75
_CONVOLUTIONS = (keras.layers.Conv1D, keras.layers.Conv2D, keras.layers.Conv3D, keras.layers.DepthwiseConv2D)


class Compilation:
    """Chooses between XLA and TensorFlow's own kernels (oneDNN's on a CPU).

    XLA is faster for small dense networks, without a doubt and so without measuring. For convolutions it depends on the
    network and on the machine: there a forward and a backward pass are measured both ways. What was found is a variable
    of the run, so that a run that goes on goes on with the same program.

    Args:
        setting: Whether XLA compiles, or None to measure where it is in doubt.
        backbones: The networks that are measured.
        say: Told what was found, in a sentence.
    """

    def __init__(
        self,
        setting: bool | None,
        backbones: Sequence[keras.Model] = (),
        say: Callable[[str], None] = lambda text: None,
    ) -> None:
        self._measured: Any = next(filter(_convolves, backbones), None) if setting is None else None
        self._found = tf.Variable(_UNDECIDED if self._measured else int(setting is not False), trainable=False)
        self._say = say
        self.assumed = setting is not False
        """Whether a program that is traced before the decision is one for XLA."""

    def decide(self) -> bool:
        """Returns whether XLA compiles; measures if that is in doubt and not yet known."""
        if int(self._found) == _UNDECIDED:
            with_xla, without = (measure(self._measured, jit=jit) for jit in (True, False))
            self._found.assign(_PLAIN if without < _CLEARLY * with_xla else _XLA)
            self._report(with_xla, without)
        return int(self._found) == _XLA

    def state(self) -> dict[str, tf.Variable]:
        """Returns what was measured, for the checkpoint; nothing where nothing is in doubt."""
        return {"xla": self._found} if self._measured else {}

    def _report(self, with_xla: float, without: float) -> None:
        chosen = "XLA compiles the updates" if self.decide() else "TensorFlow's own kernels make the updates"
        self._say(
            f"trainer.jit=auto: {chosen}; a forward and backward pass through {self._measured.name!r} takes "
            f"{1e3 * with_xla:.1f} ms with XLA and {1e3 * without:.1f} ms without"
        )


def as_compilation(jit: bool | Compilation) -> Compilation:
    """Returns the compilation that an engine was given, or that of a plain yes or no."""
    return jit if isinstance(jit, Compilation) else Compilation(jit)


def measure(model: keras.Model, *, jit: bool) -> float:
    """Returns the seconds of one forward and backward pass over 128 samples, the least of five; compilation apart.

    Changes no variable.

    Args:
        model: A functional model.
        jit: Whether XLA compiles it.
    """
    inputs = tf.nest.map_structure(lambda part: tf.zeros((_BATCH, *part.shape[1:]), part.dtype), model.input)

    def passes(batch: Any) -> list[tf.Tensor]:
        values = [variable.value for variable in model.trainable_variables]
        with tf.GradientTape(watch_accessed_variables=False) as tape:
            tape.watch(values)
            loss = tf.reduce_mean(tf.square(model(batch, training=False)))
        gradients = tape.gradient(loss, values, unconnected_gradients=tf.UnconnectedGradients.ZERO)
        return [loss, *map(tf.reduce_sum, gradients)]

    program = tf.function(passes, jit_compile=jit, autograph=False)
    program(inputs)
    return min(_seconds(program, inputs) for _ in range(_REPEATS))


def _seconds(program: Callable[[Any], list[tf.Tensor]], inputs: Any) -> float:
    began = time.perf_counter()
    for result in program(inputs):
        result.numpy()
    return time.perf_counter() - began


def _convolves(model: keras.Model) -> bool:
    """Says whether a functional model has a convolution in it, at any depth."""
    functional = getattr(model, "input", None) is not None
    return functional and any(isinstance(layer, _CONVOLUTIONS) for layer in model._flatten_layers())
