"""OfflineEngine: an agent that learns from transitions that are there; no env is stepped."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import tensorflow as tf

from advdl.errors import UsageError
from advdl.rl.agent import Agent
from advdl.rl.source import Source
from advdl.rl.transitions import only_transitions
from advdl.training.compilation import Compilation
from advdl.training.learner import Batch
from advdl.training.metrics import RunningMeans
from advdl.training.randomness import Stream
from advdl.training.trainer import Trainer
from advdl.training.update_engine import UpdateEngine


class OfflineEngine:
    """Updates on batches of a memory that nothing is added to; a step of the run is an update.

    Args:
        trainer: Makes the updates.
        source: The filled memory.
        seed: The run's seed.
        jit: Whether XLA compiles the program.
        chunk_seconds: How long one call may take, in seconds.
    """

    def __init__(
        self,
        trainer: Trainer,
        source: Source,
        *,
        seed: int,
        jit: bool | Compilation = True,
        chunk_seconds: float = 1.0,
    ) -> None:
        draws = Stream(seed, "sample")

        def batch(update: tf.Tensor) -> Batch:
            return source.sample(draws.at(update), update)

        self.source = source
        self._engine = UpdateEngine(batch, trainer, seed=seed, jit=jit, chunk_seconds=chunk_seconds)

    @property
    def metrics(self) -> RunningMeans:
        """What training reports."""
        return self._engine.metrics

    @property
    def env_steps(self) -> int:
        """Updates made so far: here they are the steps."""
        return self._engine.updates

    def build(self) -> None:
        """Traces the program."""
        self._engine.build()

    def advance(self, until: int) -> None:
        """Makes updates for about one chunk, never past ``until``."""
        self._engine.advance(until)

    def weights_changed(self) -> None:
        """Nothing is kept of the weights."""

    def state(self) -> dict[str, tf.Variable]:
        """Returns every variable of the run by a stable name."""
        return {
            **self._engine.state(),
            **{f"source/{name}": variable for name, variable in self.source.state().items()},
        }


def filled_memory(agent: Agent, transitions: Mapping[str, Any]) -> Source:
    """Returns an agent's memory with transitions in it, all of which it holds.

    Args:
        agent: Whose memory.
        transitions: The fields of a transition, each ``[count, ...]``.

    Raises:
        UsageError: There are none, they are of other spaces, or the agent learns from what it does itself alone.
    """
    count = len(transitions["reward"])
    if not count:
        raise UsageError("there are no transitions to learn from")
    for name, space in (("observation", agent.spaces.observation), ("action", agent.spaces.action)):
        if tuple(transitions[name].shape[1:]) != (space.shape or ()):
            found = list(transitions[name].shape[1:])
            raise UsageError(f"the transitions' {name} has the shape {found}, and the env's is {space}")
    source = agent.source(num_envs=count)
    whole = {name: tf.constant(np.asarray(value)) for name, value in transitions.items()}
    try:
        source.add({**whole, "truncated": tf.zeros([count], tf.bool)})
    except KeyError as error:
        raise UsageError(
            f"this agent learns from what it does itself: transitions lack its {error}",
            hint="take an agent with a replay, such as dqn",
        ) from error
    if source.updates_in(10**9) and len(set(only_transitions(source.sample(tf.constant([0, 0]), tf.constant(0))))) != 5:
        raise UsageError("the memory gives no plain transitions")
    return source
