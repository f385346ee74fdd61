"""NumpySteps: a program of NumPy calls as plain data, so that it runs where there is no TensorFlow."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]


@dataclass(frozen=True, slots=True)
class Instruction:
    """One call.

    Attributes:
        function: What is called.
        inputs: The places of its arguments.
        output: The place of its result, or of the first one.
        several: How many results there are, where it returns a list; else 0.
    """

    function: Callable[..., Any]
    inputs: tuple[int, ...]
    output: int
    several: int


@dataclass(slots=True)
class NumpySteps:
    """Calls, and the places that they read and write.

    Attributes:
        values: What is in each place; constants are there from the start.
        preparing: The calls that depend on variables alone, in order: made when these change.
        instructions: The other calls, in order.
        inputs: The places of the inputs.
        step: The place of the step.
        variables: The places of the variables' values.
        draws: The places of the random draws.
        results: The places of the outputs.
    """

    values: list[Any]
    preparing: Sequence[Instruction]
    instructions: Sequence[Instruction]
    inputs: Sequence[int]
    step: int
    variables: Sequence[int]
    draws: Sequence[int]
    results: Sequence[int]

    def refresh(self, values: Sequence[Array]) -> None:
        """Takes the variables' present values."""
        for place, value in zip(self.variables, values, strict=True):
            self.values[place] = value
        carry_out(self.preparing, self.values)

    def __call__(self, inputs: Sequence[Array], step: int, draws: Sequence[Array]) -> list[Array]:
        """Returns the outputs, flat.

        Args:
            inputs: The inputs.
            step: The step.
            draws: The random draws of that step.
        """
        values = self.values
        for place, value in zip(self.inputs, inputs, strict=True):
            values[place] = value
        values[self.step] = np.asarray(step, np.int64)
        for place, draw in zip(self.draws, draws, strict=True):
            values[place] = draw
        carry_out(self.instructions, values)
        return [values[place] for place in self.results]


def carry_out(instructions: Sequence[Instruction], values: list[Any]) -> None:
    """Makes calls, whose arguments and results are in ``values``."""
    for instruction in instructions:
        inputs = instruction.inputs
        if len(inputs) == 2:  # most have two; a list of them costs as much as a small product
            result = instruction.function(values[inputs[0]], values[inputs[1]])
        elif len(inputs) == 1:
            result = instruction.function(values[inputs[0]])
        else:
            result = instruction.function(*[values[place] for place in inputs])
        if instruction.several:
            values[instruction.output : instruction.output + instruction.several] = result
        else:
            values[instruction.output] = result
