"""BatchNorm: batch normalisation in few passes over its images, and with right second derivatives."""

from typing import Any

import keras


class BatchNorm(keras.layers.BatchNormalization):  # type: ignore[misc]  # Keras has no types
    """``keras.layers.BatchNormalization`` (Ioffe & Szegedy 2015, arXiv:1502.03167): same variables, same results.

    In training Keras takes the moments and then normalises, each in several operations that read every image anew. A
    CPU takes as long as its passes are many, and TensorFlow's kernel, which is taken here, makes half of them.

    In the other cases (inputs that are no images, other backends, ``fused`` turned off) the moments are written out:
    TensorFlow's own stop the mean's gradient inside the variance, which leaves the first derivative as it is and makes
    the second one, MAML's, wrong.

    Attributes:
        fused: Whether the kernel may be taken. It is not batched over the tasks of a meta-batch.
    """

    fused: bool = True

    def call(self, inputs: Any, training: bool | None = None, mask: Any = None) -> Any:
        """Normalises, in float32 whatever the precision; in training moves the statistics."""
        if not (training and self.trainable and mask is None and self._has_kernel(inputs)):
            return super().call(inputs, training=training, mask=mask)
        import tensorflow as tf

        x, channels = tf.cast(inputs, tf.float32), inputs.shape[-1]
        outputs, mean, spread = tf.compat.v1.nn.fused_batch_norm(
            x,
            tf.convert_to_tensor(self.gamma) if self.scale else tf.ones([channels]),
            tf.convert_to_tensor(self.beta) if self.center else tf.zeros([channels]),
            epsilon=self.epsilon,
            is_training=True,
        )
        samples = tf.cast(tf.size(x) // channels, tf.float32)
        variance = spread * (samples - 1.0) / samples  # the kernel's is of a sample, Keras' of a population
        for moving, now in ((self.moving_mean, mean), (self.moving_variance, variance)):
            moving.assign(moving * self.momentum + tf.stop_gradient(now) * (1.0 - self.momentum))
        return tf.cast(outputs, self.compute_dtype)

    def _has_kernel(self, inputs: Any) -> bool:
        # Devices that share a batch give the layer moments of their own.
        plain = self.fused and not (self.renorm or self.synchronized or "_moments" in vars(self))
        image = len(inputs.shape) == 4 and self.axis in (-1, 3)
        return plain and image and keras.backend.backend() == "tensorflow"

    def _moments(self, inputs: Any, mask: Any) -> tuple[Any, Any]:
        if mask is not None or self.synchronized:
            mean, variance = super()._moments(inputs, mask)
            return mean, variance
        mean = keras.ops.mean(inputs, axis=self._reduction_axes, keepdims=True)
        variance = keras.ops.mean(keras.ops.square(inputs - mean), axis=self._reduction_axes)
        return keras.ops.squeeze(mean, axis=self._reduction_axes), variance
