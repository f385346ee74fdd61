"""Meta-reinforcement learning in envs that Gymnasium steps: acting, adapting and updating are compiled programs."""

from typing import Any

import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from advdl.errors import UsageError
from advdl.rl.env_checks import LeafRule, leaf_rules
from advdl.rl.env_copy import EnvCopy
from advdl.rl.env_faults import naming
from advdl.rl.host_tasks import HostTasks, task_options
from advdl.rl.task_episodes import Episodes
from advdl.rl.task_player import PlayedJudge, PlayedUpdates, TaskPlayer
from advdl.training.adapter import Adapter
from advdl.training.learner import Batch
from advdl.training.metrics import RunningMeans
from advdl.training.pure_learner import Fast
from advdl.training.randomness import Stream, fold
from advdl.training.trainer import Trainer

_AHEAD = np.uint64(32)


class HostMetaEngine:
    """Meta-trains a policy on tasks in a host env; one iteration is one meta-batch of tasks.

    What an iteration is, and what is learnt from it, is as in ``ActingMetaEngine``. Every episode is reset with
    a seed and a task that follow from the run's seed and the iteration's number, so no env is part of a checkpoint.

    Args:
        tasks: The family.
        adapter: The adapter around a policy.
        trainer: The adapter's trainer.
        meta_batch: Tasks in a meta-batch.
        epochs: Updates on a meta-batch.
        seed: The run's seed.
        jit: Whether XLA compiles the programs.

    Raises:
        UsageError: The learner does not act, or the adapter makes several inner steps while training.
        RunError: The env cannot be made.
    """

    def __init__(
        self,
        tasks: HostTasks,
        adapter: Adapter,
        trainer: Trainer,
        *,
        meta_batch: int,
        epochs: int,
        seed: int,
        jit: bool = True,
    ) -> None:
        self._player = HostPlayer(tasks, adapter, jit=jit)
        self._tasks, self.trainer = tasks, trainer
        self._meta_batch = meta_batch
        self._iteration = tf.Variable(0, dtype=tf.int64, trainable=False)
        self._streams = {name: Stream(seed, name) for name in ("tasks", "before", "after", "update")}
        self.metrics = RunningMeans()
        updates = PlayedUpdates(trainer, self.metrics, epochs, self._streams["update"])
        self._learn = tf.function(updates, jit_compile=trainer.jits(jit), autograph=False)
        self.judge = HostJudge(self._player)

    @property
    def updates(self) -> int:
        """Meta-iterations made so far."""
        return int(self._iteration)

    def build(self) -> None:
        """Traces the program of an update; after it every variable of the run exists."""
        self.metrics.add_all({f"rollout/return_{name}": tf.constant(0.0) for name in ("before", "after")}, 0.0)
        support = self._player.sample_spec(self._meta_batch)
        self._learn.get_concrete_function({"support": support, "query": dict(support)})

    def advance(self, until: int) -> None:
        """Makes one meta-iteration, unless ``until`` is reached.

        Raises:
            DivergedError: A loss or a gradient was not finite; the message names which.
            EnvFaultError: A copy of the env failed.
        """
        if self.updates >= until:
            return
        batch = self._batch(self._iteration.read_value())
        with self.trainer.guard():
            self._learn(batch)
        self._iteration.assign_add(1)
        if not bool(self.trainer.healthy):
            raise self.trainer.diagnose(batch, self._streams["update"].at(self.trainer.updates - 1))

    def state(self) -> dict[str, tf.Variable]:
        """Returns every variable of the run by a stable name, for the checkpoint."""
        parts = {"trainer": self.trainer.state(), "metrics": self.metrics.state()}
        state = {f"{part}/{name}": value for part, values in parts.items() for name, value in values.items()}
        return state | {"engine/iteration": self._iteration}

    def _batch(self, iteration: tf.Tensor) -> Batch:
        params = self._tasks.draw(self._streams["tasks"].at(iteration), self._meta_batch)
        seeds = {name: self._streams[name].at(iteration) for name in ("before", "after", "update")}
        batch, figures = self._player.meta_batch(params, self._meta_batch, seeds)
        self.metrics.add_all(figures)
        return batch


