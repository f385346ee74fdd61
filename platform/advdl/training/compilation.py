"""Compilation: how XLA compiles the updates of a run, as the user says or as it was measured, once a run."""

import functools
import time
from collections.abc import Callable, Sequence
from typing import Any

import keras
import tensorflow as tf

from advdl.training.learner import Batch, Learner

_UNDECIDED, _PLAIN, _XLA = -1, 0, 1
_BATCH = 128
_REPEATS = 5
_ENOUGH = 10.0  # seconds after which a measurement is not repeated
# Measured times scatter, and both are near each other for many networks: XLA is left only for a clear gain, so that the
# same run makes the same choice whenever there is none.
_CLEARLY = 0.85
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

Probe = Callable[[], tuple[float, float]]


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
        backbones: The networks that are measured.
        say: Told what was found, in a sentence.
        apart: Whether updates are programs of their own.
        batch_size: Samples in the batch that is measured; which is faster depends on it.
        probe: Measures in the place of the backbones, as ``measure_updates`` does: seconds with XLA, and without.
    """

    def __init__(
        self,
        setting: bool | None,
        backbones: Sequence[keras.Model] = (),
        say: Callable[[str], None] = lambda text: None,
        *,
        apart: bool = False,
        batch_size: int = _BATCH,
        probe: Probe | None = None,
    ) -> None:
        measured = next(filter(_measurable, backbones), None)
        self._what, self._probe = "an update", probe
        if measured is not None:
            self._what = f"a forward and backward pass of {batch_size} samples through {measured.name!r}"
            self._probe = functools.partial(measure, measured, batch_size)
        self._measured = setting is None and self._probe is not None
        self._found = tf.Variable(_UNDECIDED if self._measured else int(setting is not False), trainable=False)
        self._say = say
        self.assumed, self.apart = setting is not False, apart

    def decide(self) -> bool:
        """Returns whether XLA compiles; measures if that is in doubt and not yet known."""
        if int(self._found) == _UNDECIDED:
            assert self._probe is not None
            with_xla, without = self._probe()
            self._found.assign(_PLAIN if without < _CLEARLY * with_xla else _XLA)
            self._report(with_xla, without)
        return int(self._found) == _XLA

    def state(self) -> dict[str, tf.Variable]:
        """Returns what was measured, for the checkpoint; nothing where nothing is in doubt."""
        return {"xla": self._found} if self._measured else {}

    def _report(self, with_xla: float, without: float) -> None:
        chosen = "XLA compiles the updates" if self.decide() else "TensorFlow's own kernels make the updates"
        self._say(
            f"trainer.jit=auto: {chosen}; {self._what} takes "
            f"{1e3 * with_xla:.1f} ms with XLA and {1e3 * without:.1f} ms without"
        )


def as_compilation(jit: bool | Compilation, learner: Learner) -> Compilation:
    """Returns the compilation that an engine was given, or that of a plain yes or no for what it trains."""
    return jit if isinstance(jit, Compilation) else Compilation(jit, apart=convolves(learner))


def convolves(learner: Learner) -> bool:
    """Says whether a learner's models have a convolution in them, at any depth."""
    return any(map(_convolves, learner.models.values()))


def measure(model: keras.Model, batch_size: int = _BATCH) -> tuple[float, float]:
    """Returns the seconds of one forward and backward pass, with XLA and without.

    Each is the least of five, or of fewer if they take longer than ten seconds, compilation apart. They take turns, so
    that whatever else the machine does slows both. Changes no variable.

    Args:
        model: A functional model.
        batch_size: Samples that pass.
    """
    inputs = tf.nest.map_structure(lambda part: tf.zeros((batch_size, *part.shape[1:]), part.dtype), model.input)

    def passes(batch: Any) -> list[tf.Tensor]:
        values = [variable.value for variable in model.trainable_variables]
        with tf.GradientTape(watch_accessed_variables=False) as tape:
            tape.watch(values)
            loss = tf.reduce_mean(tf.square(model(batch, training=False)))
        gradients = tape.gradient(loss, values, unconnected_gradients=tf.UnconnectedGradients.ZERO)
        return [loss, *map(tf.reduce_sum, gradients)]

    return _in_turns(passes, inputs)


def measure_updates(learner: Learner, batch: Batch) -> tuple[float, float]:
    """Returns the seconds of the gradients of all objectives, with XLA and without, as ``measure`` does.

    Args:
        learner: What is trained; it is not changed.
        batch: What it is trained on.
    """

    def passes(batch: Batch) -> list[tf.Tensor]:
        prepared, results = learner.prepare(batch), []
        for objective in learner.objectives():
            values = [variable.value for variable in objective.variables]
            with tf.GradientTape(watch_accessed_variables=False) as tape:
                tape.watch(values)
                loss, _ = objective.loss(prepared, tf.constant([0, 0]))
            gradients = tape.gradient(loss, values, unconnected_gradients=tf.UnconnectedGradients.ZERO)
            results += [loss, *map(tf.reduce_sum, gradients)]
        return results

    variables = [variable for model in learner.models.values() for variable in model.variables]
    before = [tf.identity(variable.value) for variable in variables]
    seconds = _in_turns(passes, batch)
    for variable, value in zip(variables, before, strict=True):  # a loss may move batch statistics
        variable.assign(value)
    return seconds


def _in_turns(passes: Callable[[Any], list[tf.Tensor]], inputs: Any) -> tuple[float, float]:
    programs = [tf.function(passes, jit_compile=jit, autograph=False) for jit in (True, False)]
    for program in programs:
        program(inputs)
    turns: list[list[float]] = []
    while len(turns) < _REPEATS and sum(map(sum, turns)) < _ENOUGH:
        turns.append([_seconds(program, inputs) for program in programs])
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
