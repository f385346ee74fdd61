"""Streams of transitions, and what a replay must make of them, in plain Python."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import tensorflow as tf

SEED = tf.constant((1, 2), tf.int32)
FIRST = tf.constant(0, tf.int64)


@dataclass
class Stream:
    """Episodes of random lengths in several env copies, all that was ever seen kept beside them.

    An observation stacks ``stack`` frames in its last axis, or as its ``first``, padded by the first frame. A frame's
    content is its number.
    """

    copies: int
    stack: int = 1
    length: float = 4.0
    shape: tuple[int, ...] = ()
    first: bool = False

    def __post_init__(self) -> None:
        self.random = np.random.default_rng(0)
        self.number = 0
        self.seen: list[list[dict[str, Any]]] = [[] for _ in range(self.copies)]
        self.now = [self._begin() for _ in range(self.copies)]

    def step(self) -> dict[str, Any]:
        """Returns one step of every copy as a source gets it."""
        steps = [self._step(copy) for copy in range(self.copies)]
        batch = {name: np.stack([step[name] for step in steps]) for name in steps[0]}
        return {name: tf.constant(value) for name, value in batch.items()}

    def rows(self, capacity: int) -> dict[int, tuple[int, int]]:
        """By row: the copy and the number of the transition that lies there."""
        steps = len(self.seen[0])
        held = range(max(steps - capacity // self.copies, 0), steps)
        return {(t * self.copies + copy) % capacity: (copy, t) for t in held for copy in range(self.copies)}

    def target(self, copy: int, start: int, n: int, gamma: float) -> dict[str, Any]:
        """Adds up rewards as one would by hand."""
        first, total, factor = self.seen[copy][start], 0.0, 1.0
        for step in self.seen[copy][start : start + n]:
            total, factor, last = total + factor * step["reward"], factor * gamma, step
            if step["terminated"] or step["truncated"]:
                break
        after = {name: last[name] for name in ("next_observation", "terminated")}
        before = {name: first[name] for name in ("observation", "action")}
        return {**before, **after, "reward": total, "discount": factor}

    def _begin(self) -> Any:
        return np.concatenate([self._frame()] * self.stack, axis=0 if self.first else -1)

    def _frame(self) -> Any:
        self.number += 1
        return np.full((1, *self.shape) if self.first else (*self.shape, 1), self.number % 250, np.uint8)

    def _step(self, copy: int) -> dict[str, Any]:
        draw = self.random.random()
        observation = self.now[copy]
        rest = observation[1:] if self.first else observation[..., 1:]
        following = np.concatenate([rest, self._frame()], axis=0 if self.first else -1)
        terminated, truncated = draw < 0.5 / self.length, 0.5 / self.length < draw < 1 / self.length
        step = {
            "observation": observation,
            "next_observation": following,
            "action": np.int64(self.number % 3),
            "reward": np.float32(self.random.normal()),
            "terminated": terminated,
            "truncated": truncated,
            "importance": np.float32(0.5),
        }
        self.seen[copy].append(step)
        self.now[copy] = self._begin() if terminated or truncated else following
        return step
