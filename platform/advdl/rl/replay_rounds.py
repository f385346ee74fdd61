"""Rounds: when a replay's updates are due."""

from dataclasses import dataclass

import tensorflow as tf


@dataclass(frozen=True, slots=True)
class Rounds:
    """So many updates at the end of every so many env steps, once learning has started.

    Attributes:
        learning_starts: Env steps before the first update.
        train_every: Env steps from one round to the next.
        updates: Updates in a round.
    """

    learning_starts: int
    train_every: int
    updates: int

    @classmethod
    def of(cls, num_envs: int, *, learning_starts: int, train_every: int, updates: int) -> "Rounds":
        """Rounds up to whole steps of all copies: with 16 copies nothing happens between 16 steps."""
        every = max(-(-train_every // num_envs), 1) * num_envs
        return cls(max(learning_starts, num_envs), every, updates)

    def updates_in(self, env_steps: int) -> int:
        """Counts the updates from the start of learning to ``env_steps``."""
        before = -(-self.learning_starts // self.train_every) - 1
        return max(env_steps // self.train_every - before, 0) * self.updates

    def updates_due(self, env_steps: tf.Tensor) -> tf.Tensor:
        """Returns ``updates`` at the end of a round, else 0; int64 scalar."""
        due = (env_steps >= self.learning_starts) & (env_steps % self.train_every == 0)
        return tf.where(due, tf.constant(self.updates, tf.int64), tf.constant(0, tf.int64))
