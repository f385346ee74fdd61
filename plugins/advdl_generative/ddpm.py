"""DDPM: diffusion in discrete steps (Ho et al. 2020, arXiv:2006.11239), and DDIM (Song 2021, arXiv:2010.02502).

``q(x_t | x_0) = N(sqrt(a_t) x_0, (1 - a_t) I)``, where ``a_t`` is the share of the signal's variance at step t.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import Literal

import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from advdl_generative.family import at, flat_sum

Prediction = Literal["epsilon", "v"]

Limits = tuple[tf.Tensor, tf.Tensor]

Network = Callable[[tf.Tensor, tf.Tensor], tf.Tensor]
"""``network(noisy, level) -> epsilon or v``, ``[batch, ...]``; level is ``t / steps``, ``[batch]``."""


@dataclass(frozen=True)
class Ddpm:
    """The forward process, the training loss, and the samplers.

    Attributes:
        schedule: ``linear``: beta from 1e-4 to 0.02 at 1,000 steps (Ho 2020), with as much noise in all at other
            counts; ``cosine`` (Nichol & Dhariwal 2021, arXiv:2102.09672).
        prediction: What the network says: the noise epsilon, or ``v = sqrt(a) epsilon - sqrt(1 - a) x`` (Salimans & Ho
            2022, arXiv:2202.00512).
        noise_steps: Steps of the forward process.
    """

    schedule: Literal["linear", "cosine"] = "linear"
    prediction: Prediction = "epsilon"
    noise_steps: int = 1000

    @cached_property
    def signal(self) -> NDArray[np.float64]:
        """The share of the signal's variance after each step, ``[noise_steps + 1]``: 1 at step 0."""
        steps = np.arange(self.noise_steps + 1) / self.noise_steps
        if self.schedule == "linear":
            scale = 1000.0 / self.noise_steps
            betas = np.minimum(np.linspace(1e-4 * scale, 0.02 * scale, self.noise_steps), 0.999)
        else:
            shares = np.cos((steps + 0.008) / 1.008 * math.pi / 2) ** 2
            betas = np.minimum(1.0 - shares[1:] / shares[:-1], 0.999)
        return np.concatenate([[1.0], np.cumprod(1.0 - betas)])

    def noised(self, x: tf.Tensor, t: tf.Tensor, noise: tf.Tensor) -> tf.Tensor:
        """Returns ``x_t``: a draw from ``q(x_t | x_0 = x)``.

        Args:
            x: Scaled data ``[batch, ...]``.
            t: Steps, int32 ``[batch]``, 0 to ``noise_steps``.
            noise: Standard normal, of x's shape.
        """
        signal = self._at(t, x)
        return tf.sqrt(signal) * x + tf.sqrt(1.0 - signal) * noise

    def errors(self, network: Network, x: tf.Tensor, uniform: tf.Tensor, noise: tf.Tensor) -> tf.Tensor:
        """Returns the squared error of what the network predicts, ``[batch]``.

        Args:
            network: The network.
            x: Scaled data ``[batch, ...]``.
            uniform: In (0, 1), ``[batch]``: which step.
            noise: Standard normal, of x's shape.
        """
        t = 1 + tf.minimum(tf.cast(uniform * self.noise_steps, tf.int32), self.noise_steps - 1)
        signal = self._at(t, x)
        target = noise if self.prediction == "epsilon" else tf.sqrt(signal) * noise - tf.sqrt(1.0 - signal) * x
        return flat_sum(tf.square(self._ask(network, self.noised(x, t, noise), t) - target))

    def sample(
        self,
        network: Network,
        noise: tf.Tensor,
        seed: tf.Tensor,
        *,
        steps: int,
        eta: float,
        limits: Limits | None = None,
    ) -> tf.Tensor:
        """Goes from noise to data in ``steps`` of the process' steps, evenly spread (Song 2021, equation 12).

        Args:
            network: The network; it runs once a step.
            noise: Standard normal ``[batch, ...]``.
            seed: For the noise of each step.
            steps: At most ``noise_steps``.
            eta: Noise added in each step: 0 is DDIM, deterministic; 1 with all steps is DDPM's ancestral sampler.
            limits: Bounds of the predicted x, or None.
        """
        return self._travel(network, noise, seed, self.times(steps), eta, limits)

    def invert(self, network: Network, x: tf.Tensor, *, steps: int) -> tf.Tensor:
        """Goes from data back to the noise from which DDIM would make them."""
        return self._travel(network, x, tf.zeros([2], tf.int32), self.times(steps)[::-1], 0.0, None)

    def times(self, steps: int) -> NDArray[np.int32]:
        """Returns the steps that are visited, from ``noise_steps`` down to 0: ``[steps + 1]``."""
        return np.round(np.linspace(self.noise_steps, 0, steps + 1)).astype(np.int32)

    def predict(self, network: Network, noisy: tf.Tensor, t: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        """Returns the expected x and epsilon of noisy samples."""
        signal = self._at(t, noisy)
        said = self._ask(network, noisy, t)
        if self.prediction == "v":
            x = tf.sqrt(signal) * noisy - tf.sqrt(1.0 - signal) * said
            return x, tf.sqrt(1.0 - signal) * noisy + tf.sqrt(signal) * said
        return (noisy - tf.sqrt(1.0 - signal) * said) / tf.sqrt(signal), said

    def _travel(
        self,
        network: Network,
        x: tf.Tensor,
        seed: tf.Tensor,
        times: NDArray[np.int32],
        eta: float,
        limits: Limits | None,
    ) -> tf.Tensor:
        schedule, last = tf.constant(times), len(times) - 1

        def step(index: tf.Tensor, x: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
            t, following = (tf.fill([tf.shape(x)[0]], schedule[index + ahead]) for ahead in (0, 1))
            return index + 1, self._step(network, x, t, following, at(seed, index), eta, limits)

        _, x = tf.while_loop(lambda index, _: index < last, step, (tf.constant(0), x), parallel_iterations=1)
        return x

    def _step(
        self,
        network: Network,
        x: tf.Tensor,
        t: tf.Tensor,
        following: tf.Tensor,
        seed: tf.Tensor,
        eta: float,
        limits: Limits | None,
    ) -> tf.Tensor:
        here, there = self._at(t, x), self._at(following, x)
        clean, epsilon = self.predict(network, x, t)
        if limits is not None:
            clean = tf.clip_by_value(clean, *limits)
            epsilon = (x - tf.sqrt(here) * clean) / tf.sqrt(tf.maximum(1.0 - here, 1e-12))
        if not eta:
            return tf.sqrt(there) * clean + tf.sqrt(1.0 - there) * epsilon
        variance = eta**2 * (1.0 - there) / (1.0 - here) * (1.0 - here / there)
        noise = tf.random.stateless_normal(tf.shape(x), seed)
        direction = tf.sqrt(tf.maximum(1.0 - there - variance, 0.0)) * epsilon
        return tf.sqrt(there) * clean + direction + tf.sqrt(variance) * noise

    def _ask(self, network: Network, noisy: tf.Tensor, t: tf.Tensor) -> tf.Tensor:
        return network(noisy, tf.cast(t, tf.float32) / self.noise_steps)

    def _at(self, t: tf.Tensor, x: tf.Tensor) -> tf.Tensor:
        share = tf.gather(tf.constant(self.signal, tf.float32), t)
        return tf.reshape(share, [-1, *[1] * (len(x.shape) - 1)])
