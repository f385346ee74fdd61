"""The two networks of a VAE: convolutional for images, fully connected for anything."""

import math
from typing import Any

import keras

from advdl_generative.layers import condition_input, joined, stacked

HALVINGS = 4
"""What the height and the width of an image must be multiples of."""


def convolutional_encoder(
    shape: tuple[int, ...], filters: tuple[int, int], units: int, latent: int, condition: int, name: str
) -> keras.Model:
    """Two convolutions 3x3 that halve the image, a layer, and a Gaussian: ``[x, c] -> [batch, 2 * latent]``.

    Args:
        shape: An image's shape.
        filters: Channels of the convolutions.
        units: Width of the layer after them.
        latent: Latent dimensions; means come first, then logarithms of variances.
        condition: Width of the condition; 0 for none.
        name: The model's name.
    """
    inputs = [keras.Input(shape, name="x"), *condition_input(condition)]
    x = inputs[0]
    for index, channels in enumerate(filters):
        x = keras.layers.Conv2D(channels, 3, 2, "same", activation="relu", name=f"conv_{index}")(x)
    x = keras.layers.Flatten(name="flat")(x)
    x = stacked(joined([x, *inputs[1:]], "joined"), (units,), "relu", "encoder")
    return keras.Model(inputs, _gaussian(x, latent), name=name)


def convolutional_decoder(
    shape: tuple[int, ...], outputs: int, filters: tuple[int, int], latent: int, condition: int, name: str
) -> keras.Model:
    """The way back, by transposed convolutions: ``[z, c] -> [batch, height, width, channels * outputs]``.

    Args:
        shape: An image's shape.
        outputs: Numbers that the likelihood needs for each pixel and channel.
        filters: Channels of the encoder's convolutions; they are passed in reverse.
        latent: Latent dimensions.
        condition: Width of the condition; 0 for none.
        name: The model's name.
    """
    inputs = [keras.Input((latent,), name="z"), *condition_input(condition)]
    height, width = (side // HALVINGS for side in shape[:2])
    x = joined(inputs, "joined")
    x = keras.layers.Dense(height * width * filters[1], activation="relu", name="dense")(x)
    x = keras.layers.Reshape((height, width, filters[1]), name="shaped")(x)
    for index, channels in enumerate(reversed(filters)):
        x = keras.layers.Conv2DTranspose(channels, 3, 2, "same", activation="relu", name=f"conv_{index}")(x)
    x = keras.layers.Conv2DTranspose(shape[-1] * outputs, 3, padding="same", name="last", dtype="float32")(x)
    return keras.Model(inputs, x, name=name)


def dense_encoder(
    shape: tuple[int, ...], units: tuple[int, ...], latent: int, condition: int, name: str
) -> keras.Model:
    """Fully connected layers and a Gaussian: ``[x, c] -> [batch, 2 * latent]``."""
    inputs = [keras.Input(shape, name="x"), *condition_input(condition)]
    x = keras.layers.Flatten(name="flat")(inputs[0])
    x = stacked(joined([x, *inputs[1:]], "joined"), units, "silu", "encoder")
    return keras.Model(inputs, _gaussian(x, latent), name=name)


def dense_decoder(
    shape: tuple[int, ...], outputs: int, units: tuple[int, ...], latent: int, condition: int, name: str
) -> keras.Model:
    """Fully connected layers: ``[z, c] -> [batch, *shape[:-1], shape[-1] * outputs]``."""
    inputs = [keras.Input((latent,), name="z"), *condition_input(condition)]
    x = stacked(joined(inputs, "joined"), units, "silu", "decoder")
    x = keras.layers.Dense(math.prod(shape) * outputs, name="last", dtype="float32")(x)
    x = keras.layers.Reshape((*shape[:-1], shape[-1] * outputs), name="shaped", dtype="float32")(x)
    return keras.Model(inputs, x, name=name)


def _gaussian(x: Any, latent: int) -> Any:
    mean = keras.layers.Dense(latent, name="mean", dtype="float32")(x)
    log_variance = keras.layers.Dense(latent, name="log_variance", dtype="float32")(x)
    return keras.layers.Concatenate(name="posterior", dtype="float32")([mean, log_variance])
