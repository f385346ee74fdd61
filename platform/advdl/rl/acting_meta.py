"""Meta-reinforcement learning: playing, adapting, playing again and updating in one compiled program."""

from collections.abc import Sequence
from typing import Any, Literal

import numpy as np
import tensorflow as tf

from advdl.errors import UsageError
from advdl.rl.distributions import ActionModel
from advdl.rl.env_tasks import EnvTasks, PlayedTasks
from advdl.rl.functional import Params
from advdl.rl.task_episodes import Episodes, advantages, play, returns, support_advantages
from advdl.training.adapter import Adapter
from advdl.training.fused import FusedLoop
from advdl.training.learner import Batch
from advdl.training.metrics import RunningMeans
from advdl.training.pure_learner import Fast
from advdl.training.randomness import Stream, fold
from advdl.training.state import Array
from advdl.training.trainer import Trainer

_JUDGED_TOGETHER = 20


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
        self._tasks, self._adapter, self.trainer = tasks, adapter, trainer
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
        """Plays before and after one step of adaptation."""
        params = self._tasks.draw(self._streams["tasks"].at(iteration), self._meta_batch)
        fast = self._player.start(self._meta_batch)
        before = self._player.play(params, fast, self._streams["before"].at(iteration))
        support = support_advantages(self._tasks, before)
        if self._adapter.steps:
            fast = self._player.adapt(fast, support, self._streams["update"].at(iteration), step=0)
        after = self._player.play(params, fast, self._streams["after"].at(iteration))
        for name, episodes in (("before", before), ("after", after)):
            self.metrics.add(f"rollout/return_{name}", tf.reduce_mean(returns(episodes)))
        return {"support": support, "query": advantages(self._tasks, after)}


class PlayedUpdates:
    """Makes the updates on a meta-batch that was played.

    Args:
        trainer: The adapter's trainer.
        metrics: Is told what the updates report.
        epochs: How many updates.
        seeds: The stream of their seeds.
    """

    def __init__(self, trainer: Trainer, metrics: RunningMeans, epochs: int, seeds: Stream) -> None:
        self._trainer, self._metrics, self._epochs, self._seeds = trainer, metrics, epochs, seeds

    def __call__(self, batch: Batch) -> None:
        """Learns; traceable."""

        def body(epoch: tf.Tensor) -> tuple[tf.Tensor]:
            report = self._trainer.update(batch, self._seeds.at(self._trainer.updates.read_value()))
            for name, value in report.items():
                if value.shape.rank == 0:
                    self._metrics.add(f"learn/{name}", value)
            return (epoch + 1,)

        def go_on(epoch: tf.Tensor) -> tf.Tensor:
            return tf.logical_and(epoch < self._epochs, self._trainer.healthy.read_value())

        tf.while_loop(go_on, body, (tf.constant(0),), parallel_iterations=1)


class TaskPlayer:
    """Plays and adapts in many tasks at once, each with weights of its own.

    Args:
        tasks: The family.
        adapter: The adapter around a policy.

    Raises:
        UsageError: The learner does not act, or the adapter makes several inner steps while training.
    """

    def __init__(self, tasks: PlayedTasks, adapter: Adapter) -> None:
        self._tasks, self._adapter = tasks, adapter
        actions = getattr(adapter.learner, "actions", None)
        if not isinstance(actions, ActionModel):
            raise UsageError(
                f"{type(adapter.learner).__name__} does not act, and these tasks are played",
                hint="advdl meta train --learner policy",
            )
        if adapter.steps > 1:
            raise UsageError(
                f"adapter.steps cannot be {adapter.steps} where tasks are played: it must be 0 or 1",
                hint="an evaluation adapts by any number of steps, each on episodes of its own",
            )
        self._actions = actions

    def start(self, count: int) -> Fast:
        """Returns the weights before adaptation for each task, ``[count, ...]`` each."""
        fast = self._adapter.start(self._values())
        copies: Fast = tf.nest.map_structure(lambda value: tf.repeat(value[None], count, axis=0), fast)
        return copies

    def play(self, params: Params, fast: Fast, seed: tf.Tensor) -> Episodes:
        """Plays the tasks' episodes."""
        if not isinstance(self._tasks, EnvTasks):
            raise TypeError(f"{type(self._tasks).__name__} is not played in a compiled program")
        count = fast.weights[0].shape[0]
        return play(self._tasks, params, lambda seen: self.policy(fast, seen), self._actions, seed, count)

    def policy(self, fast: Fast, observations: tf.Tensor) -> tf.Tensor:
        """Returns the parameters of the policies, ``[tasks, episodes, n]``, for ``[tasks, episodes, ...]``."""
        pure = self._adapter.pure
        found: tf.Tensor = tf.vectorized_map(lambda task: pure.predict(*task), (fast, observations))
        return found

    def adapt(self, fast: Fast, support: Batch, seed: tf.Tensor, *, step: int) -> Fast:
        """Makes one inner step in each task."""
        values = self._values()

        def one(task: tuple[Fast, Any]) -> Fast:
            return self._adapter.inner_step(values, *task, seed, step=step)

        adapted: Fast = tf.vectorized_map(one, (fast, dict(support)))
        return adapted

    def _values(self) -> list[tf.Tensor]:
        return [tf.convert_to_tensor(variable.value) for variable in self._adapter.meta_variables]


class ActingJudge:
    """Plays held-out tasks before and after steps of adaptation, each step on fresh episodes.

    Args:
        tasks: The family.
        adapter: The adapter around a policy.
        jit: Whether XLA compiles it.
    """

    score = "return"
    better: Literal["higher", "lower"] = "higher"

    def __init__(self, tasks: EnvTasks, adapter: Adapter, *, jit: bool = True) -> None:
        self._tasks, self._player, self._jit = tasks, TaskPlayer(tasks, adapter), jit
        self._programs: dict[tuple[tuple[int, ...], int], Any] = {}

    def __call__(self, *, count: int, steps: Sequence[int], seed: int) -> dict[str, Array]:
        """Judges ``count`` held-out tasks after each number of inner steps.

        Args:
            count: How many tasks.
            steps: Numbers of inner steps.
            seed: The same seed gives the same tasks.

        Returns:
            ``{"return": float [count, len(steps)]}``, a mean over each task's episodes.
        """
        stream = Stream(seed, "held-out tasks")
        sizes = [min(_JUDGED_TOGETHER, count - start) for start in range(0, count, _JUDGED_TOGETHER)]
        parts = [self._program(tuple(steps), size)(stream.at(index)) for index, size in enumerate(sizes)]
        return {"return": np.concatenate([part.numpy() for part in parts])}

    def _program(self, steps: tuple[int, ...], size: int) -> Any:
        key = (steps, size)
        if key not in self._programs:
            program = tf.function(lambda seed: self._judge(seed, steps, size), jit_compile=self._jit, autograph=False)
            self._programs[key] = program
        return self._programs[key]

    def _judge(self, seed: tf.Tensor, steps: tuple[int, ...], size: int) -> tf.Tensor:
        params = self._tasks.draw(seed, size, held_out=True)
        fast, found = self._player.start(size), []
        for step in range(max(steps) + 1):
            episodes = self._player.play(params, fast, fold(seed, 1 + step))
            found.append(returns(episodes))
            if step < max(steps):
                fast = self._player.adapt(fast, support_advantages(self._tasks, episodes), seed, step=step)
        return tf.stack([found[step] for step in steps], axis=-1)
