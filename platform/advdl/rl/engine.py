"""Engine: what steps envs and trains an agent on what they give. The contract of both engines."""

from typing import Protocol

import tensorflow as tf


class Meter(Protocol):
    """Means of an interval; ``training.RunningMeans`` is one."""

    def read(self) -> dict[str, float]:
        """Returns the means of the interval."""

    def reset(self) -> None:
        """Starts a new interval."""

    def peek(self, name: str) -> float | None:
        """Returns one mean of the interval so far, or None."""


class Engine(Protocol):
    """Makes env steps and the updates that are due after them."""

    @property
    def metrics(self) -> Meter:
        """What training reports."""

    @property
    def env_steps(self) -> int:
        """Env steps made so far, all copies together."""

    def build(self) -> None:
        """Traces the programs; after it every variable of the run exists."""

    def advance(self, until: int) -> None:
        """Makes steps for about one chunk, never past ``until`` env steps.

        Raises:
            DivergedError: A loss or a gradient was not finite.
            RunError: The env failed.
        """

    def weights_changed(self) -> None:
        """Says that the agent's weights were changed from outside since the last call."""

    def state(self) -> dict[str, tf.Variable]:
        """Returns every variable of the run by a stable name, for the checkpoint."""
