"""Layers that the networks are made of."""

import math
from typing import Any

import keras
import tensorflow as tf

from advdl.training import fold


class Fourier(keras.layers.Layer):
    """Turns a number per sample into sines and cosines of it (Vaswani et al. 2017): ``[batch] -> [batch, size]``.

    Args:
        size: How many, an even number.
        fastest: The highest rate, in radians a unit of the number; the lowest is 1.
        **kwargs: What every Keras layer takes.
    """

    def __init__(self, size: int, *, fastest: float = 64.0, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self._size, self._fastest = size, fastest

    def call(self, number: Any) -> Any:
        """Embeds a batch."""
        half = self._size // 2
        rates = keras.ops.exp(math.log(self._fastest) * keras.ops.arange(half, dtype="float32") / (half - 1))
        angles = keras.ops.cast(number, "float32")[:, None] * rates
        return keras.ops.concatenate([keras.ops.sin(angles), keras.ops.cos(angles)], axis=-1)

    def compute_output_shape(self, input_shape: tuple[int | None, ...]) -> tuple[int | None, int]:
        """Returns ``(batch, size)``."""
        return (input_shape[0], self._size // 2 * 2)


class SeededDropout(keras.layers.Layer):
    """Dropout (Srivastava et al. 2014) whose mask is a function of a seed that is passed in, and of nothing else.

    Called with ``[x, seed]``, seed int32 of shape [2].

    Args:
        rate: Share of values that become 0; the others grow so that the mean stays.
        index: Tells the layers of a network apart.
        **kwargs: What every Keras layer takes.
    """

    def __init__(self, rate: float, index: int, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self._rate, self._index = rate, index

    def call(self, inputs: Any) -> Any:
        """Drops values."""
        x, seed = inputs
        kept = tf.random.stateless_uniform(tf.shape(x), fold(seed, self._index)) >= self._rate
        return tf.where(kept, x / (1.0 - self._rate), 0.0)

    def compute_output_shape(self, input_shape: Any) -> Any:
        """Returns the shape of x."""
        return input_shape[0]


def modulation(embedding: Any, channels: int, name: str) -> list[Any]:
    """Makes a scale and a shift of every channel out of an embedding (Perez et al. 2018); at first both are 0."""
    kwargs = {"kernel_initializer": "zeros", "bias_initializer": "zeros"}
    return [keras.layers.Dense(channels, name=f"{name}_{what}", **kwargs)(embedding) for what in ("scale", "shift")]


def modulate(x: Any, embedding: Any, channels: int, name: str) -> Any:
    """Scales and shifts a vector's every number by what the embedding says; at first it changes nothing."""
    scale, shift = modulation(embedding, channels, name)
    scaled = keras.layers.Multiply(name=f"{name}_times")([x, scale])
    return keras.layers.Add(name=f"{name}_plus")([x, scaled, shift])


def embed_level(level: Any, further: list[Any], width: int) -> Any:
    """Embeds the noise level and the condition together, ``[batch, width]``."""
    x = Fourier(64, name="level_waves", dtype="float32")(level)
    x = keras.layers.Dense(width, activation="silu", name="level_dense")(x)
    if further:
        condition = keras.layers.Dense(width, use_bias=False, name="condition_dense")(further[0])
        x = keras.layers.Add(name="level_and_condition")([x, condition])
    return keras.layers.Dense(width, activation="silu", name="embedding")(x)


def joined(parts: list[Any], name: str) -> Any:
    """Puts vectors side by side; one alone stays as it is."""
    return parts[0] if len(parts) == 1 else keras.layers.Concatenate(name=name)(parts)


def stacked(x: Any, units: tuple[int, ...], activation: str, name: str, *, norm: bool = False) -> Any:
    """Puts fully connected layers on a vector."""
    for index, width in enumerate(units):
        x = keras.layers.Dense(width, name=f"{name}_dense_{index}")(x)
        if norm:
            x = keras.layers.LayerNormalization(name=f"{name}_norm_{index}")(x)
        x = keras.layers.Activation(activation, name=f"{name}_activation_{index}")(x)
    return x


def condition_input(width: int) -> list[Any]:
    """Returns the further inputs of a network: a condition's, or none."""
    return [keras.Input((width,), name="c")] if width else []
