"""TensorFlow operations in NumPy: those that small networks and policies are made of.

Each entry builds, from an operation of a graph, a function of the operation's inputs. Reference: TensorFlow's API
documentation of ``tf.raw_ops``.
"""

import itertools
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

Array = NDArray[Any]
Function = Callable[..., Any]
Builder = Callable[[Any], Function]


def _same(function: Function) -> Builder:
    return lambda op: function


def _dtype(op: Any, name: str) -> np.dtype[Any]:
    dtype: np.dtype[Any] = np.dtype(tf.as_dtype(op.get_attr(name)).as_numpy_dtype)
    return dtype


def _cast(op: Any) -> Function:
    target = _dtype(op, "DstT")
    return lambda x: x.astype(target)


def _matmul(op: Any) -> Function:
    left, right = op.get_attr("transpose_a"), op.get_attr("transpose_b")
    if not left and not right:
        return np.ndarray.dot  # what np.matmul gives, a microsecond sooner
    return lambda a, b: np.matmul(a.T if left else a, b.T if right else b)


def _reduction(function: Function) -> Builder:
    def build(op: Any) -> Function:
        keep = op.get_attr("keep_dims")

        def reduce(x: Array, axis: Array) -> Array:
            axes = tuple(int(one) for one in np.ravel(axis))
            return np.asarray(function(x, axis=axes, keepdims=keep), x.dtype)

        return reduce

    return build


def _arg(function: Function) -> Builder:
    def build(op: Any) -> Function:
        target = _dtype(op, "output_type")
        return lambda x, axis: function(x, axis=int(axis)).astype(target)

    return build


def _one_hot(op: Any) -> Function:
    if op.get_attr("axis") != -1:
        raise NotImplementedError("OneHot along another axis")

    def one_hot(indices: Array, depth: Array, on: Array, off: Array) -> Array:
        return np.where(indices[..., None] == np.arange(int(depth)), on, off)

    return one_hot


def slices(op: Any, begin: Array, end: Array, strides: Array) -> tuple[Any, ...]:
    """Returns what a ``StridedSlice`` indexes with."""
    masks = {name: op.get_attr(f"{name}_mask") for name in ("begin", "end", "ellipsis", "new_axis", "shrink_axis")}

    def part(index: int) -> Any:
        bit = 1 << index
        if masks["ellipsis"] & bit:
            return Ellipsis
        if masks["new_axis"] & bit:
            return None
        if masks["shrink_axis"] & bit:
            return int(begin[index])
        first = None if masks["begin"] & bit else int(begin[index])
        last = None if masks["end"] & bit else int(end[index])
        return slice(first, last, int(strides[index]))

    return tuple(part(index) for index in range(len(begin)))


def _strided_slice(op: Any) -> Function:
    return lambda x, begin, end, strides: np.asarray(x[slices(op, begin, end, strides)])


def _squeeze(op: Any) -> Function:
    axes = tuple(op.get_attr("squeeze_dims")) or None
    return lambda x: np.squeeze(x, axes)


def _gather(op: Any) -> Function:
    if op.get_attr("batch_dims"):
        raise NotImplementedError("GatherV2 with batch dimensions")
    return lambda x, indices, axis: np.take(x, indices, int(axis))


