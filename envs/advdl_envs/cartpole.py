"""CartPole, compiled."""

import math
from typing import Any, ClassVar, NamedTuple

import numpy as np
import tensorflow as tf
from gymnasium import spaces

from advdl.rl.functional import CompiledEnv
from advdl_envs.draw import uniform
from advdl_envs.params import with_overrides


class CartPoleParams(NamedTuple):
    """The physics; every field is a scalar or a tensor of shape [batch].

    Attributes:
        gravity: In m/s2.
        masscart: The cart's mass, in kg.
        masspole: The pole's mass, in kg.
        length: Half the pole's length, in m.
        force_mag: The push, in N.
        tau: Time between two steps, in s.
        theta_threshold_radians: The episode ends when the pole leans further than this.
        x_threshold: The episode ends when the cart is further from the centre than this, in m.
    """

    gravity: Any = 9.8
    masscart: Any = 1.0
    masspole: Any = 0.1
    length: Any = 0.5
    force_mag: Any = 10.0
    tau: Any = 0.02
    theta_threshold_radians: Any = 12 * 2 * math.pi / 360
    x_threshold: Any = 2.4


class CartPole(CompiledEnv):
    """A pole on a cart is balanced by pushing left (0) or right (1); Barto, Sutton and Anderson, 1983.

    The state is a float32 tensor [batch, 4]: position, velocity, angle, angular velocity; the observation is
    the state. Equals Gymnasium's CartPole-v1: one step from the same state agrees to ``1e-6 * (1 + |value|)``
    in every component.

    Args:
        sutton_barto_reward: Whether the reward is -1 for the step that ends the episode and 0 for every
            other, instead of 1 for every step.
    """

    max_episode_steps: ClassVar[int | None] = 500
    reward_threshold: ClassVar[float | None] = 475.0

    def __init__(self, *, sutton_barto_reward: bool = False) -> None:
        self._sutton_barto_reward = sutton_barto_reward
        defaults = CartPoleParams()
        high = np.array([defaults.x_threshold * 2, np.inf, defaults.theta_threshold_radians * 2, np.inf], np.float32)
        self.observation_space = spaces.Box(-high, high, dtype=np.float32)
        self.action_space = spaces.Discrete(2)
        super().__init__()

    def get_default_params(self, **overrides: Any) -> CartPoleParams:
        """Returns Gymnasium's physics with ``overrides``."""
        return with_overrides(CartPoleParams(), overrides, "advdl/CartPole-v1")

    def initial(self, rng: tf.Tensor, params: CartPoleParams | None = None, *, batch_size: int = 1) -> tf.Tensor:
        """Draws every component from [-0.05, 0.05)."""
        del params
        return uniform([batch_size, 4], rng, -0.05, 0.05)

    def transition(
        self, state: tf.Tensor, action: tf.Tensor, rng: tf.Tensor, params: CartPoleParams | None = None
    ) -> tf.Tensor:
        """Integrates https://coneural.org/florian/papers/05_cart_pole.pdf by one Euler step."""
        del rng
        p = params or self.default_params
        x, x_dot, theta, theta_dot = tf.unstack(state, axis=-1)
        cos, sin = tf.cos(theta), tf.sin(theta)
        force = tf.where(tf.equal(action, 1), 1.0, -1.0) * p.force_mag
        total_mass = p.masspole + p.masscart
        push = (force + p.masspole * p.length * tf.square(theta_dot) * sin) / total_mass
        theta_acc = (p.gravity * sin - cos * push) / (p.length * (4.0 / 3.0 - p.masspole * tf.square(cos) / total_mass))
        x_acc = push - p.masspole * p.length * theta_acc * cos / total_mass
        following = (
            x + p.tau * x_dot,
            x_dot + p.tau * x_acc,
            theta + p.tau * theta_dot,
            theta_dot + p.tau * theta_acc,
        )
        return tf.stack(following, axis=-1)

    def observation(self, state: tf.Tensor, rng: tf.Tensor, params: CartPoleParams | None = None) -> tf.Tensor:
        """The state itself."""
        del rng, params
        return state

    def reward(
        self,
        state: tf.Tensor,
        action: tf.Tensor,
        next_state: tf.Tensor,
        rng: tf.Tensor,
        params: CartPoleParams | None = None,
    ) -> tf.Tensor:
        """1 for every step, the last one included; or Sutton and Barto's."""
        del state, action
        if self._sutton_barto_reward:
            return -tf.cast(self.terminal(next_state, rng, params), tf.float32)
        return tf.ones_like(next_state[:, 0])

    def terminal(self, state: tf.Tensor, rng: tf.Tensor, params: CartPoleParams | None = None) -> tf.Tensor:
        """The cart has left the track or the pole has fallen."""
        del rng
        p = params or self.default_params
        return (tf.abs(state[:, 0]) > p.x_threshold) | (tf.abs(state[:, 2]) > p.theta_threshold_radians)
