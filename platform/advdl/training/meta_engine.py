"""The meta-engine: drawing tasks, adapting to them and updating in one compiled program."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Literal

import numpy as np
import tensorflow as tf

from advdl.training.adapter import Adapter
from advdl.training.data_learner import DataLearner
from advdl.training.learner import Learner
from advdl.training.randomness import Stream
from advdl.training.settled import settled
from advdl.training.state import Array
from advdl.training.tasks import Tasks
from advdl.training.trainer import Trainer
from advdl.training.update_engine import UpdateEngine

_JUDGED_TOGETHER = 50


class MetaEngine(UpdateEngine):
    """Meta-trains an adapter on a family of tasks; one update is one meta-update on one meta-batch.

    Args:
        tasks: The family.
        adapter: The adapter.
        trainer: The adapter's trainer.
        meta_batch: Tasks in a meta-batch.
        seed: The run's seed.
        jit: Whether XLA compiles the program.
        chunk_seconds: How long one call may take, in seconds.
    """

    def __init__(
        self,
        tasks: Tasks,
        adapter: Adapter,
        trainer: Trainer,
        *,
        meta_batch: int,
        seed: int,
        jit: bool = True,
        chunk_seconds: float = 1.0,
    ) -> None:
        stream = Stream(seed, "tasks")
        super().__init__(
            lambda update: settled(lambda: tasks.sample(stream.at(update), meta_batch), update),
            trainer,
            seed=seed,
            jit=jit,
            chunk_seconds=chunk_seconds,
        )
        self.judge = Judge(tasks, adapter, jit=jit)


class Judge:
    """Adapts to held-out tasks and measures what becomes of them.

    Attributes:
        score: The figure that decides.
        better: Whether a higher or a lower one is better.

    Args:
        tasks: The family.
        adapter: The adapter.
        jit: Whether XLA compiles it.
    """

    def __init__(self, tasks: Tasks, adapter: Adapter, *, jit: bool = True) -> None:
        self._tasks, self._adapter, self._jit = tasks, adapter, jit
        self.score, self.better = _judged_by(adapter.learner)
        self._programs: dict[tuple[tuple[int, ...], int], tf.types.experimental.PolymorphicFunction] = {}

    def __call__(self, *, count: int, steps: Sequence[int], seed: int) -> dict[str, Array]:
        """Judges ``count`` held-out tasks after each number of inner steps.

        Args:
            count: How many tasks.
            steps: Numbers of inner steps.
            seed: The same seed gives the same tasks.

        Returns:
            By the name of the figure, a mean over each task's query: float ``[count, len(steps)]``.
        """
        parts = [self._program(tuple(steps), size)(at) for at, size in held_out_groups(seed, count, _JUDGED_TOGETHER)]
        return {name: np.concatenate([part[name].numpy() for part in parts]) for name in parts[0]}

    def _program(self, steps: tuple[int, ...], size: int) -> tf.types.experimental.PolymorphicFunction:
        """Compiles once for each number of tasks and steps."""

        def judge(seed: tf.Tensor) -> Mapping[str, tf.Tensor]:
            tasks = self._tasks.sample(seed, size, held_out=True)
            return self._adapter.judge(tasks, seed, steps=steps)

        key = (steps, size)
        if key not in self._programs:
            self._programs[key] = tf.function(judge, jit_compile=self._jit, autograph=False)
        return self._programs[key]


def held_out_groups(seed: int, count: int, together: int) -> Iterator[tuple[tf.Tensor, int]]:
    """Cuts held-out tasks into groups that are judged together; yields each group's seed and size."""
    stream = Stream(seed, "held-out tasks")
    for index, start in enumerate(range(0, count, together)):
        yield stream.at(index), min(together, count - start)


def _judged_by(learner: Learner) -> tuple[str, Literal["higher", "lower"]]:
    return (learner.score, learner.better) if isinstance(learner, DataLearner) else ("loss", "lower")
