"""The two networks of a GAN: DCGAN's for images, fully connected for anything."""

import math
from typing import Any

import keras
import tensorflow as tf

from advdl_generative.layers import SeededDropout, condition_input, joined

HALVINGS = 4
"""What the height and the width of an image must be multiples of."""


def dcgan_generator(
    shape: tuple[int, ...], noise: int, filters: int, condition: int, activation: str, name: str
) -> keras.Model:
    """Transposed convolutions 5x5 (Radford et al. 2016): ``[z, c] -> [batch, *shape]``; of 28x28, it starts at 7x7x256.

    Each position is normalised over its channels, not over the batch: a sample does not depend on its neighbours, in
    training or after it.

    Args:
        shape: An image's shape; height and width are multiples of 4.
        noise: Size of z.
        filters: Channels at a quarter of the size; a half of them follow, then a quarter.
        condition: Width of the condition; 0 for none.
        activation: What follows the last layer.
        name: The model's name.
    """
    inputs = [keras.Input((noise,), name="z"), *condition_input(condition)]
    height, width = (side // HALVINGS for side in shape[:2])
    x = keras.layers.Dense(height * width * filters, use_bias=False, name="dense")(joined(inputs, "joined"))
    x = keras.layers.Reshape((height, width, filters), name="shaped")(x)
    x = _leaky(keras.layers.LayerNormalization(name="norm")(x), "activation")
    for index, (channels, strides) in enumerate(((filters // 2, 1), (filters // 4, 2))):
        layer = keras.layers.Conv2DTranspose(channels, 5, strides, "same", use_bias=False, name=f"conv_{index}")
        x = keras.layers.LayerNormalization(name=f"norm_{index}")(layer(x))
        x = _leaky(x, f"activation_{index}")
    x = keras.layers.Conv2DTranspose(shape[-1], 5, 2, "same", activation=activation, name="last", dtype="float32")(x)
    return keras.Model(inputs, x, name=name)


def dcgan_discriminator(shape: tuple[int, ...], filters: int, dropout: float, condition: int, name: str) -> keras.Model:
    """Convolutions 5x5 that halve the image, and a logit: ``[x, seed, c] -> [batch]``.

    A condition is compared with the features by an inner product (Miyato & Koyama 2018, arXiv:1802.05637).

    Args:
        shape: An image's shape.
        filters: Channels of the first convolution; the second has twice as many.
        dropout: Share of features dropped after each.
        condition: Width of the condition; 0 for none.
        name: The model's name.
    """
    inputs = [keras.Input(shape, name="x"), _seed_input(), *condition_input(condition)]
    x = inputs[0]
    for index in range(2):
        x = keras.layers.Conv2D(filters * 2**index, 5, 2, "same", name=f"conv_{index}")(x)
        x = _dropped(_leaky(x, f"activation_{index}"), inputs[1], dropout, index)
    x = keras.layers.Flatten(name="flat")(x)
    logit = keras.layers.Dense(1, name="logit", dtype="float32")(x)
    if condition:
        code = keras.layers.Dense(x.shape[-1], use_bias=False, name="condition_dense")(inputs[2])
        product = keras.layers.Dot(axes=1, name="condition_product", dtype="float32")([x, code])
        logit = keras.layers.Add(name="sum", dtype="float32")([logit, product])
    return keras.Model(inputs, keras.layers.Reshape((), name="shaped", dtype="float32")(logit), name=name)


def dense_generator(
    shape: tuple[int, ...], noise: int, units: tuple[int, ...], condition: int, activation: str, name: str
) -> keras.Model:
    """Fully connected layers: ``[z, c] -> [batch, *shape]``."""
    inputs = [keras.Input((noise,), name="z"), *condition_input(condition)]
    x = joined(inputs, "joined")
    for index, width in enumerate(units):
        x = keras.layers.Dense(width, name=f"dense_{index}")(x)
        x = _leaky(keras.layers.LayerNormalization(name=f"norm_{index}")(x), f"activation_{index}")
    x = keras.layers.Dense(math.prod(shape), activation=activation, name="last", dtype="float32")(x)
    return keras.Model(inputs, keras.layers.Reshape(shape, name="shaped", dtype="float32")(x), name=name)


def dense_discriminator(
    shape: tuple[int, ...], units: tuple[int, ...], dropout: float, condition: int, name: str
) -> keras.Model:
    """Fully connected layers and a logit: ``[x, seed, c] -> [batch]``."""
    inputs = [keras.Input(shape, name="x"), _seed_input(), *condition_input(condition)]
    x = joined([keras.layers.Flatten(name="flat")(inputs[0]), *inputs[2:]], "joined")
    for index, width in enumerate(units):
        x = _leaky(keras.layers.Dense(width, name=f"dense_{index}")(x), f"activation_{index}")
        x = _dropped(x, inputs[1], dropout, index)
    logit = keras.layers.Dense(1, name="logit", dtype="float32")(x)
    return keras.Model(inputs, keras.layers.Reshape((), name="shaped", dtype="float32")(logit), name=name)


def _seed_input() -> Any:
    return keras.Input(batch_shape=(2,), dtype="int32", name="seed")


def _leaky(x: Any, name: str) -> Any:
    return keras.layers.LeakyReLU(negative_slope=0.2, name=name)(x)


def _dropped(x: Any, seed: Any, rate: float, index: int) -> Any:
    return SeededDropout(rate, index, name=f"dropout_{index}")([x, seed]) if rate else x


def gradient_norms(critic: Any, x: tf.Tensor) -> tf.Tensor:
    """Returns ``|d critic(x) / dx|``, the Euclidean norm of each sample's gradient: ``[batch]``; differentiable.

    Args:
        critic: ``critic(x) -> [batch]``, each output of one sample.
        x: ``[batch, ...]``.
    """
    with tf.GradientTape() as tape:
        tape.watch(x)
        value = critic(x)
    gradient = tf.reshape(tape.gradient(value, x), [tf.shape(x)[0], -1])
    return tf.sqrt(tf.reduce_sum(tf.square(gradient), axis=-1) + 1e-12)
