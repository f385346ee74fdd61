"""UpdateEngine: drawing a batch and updating on it, many times in one compiled program."""

from collections.abc import Callable

import tensorflow as tf

from advdl.training.compilation import Compilation, as_compilation
from advdl.training.fused import FusedLoop
from advdl.training.learner import Batch
from advdl.training.metrics import RunningMeans
from advdl.training.randomness import Stream
from advdl.training.trainer import Trainer


class UpdateEngine:
    """Trains on batches that are a function of the update's number: data sets, tasks.

    Args:
        batch: ``batch(update) -> Batch``, traceable; ``update`` is the number of updates made before.
        trainer: Makes the updates.
        seed: The run's seed.
        jit: Whether XLA compiles the program, or each update in it.
        chunk_seconds: How long one call may take, in seconds.
    """

    def __init__(
        self,
        batch: Callable[[tf.Tensor], Batch],
        trainer: Trainer,
        *,
        seed: int,
        jit: bool | Compilation = True,
        chunk_seconds: float = 1.0,
    ) -> None:
        self._batch, self.trainer = batch, trainer
        self.metrics = RunningMeans()
        self._seeds = Stream(seed, "update")
        self._compilation, self._chunk_seconds = as_compilation(jit, trainer.learner), chunk_seconds
        self._xla = self._compilation.assumed
        self._loop = self._fused()

    @property
    def updates(self) -> int:
        """Updates made so far."""
        return int(self.trainer.updates)

    def build(self) -> None:
        """Traces the program; after it every variable of the run exists and a checkpoint can be restored."""
        self._loop.build()

    def advance(self, until: int) -> None:
        """Makes updates for about one chunk, never past ``until``.

        Raises:
            DivergedError: A loss or a gradient was not finite; the message names which.
        """
        if self.trainer.jits(True) and self._compilation.decide() != self._xla:
            self._xla = False
            self._loop = self._fused()
        start = self.updates
        self._loop.advance(start, until - start)
        if not bool(self.trainer.healthy):
            step = self.trainer.updates - 1
            raise self.trainer.diagnose(self._batch(step), self._seeds.at(step))

    def state(self) -> dict[str, tf.Variable]:
        """Returns every variable of the run by a stable name, for the checkpoint."""
        parts = {
            "trainer": self.trainer.state(),
            "metrics": self.metrics.state(),
            "engine": self._compilation.state(),
        }
        return {f"{part}/{name}": value for part, values in parts.items() for name, value in values.items()}

    def _fused(self) -> FusedLoop:
        jits = self.trainer.jits(self._xla)
        apart = jits and self._compilation.apart
        return FusedLoop(
            tf.function(self._iterate, jit_compile=True, autograph=False) if apart else self._iterate,
            healthy=self.trainer.healthy,
            jit=jits and not apart,
            chunk_seconds=self._chunk_seconds,
            guard=self.trainer.guard,
            agree=self.trainer.agreed,
        )

    def _iterate(self, update: tf.Tensor) -> None:
        self.metrics.add_report(self.trainer.update(self._batch(update), self._seeds.at(update), jit=self._xla))
