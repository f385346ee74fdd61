"""Probe envs: each needs one thing more of a learner than the one before, and its values are known exactly.

After Andy Jones, "Debugging RL, without the agonizing pain" (2021), with two more for time limits.
"""

from typing import Any, ClassVar

import numpy as np
import tensorflow as tf
from gymnasium import spaces

from advdl.rl.functional import CompiledEnv

GAMMA = 0.8


class Probe(CompiledEnv):
    """The state is the observation, float32 [batch, 1]; an episode is one step long."""

    max_episode_steps: ClassVar[int | None] = None
    first: ClassVar[tuple[float, ...]] = (1.0,)

    def __init__(self, start: int = 0) -> None:
        self.observation_space = spaces.Box(-3.0, 3.0, (1,), np.float32)
        self.action_space = spaces.Discrete(2, start=start)
        super().__init__()

    def values(self) -> dict[float, tuple[float, float]]:
        """The optimal Q-values: by observation, one an action."""
        raise NotImplementedError

    def initial(self, rng: tf.Tensor, params: Any = None, *, batch_size: int = 1) -> tf.Tensor:
        """Draws one of ``first``."""
        rows = tf.random.stateless_uniform([batch_size, 1], rng, 0, len(self.first), tf.int32)
        return tf.gather(tf.constant(self.first), rows)

    def transition(self, state: tf.Tensor, action: tf.Tensor, rng: tf.Tensor, params: Any = None) -> tf.Tensor:
        return state

    def observation(self, state: tf.Tensor, rng: tf.Tensor, params: Any = None) -> tf.Tensor:
        return state

    def reward(self, state: Any, action: Any, next_state: Any, rng: Any, params: Any = None) -> tf.Tensor:
        return tf.ones_like(state[:, 0])

    def terminal(self, state: tf.Tensor, rng: tf.Tensor, params: Any = None) -> tf.Tensor:
        return tf.ones_like(state[:, 0], tf.bool)


class Constant(Probe):
    """One observation, one step, reward 1: is a value learnt at all, and does nothing follow the end?"""

    def values(self) -> dict[float, tuple[float, float]]:
        return {1.0: (1.0, 1.0)}


class Seen(Probe):
    """The reward is what was observed: does the gradient reach the observation?"""

    first: ClassVar[tuple[float, ...]] = (-1.0, 1.0)

    def reward(self, state: Any, action: Any, next_state: Any, rng: Any, params: Any = None) -> tf.Tensor:
        return state[:, 0]

    def values(self) -> dict[float, tuple[float, float]]:
        return {-1.0: (-1.0, -1.0), 1.0: (1.0, 1.0)}


class TwoSteps(Probe):
    """Reward 1 at the second step: is the future discounted?"""

    first: ClassVar[tuple[float, ...]] = (0.0,)

    def transition(self, state: tf.Tensor, action: tf.Tensor, rng: tf.Tensor, params: Any = None) -> tf.Tensor:
        return state + 1.0

    def reward(self, state: Any, action: Any, next_state: Any, rng: Any, params: Any = None) -> tf.Tensor:
        return tf.where(next_state[:, 0] > 1.5, 1.0, 0.0)

    def terminal(self, state: tf.Tensor, rng: tf.Tensor, params: Any = None) -> tf.Tensor:
        return state[:, 0] > 1.5

    def values(self) -> dict[float, tuple[float, float]]:
        return {0.0: (GAMMA, GAMMA), 1.0: (1.0, 1.0)}


class Chosen(Probe):
    """The second action brings 1, the first -1: does an action get its own reward?"""

    def reward(self, state: Any, action: Any, next_state: Any, rng: Any, params: Any = None) -> tf.Tensor:
        return tf.where(tf.equal(action, self.action_space.start + 1), 1.0, -1.0)

    def values(self) -> dict[float, tuple[float, float]]:
        return {1.0: (-1.0, 1.0)}


class ChosenForSeen(Probe):
    """The action that fits the observation brings 1, the other -1: is a policy learnt?"""

    first: ClassVar[tuple[float, ...]] = (-1.0, 1.0)

    def reward(self, state: Any, action: Any, next_state: Any, rng: Any, params: Any = None) -> tf.Tensor:
        fits = tf.equal(tf.equal(action, self.action_space.start + 1), state[:, 0] > 0.0)
        return tf.where(fits, 1.0, -1.0)

    def values(self) -> dict[float, tuple[float, float]]:
        return {-1.0: (1.0, -1.0), 1.0: (-1.0, 1.0)}


class TimeLimit(Probe):
    """Reward 1 for ever, cut every four steps: is a value carried over the time limit?"""

    max_episode_steps: ClassVar[int | None] = 4

    def terminal(self, state: tf.Tensor, rng: tf.Tensor, params: Any = None) -> tf.Tensor:
        return tf.zeros_like(state[:, 0], tf.bool)

    def values(self) -> dict[float, tuple[float, float]]:
        forever = 1.0 / (1.0 - GAMMA)
        return {1.0: (forever, forever)}


class LastSeen(Probe):
    """From -1 to 1, where it is cut; from 1 to the end, with reward 1: is the last observation the true one?

    An episode is one step long, and begins at -1 three times of four.
    """

    max_episode_steps: ClassVar[int | None] = 1
    first: ClassVar[tuple[float, ...]] = (-1.0, -1.0, -1.0, 1.0)

    def transition(self, state: tf.Tensor, action: tf.Tensor, rng: tf.Tensor, params: Any = None) -> tf.Tensor:
        return state + 2.0

    def reward(self, state: Any, action: Any, next_state: Any, rng: Any, params: Any = None) -> tf.Tensor:
        return tf.where(state[:, 0] > 0.0, 1.0, 0.0)

    def terminal(self, state: tf.Tensor, rng: tf.Tensor, params: Any = None) -> tf.Tensor:
        return state[:, 0] > 2.0

    def values(self) -> dict[float, tuple[float, float]]:
        return {-1.0: (GAMMA, GAMMA), 1.0: (1.0, 1.0)}


PROBES = (Constant, Seen, TwoSteps, Chosen, ChosenForSeen, TimeLimit, LastSeen)
