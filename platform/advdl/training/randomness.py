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


def permuted(places: tf.Tensor, size: int, seed: tf.Tensor) -> tf.Tensor:
    """Returns what a random permutation of ``range(size)`` has at the given places; int32, like ``places``.

    The swap-or-not shuffle (Hoang, Morris & Rogaway 2012): each round pairs x with ``k - x`` modulo the size and
    swaps the pairs that a hash picks, so each round is a permutation for any size. It needs no sort (XLA's is slow on a
    CPU), no memory, and no more work than there are places. The hash is multiply-shift (Dietzfelbinger et al. 1997).

    Args:
        places: Where to look, int32 of any shape, each in ``range(size)``.
        size: How many numbers are permuted.
        seed: Stateless seed, int32 of shape [2]; the same seed is the same permutation.
    """
    rounds = 2 * size.bit_length() + 4  # twice as many as bits, and positions and neighbours are uniform
    shifts = tf.random.stateless_uniform([rounds], seed, 0, size, tf.int32)
    keys = tf.random.stateless_uniform([rounds, 2], seed + 1, None, None, tf.int32)

    def swap(index: tf.Tensor, here: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        partner = shifts[index] - here
        partner = tf.where(partner < 0, partner + size, partner)
        hashed = tf.maximum(here, partner) * tf.bitwise.bitwise_or(keys[index, 0], 1) + keys[index, 1]
        return index + 1, tf.where(hashed < 0, partner, here)

    # A loop, not one round after the other: XLA would draw these into whatever gathers by the result, and compute all
    # of them again for each element that is gathered, each pixel of each image.
    start = (tf.constant(0), tf.convert_to_tensor(places))
    return tf.while_loop(lambda index, here: index < rounds, swap, start, parallel_iterations=1)[1]
