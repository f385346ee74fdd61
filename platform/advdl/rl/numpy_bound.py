"""Operations whose inputs are constant but for the first: what these say is worked out once, and not at every call."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from advdl.rl.numpy_ops import Array, Function, slices


def bound(op: Any, constants: Sequence[Array | None]) -> Function | None:
    """Builds a function of an operation's first input.

    Args:
        op: The operation.
        constants: The values of its inputs, None for those that are not constant.

    Returns:
        The function, or None where there is no quicker one, or where another input is not constant.
    """
    if op.type not in _BOUND or constants[0] is not None or any(value is None for value in constants[1:]):
        return None
    return _BOUND[op.type](op, [np.asarray(value) for value in constants[1:]])


def _reduction(reduce: Callable[..., Any]) -> Callable[[Any, list[Array]], Function]:
    def build(op: Any, constants: list[Array]) -> Function:
        keep, axes = op.get_attr("keep_dims"), tuple(int(axis) for axis in np.ravel(constants[0]))
        return lambda x: np.asarray(reduce(x, axis=axes, keepdims=keep), x.dtype)

    return build


def _best(op: Any, constants: list[Array]) -> Function:
    axis, target = int(constants[0]), op.outputs[0].dtype.as_numpy_dtype
    return lambda x: x.argmax(axis).astype(target, copy=False)


def _cut(op: Any, constants: list[Array]) -> Function:
    where = slices(op, *constants)
    return lambda x: np.asarray(x[where])


def _reshape(op: Any, constants: list[Array]) -> Function:
    shape = tuple(int(size) for size in constants[0])
    return lambda x: x.reshape(shape)


def _one_hot(op: Any, constants: list[Array]) -> Function | None:
    if op.get_attr("axis") != -1:
        return None
    depth, on, off = constants
    places = np.arange(int(depth))
    return lambda x: np.where(x[..., None] == places, on, off)


_BOUND: Mapping[str, Callable[[Any, list[Array]], Function | None]] = {
    "ArgMax": _best,
    "Max": _reduction(np.maximum.reduce),
    "Min": _reduction(np.minimum.reduce),
    "OneHot": _one_hot,
    "Reshape": _reshape,
    "StridedSlice": _cut,
    "Sum": _reduction(np.add.reduce),
}
