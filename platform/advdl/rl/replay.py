"""UniformReplay: a ring of transitions in TensorFlow variables, written in place by the compiled program."""

from collections.abc import Mapping
from typing import Any

import gymnasium
import numpy as np
import tensorflow as tf

from advdl.errors import UsageError
from advdl.rl.source import Transition
from advdl.rl.spaces import Spaces
from advdl.training.learner import Batch


class UniformReplay:
    """Samples uniformly from the last ``capacity`` transitions (Lin 1992; Mnih et al. 2015).

    A transition takes ``2 * observation + action + reward (4) + terminated (1)`` bytes.

    Args:
        spaces: Give shapes and dtypes of observations and actions.
        num_envs: Transitions that arrive together; the capacity is rounded up to a multiple of it.
        capacity: Transitions that are kept.
        batch_size: Transitions in a batch.
        learning_starts: Env steps before the first update.
        train_every: Env steps from one round of updates to the next; a multiple of ``num_envs`` or less than it.
        updates: Updates in a round.
    """

    def __init__(
        self,
        spaces: Spaces,
        *,
        num_envs: int,
        capacity: int,
        batch_size: int,
        learning_starts: int,
        train_every: int,
        updates: int,
    ) -> None:
        self.capacity = -(-capacity // num_envs) * num_envs
        self._num_envs = num_envs
        self._batch_size = batch_size
        self._learning_starts = max(learning_starts, num_envs)
        self._train_every = _rounded(train_every, num_envs)
        self._updates = updates
        self._added = tf.Variable(0, dtype=tf.int64, trainable=False)
        self._fields = {
            name: tf.Variable(tf.zeros((self.capacity, *shape), dtype), trainable=False)
            for name, (shape, dtype) in _layout(spaces).items()
        }

    def updates_in(self, env_steps: int) -> int:
        """Counts the rounds from the start of learning to ``env_steps``."""
        before = -(-self._learning_starts // self._train_every) - 1
        return max(env_steps // self._train_every - before, 0) * self._updates

    def add(self, transition: Transition) -> None:
        """Writes one step of every env copy over the oldest ones."""
        start = self._added % self.capacity
        rows = tf.range(self._num_envs, dtype=tf.int64) + start
        for name, variable in self._fields.items():
            variable.scatter_update(tf.IndexedSlices(tf.cast(transition[name], variable.dtype), rows))
        self._added.assign_add(self._num_envs)

    def updates_due(self, env_steps: tf.Tensor) -> tf.Tensor:
        """Returns ``updates`` at the end of every ``train_every`` steps once learning has started, else 0."""
        due = (env_steps >= self._learning_starts) & (env_steps % self._train_every == 0)
        return tf.where(due, tf.constant(self._updates, tf.int64), tf.constant(0, tf.int64))

    def sample(self, seed: tf.Tensor, index: tf.Tensor) -> Batch:
        """Draws ``batch_size`` transitions, with replacement."""
        del index
        size = tf.minimum(self._added, self.capacity)
        rows = tf.random.stateless_uniform([self._batch_size], seed, 0, size, tf.int64)
        return {name: tf.gather(variable, rows) for name, variable in self._fields.items()}

    def feedback(self, batch: Batch, report: Mapping[str, tf.Tensor]) -> None:
        """A uniform memory has no use for TD errors."""

    def state(self) -> dict[str, tf.Variable]:
        """Returns the transitions and how many there were."""
        return {"added": self._added, **self._fields}


def _layout(spaces: Spaces) -> dict[str, tuple[tuple[int, ...], Any]]:
    observation, action = _shape(spaces.observation), _shape(spaces.action)
    return {
        "observation": observation,
        "next_observation": observation,
        "action": action,
        "reward": ((), tf.float32),
        "terminated": ((), tf.bool),
    }


def _shape(space: gymnasium.Space[Any]) -> tuple[tuple[int, ...], Any]:
    if space.shape is None or space.dtype is None:
        raise UsageError(f"the replay cannot store {space}: it stores spaces of one shape and dtype")
    dtype = np.float32 if space.dtype == np.float64 else space.dtype
    return tuple(space.shape), tf.as_dtype(dtype)


def _rounded(train_every: int, num_envs: int) -> int:
    """Rounds up to whole steps of all copies: with 16 copies nothing happens between 16 steps."""
    return max(-(-train_every // num_envs), 1) * num_envs
