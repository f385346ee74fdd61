"""Engine: what steps envs and trains an agent on what they give. The contract of both engines."""

from typing import Protocol

import tensorflow as tf

from advdl.training.metrics import RunningMeans


class Engine(Protocol):
    """Makes env steps and the updates that are due after them."""

    metrics: RunningMeans

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

    def state(self) -> dict[str, tf.Variable]:
        """Returns every variable of the run by a stable name, for the checkpoint."""
