"""Group normalisation whose scale and shift a condition may change, with its gradient written out."""

from typing import Any

import keras
import tensorflow as tf


class GroupNorm(keras.layers.GroupNormalization):
    """``keras.layers.GroupNormalization``, and with a condition adaptive (Dhariwal & Nichol 2021, arXiv:2105.05233).

    Called with an image ``[batch, height, width, channels]`` it is Keras' layer, with the same variables. Called with
    ``[image, scale, shift]``, each of the two ``[batch, channels]``, it returns ``(1 + scale) * normalised + shift``.

    A CPU takes as long as its passes over the image are many. Here the result takes five and its gradients seven; the
    layer of Keras, a product, a sum and TensorFlow's gradients of them make more than twice as many.
    """

    def build(self, input_shape: Any) -> None:
        """Creates gamma and beta ``[channels]``."""
        shape = input_shape[0] if isinstance(input_shape[0], list | tuple) else input_shape
        super().build(shape)
        self.input_spec = None  # Keras' layer says there that it takes an image alone

    def call(self, inputs: Any) -> Any:
        """Normalises, in float32 whatever the precision."""
        images, *condition = inputs if isinstance(inputs, list | tuple) else [inputs]
        x = tf.cast(images, tf.float32)
        gain = tf.broadcast_to(self.gamma, (tf.shape(x)[0], x.shape[-1]))
        shift = tf.broadcast_to(self.beta, tf.shape(gain))
        if condition:
            by, plus = (tf.cast(part, tf.float32) for part in condition)
            gain, shift = gain * (1.0 + by), shift * (1.0 + by) + plus
        return tf.cast(normalise(x, gain, shift, self.groups, self.epsilon), self.compute_dtype)

    def compute_output_shape(self, input_shape: Any) -> Any:
        """Returns the image's shape."""
        return input_shape[0] if isinstance(input_shape[0], list | tuple) else input_shape


def normalise(x: tf.Tensor, gain: tf.Tensor, shift: tf.Tensor, groups: int, epsilon: float) -> tf.Tensor:
    """Normalises groups of channels (Wu & He 2018, arXiv:1803.08494), then scales and shifts every channel.

    Args:
        x: Images, float32 ``[batch, height, width, channels]``.
        gain: ``[batch, channels]``.
        shift: ``[batch, channels]``.
        groups: They divide the channels.
        epsilon: Added to the variance.
    """

    @tf.custom_gradient  # type: ignore[untyped-decorator]
    def apply(x: tf.Tensor, gain: tf.Tensor, shift: tf.Tensor) -> tuple[tf.Tensor, Any]:
        mean = _means(tf.reduce_mean(x, (1, 2)), groups)
        inverse = tf.math.rsqrt(_means(tf.reduce_mean(tf.square(x - _wide(mean)), (1, 2)), groups) + epsilon)
        factor = gain * inverse

        def gradients(upstream: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor]:
            area = tf.cast(tf.reduce_prod(tf.shape(x)[1:3]), tf.float32)
            of_shift = tf.reduce_sum(upstream, (1, 2))
            of_gain = inverse * (tf.reduce_sum(upstream * x, (1, 2)) - mean * of_shift)
            # What moves a group's mean and its deviation is taken out again.
            along = inverse * inverse * _means(gain * of_gain, groups) / area
            constant = along * mean - inverse * _means(gain * of_shift, groups) / area
            return upstream * _wide(factor) - x * _wide(along) + _wide(constant), of_gain, of_shift

        return x * _wide(factor) + _wide(shift - mean * factor), gradients

    result: tf.Tensor = apply(x, gain, shift)
    return result


def _means(values: tf.Tensor, groups: int) -> tf.Tensor:
    """Gives every channel the mean of its group: ``[batch, channels] -> [batch, channels]``."""
    size = values.shape[-1] // groups
    return tf.repeat(tf.reduce_mean(tf.reshape(values, (-1, groups, size)), axis=-1), size, axis=-1)


def _wide(values: tf.Tensor) -> tf.Tensor:
    return values[:, None, None]
