"""Conformance of losses."""

from typing import Any

import keras
import numpy as np
import tensorflow as tf

from advdl.plugin.options import Factory
from advdl.testing.clauses import Clauses


def check_loss(factory: Factory) -> None:
    """Checks a loss: ``loss(target, prediction)`` is a scalar that can be minimised.

    It is tried on one-hot targets and, if it does not take these, on class numbers.

    Args:
        factory: The class, or what ``component`` returns; called without arguments.

    Raises:
        ContractError: Names the clause that is broken.
    """
    clauses = Clauses("loss", factory)
    with clauses.clause("it can be built from its options alone"):
        loss = factory()
    is_loss = isinstance(loss, keras.losses.Loss)
    clauses.require(is_loss, "it is a keras.losses.Loss", f"it is a {type(loss).__name__}")
    target, prediction = _data(clauses, loss)
    _check_value(clauses, loss, target, prediction)
    _check_gradient(clauses, loss, target, prediction)
    with clauses.clause("it can be compiled by XLA"):
        compiled = tf.function(loss, jit_compile=True)(target, prediction)
    off = abs(float(compiled) - float(loss(target, prediction)))
    clauses.require(off <= 1e-4, "XLA does not change what is computed", f"it is off by {off:.2g}")


def _data(clauses: Clauses, loss: Any) -> tuple[tf.Tensor, tf.Tensor]:
    rng = np.random.default_rng(0)
    classes = rng.integers(0, 3, 8)
    prediction = tf.constant(rng.dirichlet(np.ones(3), 8).astype(np.float32))
    one_hot = tf.one_hot(classes, 3)
    try:
        loss.call(one_hot, prediction)
    except Exception:
        with clauses.clause("it takes targets and predictions [batch, n], or class numbers [batch]"):
            loss.call(tf.constant(classes), prediction)
        return tf.constant(classes), prediction
    return one_hot, prediction


def _check_value(clauses: Clauses, loss: Any, target: tf.Tensor, prediction: tf.Tensor) -> None:
    clause = "loss(target, prediction) is a finite scalar"
    with clauses.clause(clause):
        value = loss(target, prediction)
    clauses.require(value.shape.rank == 0, clause, f"its shape is {list(value.shape)}")
    clauses.require(np.isfinite(value), clause, f"it is {float(value)}")
    each = loss.call(target, prediction)
    clause = "call(target, prediction) is a value a sample, [batch]"
    clauses.require(tuple(each.shape) == (8,), clause, f"its shape is {list(each.shape)}")
    weighted = loss(target, prediction, sample_weight=tf.zeros(8))
    clauses.require(float(weighted) == 0.0, "samples of weight 0 do not count", f"they add {float(weighted)}")


def _check_gradient(clauses: Clauses, loss: Any, target: tf.Tensor, prediction: tf.Tensor) -> None:
    clause = "it has a finite gradient in the prediction, and following it makes the loss smaller"
    with clauses.clause(clause), tf.GradientTape() as tape:
        tape.watch(prediction)
        before = loss(target, prediction)
    gradient = tape.gradient(before, prediction)
    clauses.require(gradient is not None, clause, "there is none")
    clauses.require(np.isfinite(gradient).all(), clause, "it is not finite")
    after = loss(target, prediction - 1e-3 * gradient)
    clauses.require(float(after) < float(before), clause, f"{float(before):.6g} became {float(after):.6g}")
