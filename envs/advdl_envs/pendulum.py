"""Pendulum, compiled."""

import math
from typing import Any, ClassVar, NamedTuple

import numpy as np
import tensorflow as tf
from gymnasium import spaces

from advdl.rl.functional import CompiledEnv
from advdl_envs.draw import uniform
from advdl_envs.params import with_overrides


class PendulumParams(NamedTuple):
    """The physics; every field is a scalar or a tensor of shape [batch]. The names are Gymnasium's.

    Attributes:
        g: Gravity, in m/s2.
        m: The pendulum's mass, in kg.
        l: Its length, in m.
        dt: Time between two steps, in s.
        max_speed: The greatest angular velocity, in rad/s.
        max_torque: The greatest torque, in N m.
    """

    g: Any = 10.0
    m: Any = 1.0
    l: Any = 1.0  # noqa: E741
    dt: Any = 0.05
    max_speed: Any = 8.0
    max_torque: Any = 2.0


class Pendulum(CompiledEnv):
    """A pendulum is swung up and held by a torque.

    The action is float32 [batch, 1]. The state is a float32 tensor [batch, 2]: the angle from upright, not
    normalised, and the angular velocity. Equals Gymnasium's Pendulum-v1: one step from the same state agrees
    to ``1e-5 * (1 + |value|)`` in every component (the angle winds up to 80 rad, where a float32 is 4e-6
    wide). No episode terminates.

    Args:
        g: Gravity, in m/s2.
    """

    max_episode_steps: ClassVar[int | None] = 200
    reward_threshold: ClassVar[float | None] = None

    def __init__(self, *, g: float = 10.0) -> None:
        self._g = g
        defaults = PendulumParams()
        high = np.array([1.0, 1.0, defaults.max_speed], np.float32)
        self.observation_space = spaces.Box(-high, high, dtype=np.float32)
        self.action_space = spaces.Box(-defaults.max_torque, defaults.max_torque, (1,), np.float32)
        super().__init__()

    def get_default_params(self, **overrides: Any) -> PendulumParams:
        """Returns Gymnasium's physics with ``overrides``."""
        return with_overrides(PendulumParams(g=self._g), overrides, "advdl/Pendulum-v1")

    def initial(self, rng: tf.Tensor, params: PendulumParams | None = None, *, batch_size: int = 1) -> tf.Tensor:
        """Draws the angle from [-pi, pi) and the angular velocity from [-1, 1)."""
        del params
        drawn = uniform([batch_size, 2], rng, -1.0, 1.0)
        return drawn * tf.constant([math.pi, 1.0])

    def transition(
        self, state: tf.Tensor, action: tf.Tensor, rng: tf.Tensor, params: PendulumParams | None = None
    ) -> tf.Tensor:
        """Integrates by one semi-implicit Euler step."""
        del rng
        p = params or self.default_params
        angle, speed = tf.unstack(state, axis=-1)
        torque = tf.clip_by_value(action[:, 0], -p.max_torque, p.max_torque)
        acceleration = 3.0 * p.g / (2.0 * p.l) * tf.sin(angle) + 3.0 / (p.m * p.l**2) * torque
        speed = tf.clip_by_value(speed + acceleration * p.dt, -p.max_speed, p.max_speed)
        return tf.stack((angle + speed * p.dt, speed), axis=-1)

    def observation(self, state: tf.Tensor, rng: tf.Tensor, params: PendulumParams | None = None) -> tf.Tensor:
        """Cosine and sine of the angle, and the angular velocity."""
        del rng, params
        angle, speed = tf.unstack(state, axis=-1)
        return tf.stack((tf.cos(angle), tf.sin(angle), speed), axis=-1)

    def reward(
        self,
        state: tf.Tensor,
        action: tf.Tensor,
        next_state: tf.Tensor,
        rng: tf.Tensor,
        params: PendulumParams | None = None,
    ) -> tf.Tensor:
        """Minus the cost of the angle (within [-pi, pi]), the speed and the torque before the step."""
        del next_state, rng
        p = params or self.default_params
        angle, speed = tf.unstack(state, axis=-1)
        torque = tf.clip_by_value(action[:, 0], -p.max_torque, p.max_torque)
        upright = angle - 2 * math.pi * tf.round(angle / (2 * math.pi))
        return -(tf.square(upright) + 0.1 * tf.square(speed) + 0.001 * tf.square(torque))

    def terminal(self, state: tf.Tensor, rng: tf.Tensor, params: PendulumParams | None = None) -> tf.Tensor:
        """Never."""
        del rng, params
        return tf.zeros_like(state[:, 0], tf.bool)
