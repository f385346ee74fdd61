"""UpdateWork: what works whose steps are updates share, whatever their batches are of."""

import zlib
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from advdl.experiment.learnt import learnt_state
from advdl.training.stopwatch import Stopwatch

if TYPE_CHECKING:
    import numpy as np

    from advdl.training.checkpoint import CheckpointStore
    from advdl.training.metrics import RunningMeans
    from advdl.training.state import State
    from advdl.training.trainer import Trainer


class Updating(Protocol):
    """An engine that makes updates."""

    @property
    def trainer(self) -> "Trainer":
        """Makes the updates."""

    @property
    def metrics(self) -> "RunningMeans":
        """What training reports."""

    @property
    def updates(self) -> int:
        """Updates made so far."""

    def build(self) -> None:
        """Traces the program."""

    def advance(self, until: int) -> None:
        """Makes updates for about one chunk, never past ``until``."""

    def state(self) -> "Mapping[str, Any]":
        """Returns every variable of the run by a stable name."""


class UpdateWork:
    """Drives an engine whose steps are updates.

    Args:
        engine: The engine.
        seed: The run's seed.
    """

    target = None

    def __init__(self, engine: Updating, seed: int) -> None:
        self._updating, self._seed = engine, seed
        self.metrics = engine.metrics
        self.stopwatch = Stopwatch()

    @property
    def step(self) -> int:
        """Updates made so far."""
        return self._updating.updates

    def keep(self, folder: Path) -> None:
        """Nothing is needed beside the checkpoints."""

    def build(self) -> None:
        """Traces the engine's program."""
        self._updating.build()

    def advance(self, until: int) -> None:
        """Runs a chunk of the engine."""
        self._updating.advance(until)

    def state(self) -> "State":
        """Returns the engine's state, the trainer's in it."""
        return self._updating.state()

    def learnt(self) -> "State":
        """Returns the learner's variables, and their averages where there are any."""
        return learnt_state(self._updating.trainer)

    def weights(self) -> "Mapping[str, np.ndarray]":
        """Returns the trainable variables."""
        from advdl.training.trainer import learner_weights

        return learner_weights(self._updating.trainer.learner)

    def store(self, folder: Any, *, keep_last: int) -> "CheckpointStore":
        """Returns a store of TensorFlow checkpoints."""
        from advdl.training.checkpoint import CheckpointStore

        return CheckpointStore(folder, keep_last=keep_last)

    def judging_seed(self, purpose: str) -> int:
        """Derives a seed that no other evaluation of the run has."""
        return zlib.crc32(f"{self._seed}/{purpose}/{self.step}".encode())