def _split(op: Any) -> Function:
    parts = op.get_attr("num_split")
    return lambda axis, x: _slices(x, [x.shape[int(axis)] // parts] * parts, int(axis))


def _split_sizes(op: Any) -> Function:
    del op
    return lambda x, sizes, axis: _slices(x, sizes.tolist(), int(axis))


def _slices(x: Array, sizes: Sequence[int], axis: int) -> list[Array]:
    before = (slice(None),) * (axis % x.ndim)
    ends = itertools.accumulate(sizes)
    return [x[(*before, slice(end - size, end))] for size, end in zip(sizes, ends, strict=True)]


def _pack(op: Any) -> Function:
    axis = op.get_attr("axis")
    return lambda *parts: np.stack(parts, axis)


def _unpack(op: Any) -> Function:
    axis = op.get_attr("axis")
    return lambda x: [np.asarray(part) for part in np.moveaxis(x, axis, 0)]


def _bias_add(op: Any) -> Function:
    if op.get_attr("data_format") != b"NHWC":
        raise NotImplementedError("BiasAdd with the channels first")
    return np.add


def _range(op: Any) -> Function:
    target = _dtype(op, "Tidx")
    return lambda start, limit, delta: np.arange(start.item(), limit.item(), delta.item()).astype(target)


def _leaky_relu(op: Any) -> Function:
    alpha = np.float32(op.get_attr("alpha"))
    return lambda x: np.where(x > 0, x, alpha * x)


def _shape(op: Any) -> Function:
    target = _dtype(op, "out_type")
    return lambda x: np.asarray(x.shape, target)


def _softmax(x: Array) -> Array:
    raised = np.exp(x - x.max(axis=-1, keepdims=True))
    return np.asarray(raised / raised.sum(axis=-1, keepdims=True))


def _log_softmax(x: Array) -> Array:
    shifted = x - x.max(axis=-1, keepdims=True)
    return np.asarray(shifted - np.log(np.exp(shifted).sum(axis=-1, keepdims=True)))


def _sigmoid(x: Array) -> Array:
    return np.asarray(0.5 * (np.tanh(0.5 * x) + 1.0), x.dtype)


def _elu(x: Array) -> Array:
    return np.where(x > 0, x, np.expm1(np.minimum(x, 0.0)))


def _selu(x: Array) -> Array:
    scale, alpha = x.dtype.type(1.0507009873554805), x.dtype.type(1.6732632423543772)
    return np.asarray(scale * np.where(x > 0, x, alpha * np.expm1(np.minimum(x, 0.0))))


def _select(condition: Array, yes: Array, no: Array) -> Array:
    if condition.ndim == 1 < np.ndim(yes):  # the old form takes one flag a row
        condition = condition.reshape(-1, *[1] * (np.ndim(yes) - 1))
    return np.where(condition, yes, no)


def _transpose(x: Array, order: Array) -> Array:
    return np.transpose(x, tuple(order))


def _zero(x: Array) -> Array:
    return np.zeros_like(x)


OPERATIONS: Mapping[str, Builder] = {
    "Abs": _same(np.abs),
    "Add": _same(np.add),
    "AddN": _same(lambda *parts: np.sum(parts, axis=0, dtype=parts[0].dtype)),
    "AddV2": _same(np.add),
    "All": _reduction(np.all),
    "Any": _reduction(np.any),
    "ArgMax": _arg(np.argmax),
    "ArgMin": _arg(np.argmin),
    "BiasAdd": _bias_add,
    "BroadcastTo": _same(lambda x, shape: np.broadcast_to(x, tuple(shape))),
    "Cast": _cast,
    "Ceil": _same(np.ceil),
    "ClipByValue": _same(lambda x, low, high: np.minimum(np.maximum(x, low), high)),
    "ConcatV2": _same(lambda *parts: np.concatenate(parts[:-1], int(parts[-1]))),
    "Cos": _same(np.cos),
    "Elu": _same(_elu),
    "Equal": _same(np.equal),
    "Exp": _same(np.exp),
    "ExpandDims": _same(lambda x, axis: np.expand_dims(x, int(axis))),
    "Expm1": _same(np.expm1),
    "Fill": _same(lambda shape, value: np.full(tuple(shape), value)),
    "Floor": _same(np.floor),
    "FloorDiv": _same(np.floor_divide),
    "FloorMod": _same(np.mod),
    "GatherV2": _gather,
    "Greater": _same(np.greater),
    "GreaterEqual": _same(np.greater_equal),
    "IsFinite": _same(np.isfinite),
    "LeakyRelu": _leaky_relu,
    "Less": _same(np.less),
    "LessEqual": _same(np.less_equal),
    "Log": _same(np.log),
    "Log1p": _same(np.log1p),
    "LogSoftmax": _same(_log_softmax),
    "LogicalAnd": _same(np.logical_and),
    "LogicalNot": _same(np.logical_not),
    "LogicalOr": _same(np.logical_or),
    "MatMul": _matmul,
    "Max": _reduction(np.max),
    "Maximum": _same(np.maximum),
    "Mean": _reduction(np.mean),
    "Min": _reduction(np.min),
    "Minimum": _same(np.minimum),
    "Mul": _same(np.multiply),
    "Neg": _same(np.negative),
    "NotEqual": _same(np.not_equal),
    "OneHot": _one_hot,
    "OnesLike": _same(np.ones_like),
    "Pack": _pack,
    "Pow": _same(np.power),
    "Prod": _reduction(np.prod),
    "Range": _range,
    "RealDiv": _same(np.divide),
    "Relu": _same(lambda x: np.maximum(x, x.dtype.type(0))),
    "Relu6": _same(lambda x: np.minimum(np.maximum(x, x.dtype.type(0)), x.dtype.type(6))),
    "Reshape": _same(lambda x, shape: np.reshape(x, tuple(shape))),
    "Rsqrt": _same(lambda x: 1.0 / np.sqrt(x)),
    "Select": _same(_select),
    "SelectV2": _same(np.where),
    "Selu": _same(_selu),
    "Shape": _shape,
    "Sigmoid": _same(_sigmoid),
    "Sign": _same(np.sign),
    "Sin": _same(np.sin),
    "Softmax": _same(_softmax),
    "Softplus": _same(lambda x: np.logaddexp(x, x.dtype.type(0))),
    "Split": _split,
    "SplitV": _split_sizes,
    "Sqrt": _same(np.sqrt),
    "Square": _same(np.square),
    "SquaredDifference": _same(lambda a, b: np.square(a - b)),
    "Squeeze": _squeeze,
    "StridedSlice": _strided_slice,
    "Sub": _same(np.subtract),
    "Sum": _reduction(np.sum),
    "Tanh": _same(np.tanh),
    "Tile": _same(lambda x, times: np.tile(x, tuple(times))),
    "Transpose": _same(_transpose),
    "Unpack": _unpack,
    "ZerosLike": _same(_zero),
}
"""By operation type."""
