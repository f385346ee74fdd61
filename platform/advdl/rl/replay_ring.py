"""Ring: the memory of a replay, and what is read from it: transitions of one step or of several."""

from typing import Any

import tensorflow as tf

from advdl.rl.replay_disk import Disk
from advdl.rl.replay_frames import Frames, Observations, Pairs, named, write, zeros
from advdl.rl.source import Transition, add_in_turn
from advdl.rl.spaces import Spaces
from advdl.training.learner import Batch


class Ring:
    """The last ``capacity`` transitions of several env copies, in TensorFlow variables, written in place.

    A step's transitions lie side by side: the row of a copy's ``t``-th one is ``(t * num_envs + copy) % capacity``.

    Args:
        spaces: Give shapes and dtypes of observations and actions.
        num_envs: Transitions that arrive together; the capacity is rounded up to a multiple of it.
        capacity: Transitions that are kept.
        n_step: Rewards that a batch's ``reward`` sums up.
        gamma: Discount factor of that sum.
        frame_stack: Frames stacked in an observation, to be stored once; 0 stores whole observations.
        folder: Where observations are kept on the disk, see ``Disk``; None keeps them in memory.
    """

    def __init__(
        self,
        spaces: Spaces,
        *,
        num_envs: int,
        capacity: int,
        n_step: int,
        gamma: float,
        frame_stack: int,
        folder: str | None = None,
    ) -> None:
        self.capacity = -(-capacity // num_envs) * num_envs
        self._num_envs, self._n_step, self._gamma = num_envs, n_step, gamma
        self.added = tf.Variable(0, dtype=tf.int64, trainable=False)
        self.disk = None if folder is None else Disk(folder, stride=num_envs, added=self.added)
        self._observations: Observations = (
            Frames(spaces.observation, num_envs=num_envs, capacity=self.capacity, stack=frame_stack, disk=self.disk)
            if frame_stack
            else Pairs(spaces.observation, self.capacity, self.disk)
        )
        self._fields = {"action": zeros(spaces.action, self.capacity), **self._flags(n_step)}

    def add(self, transition: Transition) -> tuple[tf.Tensor, tf.Tensor]:
        """Writes one step of every copy over the oldest ones; traceable.

        Returns:
            The rows that were written, and those that can no longer be read though nothing was written there;
            ``capacity`` stands for no row.
        """
        rows = tf.range(self._num_envs, dtype=tf.int64) + self.added % self.capacity
        lost = self._write(transition, rows)
        self.added.assign_add(self._num_envs)
        return rows, lost

    def add_round(self, transitions: Transition, count: tf.Tensor) -> None:
        """Writes the first ``count`` of many steps, at least one; traceable.

        Args:
            transitions: As for ``add``, with one more axis in front: ``[steps, num_envs, ...]``.
            count: How many; int64 scalar.
        """
        steps = int(tf.nest.flatten(transitions)[0].shape[0])
        apart = steps * self._num_envs <= self.capacity  # no row is written twice
        if apart and isinstance(self._observations, Pairs) and self.disk is None:
            self._add_at_once(transitions, count, steps)
        else:
            add_in_turn(self.add, transitions, count)

    def _add_at_once(self, transitions: Transition, count: tf.Tensor, steps: int) -> None:
        step = tf.minimum(tf.range(steps, dtype=tf.int64), count - 1)  # the rest writes the last one once more
        copies = tf.range(self._num_envs, dtype=tf.int64)
        rows = tf.reshape((self.added + step[:, None] * self._num_envs + copies) % self.capacity, [-1])
        flat = tf.nest.map_structure(lambda value: _merged(tf.gather(value, step)), dict(transitions))
        self._write(flat, rows)
        self.added.assign_add(count * self._num_envs)

    def count(self) -> tf.Tensor:
        """Returns how many transitions can be read; int64 scalar."""
        oldest = self._observations.oldest()
        if oldest is None:
            return tf.minimum(self.added, self.capacity)
        return tf.reduce_sum(self._steps - oldest)

    def draw(self, seed: tf.Tensor, count: int) -> tf.Tensor:
        """Draws rows that can be read, each with the same probability; int64 ``[count]``."""
        drawn = tf.random.stateless_uniform([count], seed, 0, self.count(), tf.int64)
        oldest = self._observations.oldest()
        if oldest is None:
            return drawn
        readable = self._steps - oldest
        bounds = tf.cumsum(readable)
        copy = tf.reduce_sum(tf.cast(drawn[:, None] >= bounds, tf.int64), axis=1)
        step = tf.gather(oldest, copy) + drawn - tf.gather(bounds - readable, copy)
        return (step * self._num_envs + copy) % self.capacity

    def batch(self, rows: tf.Tensor) -> Batch:
        """Returns the transitions of rows, each value ``[batch, ...]``; see ``UniformReplay.sample``."""
        if self._n_step == 1:
            return {**self._observations.pair(rows, rows), **self._gathered(rows, "action", "reward", "terminated")}
        window = self._window(rows)
        ended = tf.gather(self._fields["terminated"], window) | tf.gather(self._fields["truncated"], window)
        reward, length = n_step_return(
            tf.gather(self._fields["reward"], window), ended | self._newest(window), self._gamma
        )
        last = tf.gather(window, length - 1, axis=1, batch_dims=1)
        return {
            **self._observations.pair(rows, last),
            **self._gathered(rows, "action"),
            "reward": reward,
            **self._gathered(last, "terminated"),
            "discount": self._gamma ** tf.cast(length, tf.float32),
        }

    def segments(self, rows: tf.Tensor) -> Batch:
        """Returns the ``n_step`` transitions of a copy from each row on, each value ``[batch, n_step, ...]``.

        Args:
            rows: First rows, behind each of which there are as many of the same copy.
        """
        window = self._window(rows)
        return {
            **self._observations.pair(window, window),
            **self._gathered(window, "action", "reward", "terminated", "truncated"),
        }

    def state(self) -> dict[str, tf.Variable]:
        """Returns how many transitions there were and what of them is in memory; a disk is flushed."""
        if self.disk:
            self.disk.flush()
        state = {"added": self.added, **self._observations.state()}
        for name, nest in self._fields.items():
            state |= named(name, nest)
        return state

    def _write(self, transition: Transition, rows: tf.Tensor) -> tf.Tensor:
        for name, variables in self._fields.items():
            tf.nest.map_structure(lambda variable, value: write(variable, rows, value), variables, transition[name])
        return self._observations.add(transition, rows, self.added // self._num_envs)

    def _flags(self, n_step: int) -> dict[str, tf.Variable]:
        """One-step targets need no more than terminations; longer ones must see where an episode was cut."""
        ends = ("terminated",) if n_step == 1 else ("terminated", "truncated")
        flags = {name: tf.Variable(tf.zeros([self.capacity], tf.bool), trainable=False) for name in ends}
        return {"reward": tf.Variable(tf.zeros([self.capacity]), trainable=False), **flags}

    def _gathered(self, rows: tf.Tensor, *names: str) -> dict[str, Any]:
        def gather(variable: tf.Variable) -> tf.Tensor:
            return tf.gather(variable, rows)

        return {name: tf.nest.map_structure(gather, self._fields[name]) for name in names}

    def _window(self, rows: tf.Tensor) -> tf.Tensor:
        """Returns the rows of the same copy from each row on, ``[batch, n_step]``."""
        onwards = tf.range(self._n_step, dtype=tf.int64) * self._num_envs
        return (rows[:, None] + onwards) % self.capacity

    def _newest(self, rows: tf.Tensor) -> tf.Tensor:
        """Says which rows nothing follows: behind them lies the ring's seam."""
        first = (self.added - self._num_envs) % self.capacity
        return (rows >= first) & (rows < first + self._num_envs)

    @property
    def _steps(self) -> tf.Tensor:
        return self.added // self._num_envs


def _merged(value: tf.Tensor) -> tf.Tensor:
    return tf.reshape(value, [-1, *value.shape[2:]])


def n_step_return(reward: tf.Tensor, last: tf.Tensor, gamma: float) -> tuple[tf.Tensor, tf.Tensor]:
    """Sums discounted rewards up to the first step that is the last one to count (Sutton 1988).

    Args:
        reward: Rewards, float32 ``[batch, n]``.
        last: Whether nothing may be taken from beyond a step, bool ``[batch, n]``: the episode ended there, or what
            follows is not known.
        gamma: Discount factor.

    Returns:
        The sums, float32 ``[batch]``, and how many rewards each of them has, int64 ``[batch]``.
    """
    ongoing = tf.cast(~last, tf.float32)
    counted = tf.math.cumprod(ongoing, axis=1, exclusive=True)
    powers = gamma ** tf.range(reward.shape[1], dtype=tf.float32)
    return tf.reduce_sum(powers * counted * reward, axis=1), tf.cast(tf.reduce_sum(counted, axis=1), tf.int64)
