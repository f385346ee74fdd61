"""What NumPy does in the place of TensorFlow: every operation, the random draws, and what is left to TensorFlow."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import tensorflow as tf

from advdl.rl.numpy_ops import OPERATIONS
from advdl.rl.numpy_program import NumpyProgram, UnsupportedError
from advdl.training.randomness import Stream

raw = tf.raw_ops
X = np.random.default_rng(0).normal(size=(3, 4)).astype(np.float32)
Y = np.random.default_rng(1).normal(size=(3, 4)).astype(np.float32)
P, N, B = np.abs(X) + 0.1, np.arange(12, dtype=np.int64).reshape(3, 4) - 5, X > 0

UNARY = [
    "Abs",
    "Ceil",
    "Cos",
    "Elu",
    "Exp",
    "Expm1",
    "Floor",
    "IsFinite",
    "LogSoftmax",
    "Neg",
    "OnesLike",
    "Relu",
    "Relu6",
    "Selu",
    "Sigmoid",
    "Sign",
    "Sin",
    "Softmax",
    "Softplus",
    "Square",
    "Tanh",
    "ZerosLike",
]
BINARY = [
    "Add",
    "AddV2",
    "Equal",
    "Greater",
    "GreaterEqual",
    "Less",
    "LessEqual",
    "Maximum",
    "Minimum",
    "Mul",
    "NotEqual",
    "RealDiv",
    "SquaredDifference",
    "Sub",
    "FloorDiv",
    "FloorMod",
]


def unary(name: str) -> Callable[..., Any]:
    argument = {"Elu": "features", "Selu": "features", "Relu": "features", "Relu6": "features", "Softplus": "features"}
    key = argument.get(name, "logits" if "Softmax" in name else "x")
    return lambda x: getattr(raw, name)(**{key: x})


CASES: dict[str, tuple[Callable[..., Any], list[Any]]] = {
    **{name: (unary(name), [X * 8]) for name in UNARY},
    **{name: ((lambda a, b, n=name: getattr(raw, n)(x=a, y=b)), [X, Y]) for name in BINARY},
    **{name: (unary(name), [P]) for name in ("Log", "Log1p", "Rsqrt", "Sqrt")},
    **{
        name: ((lambda x, n=name: getattr(raw, n)(input=x, axis=[1], keep_dims=False)), [X])
        for name in ("Max", "Mean", "Min", "Prod", "Sum")
    },
    **{name: ((lambda x, n=name: getattr(raw, n)(input=x, axis=[0], keep_dims=True)), [B]) for name in ("All", "Any")},
    **{name: ((lambda x, n=name: getattr(raw, n)(input=x, dimension=1)), [X]) for name in ("ArgMax", "ArgMin")},
    "AddN": (lambda a, b: raw.AddN(inputs=[a, b, a]), [X, Y]),
    "BiasAdd": (lambda a, b: raw.BiasAdd(value=a, bias=b), [X, Y[0]]),
    "BroadcastTo": (lambda a: raw.BroadcastTo(input=a, shape=[2, 3, 4]), [X]),
    "Cast": (lambda a: raw.Cast(x=a, DstT=tf.int32), [X * 8]),
    "ClipByValue": (lambda a: raw.ClipByValue(t=a, clip_value_min=-0.5, clip_value_max=0.5), [X]),
    "ConcatV2": (lambda a, b: raw.ConcatV2(values=[a, b], axis=1), [X, Y]),
    "ExpandDims": (lambda a: raw.ExpandDims(input=a, axis=1), [X]),
    "Fill": (lambda a: raw.Fill(dims=[2, 2], value=a[0, 0]), [X]),
    "GatherV2": (lambda a: raw.GatherV2(params=a, indices=[2, 0], axis=1), [X]),
    "LeakyRelu": (lambda a: raw.LeakyRelu(features=a, alpha=0.3), [X]),
    "LogicalAnd": (lambda a, b: raw.LogicalAnd(x=a, y=b), [B, ~B]),
    "LogicalNot": (lambda a: raw.LogicalNot(x=a), [B]),
    "LogicalOr": (lambda a, b: raw.LogicalOr(x=a, y=b), [B, ~B]),
    "MatMul": (lambda a, b: raw.MatMul(a=a, b=b, transpose_b=True), [X, Y]),
    "OneHot": (lambda a: raw.OneHot(indices=a, depth=5, on_value=1.0, off_value=0.0), [N]),
    "Pack": (lambda a, b: raw.Pack(values=[a, b], axis=1), [X, Y]),
    "Pow": (lambda a, b: raw.Pow(x=a, y=b), [P, Y]),
    "Range": (lambda a: raw.Range(start=0, limit=a, delta=2), [np.int32(7)]),
    "Reshape": (lambda a: raw.Reshape(tensor=a, shape=[-1, 2]), [X]),
    "Select": (lambda c, a, b: raw.Select(condition=c, x=a, y=b), [B[:, 0], X, Y]),
    "SelectV2": (lambda c, a, b: raw.SelectV2(condition=c, t=a, e=b), [B[:, :1], X, Y]),
    "Shape": (lambda a: raw.Shape(input=a), [X]),
    "Split": (lambda a: raw.Split(axis=1, value=a, num_split=2), [X]),
    "SplitV": (lambda a: raw.SplitV(value=a, size_splits=[1, 3], axis=1, num_split=2), [X]),
    "Squeeze": (lambda a: raw.Squeeze(input=a, axis=[1]), [X[:, :1]]),
    "StridedSlice": (lambda a: a[1:, None, ::-1, ...], [X]),
    "Tile": (lambda a: raw.Tile(input=a, multiples=[2, 1]), [X]),
    "Transpose": (lambda a: raw.Transpose(x=a, perm=[1, 0]), [X]),
    "Unpack": (lambda a: raw.Unpack(value=a, num=4, axis=1), [X]),
}


def program(function: Callable[..., Any], *inputs: Any) -> tuple[NumpyProgram, Any]:
    specs = [tf.TensorSpec(np.shape(value), np.asarray(value).dtype) for value in inputs]
    concrete = tf.function(function, autograph=False).get_concrete_function(*specs, tf.TensorSpec([], tf.int64))
    return NumpyProgram(function, concrete, specs), concrete


def test_there_is_a_case_for_every_operation() -> None:
    assert sorted(CASES) == sorted(OPERATIONS)


@pytest.mark.parametrize("name", CASES)
def test_an_operation_does_what_tensorflows_does(name: str) -> None:
    function, inputs = CASES[name]
    carried_out, concrete = program(lambda *given: function(*given[:-1]), *inputs)
    expected = tf.nest.flatten(concrete(*map(tf.constant, inputs), tf.constant(0, tf.int64)))
    found = carried_out([np.asarray(value) for value in inputs], 0)
    assert any(op.type == name for op in concrete.graph.get_operations())
    for ours, theirs in zip(found, expected, strict=True):
        assert ours.dtype == theirs.numpy().dtype
        np.testing.assert_allclose(ours, theirs.numpy(), rtol=1e-5, atol=1e-6)


def test_the_same_step_draws_the_same_numbers() -> None:
    stream, variable = Stream(4, "draws"), tf.Variable(2.0)

    def function(x: tf.Tensor, step: tf.Tensor) -> Any:
        seed = stream.at(step)
        uniform = tf.random.stateless_uniform([3, 4], seed)
        ramp = tf.minimum(tf.cast(step, tf.float32) / 100.0, 1.0)
        scale = tf.convert_to_tensor(variable)
        once = tf.exp(scale) + 1.0
        return (
            x * uniform * scale,
            tf.random.stateless_normal([2], seed + 1),
            -tf.math.log(uniform),
            ramp,
            once - ramp,
        )

    carried_out, concrete = program(function, X)
    assert carried_out.variables == [variable]
    # What depends on the step alone is drawn, what depends on the variable alone is prepared: two products and a
    # difference are left.
    assert len(carried_out._instructions) == 3
    carried_out.refresh([np.float32(5.0)])
    variable.assign(5.0)
    for step in (0, 1, 63, 64, 1_000_000, 2):
        for ours, theirs in zip(
            carried_out([X], step), concrete(tf.constant(X), tf.constant(step, tf.int64)), strict=True
        ):
            np.testing.assert_allclose(ours, theirs.numpy(), rtol=1e-6)


@pytest.mark.parametrize(
    ("function", "message"),
    [
        (lambda x, step: tf.math.erf(x), "there is no NumPy for Erf"),
        (lambda x, step: tf.random.stateless_uniform([2], tf.cast(x[0, :2], tf.int32)), "depends on what is observed"),
        (lambda x, step: tf.random.uniform([2]), "there is no NumPy for RandomUniform"),
        (lambda x, step: tf.one_hot(tf.cast(x, tf.int32), 3, axis=0), "OneHot along another axis"),
    ],
)
def test_what_numpy_cannot_do_is_said(function: Any, message: str) -> None:
    with pytest.raises(UnsupportedError, match=message):
        program(function, X)
