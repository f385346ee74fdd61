"""What every engine of tasks that are played does: play, adapt, play again, update; and judge on held-out tasks."""

import abc
from collections.abc import Mapping, Sequence
from typing import Any, Literal

import numpy as np
import tensorflow as tf

from advdl.errors import UsageError
from advdl.rl.distributions import ActionModel
from advdl.rl.env_tasks import EnvTasks, PlayedTasks
from advdl.rl.functional import Params
from advdl.rl.task_episodes import Episodes, advantages, play, returns, support_advantages
from advdl.training.adapter import Adapter
from advdl.training.learner import Batch
from advdl.training.meta_engine import held_out_groups
from advdl.training.metrics import RunningMeans
from advdl.training.pure_learner import Fast
from advdl.training.randomness import Stream, fold
from advdl.training.state import Array
from advdl.training.trainer import Trainer

_JUDGED_TOGETHER = 20


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
            self._metrics.add_report(report)
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

    def meta_batch(self, params: Any, count: int, seeds: Mapping[str, tf.Tensor]) -> tuple[Batch, dict[str, tf.Tensor]]:
        """Plays before and after one step of adaptation.

        Args:
            params: The tasks.
            count: How many they are.
            seeds: Those of playing ``before`` and ``after``, and of the ``update``.

        Returns:
            What the updates learn from, and the mean returns by the names of metrics.
        """
        fast = self.start(count)
        before = self.play(params, fast, seeds["before"])
        support = support_advantages(self._tasks, before)
        if self._adapter.steps:
            fast = self.adapt(fast, support, seeds["update"], step=0)
        after = self.play(params, fast, seeds["after"])
        played = {"before": before, "after": after}
        figures = {f"rollout/return_{name}": tf.reduce_mean(returns(episodes)) for name, episodes in played.items()}
        return {"support": dict(support), "query": dict(advantages(self._tasks, after))}, figures

    def judged(self, seed: tf.Tensor, steps: Sequence[int], count: int) -> tf.Tensor:
        """Plays held-out tasks before and after steps of adaptation; returns returns, ``[count, len(steps)]``."""
        params = self._tasks.draw(seed, count, held_out=True)
        fast, found = self.start(count), []
        for step in range(max(steps) + 1):
            episodes = self.play(params, fast, fold(seed, 1 + step))
            found.append(returns(episodes))
            if step < max(steps):
                fast = self.adapt(fast, support_advantages(self._tasks, episodes), seed, step=step)
        return tf.stack([found[step] for step in steps], axis=-1)

    def _values(self) -> list[tf.Tensor]:
        return [tf.convert_to_tensor(variable.value) for variable in self._adapter.meta_variables]


class PlayedJudge(abc.ABC):
    """Plays held-out tasks before and after steps of adaptation, each step on fresh episodes."""

    score = "return"
    better: Literal["higher", "lower"] = "higher"

    def __call__(self, *, count: int, steps: Sequence[int], seed: int) -> dict[str, Array]:
        """Judges ``count`` held-out tasks after each number of inner steps.

        Args:
            count: How many tasks.
            steps: Numbers of inner steps.
            seed: The same seed gives the same tasks.

        Returns:
            ``{"return": float [count, len(steps)]}``, a mean over each task's episodes.
        """
        groups = held_out_groups(seed, count, _JUDGED_TOGETHER)
        return {"return": np.concatenate([self._judged(at, tuple(steps), size).numpy() for at, size in groups])}

    @abc.abstractmethod
    def _judged(self, seed: tf.Tensor, steps: tuple[int, ...], count: int) -> tf.Tensor:
        """Judges tasks that are played together, as ``TaskPlayer.judged`` does."""
