"""MountainCar, compiled."""

from typing import Any, ClassVar, NamedTuple

import numpy as np
import tensorflow as tf
from gymnasium import spaces

from advdl.rl.functional import CompiledEnv
from advdl_envs.draw import uniform
from advdl_envs.params import with_overrides


class MountainCarParams(NamedTuple):
    """The physics; every field is a scalar or a tensor of shape [batch].

    Attributes:
        min_position: The left wall.
        max_position: The right end of the track.
        max_speed: The greatest speed, per step.
        goal_position: The episode ends at or beyond this position ...
        goal_velocity: ... if the car is at least this fast.
        force: What an action adds to the velocity.
        gravity: What the slope takes from it.
    """

    min_position: Any = -1.2
    max_position: Any = 0.6
    max_speed: Any = 0.07
    goal_position: Any = 0.5
    goal_velocity: Any = 0.0
    force: Any = 0.001
    gravity: Any = 0.0025


class MountainCar(CompiledEnv):
    """A car too weak for the hill swings itself up: push left (0), not (1) or right (2); Moore, 1990.

    The state is a float32 tensor [batch, 2]: position, velocity; the observation is the state. Equals
    Gymnasium's MountainCar-v0: one step from the same state agrees to ``1e-6 * (1 + |value|)`` in every
    component.

    Args:
        goal_velocity: How fast the car must be at the goal.
    """

    max_episode_steps: ClassVar[int | None] = 200
    reward_threshold: ClassVar[float | None] = -110.0

    def __init__(self, *, goal_velocity: float = 0.0) -> None:
        self._goal_velocity = goal_velocity
        defaults = MountainCarParams()
        low = np.array([defaults.min_position, -defaults.max_speed], np.float32)
        high = np.array([defaults.max_position, defaults.max_speed], np.float32)
        self.observation_space = spaces.Box(low, high, dtype=np.float32)
        self.action_space = spaces.Discrete(3)
        super().__init__()

    def get_default_params(self, **overrides: Any) -> MountainCarParams:
        """Returns Gymnasium's physics with ``overrides``."""
        defaults = MountainCarParams(goal_velocity=self._goal_velocity)
        return with_overrides(defaults, overrides, "advdl/MountainCar-v0")

    def initial(self, rng: tf.Tensor, params: MountainCarParams | None = None, *, batch_size: int = 1) -> tf.Tensor:
        """Draws the position from [-0.6, -0.4); the car stands."""
        del params
        position = uniform([batch_size, 1], rng, -0.6, -0.4)
        return tf.concat([position, tf.zeros_like(position)], axis=-1)

    def transition(
        self, state: tf.Tensor, action: tf.Tensor, rng: tf.Tensor, params: MountainCarParams | None = None
    ) -> tf.Tensor:
        """Moves the car by one step; the left wall stops it."""
        del rng
        p = params or self.default_params
        position, velocity = tf.unstack(state, axis=-1)
        push = (tf.cast(action, tf.float32) - 1.0) * p.force
        velocity = tf.clip_by_value(velocity + push - tf.cos(3.0 * position) * p.gravity, -p.max_speed, p.max_speed)
        position = tf.clip_by_value(position + velocity, p.min_position, p.max_position)
        velocity = tf.where((position <= p.min_position) & (velocity < 0.0), 0.0, velocity)
        return tf.stack((position, velocity), axis=-1)

    def observation(self, state: tf.Tensor, rng: tf.Tensor, params: MountainCarParams | None = None) -> tf.Tensor:
        """The state itself."""
        del rng, params
        return state

    def reward(
        self,
        state: tf.Tensor,
        action: tf.Tensor,
        next_state: tf.Tensor,
        rng: tf.Tensor,
        params: MountainCarParams | None = None,
    ) -> tf.Tensor:
        """-1 for every step, the last one included."""
        del state, action, rng, params
        return -tf.ones_like(next_state[:, 0])

    def terminal(self, state: tf.Tensor, rng: tf.Tensor, params: MountainCarParams | None = None) -> tf.Tensor:
        """The car is at the goal, fast enough."""
        del rng
        p = params or self.default_params
        return (state[:, 0] >= p.goal_position) & (state[:, 1] >= p.goal_velocity)
