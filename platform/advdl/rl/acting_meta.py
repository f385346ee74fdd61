"""Meta-reinforcement learning: playing, adapting, playing again and updating in one compiled program."""

from typing import Any

import tensorflow as tf

from advdl.rl.env_tasks import EnvTasks
from advdl.rl.task_player import PlayedJudge, PlayedUpdates, TaskPlayer
from advdl.training.adapter import Adapter
from advdl.training.fused import FusedLoop
from advdl.training.learner import Batch
from advdl.training.metrics import RunningMeans
from advdl.training.randomness import Stream
from advdl.training.trainer import Trainer


class ActingMetaEngine:
    """Meta-trains a policy on tasks in an env; one iteration is one meta-batch of tasks.

    The policy plays in every task, adapts by one inner step to what it met, plays again, and is updated a few times on
    both: the outer loss is clipped around the policies that played (Rothfuss et al. 2019, "ProMP").

    Args:
        tasks: The family.
        adapter: The adapter around a policy, which has ``actions`` and ``predict``.
        trainer: The adapter's trainer.
        meta_batch: Tasks in a meta-batch.
        epochs: Updates on a meta-batch.
        seed: The run's seed.
        jit: Whether XLA compiles the program.
        chunk_seconds: How long one call may take, in seconds.

    Raises:
        UsageError: The learner does not act, or the adapter makes several inner steps while training.
    """

    def __init__(
        self,
        tasks: EnvTasks,
        adapter: Adapter,
        trainer: Trainer,
        *,
        meta_batch: int,
        epochs: int,
        seed: int,
        jit: bool = True,
        chunk_seconds: float = 1.0,
    ) -> None:
        self._player = TaskPlayer(tasks, adapter)
        self._tasks, self.trainer = tasks, trainer
        self._meta_batch = meta_batch
        self._iteration = tf.Variable(0, dtype=tf.int64, trainable=False)
        self._streams = {name: Stream(seed, name) for name in ("tasks", "before", "after", "update")}
        self.metrics = RunningMeans()
        self._learn = PlayedUpdates(trainer, self.metrics, epochs, self._streams["update"])
        self._loop = FusedLoop(
            self._iterate,
            healthy=trainer.healthy,
            jit=trainer.jits(jit),
            chunk_seconds=chunk_seconds,
            guard=trainer.guard,
            agree=trainer.agreed,
        )
        self.judge = ActingJudge(tasks, adapter, jit=jit)

    @property
    def updates(self) -> int:
        """Meta-iterations made so far."""
        return int(self._iteration)

    def build(self) -> None:
        """Traces the program; after it every variable of the run exists and a checkpoint can be restored."""
        self._loop.build()

    def advance(self, until: int) -> None:
        """Makes meta-iterations for about one chunk, never past ``until``.

        Raises:
            DivergedError: A loss or a gradient was not finite; the message names which.
        """
        start = self.updates
        self._loop.advance(start, until - start)
        if not bool(self.trainer.healthy):
            last = self._iteration - 1
            raise self.trainer.diagnose(self._batch(last), self._streams["update"].at(self.trainer.updates - 1))

    def state(self) -> dict[str, tf.Variable]:
        """Returns every variable of the run by a stable name, for the checkpoint."""
        parts = {"trainer": self.trainer.state(), "metrics": self.metrics.state()}
        state = {f"{part}/{name}": value for part, values in parts.items() for name, value in values.items()}
        return state | {"engine/iteration": self._iteration}

    def _iterate(self, iteration: tf.Tensor) -> None:
        self._learn(self._batch(iteration))
        self._iteration.assign(iteration + 1)

    def _batch(self, iteration: tf.Tensor) -> Batch:
        params = self._tasks.draw(self._streams["tasks"].at(iteration), self._meta_batch)
        seeds = {name: self._streams[name].at(iteration) for name in ("before", "after", "update")}
        batch, figures = self._player.meta_batch(params, self._meta_batch, seeds)
        self.metrics.add_all(figures)
        return batch


class ActingJudge(PlayedJudge):
    """Judges in compiled programs.

    Args:
        tasks: The family.
        adapter: The adapter around a policy.
        jit: Whether XLA compiles it.
    """

    def __init__(self, tasks: EnvTasks, adapter: Adapter, *, jit: bool = True) -> None:
        self._player, self._jit = TaskPlayer(tasks, adapter), jit
        self._programs: dict[tuple[tuple[int, ...], int], Any] = {}

    def _judged(self, seed: tf.Tensor, steps: tuple[int, ...], count: int) -> tf.Tensor:
        key = (steps, count)
        if key not in self._programs:
            self._programs[key] = tf.function(
                lambda seed: self._player.judged(seed, steps, count), jit_compile=self._jit, autograph=False
            )
        return self._programs[key](seed)
