"""DynamicsEnv: a model of an env that has a memory, as a compiled env."""

from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np
import tensorflow as tf

from advdl.rl.dynamics import Dynamics
from advdl.rl.functional import CompiledEnv
from advdl.rl.segments import draw_segments
from advdl.training.randomness import fold

_AT_ONCE = 100
"""Beginnings that are made by one call, so that large networks need little memory for them."""


class Imagined(NamedTuple):
    """The state of an imagined episode, each ``[batch, ...]``.

    Attributes:
        carry: The model's memory.
        observation: What the agent sees.
        reward: What the last step brought.
        terminated: Whether the model says that the episode ended.
    """

    carry: Any
    observation: tf.Tensor
    reward: tf.Tensor
    terminated: tf.Tensor


class DynamicsEnv(CompiledEnv):
    """Episodes begin where real ones were, with the memory of what led there, and go on as the model says.

    Until the first ``refresh`` they begin at observations of zeros.

    Args:
        dynamics: The model. It is a learner and remains so: refit it, and the env follows.
        horizon: Steps after which an episode is truncated; None for never.
        beginnings: Places where an episode can begin that are kept.
    """

    def __init__(self, dynamics: Dynamics, *, horizon: int | None = 15, beginnings: int = 1_000) -> None:
        self.observation_space, self.action_space = dynamics.spaces.observation, dynamics.spaces.action
        self.max_episode_steps = horizon  # type: ignore[misc]  # an env's own: a model's horizon is its builder's
        self._dynamics, self._count = dynamics, beginnings
        self._begin = tf.function(dynamics.begin, autograph=False)
        self._starts = tf.nest.map_structure(
            lambda value: tf.Variable(value, trainable=False), self._starting(self._blank())
        )
        super().__init__()

    def refresh(self, record: Mapping[str, Any], seed: int) -> None:
        """Takes new beginnings out of all real steps, each field ``[steps, copies, ...]``; see ``SegmentRecording``."""
        segments = draw_segments(record, self._dynamics.context, self._count, seed)
        tf.nest.map_structure(lambda kept, value: kept.assign(value), self._starts, self._starting(segments))

    def state(self) -> dict[str, tf.Variable]:
        """Returns the beginnings by name, for the checkpoint; the model's variables are its own."""
        return {f"starts/{index:03d}": variable for index, variable in enumerate(tf.nest.flatten(self._starts))}

    def initial(self, rng: tf.Tensor, params: Any = None, *, batch_size: int = 1) -> Imagined:
        """Draws beginnings."""
        del params
        rows = tf.random.stateless_uniform([batch_size], rng, 0, self._count, tf.int32)
        carry, seen = tf.nest.map_structure(lambda kept: tf.gather(kept.read_value(), rows), self._starts)
        return Imagined(carry, seen, tf.zeros([batch_size]), tf.zeros([batch_size], tf.bool))

    def transition(self, state: Imagined, action: tf.Tensor, rng: tf.Tensor, params: Any = None) -> Imagined:
        """Asks the model."""
        del params
        return Imagined(*self._dynamics.foresee(state.carry, action, fold(rng, 1)))

    def observation(self, state: Imagined, rng: tf.Tensor, params: Any = None) -> tf.Tensor:
        """Returns the observation."""
        del rng, params
        return state.observation

    def reward(
        self, state: Imagined, action: tf.Tensor, next_state: Imagined, rng: tf.Tensor, params: Any = None
    ) -> tf.Tensor:
        """Returns what the model said with the next observation."""
        del state, action, rng, params
        return next_state.reward

    def terminal(self, state: Imagined, rng: tf.Tensor, params: Any = None) -> tf.Tensor:
        """Returns what the model said."""
        del rng, params
        return state.terminated

    def _starting(self, segments: Mapping[str, Any]) -> tuple[Any, tf.Tensor]:
        """Returns memories and observations, each ``[beginnings, ...]``."""
        parts = [
            self._begin({name: tf.constant(value[start : start + _AT_ONCE]) for name, value in segments.items()})
            for start in range(0, self._count, _AT_ONCE)
        ]
        carry = tf.nest.map_structure(lambda *values: tf.concat(values, axis=0), *parts)
        return carry, tf.constant(segments["observation"][:, -1])

    def _blank(self) -> dict[str, Any]:
        length, spaces = self._dynamics.context, self._dynamics.spaces
        seen, done = (
            np.zeros((self._count, length, *(space.shape or ())), _dtype(space.dtype))
            for space in (spaces.observation, spaces.action)
        )
        flags = np.zeros((self._count, length), bool)
        reward = np.zeros((self._count, length), np.float32)
        both = {"observation": seen, "next_observation": seen, "action": done}
        return {**both, "reward": reward, "terminated": flags, "truncated": flags}


def _dtype(dtype: Any) -> Any:
    return np.float32 if dtype == np.float64 else dtype
