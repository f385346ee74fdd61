"""Our group normalisation against Keras' layer and TensorFlow's own gradients of it."""

from typing import Any

import keras
import numpy as np
import pytest
import tensorflow as tf

from advdl_generative.group_norm import GroupNorm

DRAWS = np.random.default_rng(0)
BATCH, CHANNELS, GROUPS = 3, 12, 4


def normal(*shape: int) -> Any:
    return tf.constant(DRAWS.normal(size=shape), tf.float32)


def layers(dtype: str = "float32") -> tuple[Any, Any]:
    pair = GroupNorm(GROUPS, dtype=dtype), keras.layers.GroupNormalization(GROUPS, dtype=dtype)
    weights = [DRAWS.normal(size=CHANNELS) for _ in range(2)]
    for layer in pair:
        layer.build((None, 5, 7, CHANNELS))
        layer.set_weights(weights)
    return pair


def results(call: Any, layer: Any, inputs: list[Any], upstream: Any) -> list[Any]:
    """Returns what comes out, and the gradients of every input and weight."""
    values = [*inputs, *(variable.value for variable in layer.trainable_variables)]
    with tf.GradientTape() as tape:
        tape.watch(values)
        out = call(*inputs)
    return [out, *tape.gradient(out, values, output_gradients=upstream)]


@pytest.mark.parametrize("conditional", [False, True])
def test_it_is_keras_layer_and_so_are_its_gradients(conditional: bool) -> None:
    ours, theirs = layers()
    inputs = [3.0 + 2.0 * normal(BATCH, 5, 7, CHANNELS)]
    inputs += [normal(BATCH, CHANNELS), normal(BATCH, CHANNELS)] if conditional else []
    upstream = normal(BATCH, 5, 7, CHANNELS)

    def reference(image: Any, *condition: Any) -> Any:
        found = theirs(image)
        return (1.0 + condition[0][:, None, None]) * found + condition[1][:, None, None] if condition else found

    found = results(lambda *parts: ours([*parts] if conditional else parts[0]), ours, inputs, upstream)
    expected = results(reference, theirs, inputs, upstream)
    assert len(found) == len(expected) == 1 + len(inputs) + 2
    for one, other in zip(found, expected, strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-4, atol=2e-5)


def test_it_computes_in_float32_whatever_the_precision() -> None:
    ours, theirs = layers("mixed_bfloat16")
    images = tf.cast(100.0 + normal(BATCH, 5, 7, CHANNELS), tf.bfloat16)
    assert ours(images).dtype == tf.bfloat16
    np.testing.assert_allclose(tf.cast(ours(images), tf.float32), tf.cast(theirs(images), tf.float32), atol=3e-2)


def test_a_gradient_of_its_gradient_is_that_of_keras() -> None:
    found = []
    image, direction = normal(2, 3, 3, CHANNELS), normal(2, 3, 3, CHANNELS)
    for layer in layers():
        with tf.GradientTape() as outer:
            outer.watch(image)
            with tf.GradientTape() as inner:
                inner.watch(image)
                loss = tf.reduce_sum(tf.sin(layer(image)) * direction)
            size = tf.reduce_sum(tf.square(inner.gradient(loss, image)))
        found.append(outer.gradient(size, image))
    np.testing.assert_allclose(*found, rtol=1e-3, atol=1e-3)
