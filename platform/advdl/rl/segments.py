"""SegmentRecording: a source that keeps every step of an env in its order, for models that have a memory."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from advdl.rl.recording import Kept
from advdl.rl.replay_ring import Ring
from advdl.rl.spaces import Spaces
from advdl.training.learner import Batch
from advdl.training.randomness import fold

_FIELDS = ("observation", "next_observation", "action", "reward", "terminated", "truncated")


class SegmentRecording(Kept):
    """Every step of several env copies, to be read as segments of steps in a row; it asks for no update.

    Args:
        spaces: The env's spaces; neither of them is nested.
        num_envs: Transitions that arrive together.
        capacity: Transitions that there will be at most: none is ever overwritten.
        length: Steps in a segment, at least 2.
        batch_size: Segments in a batch of ``sample``.
    """

    def __init__(self, spaces: Spaces, *, num_envs: int, capacity: int, length: int, batch_size: int) -> None:
        super().__init__(Ring(spaces, num_envs=num_envs, capacity=capacity, n_step=length, gamma=1.0, frame_stack=0))
        self._num_envs, self._length, self._batch_size = num_envs, length, batch_size

    def transitions(self) -> dict[str, NDArray[Any]]:
        """Returns everything, each field ``[steps, num_envs, ...]``."""
        state, count = self._ring.state(), int(self._ring.added)
        columns = {name: state[name].numpy()[:count] for name in _FIELDS}
        return {name: value.reshape(-1, self._num_envs, *value.shape[1:]) for name, value in columns.items()}

    def sample(self, seed: tf.Tensor, index: tf.Tensor) -> Batch:
        """Draws segments, each with the same probability, with replacement: each value ``[batch, length, ...]``."""
        del index
        starts = tf.maximum(self._ring.added // self._num_envs - self._length + 1, 1)
        step = tf.random.stateless_uniform([self._batch_size], seed, 0, starts, tf.int64)
        copy = tf.random.stateless_uniform([self._batch_size], fold(seed, 1), 0, self._num_envs, tf.int64)
        return self._ring.segments(step * self._num_envs + copy)


def draw_segments(record: Mapping[str, Any], length: int, count: int, seed: int) -> dict[str, NDArray[Any]]:
    """Draws segments out of what ``SegmentRecording.transitions`` returned, each field ``[count, length, ...]``.

    Args:
        record: Fields ``[steps, copies, ...]``, of at least ``length`` steps.
        length: Steps in a segment.
        count: How many.
        seed: The same seed draws the same ones.
    """
    rng = np.random.default_rng(seed)
    steps, copies = record["reward"].shape
    first, copy = rng.integers(0, steps - length + 1, count), rng.integers(0, copies, count)
    rows = first[:, None] + np.arange(length)
    return {name: np.asarray(value)[rows, copy[:, None]] for name, value in record.items()}
