"""2D navigation, compiled: a point walks to a goal that it is not shown."""

from typing import Any, ClassVar, NamedTuple

import numpy as np
import tensorflow as tf
from gymnasium import spaces

from advdl.rl.functional import CompiledEnv
from advdl_envs.params import with_overrides

_REACH = 0.1
_NEAR = 0.01


class NavigationParams(NamedTuple):
    """The task; every field is a scalar or a tensor of shape [batch].

    Attributes:
        goal_x: Where the goal is, from left to right; the published tasks have it in [-0.5, 0.5].
        goal_y: Where the goal is, from bottom to top; likewise.
    """

    goal_x: Any = 0.3
    goal_y: Any = 0.3


class Navigation(CompiledEnv):
    """The point robot of MAML (Finn et al. 2017): the reward is minus the distance to the goal, after the step.

    It starts at the origin, moves by at most 0.1 along each axis, sees where it is and not where the goal is, and the
    episode ends within 0.01 of the goal along each axis. The state is float32 [batch, 2].
    """

    max_episode_steps: ClassVar[int | None] = 100

    def __init__(self) -> None:
        self.observation_space = spaces.Box(-np.inf, np.inf, (2,), np.float32)
        self.action_space = spaces.Box(-_REACH, _REACH, (2,), np.float32)
        super().__init__()

    def get_default_params(self, **overrides: Any) -> NavigationParams:
        """Returns one goal, with ``overrides``."""
        return with_overrides(NavigationParams(), overrides, "advdl/Navigation-v0")

    def initial(self, rng: tf.Tensor, params: NavigationParams | None = None, *, batch_size: int = 1) -> tf.Tensor:
        """The origin."""
        del rng, params
        return tf.zeros([batch_size, 2])

    def transition(
        self, state: tf.Tensor, action: tf.Tensor, rng: tf.Tensor, params: NavigationParams | None = None
    ) -> tf.Tensor:
        """Moves the point."""
        del rng, params
        return state + tf.clip_by_value(action, -_REACH, _REACH)

    def observation(self, state: tf.Tensor, rng: tf.Tensor, params: NavigationParams | None = None) -> tf.Tensor:
        """The state itself."""
        del rng, params
        return state

    def reward(
        self,
        state: tf.Tensor,
        action: tf.Tensor,
        next_state: tf.Tensor,
        rng: tf.Tensor,
        params: NavigationParams | None = None,
    ) -> tf.Tensor:
        """Minus the distance."""
        del state, action, rng
        return -tf.norm(self._way(next_state, params), axis=-1)

    def terminal(self, state: tf.Tensor, rng: tf.Tensor, params: NavigationParams | None = None) -> tf.Tensor:
        """The goal is reached."""
        del rng
        return tf.reduce_all(tf.abs(self._way(state, params)) < _NEAR, axis=-1)

    def _way(self, state: tf.Tensor, params: NavigationParams | None) -> tf.Tensor:
        p = params or self.default_params
        return tf.stack([state[:, 0] - p.goal_x, state[:, 1] - p.goal_y], axis=-1)
