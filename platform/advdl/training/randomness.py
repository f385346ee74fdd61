"""Stateless randomness: every draw is a function of (run seed, purpose, step), so a resumed run repeats it exactly."""

import zlib

import tensorflow as tf

_GOLDEN = 0x9E3779B1


def _signed(value: int) -> int:
    value &= 0xFFFFFFFF
    return value - (1 << 32) if value >= (1 << 31) else value


class Stream:
    """The random numbers of one purpose, such as acting or sampling.

    Args:
        seed: The run's seed.
        purpose: Names the stream; streams of different purposes are independent.
    """

    def __init__(self, seed: int, purpose: str) -> None:
        # A variable, not a constant: the program is the same for every seed, so its compiled form is found on disk.
        key = _signed(zlib.crc32(f"{seed}/{purpose}".encode()))
        self._key = tf.Variable(key, dtype=tf.int32, trainable=False)

    def at(self, step: tf.Tensor | int) -> tf.Tensor:
        """Returns the stateless seed of a step: int32, shape [2]."""
        return tf.stack([self._key.read_value(), tf.cast(step, tf.int32)])


def fold(seed: tf.Tensor, index: int) -> tf.Tensor:
    """Derives the ``index``-th seed from a seed, for several draws within one step."""
    return seed + tf.constant([_signed(index * _GOLDEN), 0], tf.int32)
