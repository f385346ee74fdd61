"""Flow matching (Lipman et al. 2023, arXiv:2210.02747; rectified flow: Liu et al. 2023, arXiv:2209.03003).

Data and noise are joined by straight lines, ``(1 - t) x + t noise``; the network says their direction, ``noise - x``.
Straighter paths need fewer steps.
"""

from dataclasses import dataclass
from typing import Literal

import tensorflow as tf

from advdl_generative.ddpm import Network
from advdl_generative.family import flat_sum


@dataclass(frozen=True)
class Flow:
    """The training loss and the deterministic sampler; x is scaled to the standard deviation 1.

    Attributes:
        location: Mean of the logit of t in training (Esser et al. 2024, arXiv:2403.03206); above 0 is nearer to noise.
        scale: Its standard deviation.
    """

    location: float = 0.0
    scale: float = 1.0

    def errors(self, network: Network, x: tf.Tensor, uniform: tf.Tensor, noise: tf.Tensor) -> tf.Tensor:
        """Returns half the squared error of each sample, ``[batch]``; about 1 a component for an ignorant network.

        Args:
            network: ``network(noisy, t) -> [batch, ...]``.
            x: Scaled data ``[batch, ...]``.
            uniform: In (0, 1), ``[batch]``: which time.
            noise: Standard normal, of x's shape.
        """
        t = tf.sigmoid(self.location + self.scale * tf.math.ndtri(uniform))
        share = tf.reshape(t, [-1, *[1] * (len(x.shape) - 1)])
        said = network((1.0 - share) * x + share * noise, t)
        return 0.5 * flat_sum(tf.square(said - (noise - x)))

    def sample(self, network: Network, noise: tf.Tensor, *, steps: int, order: Literal[1, 2]) -> tf.Tensor:
        """Follows the flow from noise to data in steps of equal length.

        Args:
            network: As for ``errors``.
            noise: Standard normal ``[batch, ...]``.
            steps: Steps; the network runs once for each, and with order 2 twice.
            order: 1 for Euler's method, 2 for the midpoint's.
        """
        length = 1.0 / steps

        def slope(x: tf.Tensor, t: tf.Tensor) -> tf.Tensor:
            return network(x, tf.fill([tf.shape(x)[0]], t))

        def step(index: tf.Tensor, x: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
            t = 1.0 - tf.cast(index, tf.float32) * length
            here = slope(x, t)
            if order == 2:
                here = slope(x - 0.5 * length * here, t - 0.5 * length)
            return index + 1, x - length * here

        _, x = tf.while_loop(lambda index, _: index < steps, step, (tf.constant(0), noise), parallel_iterations=1)
        return x
