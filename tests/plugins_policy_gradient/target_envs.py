"""Probe envs whose actions are not one choice of two: the action must hit a target that depends on the observation."""

from typing import Any, ClassVar

import numpy as np
import tensorflow as tf
from gymnasium import spaces
from probe_envs import Probe


class Target(Probe):
    """An action of 2 for the observation 1, of -1 for the observation -1: the reward is minus the squared error."""

    first: ClassVar[tuple[float, ...]] = (-1.0, 1.0)

    def __init__(self) -> None:
        super().__init__()
        self.action_space = spaces.Box(-2.0, 3.0, (1,), np.float32)

    def reward(self, state: Any, action: Any, next_state: Any, rng: Any, params: Any = None) -> tf.Tensor:
        return -tf.square(action[:, 0] - tf.where(state[:, 0] > 0.0, 2.0, -1.0))


class Combination(Probe):
    """Choices of three, two and two: (2, 0, 1) for the observation 1, (0, 1, 0) for -1; each right one brings 1."""

    first: ClassVar[tuple[float, ...]] = (-1.0, 1.0)

    def __init__(self) -> None:
        super().__init__()
        self.action_space = spaces.MultiDiscrete([3, 2, 2])

    def reward(self, state: Any, action: Any, next_state: Any, rng: Any, params: Any = None) -> tf.Tensor:
        wanted = tf.where(state > 0.0, tf.constant([[2, 0, 1]], tf.int64), tf.constant([[0, 1, 0]], tf.int64))
        return tf.reduce_sum(tf.cast(tf.equal(action, wanted), tf.float32), axis=-1)


class Bits(Probe):
    """Three bits: 1, 0, 1 for the observation 1, the opposite for -1; each right one brings 1."""

    first: ClassVar[tuple[float, ...]] = (-1.0, 1.0)

    def __init__(self) -> None:
        super().__init__()
        self.action_space = spaces.MultiBinary(3)

    def reward(self, state: Any, action: Any, next_state: Any, rng: Any, params: Any = None) -> tf.Tensor:
        wanted = tf.where(state > 0.0, tf.constant([[1, 0, 1]], tf.int8), tf.constant([[0, 1, 0]], tf.int8))
        return tf.reduce_sum(tf.cast(tf.equal(action, wanted), tf.float32), axis=-1)
