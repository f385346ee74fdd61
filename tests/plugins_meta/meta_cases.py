"""A small regression in float64, and the meta-gradients of adapters around it."""

from collections.abc import Iterator
from contextlib import contextmanager

import keras
import numpy as np
import tensorflow as tf

from advdl.testing import component
from advdl.training import Adapter, Batch, fold

SEED = tf.constant([1, 2], tf.int32)


@contextmanager
def float64() -> Iterator[None]:
    """Models built inside compute in float64."""
    before, dtype = keras.config.floatx(), keras.config.dtype_policy()
    keras.config.set_floatx("float64")
    keras.config.set_dtype_policy("float64")
    try:
        yield
    finally:
        keras.config.set_floatx(before)
        keras.config.set_dtype_policy(dtype)


def adapter_of(name: str, **options: object) -> Adapter:
    """Puts an adapter around a regressor with a smooth network."""
    keras.utils.set_random_seed(3)
    tasks = component("tasks", "sinusoid")()
    backbone = {"name": "mlp", "units": [5], "activation": "tanh"}
    learner = component("learner", "regressor", backbone=backbone)(tasks.spec)
    adapter: Adapter = component("adapter", name, **options)(learner)
    return adapter


def meta_batch(tasks: int = 3) -> Batch:
    """Draws sinusoids in float64."""

    def part(index: int) -> Batch:
        x = tf.random.stateless_normal([tasks, 6, 1], fold(SEED, index), dtype=tf.float64)
        phase = tf.range(tasks, dtype=tf.float64)[:, None, None]
        return {"x": x, "c": 2.0 * tf.sin(x - phase)}

    return {"support": part(1), "query": part(2)}


def meta_gradient(adapter: Adapter, batch: Batch) -> np.ndarray:
    """Takes the gradient that the trainer takes, flat."""
    (objective,) = adapter.objectives()
    values = [variable.value for variable in objective.variables]
    with tf.GradientTape() as tape:
        loss, _ = objective.loss(batch, SEED)
    return flat(tape.gradient(loss, values))


def flat(tensors: object) -> np.ndarray:
    return np.concatenate([np.ravel(tensor) for tensor in tensors])


def central_differences(function, values, width=1e-5):
    """Differentiates ``function(list of arrays) -> float`` at ``values``, number by number."""
    arrays = [np.array(value) for value in values]
    found = []
    for array in arrays:
        for at in np.ndindex(array.shape):
            middle = array[at]
            ends = []
            for sign in (1, -1):
                array[at] = middle + sign * width
                ends.append(function(arrays))
            array[at] = middle
            found.append((ends[0] - ends[1]) / (2 * width))
    return np.array(found)
