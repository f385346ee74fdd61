"""Random numbers that are the same with and without XLA."""

from collections.abc import Sequence

import tensorflow as tf


def uniform(shape: Sequence[int | tf.Tensor], seed: tf.Tensor, low: float, high: float) -> tf.Tensor:
    """Draws float32 numbers from [low, high), 24 random bits each.

    ``tf.random.stateless_uniform`` gives other numbers under XLA than without it for the same seed
    (https://github.com/tensorflow/tensorflow/issues/121243); only its integers of full range are the same.

    Args:
        shape: The shape of the result.
        seed: Stateless seed, int32 of shape [2].
        low: The lower end.
        high: The upper end.
    """
    bits = tf.random.stateless_uniform(shape, seed, None, None, tf.uint32, alg="philox")
    return low + (high - low) * (
        tf.cast(tf.bitwise.right_shift(bits, tf.constant(8, tf.uint32)), tf.float32) * 2.0**-24
    )
