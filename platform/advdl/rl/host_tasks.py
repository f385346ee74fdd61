"""HostTasks: a family of tasks in an env that Gymnasium steps. The contract of those plugins, of the kind ``tasks``."""

from collections.abc import Mapping, Sequence
from functools import cached_property
from typing import Any

import tensorflow as tf

from advdl.rl.env_factory import EnvFactory
from advdl.rl.env_tasks import PlayedTasks
from advdl.training.data_learner import DataSpec

HostParams = Mapping[str, tf.Tensor]
"""The options of ``reset`` by name, each ``[tasks]``."""


class HostTasks(PlayedTasks):
    """Tasks in a host env: options that its ``reset`` takes, ``env.reset(seed=..., options={"velocity": 1.5})``.

    A subclass sets ``env_id`` and ``ranges``, and draws.

    Attributes:
        env_id: The Gymnasium id of the env.
    """

    env_id: str

    @property
    def spec(self) -> DataSpec:
        """Observations and actions."""
        return self._spec

    @property
    def known_params(self) -> Sequence[str]:
        """The params that have a range: a Gymnasium env does not tell what else its ``reset`` takes."""
        return tuple(self.ranges)

    def task(self, params: Mapping[str, float]) -> HostParams:
        """Returns the options of one task, each ``[1]``."""
        return {name: tf.constant([value], tf.float32) for name, value in params.items()}

    def factory(self) -> EnvFactory:
        """Returns what makes the env's copies."""
        return EnvFactory.of(self.env_id)

    @cached_property
    def _spec(self) -> DataSpec:
        env = self.factory().checked()
        try:
            return DataSpec(env.observation_space, env.action_space)
        finally:
            env.close()


def task_options(params: Any, index: int) -> dict[str, float]:
    """Returns the options of one of several tasks."""
    return {name: float(values[index]) for name, values in params.items()}
