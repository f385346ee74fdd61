"""Conformance of layers."""

from collections.abc import Sequence

import keras
import numpy as np
import tensorflow as tf

from advdl.plugin.options import Factory
from advdl.testing import keras_parts
from advdl.testing.clauses import Clauses

_USUAL_SHAPES = ((8,), (6, 8), (8, 8, 8))


def check_layer(factory: Factory, *, shapes: Sequence[tuple[int, ...]] | None = None) -> None:
    """Checks a layer: one float tensor in, one out.

    Args:
        factory: The class, or what ``component`` returns; called with a name or without arguments.
        shapes: Shapes of one input, without the batch, that it must take. When None, a vector, a sequence and
            an image are tried, and it must take one of them.

    Raises:
        ContractError: Names the clause that is broken.
    """
    clauses = Clauses("layer", factory)
    with clauses.clause("it can be built from its options alone"):
        layer = factory()
    is_layer = isinstance(layer, keras.layers.Layer)
    clauses.require(is_layer, "it is a keras.layers.Layer", f"it is a {type(layer).__name__}")
    clause = "it takes a name, by which a backbone finds its weights again"
    with clauses.clause(clause):
        named = factory(name="a_name")
    clauses.require(named.name == "a_name", clause, f"it is called {named.name!r}")
    taken = [shape for shape in shapes or _USUAL_SHAPES if shapes or _takes(factory, shape)]
    clauses.require(taken, "it takes a vector, a sequence or an image", f"it refuses {_USUAL_SHAPES}")
    for shape in taken:
        _check_on(clauses, factory, shape)


def _takes(factory: Factory, shape: tuple[int, ...]) -> bool:
    try:
        factory()(_batch(shape))
    except Exception:
        return False
    return True


def _check_on(clauses: Clauses, factory: Factory, shape: tuple[int, ...]) -> None:
    layer, batch = factory(name="layer"), _batch(shape)
    with clauses.clause(f"it takes inputs of shape [batch, {', '.join(map(str, shape))}]"):
        outputs = layer(batch, training=False)
    clauses.require(np.isfinite(outputs).all(), "outputs are finite", f"on inputs of shape {shape} they are not")
    clause = "the shape that a functional model computes is that of the outputs"
    with clauses.clause(clause):
        promised = tuple(layer(keras.KerasTensor(batch.shape, batch.dtype.name)).shape)
    found = tuple(outputs.shape)
    clauses.require(promised == found, clause, f"it computes {promised}, and it is {found}")
    again, other = _rebuilt(clauses, layer), factory(name="layer")
    again(batch)
    other(batch)
    keras_parts.check_names(clauses, layer, other)
    clause = "the configuration gives the same variables again"
    before, after = ([tuple(v.shape) for v in one.variables] for one in (layer, again))
    clauses.require(before == after, clause, f"{before} became {after}")
    keras_parts.check_compiled(clauses, layer, batch)
    keras_parts.check_gradients(clauses, layer, batch)
    keras_parts.check_weights(clauses, layer, again, batch)
    keras_parts.check_frozen(clauses, layer, batch)


def _rebuilt(clauses: Clauses, layer: keras.layers.Layer) -> keras.layers.Layer:
    with clauses.clause("get_config and from_config rebuild it"):
        return type(layer).from_config(layer.get_config())


def _batch(shape: tuple[int, ...]) -> tf.Tensor:
    return tf.constant(np.random.default_rng(0).normal(size=(3, *shape)).astype(np.float32))
