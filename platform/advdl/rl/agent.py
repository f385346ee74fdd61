"""Agent: a learner that acts. The contract of every agent plugin."""

import abc
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, ClassVar

import tensorflow as tf

from advdl.rl.source import Source
from advdl.rl.spaces import Spaces
from advdl.training.learner import Learner


@dataclass(frozen=True, slots=True)
class Progress:
    """How far a run is; schedules read it.

    Attributes:
        env_steps: Env steps made so far; float32 scalar.
        total: Env steps that the run will make.
    """

    env_steps: tf.Tensor
    total: float


@dataclass(frozen=True, slots=True)
class Acted:
    """What ``Agent.act`` decided.

    Attributes:
        action: ``[num_envs, ...]`` in the action space's dtype.
        carry: The state that the next call gets, such as an LSTM's; ``()`` for none.
        extras: Further values to store with the transition, each ``[num_envs, ...]``: log-probabilities, values.
        metrics: Scalars to log, such as epsilon.
    """

    action: tf.Tensor
    carry: Any = ()
    extras: Mapping[str, tf.Tensor] = field(default_factory=dict)
    metrics: Mapping[str, tf.Tensor] = field(default_factory=dict)


class Agent(Learner):
    """Acts in an env and learns from what happens.

    A subclass is called as ``cls(spaces, **options)``; its keyword-only arguments are its options. It refuses spaces
    that it cannot handle with a ``UsageError`` that says which agents can.

    Attributes:
        off_policy: Whether it learns as well from what an earlier policy did, as Q-learning does from a replay.

    Args:
        spaces: What the agent sees and can do.
    """

    off_policy: ClassVar[bool] = False

    def __init__(self, spaces: Spaces) -> None:
        self.spaces = spaces

    @abc.abstractmethod
    def act(self, observation: Any, carry: Any, seed: tf.Tensor, *, progress: Progress | None) -> Acted:
        """Chooses actions; traceable, and changes no variable.

        Args:
            observation: Batch of observations, each leaf ``[num_envs, ...]``.
            carry: What the previous call returned, or ``initial_carry``'s value.
            seed: Stateless seed, int32 of shape [2].
            progress: How far training is, for exploration; None asks for the policy itself, as evaluation does.
        """

    @abc.abstractmethod
    def source(self, *, num_envs: int) -> Source:
        """Builds the memory that this agent learns from."""

    def initial_carry(self, num_envs: int) -> Any:
        """Returns the carry at the start of an episode; ``()`` for an agent without memory."""
        del num_envs
        return ()
