"""The gradient noise scale: how large a batch can be before a larger one brings little."""

import tensorflow as tf

from advdl.training.gradients import Measured


class NoiseScale:
    """Estimates the simple noise scale ``tr(covariance) / |gradient|**2`` (McCandlish et al. 2018, arXiv:1812.06162).

    A batch's parts give the squared norm of the gradient at two batch sizes, and from it unbiased estimates of both
    terms (appendix A.1). Each is noisy, so both are averaged over updates before one is divided by the other.

    Args:
        memory: How much of the averages is kept at each update.
    """

    def __init__(self, memory: float = 0.99) -> None:
        self._memory = memory
        self._noise = tf.Variable(0.0, trainable=False)
        self._signal = tf.Variable(0.0, trainable=False)

    def update(self, measured: Measured, norm: tf.Tensor, batch_size: tf.Tensor) -> tf.Tensor:
        """Takes a batch in and returns the noise scale, in samples; traceable.

        Args:
            measured: The batch's gradient, of at least two parts.
            norm: Its global norm.
            batch_size: Samples in the batch; float32 scalar.
        """
        assert measured.square is not None, "one part shows no noise"
        noise, signal = estimates(measured.square, tf.square(norm), batch_size / measured.parts, batch_size)
        usable = tf.math.is_finite(noise) & tf.math.is_finite(signal)
        for variable, value in ((self._noise, noise), (self._signal, signal)):
            variable.assign(tf.where(usable, self._memory * variable + (1.0 - self._memory) * value, variable))
        return self._noise / tf.maximum(self._signal, 1e-20)

    def state(self) -> dict[str, tf.Variable]:
        """Returns the averages, for the checkpoint."""
        return {"noise": self._noise, "signal": self._signal}


def estimates(
    small_square: tf.Tensor, big_square: tf.Tensor, small: tf.Tensor, big: tf.Tensor
) -> tuple[tf.Tensor, tf.Tensor]:
    """Returns unbiased estimates of the covariance's trace and of the true gradient's squared norm.

    Args:
        small_square: Squared norm of the gradient of ``small`` samples.
        big_square: Squared norm of the gradient of ``big`` samples.
        small: Samples.
        big: Samples.
    """
    noise = (small_square - big_square) / (1.0 / small - 1.0 / big)
    signal = (big * big_square - small * small_square) / (big - small)
    return noise, signal
