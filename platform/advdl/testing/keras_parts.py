"""Clauses that backbones and layers share: names, weights, compilation, freezing."""

import tempfile
import warnings
from pathlib import Path
from typing import Any, TypeAlias

import keras
import numpy as np
import tensorflow as tf

from advdl.testing.clauses import Clauses

Model: TypeAlias = "keras.Model | keras.layers.Layer"


def check_names(clauses: Clauses, first: Model, second: Model) -> None:
    """The same options give the same variables by the same names, each name once."""
    clause = "every layer has an explicit name, so that weights are found again by their paths"
    ours, theirs = _layout(first), _layout(second)
    different = [f"{a[0]} became {b[0]}" for a, b in zip(ours, theirs, strict=False) if a[0] != b[0]]
    clauses.require(not different, clause, f"built a second time, {' and '.join(different[:1])}")
    clauses.require(ours == theirs, "the same options give the same variables", f"{ours} became {theirs}")
    paths = [path for path, _, _ in ours]
    twice = sorted({path for path in paths if paths.count(path) > 1})
    clauses.require(not twice, "every variable's path is unique", f"{twice[:1]} is there more than once")


def check_weights(clauses: Clauses, first: Model, second: Model, batch: Any) -> None:
    """Weights that are set, or saved and loaded, give the same outputs."""
    expected = _run(first, batch)
    with clauses.clause("weights can be copied with set_weights"):
        second.set_weights(first.get_weights())
    same = np.array_equal(expected, _run(second, batch))
    clauses.require(same, "the same weights give the same outputs", "copied weights give others")
    clause = "weights that are saved and loaded give the same outputs"
    with clauses.clause(clause), tempfile.TemporaryDirectory() as folder:
        wrapped = [_as_model(model, batch) for model in (first, second)]
        file = Path(folder) / "model.weights.h5"
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", DeprecationWarning)  # Keras hands h5py its own variables
            wrapped[0].save_weights(file)
        second.set_weights([np.zeros_like(value) for value in second.get_weights()])
        wrapped[1].load_weights(file)
    clauses.require(np.array_equal(expected, _run(second, batch)), clause, "they give others")


def check_compiled(clauses: Clauses, model: Model, batch: Any) -> None:
    """The outputs are the same eagerly, in a graph and under XLA; inference is deterministic."""
    expected = _run(model, batch)
    same = np.array_equal(expected, _run(model, batch))
    clauses.require(same, "inference is deterministic", "the same batch gives different outputs")
    for name, jit in (("in a graph", False), ("under XLA", True)):
        clause = f"outputs {name} are those of eager execution"
        with clauses.clause(clause):
            found = np.asarray(tf.function(lambda x: model(x, training=False), jit_compile=jit)(batch))
        scale = max(1.0, float(np.abs(expected).max(initial=0.0)))
        off = float(np.abs(found - expected).max(initial=0.0))
        clauses.require(off <= 1e-4 * scale, clause, f"they are off by {off:.2g}")


def check_gradients(clauses: Clauses, model: Model, batch: Any) -> None:
    """Every trainable variable is reached by the gradient."""
    clause = "every trainable variable gets a gradient"
    with clauses.clause(clause), tf.GradientTape() as tape:
        outputs = model(batch, training=True)
        loss = tf.reduce_sum(tf.square(tf.cast(outputs, tf.float32) - 1.0))
    variables = model.trainable_variables
    gradients = tape.gradient(loss, [variable.value for variable in variables])
    lost = [v.path for v, gradient in zip(variables, gradients, strict=True) if gradient is None]
    clauses.require(not lost, clause, f"{lost[:1]} gets none")


def check_frozen(clauses: Clauses, model: Model, batch: Any) -> None:
    """``trainable = False`` means that nothing changes any more, moving averages included."""
    clause = "trainable = False freezes it"
    model.trainable = False
    left = [variable.path for variable in model.trainable_variables]
    clauses.require(not left, clause, f"{left[:1]} is still trainable")
    before = _values(model)
    model(batch, training=True)
    changed = [path for path, value in _values(model).items() if not np.array_equal(value, before[path])]
    model.trainable = True
    clauses.require(not changed, clause, f"a call with training=True changes {changed[:1]}")


def _layout(model: Model) -> list[tuple[str, tuple[int, ...], str]]:
    return [(v.path, tuple(v.shape), str(v.dtype)) for v in model.variables]


def _values(model: Model) -> dict[str, Any]:
    """Every variable but the counters of random generators, which must go on."""
    return {v.path: v.numpy() for v in model.variables if "seed_generator" not in v.path}


def _run(model: Model, batch: Any) -> Any:
    return np.asarray(model(batch, training=False))


def _as_model(model: Model, batch: Any) -> keras.Model:
    """Only a model can save its weights."""
    if isinstance(model, keras.Model):
        return model
    inputs = keras.Input(batch.shape[1:], dtype=batch.dtype.name)
    return keras.Model(inputs, model(inputs))
