"""Dynamics: what follows on all that was seen and done. The contract of world models that have a memory."""

import abc
import math
from collections.abc import Sequence
from typing import Any, NamedTuple

import gymnasium
import tensorflow as tf
from gymnasium import spaces

from advdl.errors import UsageError
from advdl.rl.spaces import Spaces
from advdl.training.learner import Batch, Learner, Objective


class Foreseen(NamedTuple):
    """What a model says of a step of several episodes.

    Attributes:
        carry: The memory after the step, a nest of tensors ``[batch, ...]``.
        observation: What is seen then, ``[batch, ...]`` in the space's dtype and within its bounds.
        reward: What the step brought, float32 ``[batch]``.
        terminated: Whether the episode ended by the env's own rules, bool ``[batch]``.
    """

    carry: Any
    observation: tf.Tensor
    reward: tf.Tensor
    terminated: tf.Tensor


class Dynamics(Learner):
    """Learns from segments of an env's steps how it goes on, and goes on by itself.

    A segment is so many steps of one env copy in a row: ``observation``, ``action``, ``reward``, ``next_observation``,
    ``terminated`` and ``truncated``, each ``[batch, steps, ...]``. Where a step has ended its episode, the next one's
    observation is the first of another episode: a memory must not reach across.

    A subclass is called as ``cls(spaces, **options)``; its keyword-only arguments are its options. It refuses spaces
    that it cannot handle with a ``UsageError`` that says what it needs.

    Args:
        env_spaces: The env's spaces.
    """

    def __init__(self, env_spaces: Spaces) -> None:
        self.spaces = env_spaces

    @property
    @abc.abstractmethod
    def length(self) -> int:
        """Steps in the segments that it learns from."""

    @property
    @abc.abstractmethod
    def context(self) -> int:
        """Steps in the segments that ``begin`` is given, at least 1."""

    @abc.abstractmethod
    def objectives(self) -> Sequence[Objective]:
        """What is minimised, in order; a loss's batch is of segments."""

    def adapt(self, segments: Batch) -> None:
        """Reads scales off the data, before a fit. What it changes is part of ``models``.

        Args:
            segments: All that has been seen: of each copy one segment, of all of its steps.
        """
        del segments

    @abc.abstractmethod
    def begin(self, segments: Batch) -> Any:
        """Returns the memory of one that stands at each segment's last observation, with its last action to choose.

        Args:
            segments: Real segments of ``context`` steps. What the last step did and brought must not count.

        Returns:
            A nest of tensors ``[batch, ...]``, its first axis that of the segments; not a function of other segments.
        """

    @abc.abstractmethod
    def foresee(self, carry: Any, action: tf.Tensor, seed: tf.Tensor) -> Foreseen:
        """Makes a step; traceable, and changes no variable.

        Args:
            carry: What ``begin`` or the last step returned.
            action: What is done, ``[batch, ...]`` in the space's dtype.
            seed: Stateless seed, int32 of shape [2]. The same seed gives the same step.
        """


def same_episode(segments: Batch) -> tf.Tensor:
    """Says of each step whether it belongs to the episode of its segment's last one, bool ``[batch, steps]``."""
    ended = segments["terminated"] | segments["truncated"]
    between = tf.concat([ended[:, :-1], tf.zeros_like(ended[:, -1:])], axis=1)  # what the last step did counts not
    return tf.math.cumprod(1.0 - tf.cast(between, tf.float32), axis=1, reverse=True) > 0.5


def action_size(space: gymnasium.Space[Any]) -> int:
    """Returns how many numbers an action is encoded in.

    Raises:
        UsageError: The space is neither ``Discrete`` nor a ``Box``.
    """
    match space:
        case spaces.Discrete():
            return int(space.n)
        case spaces.Box():
            return math.prod(space.shape)
    raise UsageError(f"a model of transitions needs Discrete or Box actions, not {space}")


def encode_action(space: gymnasium.Space[Any], action: tf.Tensor) -> tf.Tensor:
    """Encodes actions ``[..., *shape]`` as float32 ``[..., size]``: one-hot if ``Discrete``, else as they are."""
    if isinstance(space, spaces.Discrete):
        return tf.one_hot(tf.cast(action, tf.int32) - int(space.start), action_size(space))
    numbers = tf.cast(action, tf.float32)
    leading = len(numbers.shape) - len(space.shape or ())
    flat = tf.reshape(numbers, tf.concat([tf.shape(numbers)[:leading], [action_size(space)]], axis=0))
    return tf.ensure_shape(flat, [*numbers.shape[:leading], action_size(space)])
