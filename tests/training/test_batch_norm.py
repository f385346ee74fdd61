"""Batch normalisation equals Keras': results, statistics, gradients; and second derivatives are its formula's."""

from typing import Any

import keras
import numpy as np
import pytest
import tensorflow as tf

from advdl.training import BatchNorm

IMAGES = np.random.default_rng(0).normal(3.0, 2.0, size=(5, 4, 6, 3)).astype(np.float32)
WEIGHTS = np.random.default_rng(1).normal(size=IMAGES.shape).astype(np.float32)


def made(cls: Any, **options: Any) -> Any:
    layer = cls(momentum=0.7, **options)
    layer.build(IMAGES.shape)
    return filled(layer)


def filled(layer: Any) -> Any:
    for variable in layer.trainable_variables:
        variable.assign(np.linspace(0.5, 1.5, 3))
    return layer


def everything(layer: Any, images: Any = IMAGES, **call: Any) -> list[Any]:
    """Returns the gradient of a function of the gradients, outputs, gradients, and the statistics that are left."""
    x, weights = tf.constant(images), tf.constant(WEIGHTS)
    with tf.GradientTape() as outer:
        outer.watch(x)
        with tf.GradientTape() as inner:
            inner.watch(x)
            outputs = layer(x, **call)
            loss = tf.reduce_sum(tf.cast(outputs, tf.float32) ** 2 * weights)
        gradients = inner.gradient(loss, [x, *(v.value for v in layer.trainable_variables)])
        further = tf.reduce_sum(gradients[0] ** 2 * weights)
    return [outer.gradient(further, x), outputs, *gradients, *(v.value for v in layer.non_trainable_variables)]


@pytest.mark.parametrize("jit", [False, True])
@pytest.mark.parametrize("options", [{}, {"scale": False}, {"center": False}, {"epsilon": 1.001e-5}])
def test_it_equals_keras_in_training(options: dict[str, Any], jit: bool) -> None:
    ours, theirs = made(BatchNorm, **options), made(keras.layers.BatchNormalization, **options)
    found = tf.function(lambda: everything(ours, training=True), jit_compile=jit)()
    for one, other in zip(found[1:], everything(theirs, training=True)[1:], strict=True):
        np.testing.assert_allclose(one, other, rtol=2e-4, atol=2e-4)


class Formula(keras.layers.Layer):
    """The paper's formula."""

    def build(self, input_shape: Any) -> None:
        self.gamma, self.beta = (self.add_weight(shape=(3,)) for _ in range(2))

    def call(self, x: Any, training: bool | None = None) -> Any:
        mean = tf.reduce_mean(x, [0, 1, 2])
        variance = tf.reduce_mean(tf.square(x - mean), [0, 1, 2])
        return (x - mean) / tf.sqrt(variance + 1e-3) * self.gamma + self.beta


@pytest.mark.parametrize("jit", [False, True])
@pytest.mark.parametrize("fused", [False, True])
def test_its_second_derivative_is_the_formulas(fused: bool, jit: bool) -> None:
    """That of Keras' layer is not: TensorFlow stops the mean's gradient inside the variance."""
    ours, formula, keras_own = made(BatchNorm), Formula(), made(keras.layers.BatchNormalization)
    formula.build(IMAGES.shape)
    filled(formula)
    ours.fused = fused
    second = tf.function(lambda: everything(ours, training=True)[0], jit_compile=jit)()
    right = everything(formula, training=True)[0]
    np.testing.assert_allclose(second, right, atol=1e-3)
    assert np.abs(everything(keras_own, training=True)[0] - right).max() > 0.1


def test_in_half_precision_too() -> None:
    ours, theirs = (made(cls, dtype="mixed_bfloat16") for cls in (BatchNorm, keras.layers.BatchNormalization))
    images = tf.cast(IMAGES, tf.bfloat16)
    one, other = ours(images, training=True), theirs(images, training=True)
    assert one.dtype == other.dtype == tf.bfloat16
    np.testing.assert_allclose(tf.cast(one, tf.float32), tf.cast(other, tf.float32), atol=0.02)
    np.testing.assert_allclose(ours.moving_variance, theirs.moving_variance, rtol=1e-4)


@pytest.mark.parametrize("call", [{"training": False}, {"training": True, "trainable": False}])
def test_what_does_not_train_keeps_its_statistics(call: dict[str, bool]) -> None:
    ours, theirs = made(BatchNorm), made(keras.layers.BatchNormalization)
    for layer in (ours, theirs):
        layer.trainable = call.get("trainable", True)
    one, other = (layer(IMAGES, training=call["training"]) for layer in (ours, theirs))
    np.testing.assert_array_equal(one, other)
    np.testing.assert_array_equal(ours.moving_mean, np.zeros(3))


@pytest.mark.parametrize("shape", [(8, 3), (4, 5, 3), (2, 3, 4, 5, 3)])
def test_other_inputs_are_keras_own(shape: tuple[int, ...]) -> None:
    values = np.random.default_rng(2).normal(size=shape).astype(np.float32)
    one, other = (cls()(values, training=True) for cls in (BatchNorm, keras.layers.BatchNormalization))
    np.testing.assert_allclose(one, other, atol=1e-5)


def test_moments_that_are_given_are_taken() -> None:
    layer = made(BatchNorm)
    layer._moments = lambda inputs, mask: (tf.zeros([3]), tf.ones([3]))
    layer(IMAGES, training=True)
    np.testing.assert_allclose(layer.moving_mean, np.zeros(3))
