"""Acrobot, compiled."""

import math
from typing import Any, ClassVar, NamedTuple

import numpy as np
import tensorflow as tf
from gymnasium import spaces

from advdl.rl.functional import CompiledEnv
from advdl_envs.draw import uniform
from advdl_envs.params import with_overrides


class AcrobotParams(NamedTuple):
    """The physics; every field is a scalar or a tensor of shape [batch].

    Attributes:
        dt: Time between two steps, in s.
        link_length_1: The first link's length, in m.
        link_mass_1: The first link's mass, in kg.
        link_mass_2: The second link's mass, in kg.
        link_com_pos_1: Where the first link's centre of mass is, in m from its joint.
        link_com_pos_2: Where the second link's centre of mass is, in m from its joint.
        link_moi: Moment of inertia of either link, in kg m2.
        max_vel_1: The first joint's greatest speed, in rad/s.
        max_vel_2: The second joint's greatest speed, in rad/s.
        torque: What actions 0 and 2 apply to the second joint, in N m.
        gravity: In m/s2.
    """

    dt: Any = 0.2
    link_length_1: Any = 1.0
    link_mass_1: Any = 1.0
    link_mass_2: Any = 1.0
    link_com_pos_1: Any = 0.5
    link_com_pos_2: Any = 0.5
    link_moi: Any = 1.0
    max_vel_1: Any = 4 * math.pi
    max_vel_2: Any = 9 * math.pi
    torque: Any = 1.0
    gravity: Any = 9.8


class Acrobot(CompiledEnv):
    """Two links hang from a joint; a torque (-1, 0, 1) between them swings the tip up; Sutton, 1996.

    The state is a float32 tensor [batch, 4]: both angles within [-pi, pi], both angular velocities. Equals
    Gymnasium's Acrobot-v1 with the book's equations and no torque noise: one step from the same state agrees
    to ``1e-6 * (1 + |value|)`` where random actions lead and to ``1e-3 * (1 + |value|)`` at any speed (at the
    greatest, the joints turn by 5.6 rad within the step's four evaluations, which magnify the rounding).
    """

    max_episode_steps: ClassVar[int | None] = 500
    reward_threshold: ClassVar[float | None] = -100.0

    def __init__(self) -> None:
        defaults = AcrobotParams()
        high = np.array([1.0, 1.0, 1.0, 1.0, defaults.max_vel_1, defaults.max_vel_2], np.float32)
        self.observation_space = spaces.Box(-high, high, dtype=np.float32)
        self.action_space = spaces.Discrete(3)
        super().__init__()

    def get_default_params(self, **overrides: Any) -> AcrobotParams:
        """Returns Gymnasium's physics with ``overrides``."""
        return with_overrides(AcrobotParams(), overrides, "advdl/Acrobot-v1")

    def initial(self, rng: tf.Tensor, params: AcrobotParams | None = None, *, batch_size: int = 1) -> tf.Tensor:
        """Draws every component from [-0.1, 0.1)."""
        del params
        return uniform([batch_size, 4], rng, -0.1, 0.1)

    def transition(
        self, state: tf.Tensor, action: tf.Tensor, rng: tf.Tensor, params: AcrobotParams | None = None
    ) -> tf.Tensor:
        """Integrates by one fourth-order Runge-Kutta step; wraps the angles, bounds the speeds."""
        del rng
        p = params or self.default_params
        torque = (tf.cast(action, tf.float32) - 1.0) * p.torque
        angle_1, angle_2, speed_1, speed_2 = _runge_kutta(tf.unstack(state, axis=-1), torque, p)
        following = (
            _wrap(angle_1),
            _wrap(angle_2),
            tf.clip_by_value(speed_1, -p.max_vel_1, p.max_vel_1),
            tf.clip_by_value(speed_2, -p.max_vel_2, p.max_vel_2),
        )
        return tf.stack(following, axis=-1)

    def observation(self, state: tf.Tensor, rng: tf.Tensor, params: AcrobotParams | None = None) -> tf.Tensor:
        """Cosine and sine of both angles, both angular velocities."""
        del rng, params
        angle_1, angle_2, speed_1, speed_2 = tf.unstack(state, axis=-1)
        seen = (tf.cos(angle_1), tf.sin(angle_1), tf.cos(angle_2), tf.sin(angle_2), speed_1, speed_2)
        return tf.stack(seen, axis=-1)

    def reward(
        self,
        state: tf.Tensor,
        action: tf.Tensor,
        next_state: tf.Tensor,
        rng: tf.Tensor,
        params: AcrobotParams | None = None,
    ) -> tf.Tensor:
        """-1 for every step but the one that reaches the goal."""
        del state, action
        return tf.cast(self.terminal(next_state, rng, params), tf.float32) - 1.0

    def terminal(self, state: tf.Tensor, rng: tf.Tensor, params: AcrobotParams | None = None) -> tf.Tensor:
        """The tip is higher than one link's length above the first joint."""
        del rng, params
        return -tf.cos(state[:, 0]) - tf.cos(state[:, 1] + state[:, 0]) > 1.0


