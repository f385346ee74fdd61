"""What a replay keeps of observations: both of a transition, or each frame of a stack once."""

from typing import Any, Protocol

import gymnasium
import numpy as np
import tensorflow as tf

from advdl.errors import UsageError
from advdl.rl.huge_pages import prefer_huge_pages
from advdl.rl.replay_disk import Disk, StoredRows
from advdl.rl.source import Transition

# Frames beyond one a transition: an episode needs as many more as a stack has, so this is enough for episodes of 32
# stacks or longer. Shorter ones take frames away from the oldest transitions.
_EPISODE = 32


class Observations(Protocol):
    """Stores the observations of a ring's rows; row ``r`` belongs to env copy ``r % num_envs``."""

    def add(self, transition: Transition, rows: tf.Tensor, step: tf.Tensor) -> tf.Tensor:
        """Stores one step of every copy, the ``step``-th; returns rows that can no longer be read, or the capacity."""

    def pair(self, first: tf.Tensor, last: tf.Tensor) -> dict[str, Any]:
        """Returns the observations before the rows ``first`` and after the rows ``last``."""

    def oldest(self) -> tf.Tensor | None:
        """Returns the oldest step of each copy that can be read, or None where the ring alone decides."""

    def state(self) -> dict[str, tf.Variable]:
        """Returns every variable by a stable name."""


class Pairs:
    """Keeps the observation and the next observation of every transition, whatever they are nests of.

    Args:
        space: What is observed.
        capacity: How many rows.
        disk: Where they are kept; None for memory.
    """

    def __init__(self, space: gymnasium.Space[Any], capacity: int, disk: Disk | None = None) -> None:
        self._capacity = capacity
        self._kept = {
            name: disk.zeros(space, capacity, name) if disk else zeros(space, capacity)
            for name in ("observation", "next_observation")
        }

    def add(self, transition: Transition, rows: tf.Tensor, step: tf.Tensor) -> tf.Tensor:
        """Stores both; a row is lost only when the ring overwrites it."""
        del step
        for name, variables in self._kept.items():
            tf.nest.map_structure(lambda variable, value: write(variable, rows, value), variables, transition[name])
        return tf.zeros([0], tf.int64)

    def pair(self, first: tf.Tensor, last: tf.Tensor) -> dict[str, Any]:
        """Gathers both."""
        rows = {"observation": first, "next_observation": last}
        return {name: _gathered(variables, rows[name]) for name, variables in self._kept.items()}

    def oldest(self) -> tf.Tensor | None:
        """Returns None."""
        return None

    def state(self) -> dict[str, tf.Variable]:
        """Returns both columns."""
        return {name: leaf for column, nest in self._kept.items() for name, leaf in named(column, nest).items()}


