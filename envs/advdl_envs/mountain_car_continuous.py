"""MountainCarContinuous, compiled."""

from typing import Any, ClassVar, NamedTuple

import numpy as np
import tensorflow as tf
from gymnasium import spaces

from advdl.rl.functional import CompiledEnv
from advdl_envs.draw import uniform
from advdl_envs.params import with_overrides


class MountainCarContinuousParams(NamedTuple):
    """The physics; every field is a scalar or a tensor of shape [batch].

    Attributes:
        min_action: The hardest push to the left.
        max_action: The hardest push to the right.
        min_position: The left wall.
        max_position: The right end of the track.
        max_speed: The greatest speed, per step.
        goal_position: The episode ends at or beyond this position ...
        goal_velocity: ... if the car is at least this fast.
        power: What an action of 1 adds to the velocity.
        gravity: What the slope takes from it.
    """

    min_action: Any = -1.0
    max_action: Any = 1.0
    min_position: Any = -1.2
    max_position: Any = 0.6
    max_speed: Any = 0.07
    goal_position: Any = 0.45
    goal_velocity: Any = 0.0
    power: Any = 0.0015
    gravity: Any = 0.0025


class MountainCarContinuous(CompiledEnv):
    """MountainCar with a push of any strength, which costs energy; Moore, 1990.

    The action is float32 [batch, 1]. The state is a float32 tensor [batch, 2]: position, velocity; the
    observation is the state. Equals Gymnasium's MountainCarContinuous-v0: one step from the same state agrees
    to ``1e-6 * (1 + |value|)`` in every component.

    Args:
        goal_velocity: How fast the car must be at the goal.
    """

    max_episode_steps: ClassVar[int | None] = 999
    reward_threshold: ClassVar[float | None] = 90.0

    def __init__(self, *, goal_velocity: float = 0.0) -> None:
        self._goal_velocity = goal_velocity
        defaults = MountainCarContinuousParams()
        low = np.array([defaults.min_position, -defaults.max_speed], np.float32)
        high = np.array([defaults.max_position, defaults.max_speed], np.float32)
        self.observation_space = spaces.Box(low, high, dtype=np.float32)
        self.action_space = spaces.Box(defaults.min_action, defaults.max_action, (1,), np.float32)
        super().__init__()

    def get_default_params(self, **overrides: Any) -> MountainCarContinuousParams:
        """Returns Gymnasium's physics with ``overrides``."""
        defaults = MountainCarContinuousParams(goal_velocity=self._goal_velocity)
        return with_overrides(defaults, overrides, "advdl/MountainCarContinuous-v0")

    def initial(
        self, rng: tf.Tensor, params: MountainCarContinuousParams | None = None, *, batch_size: int = 1
    ) -> tf.Tensor:
        """Draws the position from [-0.6, -0.4); the car stands."""
        del params
        position = uniform([batch_size, 1], rng, -0.6, -0.4)
        return tf.concat([position, tf.zeros_like(position)], axis=-1)

    def transition(
        self,
        state: tf.Tensor,
        action: tf.Tensor,
        rng: tf.Tensor,
        params: MountainCarContinuousParams | None = None,
    ) -> tf.Tensor:
        """Moves the car by one step; the left wall stops it."""
        del rng
        p = params or self.default_params
        position, velocity = tf.unstack(state, axis=-1)
        push = tf.clip_by_value(action[:, 0], p.min_action, p.max_action) * p.power
        velocity = tf.clip_by_value(velocity + push - tf.cos(3.0 * position) * p.gravity, -p.max_speed, p.max_speed)
        position = tf.clip_by_value(position + velocity, p.min_position, p.max_position)
        velocity = tf.where((position <= p.min_position) & (velocity < 0.0), 0.0, velocity)
        return tf.stack((position, velocity), axis=-1)

    def observation(
        self, state: tf.Tensor, rng: tf.Tensor, params: MountainCarContinuousParams | None = None
    ) -> tf.Tensor:
        """The state itself."""
        del rng, params
        return state

    def reward(
        self,
        state: tf.Tensor,
        action: tf.Tensor,
        next_state: tf.Tensor,
        rng: tf.Tensor,
        params: MountainCarContinuousParams | None = None,
    ) -> tf.Tensor:
        """100 at the goal, less a tenth of the squared action; Gymnasium squares it before it is clipped."""
        del state
        arrived = tf.cast(self.terminal(next_state, rng, params), tf.float32)
        return 100.0 * arrived - 0.1 * tf.square(action[:, 0])

    def terminal(
        self, state: tf.Tensor, rng: tf.Tensor, params: MountainCarContinuousParams | None = None
    ) -> tf.Tensor:
        """The car is at the goal, fast enough."""
        del rng
        p = params or self.default_params
        return (state[:, 0] >= p.goal_position) & (state[:, 1] >= p.goal_velocity)
