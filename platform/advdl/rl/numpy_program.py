"""NumpyProgram: a traced TensorFlow function carried out in NumPy, in microseconds instead of a call's milliseconds.

The function's random draws must depend on its step alone. So they are drawn beforehand, many steps in one TensorFlow
call, by the very operations of the function; everything else is carried out operation by operation.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import tensorflow as tf

from advdl.rl.numpy_ops import OPERATIONS, Array
from advdl.rl.numpy_steps import Instruction, NumpySteps

_SEEDING = ("StatelessRandomGetKeyCounter", "StatelessRandomGetAlg")
_BLOCK = 64
"""Steps whose random draws are made together."""


class UnsupportedError(Exception):
    """The function holds something that NumPy is not taught; the message says what."""


class NumpyProgram:
    """Carries out a function whose last argument is the step, an int64 scalar.

    Args:
        function: The function, ``function(*inputs, step)``; traceable.
        concrete: Its trace.
        specs: Shapes and dtypes of the inputs.

    Raises:
        UnsupportedError: An operation is unknown, or a random draw depends on more than the step.
    """

    def __init__(self, function: Callable[..., Any], concrete: Any, specs: Sequence[tf.TensorSpec]) -> None:
        self._graph = concrete.graph
        self._outputs = [tensor for tensor in concrete.outputs if tensor is not None]
        self._places: dict[str, int] = {}
        self._values: list[Any] = []
        handles = {id(variable.handle): variable for variable in self._graph.variables}
        captures = [(inner.name, outer) for outer, inner in self._graph.captures]
        self._handles = {name: handles[id(outer)] for name, outer in captures if id(outer) in handles}
        constants = {name: outer.numpy() for name, outer in captures if id(outer) not in handles}
        arguments = [tensor for tensor in self._graph.inputs if tensor.name not in {name for name, _ in captures}]
        self._step_name = arguments[-1].name
        inputs = [self._place(tensor.name) for tensor in arguments[:-1]]
        step = self._place(self._step_name)
        self._fixed = {self._place(name) for name in constants}
        for name, value in constants.items():
            self._values[self._place(name)] = value
        self._random: list[Any] = []
        self._read: dict[str, Any] = {}
        self._instructions: list[Instruction] = []
        for op in self._needed():
            self._translate(op)
        self.variables: list[tf.Variable] = list(self._read.values())
        variables = [self._place(name) for name in self._read]
        results = [self._place(tensor.name) for tensor in self._outputs]
        draws = [self._place(op.outputs[0].name) for op in self._random]
        self.steps = NumpySteps(self._values, self._instructions, inputs, step, variables, draws, results)
        self._draw = self._drawing(function, specs)
        self._block, self._draws = -1, [np.zeros(0)] * len(self._random)

    def refresh(self, values: Sequence[Array]) -> None:
        """Takes the present values of ``variables``."""
        self.steps.refresh(values)

    def __call__(self, inputs: Sequence[Array], step: int) -> list[Array]:
        """Returns the function's outputs, flat."""
        return self.steps(inputs, step, self.draws(step))

    def draws(self, step: int) -> list[Array]:
        """Returns the random draws of a step."""
        if not self._random:
            return []
        block, row = divmod(step, _BLOCK)
        if block != self._block:
            self._block = block
            self._draws = [draw.numpy() for draw in self._draw(tf.constant(block * _BLOCK, tf.int64))]
        return [draws[row] for draws in self._draws]

    def _place(self, name: str) -> int:
        if name not in self._places:
            self._places[name] = len(self._values)
            self._values.append(None)
        return self._places[name]

    def _needed(self) -> list[Any]:
        """Returns the operations that the outputs depend on, in order, without what lies before a random draw."""
        wanted, waiting = set(), [tensor.op for tensor in self._outputs]
        while waiting:
            op = waiting.pop()
            if op.name in wanted:
                continue
            wanted.add(op.name)
            if _is_random(op):
                self._require_of_step(op)
            else:
                waiting += [tensor.op for tensor in op.inputs]
        return [op for op in self._graph.get_operations() if op.name in wanted]

    def _require_of_step(self, op: Any) -> None:
        waiting, seen = list(op.inputs), set()
        while waiting:
            tensor = waiting.pop()
            if tensor.name in seen or tensor.name == self._step_name or tensor.name in self._handles:
                continue
            seen.add(tensor.name)
            if tensor.op.type == "Placeholder":
                raise UnsupportedError(f"the random draw {op.type} depends on what is observed")
            waiting += list(tensor.op.inputs)

    def _translate(self, op: Any) -> None:
        if _passes_on(op):
            self._places[op.outputs[0].name] = self._place(op.inputs[0].name)
            return
        places = [self._place(tensor.name) for tensor in op.outputs]
        if op.type == "Placeholder":
            return
        if op.type == "Const":
            self._fixed.add(places[0])
            self._values[places[0]] = tf.make_ndarray(op.get_attr("value"))
        elif op.type == "ReadVariableOp":
            self._read[op.outputs[0].name] = self._handles[op.inputs[0].name]
        elif _is_random(op):
            self._random.append(op)
        elif op.type in OPERATIONS:
            self._append(op, places)
        else:
            raise UnsupportedError(f"there is no NumPy for {op.type}")

    def _append(self, op: Any, places: list[int]) -> None:
        try:
            function = OPERATIONS[op.type](op)
        except NotImplementedError as error:
            raise UnsupportedError(f"there is no NumPy for {error}") from error
        inputs = tuple(self._place(tensor.name) for tensor in op.inputs)
        several = len(places) if op.type in ("Unpack", "Split", "SplitV") else 0
        if self._fixed.issuperset(inputs):  # what depends on constants alone is done once
            result = function(*[self._values[place] for place in inputs])
            for place, value in zip(places, result if several else [result], strict=True):
                self._values[place] = value
                self._fixed.add(place)
            return
        self._instructions.append(Instruction(function, inputs, places[0], several))

    def _drawing(self, function: Callable[..., Any], specs: Sequence[tf.TensorSpec]) -> Any:
        """Traces the function again, for many steps and for the sake of its draws: the rest is pruned away."""
        if not self._random:
            return None
        drawn = [op.name for op in self._graph.get_operations() if _is_random(op)]
        wanted = [drawn.index(op.name) for op in self._random]

        def one(step: tf.Tensor) -> list[tf.Tensor]:
            outputs = function(*[tf.zeros(spec.shape, spec.dtype) for spec in specs], step)
            graph = tf.nest.flatten(outputs)[0].graph
            draws = [op.outputs[0] for op in graph.get_operations() if _is_random(op)]
            return [draws[index] for index in wanted]

        def block(first: tf.Tensor) -> Any:
            drawn = [tf.TensorSpec(op.outputs[0].shape, op.outputs[0].dtype) for op in self._random]
            steps = first + tf.range(_BLOCK, dtype=tf.int64)
            return tf.map_fn(one, steps, fn_output_signature=drawn)

        return tf.function(block, autograph=False).get_concrete_function(tf.TensorSpec([], tf.int64))


def _is_random(op: Any) -> bool:
    return str(op.type).startswith("Stateless") and op.type not in _SEEDING


def _passes_on(op: Any) -> bool:
    """Whether the operation's output is its input."""
    same = op.type == "Cast" and op.inputs[0].dtype == op.outputs[0].dtype
    return same or op.type in ("Identity", "StopGradient", "PreventGradient", "CheckNumerics")


def values_of(variables: Mapping[str, tf.Variable] | Sequence[tf.Variable]) -> list[Array]:
    """Reads variables into arrays."""
    several = variables.values() if isinstance(variables, Mapping) else variables
    return [variable.numpy() for variable in several]
