"""Mixtures of Gaussians: what a network says of numbers that could go several ways (Bishop 1994)."""

import math
from typing import NamedTuple

import tensorflow as tf

from advdl.training import fold

_LOG_DEVIATION = (-6.0, 2.0)


class Mixture(NamedTuple):
    """One mixture a number, each field ``[..., size, components]``.

    Attributes:
        log_weights: Logarithms of the components' probabilities.
        means: Their means.
        log_deviations: Logarithms of their standard deviations.
    """

    log_weights: tf.Tensor
    means: tf.Tensor
    log_deviations: tf.Tensor

    @classmethod
    def read(cls, parameters: tf.Tensor, components: int) -> "Mixture":
        """Reads a network's outputs ``[..., size * components * 3]``; any numbers are a mixture."""
        size = parameters.shape[-1] // (3 * components)
        shape = tf.concat([tf.shape(parameters)[:-1], [3, size, components]], axis=0)
        logits, means, raw = tf.unstack(tf.reshape(parameters, shape), axis=-3)
        low, high = _LOG_DEVIATION
        return cls(tf.nn.log_softmax(logits), means, low + (high - low) * tf.sigmoid(raw))

    def log_density(self, x: tf.Tensor) -> tf.Tensor:
        """Returns the logarithm of the density at numbers ``[..., size]``, of each, in nats."""
        error = (x[..., None] - self.means) * tf.exp(-self.log_deviations)
        density = -0.5 * tf.square(error) - self.log_deviations - 0.5 * math.log(2.0 * math.pi)
        return tf.reduce_logsumexp(self.log_weights + density, axis=-1)

    def draw(self, seed: tf.Tensor, temperature: float = 1.0) -> tf.Tensor:
        """Draws numbers ``[..., size]``.

        Args:
            seed: Stateless seed, int32 of shape [2].
            temperature: How much more than it says is left to chance: logarithms of weights are divided by it, and
                deviations grow with its root (Ha & Schmidhuber 2018); 1 draws what the mixture says.
        """
        shape = tf.shape(self.means)
        uniform = tf.random.stateless_uniform(shape, seed, 1e-20, 1.0)
        picked = tf.argmax(self.log_weights / temperature - tf.math.log(-tf.math.log(uniform)), axis=-1)
        mean, log_deviation = (
            tf.reduce_sum(part * tf.one_hot(picked, part.shape[-1]), axis=-1)
            for part in (self.means, self.log_deviations)
        )
        noise = tf.random.stateless_normal(shape[:-1], fold(seed, 1))
        return mean + math.sqrt(temperature) * tf.exp(log_deviation) * noise