class Frames:
    """Keeps every frame of stacked observations once, and rebuilds the stacks bit for bit.

    An observation stacks ``stack`` frames, the newest last, and each step of an episode shifts it by one. The frames
    lie in the last axis, such as 84 x 84 x 4, or are the first, such as 4 x 84 x 84. An episode then takes one frame a
    step, the stack that it began with, and so whatever the env padded that with, and nothing else: not the next
    observations either, the last one excepted. ``stack=1`` stores any array once.

    Frames lie in a ring for each env copy, slightly longer than its transitions. Where episodes are so short that
    frames run out first, the oldest transitions are given up before their time.

    Args:
        space: What is observed: an array whose first axis is ``stack``, or whose last one is a multiple of it.
        num_envs: Transitions that arrive together.
        capacity: Transitions that are kept, a multiple of ``num_envs``.
        stack: Frames in an observation.
        disk: Where they are kept; None for memory.

    Raises:
        UsageError: The space is not a stack of so many frames.
    """

    def __init__(
        self, space: gymnasium.Space[Any], *, num_envs: int, capacity: int, stack: int, disk: Disk | None = None
    ) -> None:
        self._first, self._shape = _frame_of(space, stack)
        self._envs, self._capacity, self._stack = num_envs, capacity, stack
        self._steps = capacity // num_envs
        self._length = self._steps + max(self._steps // _EPISODE, stack) + stack + 1
        # One frame more than the rings need: what a step does not have to write goes there.
        count, dtype = num_envs * self._length + 1, _dtype(space)
        self._frames: Any = (
            disk.rows("frames", count, self._shape, dtype.as_numpy_dtype)
            if disk
            else tf.Variable(tf.zeros((count, *self._shape), dtype), trainable=False)
        )
        self._newest = tf.Variable(tf.zeros([capacity], tf.int64), trainable=False)
        self._written = tf.Variable(tf.zeros([num_envs], tf.int64), trainable=False)
        self._oldest = tf.Variable(tf.zeros([num_envs], tf.int64), trainable=False)

    def add(self, transition: Transition, rows: tf.Tensor, step: tf.Tensor) -> tf.Tensor:
        """Writes the next observation's newest frame, and the whole stack where it does not go on from the last."""
        written = self._written.read_value()
        begins = self._begins(transition["observation"], written)
        follows = written + tf.where(begins, tf.constant(self._stack, tf.int64), tf.constant(0, tf.int64))
        first = tf.where(begins[:, None], self._slots(written[:, None] + self._range(self._stack)), self._spare)
        stack = tf.concat([self._unstacked(transition["observation"]), self._last(transition)[:, None]], axis=1)
        slots = tf.concat([first, self._slots(follows[:, None])], axis=1)
        write(self._frames, tf.reshape(slots, [-1]), tf.reshape(stack, (-1, *self._shape)))
        write(self._newest, rows, follows - 1)
        self._written.assign(follows + 1)
        return self._give_up(step)

    def pair(self, first: tf.Tensor, last: tf.Tensor) -> dict[str, Any]:
        """Rebuilds the stacks: the newest frame of a next observation is the one after its observation's."""
        following = tf.gather(self._newest, last) + 1
        return {
            "observation": self._rebuilt(first, tf.gather(self._newest, first)),
            "next_observation": self._rebuilt(last, following),
        }

    def oldest(self) -> tf.Tensor | None:
        """Returns the first step of each copy whose frames are all there."""
        return self._oldest.read_value()

    def state(self) -> dict[str, tf.Variable]:
        """Returns the frames and where they belong."""
        return {
            **named("frames", self._frames),
            "frames/newest": self._newest,
            "frames/written": self._written,
            "frames/oldest": self._oldest,
        }

    def _begins(self, observation: tf.Tensor, written: tf.Tensor) -> tf.Tensor:
        """Says whose observation is not what was stored last: an episode begins, or an env was put somewhere else."""
        last = self._rebuilt(self._range(self._envs), written - 1)
        different = tf.reshape(last != tf.cast(observation, last.dtype), (self._envs, -1))
        return tf.reduce_any(different, axis=1)

    def _give_up(self, step: tf.Tensor) -> tf.Tensor:
        """Moves on to the oldest transitions whose frames are not overwritten: at most one for each frame written."""
        candidates = self._oldest[:, None] + self._range(self._stack + 2)
        rows = candidates % self._steps * self._envs + self._range(self._envs)[:, None]
        needed = tf.gather(self._newest, rows) - (self._stack - 1)
        overwritten = needed < self._written[:, None] - self._length
        lost = (overwritten | (candidates <= step - self._steps)) & (candidates <= step)
        self._oldest.assign_add(tf.reduce_sum(tf.cast(lost, tf.int64), axis=1))
        return tf.reshape(tf.where(lost, rows, tf.constant(self._capacity, tf.int64)), [-1])

    def _rebuilt(self, rows: tf.Tensor, newest: tf.Tensor) -> tf.Tensor:
        numbers = newest[:, None] - self._range(self._stack)[::-1]
        slots = (rows % self._envs)[:, None] * self._length + numbers % self._length
        frames = gather(self._frames, slots)
        if self._first:
            return frames
        rank = len(self._shape)
        frames = tf.transpose(frames, [0, *range(2, rank + 1), 1, rank + 1])
        return tf.reshape(frames, (-1, *self._shape[:-1], self._stack * self._shape[-1]))

    def _unstacked(self, observation: tf.Tensor) -> tf.Tensor:
        """Takes ``[num_envs, ..., stack * channels]`` apart into ``[num_envs, stack, ..., channels]``."""
        if self._first:
            return observation
        rank = len(self._shape)
        apart = tf.reshape(observation, (-1, *self._shape[:-1], self._stack, self._shape[-1]))
        return tf.transpose(apart, [0, rank, *range(1, rank), rank + 1])

    def _last(self, transition: Transition) -> tf.Tensor:
        following = transition["next_observation"]
        return following[:, -1] if self._first else following[..., -self._shape[-1] :]

    def _slots(self, numbers: tf.Tensor) -> tf.Tensor:
        """From ``[num_envs, n]`` numbers of frames to their places."""
        return self._range(self._envs)[:, None] * self._length + numbers % self._length

    @property
    def _spare(self) -> tf.Tensor:
        return tf.constant(self._envs * self._length, tf.int64)

    def _range(self, count: int) -> tf.Tensor:
        return tf.range(count, dtype=tf.int64)


def write(variable: tf.Variable | StoredRows, rows: tf.Tensor, values: tf.Tensor) -> None:
    """Writes rows in place; traceable."""
    if isinstance(variable, StoredRows):
        variable.write(rows, values)
        return
    variable.scatter_update(tf.IndexedSlices(tf.cast(values, variable.dtype), rows))


def gather(variable: tf.Variable | StoredRows, rows: tf.Tensor) -> tf.Tensor:
    """Returns rows; traceable."""
    return variable.gather(rows) if isinstance(variable, StoredRows) else tf.gather(variable, rows)


def zeros(space: gymnasium.Space[Any], count: int) -> Any:
    """Returns ``count`` rows of zeros for values of a space, a nest of variables where the space is one.

    Raises:
        UsageError: A space, or a part of it, has no shape.
    """
    match space:
        case gymnasium.spaces.Dict():
            return {name: zeros(part, count) for name, part in space.items()}
        case gymnasium.spaces.Tuple():
            return tuple(zeros(part, count) for part in space)
    if space.shape is None or space.dtype is None:
        raise UsageError(f"the replay cannot store {space}: it stores spaces of one shape and dtype")
    rows = tf.Variable(tf.zeros((count, *space.shape), _dtype(space)), trainable=False)
    prefer_huge_pages(rows)
    return rows


def named(name: str, nest: Any) -> dict[str, tf.Variable]:
    """Names the variables of a nest; a single one has the nest's name. What is on the disk is none."""
    leaves = tf.nest.flatten(nest)
    found = {name: nest} if leaves[0] is nest else {f"{name}/{index:03d}": leaf for index, leaf in enumerate(leaves)}
    return {key: leaf for key, leaf in found.items() if not isinstance(leaf, StoredRows)}


def _gathered(nest: Any, rows: tf.Tensor) -> Any:
    return tf.nest.map_structure(lambda variable: gather(variable, rows), nest)


def _dtype(space: gymnasium.Space[Any]) -> tf.DType:
    return tf.as_dtype(np.float32 if space.dtype == np.float64 else space.dtype)


def _frame_of(space: gymnasium.Space[Any], stack: int) -> tuple[bool, tuple[int, ...]]:
    """Returns whether the frames are the first axis, and the shape of one."""
    shape = space.shape or ()
    if len(shape) > 1 and shape[0] == stack and shape[-1] != stack:
        return True, tuple(shape[1:])
    if not shape or space.dtype is None or shape[-1] % stack:
        raise UsageError(
            f"the replay cannot take {space} apart into {stack} frames: its first axis is not {stack}, "
            f"and its last one is no multiple of {stack}",
            hint="0 keeps whole observations",
        )
    return False, (*shape[:-1], shape[-1] // stack)
