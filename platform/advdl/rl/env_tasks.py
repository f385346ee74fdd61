"""EnvTasks: a family of tasks that differ in an env's params. The contract of those plugins, of the kind ``tasks``."""

import abc
from collections.abc import Mapping, Sequence
from typing import Any

import tensorflow as tf

from advdl.rl.functional import CompiledEnv, Params
from advdl.training.data_learner import DataSpec


class PlayedTasks(abc.ABC):
    """A distribution of tasks in an env; a learner adapts to a task on episodes that it plays itself.

    A subclass is called as ``cls(**options)``; its keyword-only arguments are its options.

    Attributes:
        episodes: Episodes that are played before a step of adaptation, and again after it.
        horizon: Steps of an episode at most.
        gamma: Discount factor.
        trace: Decay of generalised advantage estimation.
        support_trace: The same for the episodes that a step of adaptation learns from; None for ``trace``.
        ranges: Least and greatest value of each param that differs from task to task.
        mirrored: Params whose negative lies in the range as well.
    """

    episodes: int
    horizon: int
    gamma: float
    trace: float
    support_trace: float | None = None
    ranges: Mapping[str, tuple[float, float]]
    mirrored: Sequence[str] = ()

    @property
    @abc.abstractmethod
    def spec(self) -> DataSpec:
        """Observations and actions."""

    @property
    @abc.abstractmethod
    def known_params(self) -> Sequence[str]:
        """The params that a task may set."""

    @abc.abstractmethod
    def task(self, params: Mapping[str, float]) -> Any:
        """Returns one task, as ``draw`` returns many; params that are not given have the env's default."""

    @abc.abstractmethod
    def draw(self, seed: tf.Tensor, count: int, *, held_out: bool = False) -> Any:
        """Draws tasks; traceable.

        Args:
            seed: Stateless seed, int32 of shape [2]. The same seed gives the same tasks.
            count: How many tasks.
            held_out: Tasks that training never sees.

        Returns:
            The env's params, each a scalar or ``[count]``.
        """


class EnvTasks(PlayedTasks):
    """Tasks in a compiled env: values of its params.

    Attributes:
        env: The env.
    """

    env: CompiledEnv

    @property
    def spec(self) -> DataSpec:
        """Observations and actions."""
        return DataSpec(self.env.observation_space, self.env.action_space)

    @property
    def known_params(self) -> Sequence[str]:
        """The fields of the env's params."""
        fields: Sequence[str] = getattr(self.env.default_params, "_fields", ())
        return fields

    def task(self, params: Mapping[str, float]) -> Params:
        """Returns the env's params."""
        return self.env.get_default_params(**params)