class HostPlayer(TaskPlayer):
    """Plays and adapts in many tasks at once: Gymnasium steps the copies, the policies act in one compiled call.

    Args:
        tasks: The family.
        adapter: The adapter around a policy.
        jit: Whether XLA compiles acting and adapting.

    Raises:
        UsageError: The learner does not act, or the adapter makes several inner steps while training.
    """

    def __init__(self, tasks: HostTasks, adapter: Adapter, *, jit: bool = True) -> None:
        super().__init__(tasks, adapter)
        self._copies = _Copies(tasks)
        self._host_tasks = tasks
        self._act = tf.function(self._acting, jit_compile=jit, autograph=False)
        adapting = super().adapt
        self._adapt = tf.function(adapting, jit_compile=jit, autograph=False)

    def adapt(self, fast: Fast, support: Batch, seed: tf.Tensor, *, step: int) -> Fast:
        """Makes one inner step in each task."""
        adapted: Fast = self._adapt(fast, dict(support), seed, step=step)
        return adapted

    def play(self, params: Any, fast: Fast, seed: tf.Tensor) -> Episodes:
        """Plays the tasks' episodes; not traceable.

        Raises:
            EnvFaultError: A copy of the env failed.
        """
        tasks, count = self._host_tasks, int(fast.weights[0].shape[0])
        shape = (count, tasks.episodes)
        seen = self._copies.begin(params, shape, seed)
        stored = self._empty(shape, seen.dtype)
        alive = np.ones(shape, np.bool_)
        for step in range(tasks.horizon):
            raw, action, log_prob = self._act(fast, tf.constant(seen), fold(seed, step))
            stored["x"][:, :, step], stored["c"][:, :, step] = seen, raw.numpy()
            stored["log_prob"][:, :, step], stored["alive"][:, :, step] = log_prob.numpy(), alive
            seen, stored["reward"][:, :, step], alive = self._copies.step(action.numpy(), seen, alive)
            if not alive.any():
                break
        return {name: tf.constant(values) for name, values in stored.items()}

    def sample_spec(self, count: int) -> dict[str, tf.TensorSpec]:
        """Returns what ``advantages`` makes of ``count`` tasks' episodes."""
        samples = self._host_tasks.episodes * self._host_tasks.horizon
        fields = {
            "x": (self._copies.shape, self._copies.dtype),
            "c": (self._actions.raw.shape, self._actions.raw.dtype),
        }
        fields |= dict.fromkeys(("log_prob", "advantage", "weight"), ((), tf.float32))
        return {name: tf.TensorSpec((count, samples, *shape), dtype) for name, (shape, dtype) in fields.items()}

    def _empty(self, shape: tuple[int, int], dtype: Any) -> dict[str, NDArray[Any]]:
        """Makes the arrays of an iteration; steps that nobody lives to see stay zeros."""
        steps, raw = self._host_tasks.horizon, self._actions.raw
        arrays = {"x": np.zeros((*shape, steps, *self._copies.shape), dtype)}
        arrays["c"] = np.zeros((*shape, steps, *raw.shape), raw.dtype.as_numpy_dtype)
        return arrays | {name: np.zeros((*shape, steps), np.float32) for name in ("log_prob", "reward", "alive")}

    def _acting(self, fast: Fast, seen: tf.Tensor, seed: tf.Tensor) -> tuple[tf.Tensor, ...]:
        parameters = self.policy(fast, seen)
        shape = parameters.shape[:2]
        distribution = self._actions.distribution(tf.reshape(parameters, [-1, parameters.shape[-1]]))
        raw = distribution.sample(seed)
        found = raw, self._actions.to_env(raw), distribution.log_prob(raw)
        return tuple(tf.reshape(value, [*shape, *value.shape[1:]]) for value in found)


class HostJudge(PlayedJudge):
    """Judges step by step.

    Args:
        player: Plays the tasks of its family.
    """

    def __init__(self, player: HostPlayer) -> None:
        self._player = player

    def _judged(self, seed: tf.Tensor, steps: tuple[int, ...], count: int) -> tf.Tensor:
        return self._player.judged(seed, steps, count)


class _Copies:
    """Copies of the env, made when they are first needed."""

    def __init__(self, tasks: HostTasks) -> None:
        self._factory = tasks.factory()
        (self._rule,) = _rules(tasks)
        self.shape, self.dtype = self._rule.shape, self._rule.dtype
        self._made: list[EnvCopy] = []

    def begin(self, params: Any, shape: tuple[int, int], seed: tf.Tensor) -> NDArray[Any]:
        """Begins an episode in every copy; returns observations ``[tasks, episodes, ...]``."""
        count, each = shape
        high, low = (np.uint64(word) for word in np.asarray(seed).astype(np.uint32))
        number = int((high << _AHEAD) | low)
        options = [task_options(params, index) for index in range(count)]
        seen = np.zeros((count * each, *self.shape), self.dtype)
        with naming(self._factory.id):
            self._make(count * each)
            for row in range(count * each):
                seen[row] = self._made[row].begin(number, options[row // each])[0]
                self._require_finite(row, seen[row], "reset")
        return seen.reshape(*shape, *self.shape)

    def step(
        self, actions: NDArray[Any], seen: NDArray[Any], alive: NDArray[np.bool_]
    ) -> tuple[NDArray[Any], NDArray[np.float32], NDArray[np.bool_]]:
        """Steps the copies whose episode has not ended; returns observations, rewards and which go on."""
        rows = seen.reshape(-1, *self.shape).copy()
        flat = actions.reshape(len(rows), *actions.shape[2:])
        reward, still = np.zeros(len(rows), np.float32), alive.reshape(-1).copy()
        with naming(self._factory.id):
            for row in np.flatnonzero(still):
                (rows[row],), reward[row], terminated, truncated = self._made[row].step(flat[row])
                self._require_finite(int(row), rows[row], "step")
                still[row] = not (terminated or truncated)
        return rows.reshape(seen.shape), reward.reshape(alive.shape), still.reshape(alive.shape)

    def _make(self, count: int) -> None:
        while len(self._made) < count:
            self._made.append(EnvCopy(self._factory, len(self._made), 0, [self._rule]))

    def _require_finite(self, row: int, value: NDArray[Any], where: str) -> None:
        if self.dtype.kind == "f" and not np.isfinite(value).all():
            raise self._made[row].fault("gave an observation that is not finite", where)


def _rules(tasks: HostTasks) -> list[LeafRule]:
    try:
        rules = leaf_rules(tasks.spec.x)
    except TypeError as error:
        raise UsageError(f"env {tasks.env_id!r} cannot be meta-trained in: its observation {error}") from error
    if len(rules) != 1:
        raise UsageError(f"env {tasks.env_id!r} cannot be meta-trained in: its observation has {len(rules)} parts")
    return rules
