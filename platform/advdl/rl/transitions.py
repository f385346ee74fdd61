"""Transitions as vectors: what samplers learn when they stand in for an env or for its memory."""

import math
from collections.abc import Mapping
from typing import Any

import gymnasium
import numpy as np
import tensorflow as tf
from gymnasium import spaces

from advdl.errors import UsageError
from advdl.rl.source import Transition
from advdl.rl.spaces import Spaces
from advdl.training.data_learner import DataSpec

_FIELDS = ("observation", "action", "reward", "next_observation", "terminated")


class TransitionCodec:
    """Turns transitions into vectors and back.

    An observation is a vector; of the next one the difference is kept, which is small and so learnt more exactly. A
    ``Discrete`` action is one-hot, a ``Box`` action as it is; ``terminated`` is 0 or 1.

    Args:
        env_spaces: The env's spaces.

    Raises:
        UsageError: Observations are no vectors of floats, or actions are neither ``Discrete`` nor a ``Box``.
    """

    def __init__(self, env_spaces: Spaces) -> None:
        self.spaces = env_spaces
        self._observations = _observation_size(env_spaces.observation)
        self._actions = _action_size(env_spaces.action)

    @property
    def outcome_spec(self) -> DataSpec:
        """The outcome (difference of observations, reward, termination) given observation and action."""
        return DataSpec(_line(self._observations + 2), _line(self._observations + self._actions))

    @property
    def transition_spec(self) -> DataSpec:
        """Whole transitions, given nothing."""
        return DataSpec(_line(2 * self._observations + self._actions + 2))

    def given(self, observation: tf.Tensor, action: tf.Tensor) -> tf.Tensor:
        """Encodes what an outcome is given, ``[batch, size]``."""
        space = self.spaces.action
        if isinstance(space, spaces.Discrete):
            encoded = tf.one_hot(tf.cast(action, tf.int32) - int(space.start), self._actions)
        else:
            encoded = tf.reshape(tf.cast(action, tf.float32), [-1, self._actions])
        return tf.concat([tf.cast(observation, tf.float32), encoded], axis=-1)

    def outcome(self, transition: Transition) -> tf.Tensor:
        """Encodes an outcome, ``[batch, size]``."""
        before, after = (tf.cast(transition[name], tf.float32) for name in ("observation", "next_observation"))
        rest = [tf.cast(transition[name], tf.float32)[:, None] for name in ("reward", "terminated")]
        return tf.concat([after - before, *rest], axis=-1)

    def read_outcome(self, observation: tf.Tensor, outcome: tf.Tensor) -> dict[str, tf.Tensor]:
        """Decodes an outcome: ``next_observation`` within the space's bounds, ``reward``, ``terminated``."""
        difference, reward, terminated = tf.split(outcome, [self._observations, 1, 1], axis=-1)
        space = self.spaces.observation
        assert isinstance(space, spaces.Box)
        following = tf.clip_by_value(tf.cast(observation, tf.float32) + difference, space.low, space.high)
        return {
            "next_observation": tf.cast(following, space.dtype),
            "reward": reward[:, 0],
            "terminated": terminated[:, 0] > 0.5,
        }

    def encode(self, transition: Transition) -> dict[str, tf.Tensor]:
        """Encodes what a world model learns from: ``x`` the outcome, ``c`` what it is given."""
        return {
            "x": self.outcome(transition),
            "c": self.given(transition["observation"], transition["action"]),
        }

    def encode_whole(self, transition: Transition) -> dict[str, tf.Tensor]:
        """Encodes what a data model learns from: ``x`` the whole transition."""
        encoded = self.encode(transition)
        return {"x": tf.concat([encoded["c"], encoded["x"]], axis=-1)}

    def decode_whole(self, x: tf.Tensor) -> dict[str, tf.Tensor]:
        """Decodes whole transitions, in the spaces' dtypes and bounds."""
        size = self._observations
        observation, action, outcome = tf.split(x, [size, self._actions, size + 2], axis=-1)
        space = self.spaces.observation
        assert isinstance(space, spaces.Box)
        observation = tf.clip_by_value(observation, space.low, space.high)
        return {
            "observation": tf.cast(observation, space.dtype),
            "action": self._read_action(action),
            **self.read_outcome(observation, outcome),
        }

    def _read_action(self, encoded: tf.Tensor) -> tf.Tensor:
        space = self.spaces.action
        if isinstance(space, spaces.Discrete):
            return tf.cast(tf.argmax(encoded, axis=-1), space.dtype) + int(space.start)
        assert isinstance(space, spaces.Box)
        action = tf.reshape(encoded, [-1, *space.shape])
        return tf.cast(tf.clip_by_value(action, space.low, space.high), space.dtype)


def only_transitions(batch: Mapping[str, Any]) -> dict[str, tf.Tensor]:
    """Returns a batch that holds plain transitions and nothing else.

    Raises:
        UsageError: It holds more, such as priorities or log-probabilities of an acting policy.
    """
    further = sorted(set(batch) - set(_FIELDS))
    if further:
        raise UsageError(
            f"synthetic transitions have no {further[0]!r}, which this agent's memory keeps",
            hint="take an agent with a uniform replay, such as dqn",
        )
    return {name: batch[name] for name in _FIELDS}


def _line(size: int) -> spaces.Box:
    return spaces.Box(-np.inf, np.inf, (size,), np.float32)


def _observation_size(space: gymnasium.Space[Any]) -> int:
    if isinstance(space, spaces.Box) and len(space.shape) == 1 and space.dtype.kind == "f":
        return int(space.shape[0])
    raise UsageError(
        f"a model of transitions needs observations that are vectors of floats, not {space}",
        hint="gymnasium.wrappers.FlattenObservation makes vectors of many spaces",
    )


def _action_size(space: gymnasium.Space[Any]) -> int:
    match space:
        case spaces.Discrete():
            return int(space.n)
        case spaces.Box():
            return math.prod(space.shape)
    raise UsageError(f"a model of transitions needs Discrete or Box actions, not {space}")
