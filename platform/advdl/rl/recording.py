"""Recording: a source that keeps every transition of an env for models of it, and asks for no update."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from advdl.rl.replay_ring import Ring
from advdl.rl.source import Transition
from advdl.rl.spaces import Spaces
from advdl.training.learner import Batch


class Kept:
    """What sources have in common that keep an env's steps in a ring and ask for no update.

    Args:
        ring: Where the steps are kept.
    """

    def __init__(self, ring: Ring) -> None:
        self._ring = ring

    def updates_in(self, env_steps: int) -> int:
        """Returns 0."""
        del env_steps
        return 0

    def add(self, transition: Transition) -> None:
        """Stores one step of every env copy."""
        self._ring.add(transition)

    def updates_due(self, env_steps: tf.Tensor) -> tf.Tensor:
        """Returns 0."""
        del env_steps
        return tf.constant(0, tf.int64)

    def feedback(self, batch: Batch, report: Mapping[str, tf.Tensor]) -> None:
        """Nothing is learnt from it."""

    def state(self) -> dict[str, tf.Variable]:
        """Returns the transitions and how many there were."""
        return self._ring.state()


class Recording(Kept):
    """Transitions in the order in which they were made.

    Args:
        spaces: The env's spaces.
        num_envs: Transitions that arrive together.
        capacity: Transitions that are kept, the last ones.
        batch_size: Transitions in a batch of ``sample``.
    """

    def __init__(self, spaces: Spaces, *, num_envs: int, capacity: int, batch_size: int = 1) -> None:
        super().__init__(Ring(spaces, num_envs=num_envs, capacity=capacity, n_step=1, gamma=1.0, frame_stack=0))
        self._batch_size, self._num_envs = batch_size, num_envs

    def __len__(self) -> int:
        return min(int(self._ring.added), self._ring.capacity)

    def transitions(self, count: int | None = None) -> dict[str, NDArray[Any]]:
        """Returns the first ``count`` transitions that are there, each field ``[count, ...]``; all for None."""
        rows = tf.range(min(len(self), count or len(self)), dtype=tf.int64)
        return {name: np.asarray(value) for name, value in self._ring.batch(rows).items()}

    def recall(self, transitions: Mapping[str, Any]) -> None:
        """Stores transitions that were made elsewhere; those that fill no whole step of the copies are left out."""
        for start in range(0, len(transitions["reward"]) // self._num_envs * self._num_envs, self._num_envs):
            rows = slice(start, start + self._num_envs)
            self._ring.add({name: tf.constant(value[rows]) for name, value in transitions.items()})

    def sample(self, seed: tf.Tensor, index: tf.Tensor) -> Batch:
        """Draws transitions, each with the same probability, with replacement."""
        del index
        return self._ring.batch(self._ring.draw(seed, self._batch_size))
