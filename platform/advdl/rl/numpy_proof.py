"""Proof, before NumPy acts in its place, that it does what TensorFlow does: on sampled observations."""

from collections.abc import Callable, Iterable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from advdl.rl.numpy_program import NumpyProgram, UnsupportedError, values_of
from advdl.rl.spaces import leaves, stored_dtype

Parts = Sequence[NDArray[Any]]

TRIALS = 8
_TOLERANCE = 1e-4


def prove(program: NumpyProgram, original: Callable[[Parts, int], Parts], cases: Iterable[Parts]) -> None:
    """Compares a program with what it was made of, on each case and at as many first steps.

    Args:
        program: The program; it is given the variables' present values.
        original: The same, ``original(inputs, step)``, in TensorFlow.
        cases: Inputs.

    Raises:
        UnsupportedError: They differ in shape, dtype, or by more than rounding.
    """
    program.refresh(values_of(program.variables))
    for step, parts in enumerate(cases):
        for one, other in zip(program(parts, step), original(parts, step), strict=True):
            if one.shape != other.shape or one.dtype != other.dtype or not _alike(one, other):
                raise UnsupportedError("in NumPy it does something else")


def sampled(space: Any, count: int, seed: int) -> list[NDArray[Any]]:
    """Samples ``count`` observations, a leaf each."""
    generator = np.random.default_rng(seed)
    return [_sample(leaf, count, generator) for _, leaf in leaves(space)]


def _sample(leaf: Any, count: int, generator: np.random.Generator) -> NDArray[Any]:
    leaf.seed(int(generator.integers(2**31)))
    return np.stack([np.asarray(leaf.sample()) for _ in range(count)]).astype(stored_dtype(leaf))


def _alike(one: NDArray[Any], other: NDArray[Any]) -> bool:
    if one.dtype.kind in "iub":
        return bool(np.array_equal(one, other))
    return bool(np.allclose(one, other, rtol=_TOLERANCE, atol=_TOLERANCE))
