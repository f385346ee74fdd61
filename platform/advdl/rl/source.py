"""Source of experience: where an agent's transitions go and where its batches come from."""

from collections.abc import Callable, Mapping
from typing import Any, Protocol, runtime_checkable

import tensorflow as tf

from advdl.training.learner import Batch

Transition = Mapping[str, Any]
"""One step of every env copy, each value ``[num_envs, ...]``: ``observation``, ``action``, ``reward`` (float32),
``next_observation`` (the true one, never the one after a reset), ``terminated``, ``truncated`` (bool), and the extras
that the agent's ``act`` returned."""


class Source(Protocol):
    """Stores transitions and hands out batches. Methods that take tensors are traceable."""

    def updates_in(self, env_steps: int) -> int:
        """Returns how many updates a run of so many env steps makes; plain Python, for schedules."""

    def add(self, transition: Transition) -> None:
        """Stores one step of every env copy."""

    def updates_due(self, env_steps: tf.Tensor) -> tf.Tensor:
        """Returns how many updates follow the step that made the count of env steps ``env_steps``; int64 scalar.

        Asked again before each of them: an answer that has become smaller ends the round.
        """

    def sample(self, seed: tf.Tensor, index: tf.Tensor) -> Batch:
        """Returns the batch of the ``index``-th of the updates that are due."""

    def feedback(self, batch: Batch, report: Mapping[str, tf.Tensor]) -> None:
        """Learns what the update made of a batch: TD errors for priorities."""

    def state(self) -> dict[str, tf.Variable]:
        """Returns every variable by a stable name, for the checkpoint."""


@runtime_checkable
class RoundSource(Source, Protocol):
    """A source that can take many steps at once, in a fraction of the time of as many calls of ``add``."""

    def add_round(self, transitions: Transition, count: tf.Tensor) -> None:
        """Stores the first ``count`` of many steps; updates are due after the last of them at the earliest.

        Args:
            transitions: As ``add`` takes them, with one more axis in front: ``[steps, num_envs, ...]``.
            count: How many; int64 scalar.
        """


def add_in_turn(add: Callable[[Transition], Any], transitions: Transition, count: tf.Tensor) -> None:
    """Calls ``add`` for the first ``count`` of the steps that ``add_round`` is given; traceable."""

    def body(step: tf.Tensor) -> tuple[tf.Tensor]:
        add(tf.nest.map_structure(lambda value: tf.gather(value, step), dict(transitions)))
        return (step + 1,)

    start = tf.constant(0, tf.int64)
    tf.while_loop(lambda step: step < count, body, (start,), parallel_iterations=1)
