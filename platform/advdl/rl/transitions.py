"""Transitions as vectors: what samplers learn when they stand in for an env or for its memory."""

import math
from collections.abc import Mapping
from typing import Any, Literal

import gymnasium
import numpy as np
import tensorflow as tf
from gymnasium import spaces

from advdl.errors import UsageError
from advdl.rl.dynamics import action_size, encode_action
from advdl.rl.source import Transition
from advdl.rl.spaces import Spaces
from advdl.training.data_learner import DataSpec
from advdl.training.dataset import Dataset

Sample = Literal["outcome", "transition", "observation"]
"""What a sample is: an outcome given what it follows on, a whole transition, or an observation alone."""

_LARGEST = 4_096
"""Numbers in an image that a vector is still made of; more are for networks that convolve."""

_WHOLE = "uib"
"""Kinds of NumPy's dtypes of whole numbers."""

_FIELDS = ("observation", "action", "reward", "next_observation", "terminated")


class TransitionCodec:
    """Turns transitions into vectors and back.

    An observation is a vector, or a small image, whose pixels are then a vector between 0 and 1; of the next one the
    difference is kept, which is small and so learnt more exactly. A ``Discrete`` action is one-hot, a ``Box`` action
    as it is; ``terminated`` is 0 or 1.

    Args:
        env_spaces: The env's spaces.

    Raises:
        UsageError: Observations are neither vectors of floats nor small images of whole numbers, or actions are
            neither ``Discrete`` nor a ``Box``.
    """

    def __init__(self, env_spaces: Spaces) -> None:
        self.spaces = env_spaces
        self._observations = _observation_size(env_spaces.observation)
        self._actions = action_size(env_spaces.action)
        self._low, self._span = _scales(env_spaces.observation)

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
        return tf.concat([self._flat(observation), encode_action(self.spaces.action, action)], axis=-1)

    def outcome(self, transition: Transition) -> tf.Tensor:
        """Encodes an outcome, ``[batch, size]``."""
        before, after = (self._flat(transition[name]) for name in ("observation", "next_observation"))
        rest = [tf.cast(transition[name], tf.float32)[:, None] for name in ("reward", "terminated")]
        return tf.concat([after - before, *rest], axis=-1)

    def read_outcome(self, observation: tf.Tensor, outcome: tf.Tensor) -> dict[str, tf.Tensor]:
        """Decodes an outcome: ``next_observation`` within the space's bounds, ``reward``, ``terminated``."""
        difference, reward, terminated = tf.split(outcome, [self._observations, 1, 1], axis=-1)
        return {
            "next_observation": self._seen(self._flat(observation) + difference),
            "reward": reward[:, 0],
            "terminated": terminated[:, 0] > 0.5,
        }

    def encode(self, transition: Transition) -> dict[str, tf.Tensor]:
        """Encodes what a world model learns from: ``x`` the outcome, ``c`` what it is given."""
        return {
            "x": self.outcome(transition),
            "c": self.given(transition["observation"], transition["action"]),
        }

    @classmethod
    def dataset(cls, env_spaces: Spaces, transitions: Mapping[str, Any], sample: Sample) -> Dataset:
        """Makes of recorded transitions, each field ``[count, ...]``, data for a sampler.

        Args:
            env_spaces: The env's spaces.
            transitions: The fields of a transition.
            sample: What a sample is.

        Raises:
            UsageError: They are to be vectors and cannot be.
        """
        if sample == "observation":
            return Dataset(np.asarray(transitions["observation"]), None, DataSpec(env_spaces.observation))
        codec = cls(env_spaces)
        tensors = {name: tf.constant(value) for name, value in transitions.items()}
        if sample == "transition":
            return Dataset(codec.encode_whole(tensors)["x"].numpy(), None, codec.transition_spec)
        encoded = {name: np.asarray(value) for name, value in codec.encode(tensors).items()}
        return Dataset(encoded["x"], encoded["c"], codec.outcome_spec)

    def encode_whole(self, transition: Transition) -> dict[str, tf.Tensor]:
        """Encodes what a data model learns from: ``x`` the whole transition."""
        encoded = self.encode(transition)
        return {"x": tf.concat([encoded["c"], encoded["x"]], axis=-1)}

    def decode_whole(self, x: tf.Tensor) -> dict[str, tf.Tensor]:
        """Decodes whole transitions, in the spaces' dtypes and bounds."""
        size = self._observations
        observation, action, outcome = tf.split(x, [size, self._actions, size + 2], axis=-1)
        seen = self._seen(observation)
        return {
            "observation": seen,
            "action": self._read_action(action),
            **self.read_outcome(seen, outcome),
        }

    @property
    def sees_images(self) -> bool:
        """Whether observations are images of whole numbers: each of them is within the bounds that all have."""
        return bool(np.dtype(self.spaces.observation.dtype).kind in _WHOLE)

    def _flat(self, observation: tf.Tensor) -> tf.Tensor:
        """Returns observations as vectors; an image's pixels lie between 0 and 1 then."""
        rows = tf.reshape(tf.cast(observation, tf.float32), [-1, self._observations])
        return (rows - self._low) / self._span

    def _seen(self, rows: tf.Tensor) -> tf.Tensor:
        """Undoes ``_flat``, within the space's bounds."""
        space = self.spaces.observation
        assert isinstance(space, spaces.Box)
        whole = tf.reshape(rows * self._span + self._low, [-1, *space.shape])
        whole = tf.clip_by_value(whole, space.low.astype(np.float32), space.high.astype(np.float32))
        return tf.cast(tf.round(whole) if self.sees_images else whole, space.dtype)

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


def _scales(space: gymnasium.Space[Any]) -> tuple[Any, Any]:
    """Returns what is taken off an observation's numbers and what they are divided by; of floats nothing is."""
    if np.dtype(space.dtype).kind not in _WHOLE:
        return 0.0, 1.0
    assert isinstance(space, spaces.Box)
    low, high = (np.ravel(end).astype(np.float32) for end in (space.low, space.high))
    return low, np.where(high > low, high - low, 1.0).astype(np.float32)


def _observation_size(space: gymnasium.Space[Any]) -> int:
    if isinstance(space, spaces.Box) and len(space.shape) == 1 and space.dtype.kind == "f":
        return int(space.shape[0])
    size = math.prod(space.shape or ())
    if isinstance(space, spaces.Box) and len(space.shape) == 3 and space.dtype.kind in _WHOLE and size <= _LARGEST:
        return size
    raise UsageError(
        f"a model of transitions needs observations that are vectors of floats, or images of whole numbers with at "
        f"most {_LARGEST:,} of them, not {space}",
        hint="gymnasium.wrappers.FlattenObservation makes vectors, ResizeObservation and GrayscaleObservation less",
    )