def _wrap(angle: tf.Tensor) -> tf.Tensor:
    """Wraps to [-pi, pi]; both ends stay what they are, as in Gymnasium."""
    return angle - 2 * math.pi * tf.round(angle / (2 * math.pi))


def _runge_kutta(start: list[tf.Tensor], torque: tf.Tensor, p: AcrobotParams) -> list[tf.Tensor]:
    def ahead(slope: tuple[tf.Tensor, ...], time: Any) -> list[tf.Tensor]:
        return [value + time * change for value, change in zip(start, slope, strict=True)]

    k1 = _derivatives(start, torque, p)
    k2 = _derivatives(ahead(k1, p.dt / 2.0), torque, p)
    k3 = _derivatives(ahead(k2, p.dt / 2.0), torque, p)
    k4 = _derivatives(ahead(k3, p.dt), torque, p)
    return ahead(tuple(a + 2 * b + 2 * c + d for a, b, c, d in zip(k1, k2, k3, k4, strict=True)), p.dt / 6.0)


def _derivatives(state: list[tf.Tensor], torque: tf.Tensor, p: AcrobotParams) -> tuple[tf.Tensor, ...]:
    """The equations in Sutton and Barto's book; a cosine shifted by a quarter turn is written as a sine."""
    angle_1, angle_2, speed_1, speed_2 = state
    sin, cos = tf.sin(angle_2), tf.cos(angle_2)
    arm = p.link_length_1 * p.link_com_pos_2
    d1 = (
        p.link_mass_1 * p.link_com_pos_1**2
        + p.link_mass_2 * (p.link_length_1**2 + p.link_com_pos_2**2 + 2 * arm * cos)
        + 2 * p.link_moi
    )
    d2 = p.link_mass_2 * (p.link_com_pos_2**2 + arm * cos) + p.link_moi
    phi2 = p.link_mass_2 * p.link_com_pos_2 * p.gravity * tf.sin(angle_1 + angle_2)
    phi1 = (
        -p.link_mass_2 * arm * sin * (speed_2**2 + 2 * speed_2 * speed_1)
        + (p.link_mass_1 * p.link_com_pos_1 + p.link_mass_2 * p.link_length_1) * p.gravity * tf.sin(angle_1)
        + phi2
    )
    acceleration_2 = (torque + d2 / d1 * phi1 - p.link_mass_2 * arm * speed_1**2 * sin - phi2) / (
        p.link_mass_2 * p.link_com_pos_2**2 + p.link_moi - d2**2 / d1
    )
    acceleration_1 = -(d2 * acceleration_2 + phi1) / d1
    return speed_1, speed_2, acceleration_1, acceleration_2
