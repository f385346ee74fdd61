"""NumpyProgram: a traced TensorFlow function carried out in NumPy, in microseconds instead of a call's milliseconds.

The function's random draws must depend on its step alone. They and all else that does are computed beforehand, many
steps in one TensorFlow call, by the very operations of the function. What depends on variables alone is computed when
they change. Only the rest is carried out at every call, operation by operation.
"""

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any

import numpy as np
import tensorflow as tf

from advdl.rl.numpy_bound import bound
from advdl.rl.numpy_ops import OPERATIONS, Array
from advdl.rl.numpy_steps import Instruction, NumpySteps, carry_out

_SEEDING = ("StatelessRandomGetKeyCounter", "StatelessRandomGetAlg")
_BLOCK = 64
"""Steps whose random draws are made together."""

_SPREAD = 2**14
"""Elements up to which a bias is repeated for every row."""

_CONSTANT, _VARIABLES, _STEP, _CALL = range(4)
"""What a value depends on."""


class UnsupportedError(Exception):
    """The function holds something that NumPy is not taught; the message says what."""


class NumpyProgram:
    """Carries out a function whose last argument is the step, an int64 scalar.

    Args:
        function: The function, ``function(*inputs, step)``; traceable.
        concrete: Its trace.
        specs: Shapes and dtypes of the inputs.
        jit: Whether XLA compiles the draws, which it makes in a fifth of the time; others than without it.

    Raises:
        UnsupportedError: An operation is unknown, or a random draw depends on more than the step.
    """

    def __init__(
        self, function: Callable[..., Any], concrete: Any, specs: Sequence[tf.TensorSpec], *, jit: bool = False
    ) -> None:
        self._graph, self._jit = concrete.graph, jit
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
        self._depends = {self._place(name): _CONSTANT for name in constants}
        self._depends |= {step: _STEP, **dict.fromkeys(inputs, _CALL)}
        for name, value in constants.items():
            self._values[self._place(name)] = value
        self._drawn: dict[int, Any] = {}
        self._of_step: dict[int, Any] = {}
        self._read: dict[str, Any] = {}
        self._instructions: list[Instruction] = []
        self._preparing: list[Instruction] = []
        for op in self._needed():
            self._translate(op)
        self.variables: list[tf.Variable] = list(self._read.values())
        variables = [self._place(name) for name in self._read]
        results = [self._place(tensor.name) for tensor in self._outputs]
        self._ask_for(results)
        self.steps = NumpySteps(
            self._values, self._preparing, self._instructions, inputs, step, variables, list(self._drawn), results
        )
        self._draw: Any = self._drawing(function, specs) if self._drawn else None
        self._blocks: dict[int, list[Array]] = {}

    def refresh(self, values: Sequence[Array]) -> None:
        """Takes the present values of ``variables``."""
        self.steps.refresh(values)

    def __call__(self, inputs: Sequence[Array], step: int) -> list[Array]:
        """Returns the function's outputs, flat."""
        return self.steps(inputs, step, self.draws(step))

    def draws(self, step: int) -> list[Array]:
        """Returns the random draws of a step."""
        if self._draw is None:
            return []
        block, row = divmod(step, _BLOCK)
        if block not in self._blocks:
            self._blocks = {block: self._draw_block(block)}
        return [draws[row] for draws in self._blocks[block]]

    def draw_ahead(self, step: int, count: int) -> None:
        """Makes the draws of ``count`` steps from ``step`` on: TensorFlow, busy with updates, would make them wait."""
        if self._draw is None:
            return
        blocks = range(step // _BLOCK, (step + count - 1) // _BLOCK + 1)
        self._blocks = {block: self._blocks.get(block) or self._draw_block(block) for block in blocks}

    def _draw_block(self, block: int) -> list[Array]:
        return [draw.numpy() for draw in self._draw(tf.constant(block * _BLOCK, tf.int64))]

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
            self._depends[places[0]] = _CONSTANT
            self._values[places[0]] = tf.make_ndarray(op.get_attr("value"))
        elif op.type == "ReadVariableOp":
            self._depends[places[0]] = _VARIABLES
            self._read[op.outputs[0].name] = self._handles[op.inputs[0].name]
        elif _is_random(op):
            self._note_of_step(op, places)
        elif op.type in OPERATIONS:
            self._append(op, places)
        else:
            raise UnsupportedError(f"there is no NumPy for {op.type}")

    def _append(self, op: Any, places: list[int]) -> None:
        inputs = tuple(self._place(tensor.name) for tensor in op.inputs)
        depends = self._dependence(inputs)
        if depends == _STEP:
            self._note_of_step(op, places)
            return
        self._ask_for(inputs)
        self._depends |= dict.fromkeys(places, depends)
        several = len(places) if op.type in ("Unpack", "Split", "SplitV") else 0
        constants = [self._values[place] if self._depends[place] == _CONSTANT else None for place in inputs]
        try:
            short = bound(op, constants) if depends != _CONSTANT else None
            function = short or OPERATIONS[op.type](op)
        except NotImplementedError as error:
            raise UnsupportedError(f"there is no NumPy for {error}") from error
        inputs = self._spread(op, inputs) if depends == _CALL else inputs
        instruction = Instruction(function, inputs[:1] if short else inputs, places[0], several)
        if depends == _CONSTANT:
            carry_out([instruction], self._values)
        else:
            (self._preparing if depends == _VARIABLES else self._instructions).append(instruction)

    def _spread(self, op: Any, places: tuple[int, ...]) -> tuple[int, ...]:
        """Repeats a bias for every row when it changes: arrays of one shape are added in half of the time."""
        shape = op.outputs[0].shape
        if op.type not in ("AddV2", "BiasAdd") or self._depends[places[1]] != _VARIABLES:
            return places
        if not shape.is_fully_defined() or shape.num_elements() > _SPREAD or op.inputs[1].shape == shape:
            return places
        spread = self._place(f"{op.name}/spread")
        self._depends[spread] = _VARIABLES
        self._preparing.append(Instruction(partial(_repeated, tuple(shape)), places[1:], spread, 0))
        return (places[0], spread)

    def _dependence(self, places: Sequence[int]) -> int:
        found = {self._depends[place] for place in places} - {_CONSTANT}
        return _CALL if len(found) > 1 else max(found, default=_CONSTANT)

    def _note_of_step(self, op: Any, places: list[int]) -> None:
        self._depends |= dict.fromkeys(places, _STEP)
        self._of_step |= dict(zip(places, op.outputs, strict=True))

    def _ask_for(self, places: Sequence[int]) -> None:
        """What depends on the step and is used by something that depends on more is drawn."""
        self._drawn |= {place: self._of_step[place] for place in places if place in self._of_step}

    def _drawing(self, function: Callable[..., Any], specs: Sequence[tf.TensorSpec]) -> Any:
        """Traces the function again, for many steps and for the sake of what is drawn: the rest is pruned away."""
        first = _working(self._graph.get_operations())
        wanted = [(first.index(tensor.op), tensor.value_index) for tensor in self._drawn.values()]

        def one(step: tf.Tensor) -> list[tf.Tensor]:
            inputs = [tf.zeros(spec.shape, spec.dtype) for spec in specs]
            graph = step.graph
            before = len(graph.get_operations())
            function(*inputs, step)
            again = _working(graph.get_operations()[before:])
            if any(one.type != other.type for one, other in zip(again, first, strict=False)):
                raise UnsupportedError("it is another function when it is traced again")
            return [again[index].outputs[output] for index, output in wanted]

        def block(start: tf.Tensor) -> Any:
            drawn = [tf.TensorSpec(tensor.shape, tensor.dtype) for tensor in self._drawn.values()]
            steps = start + tf.range(_BLOCK, dtype=tf.int64)
            return tf.map_fn(one, steps, fn_output_signature=drawn)

        compiled = tf.function(block, autograph=False, jit_compile=self._jit)
        return compiled.get_concrete_function(tf.TensorSpec([], tf.int64))


def _repeated(shape: tuple[int, ...], array: Array) -> Array:
    return np.broadcast_to(array, shape).copy()


def _working(operations: Sequence[Any]) -> list[Any]:
    """Leaves out what stands for captured and constant values: there may be more or fewer of them in another trace."""
    return [op for op in operations if op.type not in ("Placeholder", "Const")]


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
