"""Normalisation that is part of the network: running statistics are variables that every checkpoint of it holds."""

from typing import Any

import keras
import tensorflow as tf

_EPSILON = 1e-8


class RunningMoments(keras.layers.Layer):  # type: ignore[misc]
    """Mean and variance of everything seen, merged batch by batch (Chan et al. 1983); 0 and 1 before that.

    What was seen takes effect only with ``commit``: a policy must not change between acting and learning from it.

    Args:
        shape: The shape of one sample.
        name: The layer's name.
    """

    def __init__(self, shape: tuple[int, ...], *, name: str) -> None:
        super().__init__(name=name, dtype="float32", trainable=False)
        self._sample_shape = shape
        self.mean, self.variance, self.count = self._moments("")
        self._pending = self._moments("pending_")
        self.built = True

    def observe(self, samples: tf.Tensor) -> None:
        """Takes a batch ``[..., *shape]`` into the pending statistics; traceable."""
        flat = tf.reshape(tf.cast(samples, tf.float32), (-1, *self._sample_shape))
        batch = tf.cast(tf.shape(flat)[0], tf.float32)
        mean = tf.reduce_mean(flat, axis=0)
        variance = tf.reduce_mean(tf.square(flat - mean), axis=0)
        count = self.count + batch
        shift = mean - self.mean
        spread = self.variance * self.count + variance * batch + tf.square(shift) * self.count * batch / count
        for variable, value in zip(
            self._pending, (self.mean + shift * batch / count, spread / count, count), strict=True
        ):
            variable.assign(value)

    def commit(self) -> None:
        """Puts the pending statistics into effect; traceable."""
        for variable, pending in zip((self.mean, self.variance, self.count), self._pending, strict=True):
            variable.assign(pending)

    def _moments(self, prefix: str) -> tuple[keras.Variable, keras.Variable, keras.Variable]:
        def weight(name: str, shape: tuple[int, ...], value: float) -> keras.Variable:
            initial = keras.initializers.Constant(value)
            return self.add_weight(shape=shape, initializer=initial, trainable=False, name=f"{prefix}{name}")

        return (
            weight("mean", self._sample_shape, 0.0),
            weight("variance", self._sample_shape, 1.0),
            weight("count", (), 0.0),
        )


class Normalise(RunningMoments):
    """Shifts and scales observations to mean 0 and variance 1, and clips them.

    Args:
        shape: The shape of one observation.
        clip: Largest absolute value that goes out.
        name: The layer's name.
    """

    def __init__(self, shape: tuple[int, ...], *, clip: float = 10.0, name: str = "normalise") -> None:
        super().__init__(shape, name=name)
        self._clip = clip

    def call(self, observation: Any) -> Any:
        """Normalises a batch ``[batch, *shape]``."""
        centred = keras.ops.cast(observation, "float32") - self.mean
        scaled = centred / keras.ops.sqrt(self.variance + _EPSILON)
        return keras.ops.clip(scaled, -self._clip, self._clip)


class RewardScale(RunningMoments):
    """Divides rewards by the standard deviation of their discounted sums (Engstrom et al. 2020, arXiv:2005.12729).

    Args:
        clip: Largest absolute value that goes out.
        name: The layer's name.
    """

    def __init__(self, *, clip: float = 10.0, name: str = "reward_scale") -> None:
        super().__init__((), name=name)
        self._clip = clip

    def call(self, reward: Any) -> Any:
        """Scales rewards of any shape."""
        return keras.ops.clip(reward / keras.ops.sqrt(self.variance + _EPSILON), -self._clip, self._clip)
