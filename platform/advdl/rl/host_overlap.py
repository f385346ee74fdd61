"""Overlap: the host engine collects the next round while the updates of the last one are made.

A round is then acted with the weights that the round before the last one left behind, whatever is faster: the lag is
always one round, so that the same seed gives the same run, cut into calls or stopped as it may be. Only agents that
learn from what other policies did, off-policy ones, are the same agents with it.
"""

from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any

import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from advdl.errors import UsageError
from advdl.rl.agent import Agent
from advdl.rl.host_acting import HostActing
from advdl.rl.numpy_program import values_of

Weights = Sequence[NDArray[Any]]


class Overlap:
    """Keeps the weights of acting one round behind, and makes updates in a thread.

    Args:
        acting: Acts in NumPy, with copies of the weights.
    """

    def __init__(self, acting: HostActing) -> None:
        self._acting = acting
        self._variables = [tf.Variable(value, trainable=False) for value in values_of(acting.variables)]
        self._newest: Weights = ()
        self._thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix="advdl-updates")

    def take_back(self) -> None:
        """Acts with the weights that were saved; the newest are those that the agent has now."""
        self._acting.refresh([np.asarray(variable.numpy()) for variable in self._variables])
        self._newest = values_of(self._acting.variables)

    def renew(self) -> None:
        """Acts with what the updates that were made last have left behind."""
        self._acting.refresh(self._newest)

    def reread(self) -> None:
        """Acts with the agent's present weights: they were changed from outside."""
        self._acting.reread()
        self._keep()

    def start(self, update: Callable[[], Weights]) -> "Future[Weights]":
        """Begins updates in the thread."""
        return self._thread.submit(update)

    def finish(self, updates: "Future[Weights]") -> None:
        """Waits for updates, and raises what they raised."""
        self._newest = updates.result()

    def state(self) -> dict[str, tf.Variable]:
        """Returns the weights that the next round is acted with."""
        self._keep()
        return {f"lag/{index:03d}": variable for index, variable in enumerate(self._variables)}

    def close(self) -> None:
        """Ends the thread."""
        self._thread.shutdown()

    def _keep(self) -> None:
        weights = self._acting.weights or values_of(self._acting.variables)
        for variable, value in zip(self._variables, weights, strict=True):
            variable.assign(value)


def overlap_of(agent: Agent, acting: HostActing, say: Callable[[str], None]) -> Overlap | None:
    """Returns what lets collecting and updating overlap, or None where acting needs the variables themselves.

    Raises:
        UsageError: The agent learns from its present policy alone.
    """
    if not agent.off_policy:
        raise UsageError(
            f"env.overlap: {getattr(agent, 'name', type(agent).__name__)} learns from what its present policy did, and "
            "would learn from what an earlier one did",
            hint="it is for off-policy agents, such as dqn and rainbow",
        )
    if not acting.in_numpy:
        say("env.overlap has no effect: the agent acts through TensorFlow, with weights that updates change")
        return None
    return Overlap(acting)
