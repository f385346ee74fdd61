"""Fitting: samplers that are fitted to an agent's real transitions, anew whenever there are more of them."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import keras
import tensorflow as tf

from advdl.training.compilation import Compilation
from advdl.training.learner import Batch, Learner, Objective
from advdl.training.metrics import RunningMeans
from advdl.training.sampler import Sampler
from advdl.training.schedules import Number, Schedule
from advdl.training.trainer import Trainer
from advdl.training.update_engine import UpdateEngine


class Ensemble(Learner):
    """Samplers of the same data that learn side by side, each from its own weights and with its own noise.

    Args:
        samplers: One or more.
    """

    def __init__(self, samplers: Sequence[Sampler]) -> None:
        self.samplers = tuple(samplers)

    @property
    def models(self) -> Mapping[str, keras.Model | keras.layers.Layer]:
        """The models of each, by its number and their names."""
        return {
            f"{index}/{name}": model
            for index, sampler in enumerate(self.samplers)
            for name, model in sampler.models.items()
        }

    def objectives(self) -> Sequence[Objective]:
        """Those of each; the numbers are left out where there is one sampler."""
        alone = len(self.samplers) == 1
        return [
            Objective(each.name if alone else f"{index}/{each.name}", each.loss, each.variables)
            for index, sampler in enumerate(self.samplers)
            for each in sampler.objectives()
        ]

    def after_update(self, update: tf.Tensor) -> None:
        """Tells each."""
        for sampler in self.samplers:
            sampler.after_update(update)

    def adapt(self, data: Batch) -> None:
        """Gives each the scales of the data."""
        for sampler in self.samplers:
            sampler.adapt(data)


@dataclass(frozen=True)
class EachFit:
    """A schedule that begins anew with each fit.

    Attributes:
        schedule: What a fit follows from its first update to its last.
        updates: Updates in a fit.
    """

    schedule: Schedule
    updates: int

    def __call__(self, step: Number, total: Number) -> Number:
        """Returns the value at a step of its fit."""
        del total
        return self.schedule(step % self.updates, float(self.updates))


class Fitting:
    """Fits an ensemble to data that grow, a fit of so many updates at a time; the weights go on from fit to fit.

    Args:
        trainer: The ensemble's trainer.
        batch: ``batch(update) -> Batch``, traceable.
        data: Returns data of which the scales are read when a fit begins.
        updates: Updates in a fit; 0 leaves the weights as they were made: a control.
        seed: The run's seed.
        jit: Whether XLA compiles the updates.
        chunk_seconds: How long one call may take, in seconds.
    """

    def __init__(
        self,
        trainer: Trainer,
        batch: Callable[[tf.Tensor], Batch],
        data: Callable[[], Batch],
        *,
        updates: int,
        seed: int,
        jit: bool | Compilation = True,
        chunk_seconds: float = 1.0,
    ) -> None:
        self._engine = UpdateEngine(batch, trainer, seed=seed, jit=jit, chunk_seconds=chunk_seconds)
        self._trainer, self._data, self._updates = trainer, data, updates
        self._fits = tf.Variable(0, dtype=tf.int64, trainable=False)

    @property
    def fits(self) -> int:
        """Fits made so far."""
        return int(self._fits)

    @property
    def updates(self) -> int:
        """Updates made so far."""
        return int(self._trainer.updates)

    @property
    def metrics(self) -> RunningMeans:
        """What fitting reports."""
        return self._engine.metrics

    def build(self) -> None:
        """Traces the program; where nothing is fitted there is none."""
        if self._updates:
            self._engine.build()

    def advance(self) -> bool:
        """Goes on with a fit for about one chunk; returns whether it is complete.

        Raises:
            DivergedError: A loss or a gradient was not finite.
        """
        done = self.fits * self._updates
        if self._trainer.updates == done:
            learner: Any = self._trainer.learner
            learner.adapt(self._data())
        if self._updates:
            self._engine.advance(done + self._updates)
        complete = self.updates == done + self._updates
        if complete:
            self._fits.assign_add(1)
        return complete

    def state(self) -> dict[str, tf.Variable]:
        """Returns every variable by a stable name, for the checkpoint."""
        return {**self._engine.state(), "fits": self._fits}
