"""SumTree: draws indices with probabilities proportional to their priorities."""

import tensorflow as tf

_CHILDREN = 32


class SumTree:
    """A tree of sums (Schaul et al. 2016, appendix B.2.1) that is wide instead of deep.

    A node has 32 children, so that a million leaves are four levels: a compiled program reads and writes whole rows of
    a few levels, where a binary tree would take twenty dependent steps. A sum is always taken anew over its children:
    no error grows with the updates, and the same leaves have the same sums, bit for bit.

    Args:
        size: How many indices there are.
    """

    def __init__(self, size: int) -> None:
        self._levels: list[tf.Variable] = []
        nodes = size
        while not self._levels or nodes > 1:
            nodes = -(-nodes // _CHILDREN)
            self._levels.append(tf.Variable(tf.zeros([nodes, _CHILDREN]), trainable=False))

    def assign(self, indices: tf.Tensor, priorities: tf.Tensor) -> None:
        """Sets priorities, each at least 0; O(log size) for each; traceable.

        Args:
            indices: int64 ``[n]``. Of equal ones, one counts.
            priorities: float32 ``[n]``.
        """
        for level in self._levels:
            nodes = indices // _CHILDREN
            level.scatter_nd_update(tf.stack([nodes, indices % _CHILDREN], axis=1), priorities)
            priorities, indices = tf.reduce_sum(tf.gather(level, nodes), axis=1), nodes

    def total(self) -> tf.Tensor:
        """Returns the sum of all priorities."""
        return tf.reduce_sum(self._levels[-1])

    def priorities(self, indices: tf.Tensor) -> tf.Tensor:
        """Returns priorities, float32 ``[n]``."""
        siblings = tf.gather(self._levels[0], indices // _CHILDREN)
        return tf.gather(siblings, indices % _CHILDREN, axis=1, batch_dims=1)

    def find(self, places: tf.Tensor) -> tf.Tensor:
        """Returns whose share of the total a place lies in; O(log size) for each; traceable.

        Rounding never leads to an index of priority 0, as long as there is another.

        Args:
            places: float32 ``[n]``, each at least 0 and less than the total.

        Returns:
            int64 ``[n]``.
        """
        index = tf.zeros_like(places, tf.int64)
        for level in reversed(self._levels):
            child, before = _child(tf.gather(level, index), places)
            index, places = index * _CHILDREN + child, places - before
        return index

    def state(self) -> dict[str, tf.Variable]:
        """Returns the levels, the leaves first."""
        return {f"level {number}": level for number, level in enumerate(self._levels)}


def _child(shares: tf.Tensor, places: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
    """Returns which of the ``[n, children]`` shares a place lies in, and the sum of those before it."""
    numbers = tf.range(_CHILDREN, dtype=tf.int64)
    up_to = tf.linalg.band_part(tf.ones([_CHILDREN, _CHILDREN]), 0, -1)
    ends = tf.matmul(shares, up_to)
    there = shares > 0.0
    last = tf.reduce_max(tf.where(there, numbers, 0), axis=1)
    child = tf.reduce_min(tf.where(there & (ends > places[:, None]), numbers, _CHILDREN), axis=1)
    child = tf.minimum(child, last)
    return child, tf.reduce_sum(tf.where(numbers < child[:, None], shares, 0.0), axis=1)
