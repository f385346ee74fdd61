"""Noisy layers: exploration by weights that are drawn, and learn how much."""

import math
from typing import Any

import keras
import tensorflow as tf


class NoisyDense(keras.layers.Layer):
    """A dense layer of noisy weights, factorised (Fortunato et al. 2018, arXiv:1706.10295, section 3.1).

    ``weight = mean + deviation * f(a) f(b)^T`` with standard normal a and b, a number an input and an output, and
    ``f(x) = sign(x) sqrt(|x|)``. A call without noise uses the means.

    Args:
        units: Width of the output.
        sigma: Deviations start as ``sigma / sqrt(inputs)``.
        name: The layer's name.
    """

    def __init__(self, units: int, *, sigma: float, name: str) -> None:
        super().__init__(name=name, dtype="float32")
        self._units, self._sigma = units, sigma

    def build(self, input_shape: tuple[int | None, ...]) -> None:
        """Makes means, uniform within ``1 / sqrt(inputs)``, and deviations."""
        inputs = int(input_shape[-1] or 0)
        bound = 1.0 / math.sqrt(inputs)
        mean = keras.initializers.RandomUniform(-bound, bound)
        deviation = keras.initializers.Constant(self._sigma * bound)
        self.kernel = self.add_weight(shape=(inputs, self._units), initializer=mean, name="kernel")
        self.bias = self.add_weight(shape=(self._units,), initializer=mean, name="bias")
        self.kernel_deviation = self.add_weight(
            shape=(inputs, self._units), initializer=deviation, name="kernel_deviation"
        )
        self.bias_deviation = self.add_weight(shape=(self._units,), initializer=deviation, name="bias_deviation")

    @property
    def noise_size(self) -> int:
        """How many numbers ``call`` takes as noise."""
        return int(sum(self.kernel.shape))

    def call(self, inputs: Any, noise: Any = None) -> Any:
        """Maps ``[batch, inputs]`` to ``[batch, units]``; the whole batch sees the same noise.

        Args:
            inputs: Features.
            noise: What ``scaled_noise`` draws, ``[noise_size]``, or None for no noise.
        """
        plain = keras.ops.matmul(inputs, self.kernel) + self.bias
        if noise is None:
            return plain
        before, after = noise[: -self._units], noise[-self._units :]
        # The outer product is never formed: (x * f(a)) D * f(b) is the same.
        return plain + (keras.ops.matmul(inputs * before, self.kernel_deviation) + self.bias_deviation) * after


def scaled_noise(size: int, seed: tf.Tensor) -> tf.Tensor:
    """Draws ``sign(x) sqrt(|x|)`` of standard normal numbers, float32 ``[size]``; ``seed`` is int32 of shape [2]."""
    draws = tf.random.stateless_normal([size], seed)
    return tf.sign(draws) * tf.sqrt(tf.abs(draws))
