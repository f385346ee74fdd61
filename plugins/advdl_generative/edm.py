"""EDM: the design space of diffusion models (Karras et al. 2022, arXiv:2206.00364).

x is scaled to the standard deviation ``DATA_DEVIATION``. A noise level is the standard deviation sigma of the noise.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import numpy as np
import tensorflow as tf

from advdl_generative.family import at, flat_sum

DATA_DEVIATION = 0.5

Denoise = Callable[[tf.Tensor, tf.Tensor], tf.Tensor]
"""``denoise(noisy, sigma) -> x``: the expected x, ``[batch, ...]``, of one sigma a sample, ``[batch]``."""

Network = Callable[[tf.Tensor, tf.Tensor], tf.Tensor]
"""``network(scaled noisy, level) -> [batch, ...]``; level is ``log(sigma) / 4``."""


@dataclass(frozen=True)
class Edm:
    """Preconditioning, the training loss and the deterministic or stochastic sampler.

    Attributes:
        sigma_min: Smallest noise when sampling.
        sigma_max: Greatest noise when sampling.
        rho: How much the steps crowd at small noise.
        log_mean: Mean of ``log(sigma)`` in training.
        log_deviation: Its standard deviation.
        churn: Noise that is added anew while sampling (Karras 2022, algorithm 2); 0 makes sampling deterministic.
    """

    sigma_min: float = 0.002
    sigma_max: float = 80.0
    rho: float = 7.0
    log_mean: float = -1.2
    log_deviation: float = 1.2
    churn: float = 0.0

    def denoise(self, network: Network, noisy: tf.Tensor, sigma: tf.Tensor) -> tf.Tensor:
        """Returns the expected x: ``c_skip * noisy + c_out * network(c_in * noisy, log(sigma) / 4)``."""
        s = _column(sigma, noisy)
        total = tf.square(s) + DATA_DEVIATION**2
        seen = network(noisy * tf.math.rsqrt(total), tf.math.log(sigma) / 4.0)
        return noisy * DATA_DEVIATION**2 / total + seen * s * DATA_DEVIATION * tf.math.rsqrt(total)

    def errors(self, network: Network, x: tf.Tensor, uniform: tf.Tensor, noise: tf.Tensor) -> tf.Tensor:
        """Returns the weighted squared error of each sample, ``[batch]``; about 1 a component for an ignorant network.

        Args:
            network: The network.
            x: Scaled data ``[batch, ...]``.
            uniform: In (0, 1), ``[batch]``: which noise level.
            noise: Standard normal, of x's shape.
        """
        sigma = tf.exp(self.log_mean + self.log_deviation * tf.math.ndtri(uniform))
        weight = (tf.square(sigma) + DATA_DEVIATION**2) / tf.square(sigma * DATA_DEVIATION)
        denoised = self.denoise(network, x + _column(sigma, x) * noise, sigma)
        return weight * flat_sum(tf.square(denoised - x))

    def levels(self, steps: int) -> tf.Tensor:
        """Returns the noise levels from ``sigma_max`` to ``sigma_min``, then 0: ``[steps + 1]``."""
        ends = self.sigma_max ** (1 / self.rho), self.sigma_min ** (1 / self.rho)
        levels = tf.linspace(*ends, steps) ** self.rho if steps > 1 else tf.constant([self.sigma_max])
        return tf.concat([tf.cast(levels, tf.float32), [0.0]], axis=0)

    def sample(
        self, denoise: Denoise, noise: tf.Tensor, seed: tf.Tensor, *, steps: int, order: Literal[1, 2]
    ) -> tf.Tensor:
        """Solves the probability-flow ODE from noise to data.

        Args:
            denoise: The denoiser.
            noise: Standard normal ``[batch, ...]``.
            seed: For the churn.
            steps: Steps; the denoiser runs once for each of them, and with order 2 twice for all but the last.
            order: 1 for Euler's method, 2 for Heun's.
        """
        levels = self.levels(steps)

        def step(index: tf.Tensor, x: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
            sigma, following = levels[index], levels[index + 1]
            x, sigma = self._churned(x, sigma, seed, index, steps)
            slope = _slope(denoise, x, sigma)
            guess = x + (following - sigma) * slope
            if order == 1:
                return index + 1, guess
            return index + 1, x + (following - sigma) * 0.5 * (slope + _slope(denoise, guess, following))

        x = noise * levels[0]
        last = steps - 1  # where Heun's second slope, at sigma 0, does not exist
        _, x = tf.while_loop(lambda index, _: index < last, step, (tf.constant(0), x), parallel_iterations=1)
        x, sigma = self._churned(x, levels[last], seed, tf.constant(last), steps)
        return denoise(x, tf.fill([tf.shape(x)[0]], sigma))

    def sample_by_angle(self, network: Network, noise: tf.Tensor, *, steps: int, order: Literal[1, 2]) -> tf.Tensor:
        """Solves the same ODE along a circle, ``x cos(angle) + noise sin(angle)`` (TrigFlow: Lu & Song 2024).

        The network says the derivative itself, up to a factor, and of Gaussian data it is 0: so few steps go far, and
        keep the variance that steps along sigma lose or blow up.

        Args:
            network: The network, as for ``denoise``.
            noise: Standard normal ``[batch, ...]``.
            steps: Steps, of equal angles; the network runs once for each, and with order 2 twice for all but the last.
            order: 1 for Euler's method, 2 for Heun's.
        """
        first = math.atan(self.sigma_max / DATA_DEVIATION)
        angles = tf.constant(np.linspace(first, 0.0, steps + 1), tf.float32)

        def slope(x: tf.Tensor, angle: tf.Tensor) -> tf.Tensor:
            """``d x / d angle`` of data of deviation 1, where ``noisy = x / cos(angle)`` and c_in undoes that."""
            level = tf.math.log(DATA_DEVIATION * tf.tan(angle)) / 4.0
            return -network(x, tf.fill([tf.shape(x)[0]], level))

        def step(index: tf.Tensor, x: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
            turn, here = angles[index + 1] - angles[index], slope(x, angles[index])
            if order == 1:
                return index + 1, x + turn * here
            return index + 1, x + turn * 0.5 * (here + slope(x + turn * here, angles[index + 1]))

        last = steps - 1  # where Heun's second slope, at angle 0, does not exist
        _, x = tf.while_loop(lambda index, _: index < last, step, (tf.constant(0), noise), parallel_iterations=1)
        return DATA_DEVIATION * (x - angles[last] * slope(x, angles[last]))

    def _churned(
        self, x: tf.Tensor, sigma: tf.Tensor, seed: tf.Tensor, index: tf.Tensor, steps: int
    ) -> tuple[tf.Tensor, tf.Tensor]:
        """Adds noise, so that errors of earlier steps are forgotten."""
        if not self.churn:
            return x, sigma
        raised = sigma * (1.0 + min(self.churn / steps, 2.0**0.5 - 1.0))
        noise = tf.random.stateless_normal(tf.shape(x), at(seed, index))
        return x + tf.sqrt(tf.square(raised) - tf.square(sigma)) * noise, raised


def _slope(denoise: Denoise, x: tf.Tensor, sigma: tf.Tensor) -> tf.Tensor:
    return (x - denoise(x, tf.fill([tf.shape(x)[0]], sigma))) / sigma


def _column(sigma: tf.Tensor, x: tf.Tensor) -> tf.Tensor:
    return tf.reshape(sigma, [-1, *[1] * (len(x.shape) - 1)])
