"""The host engine: any Gymnasium env, stepped in Python; storing and updating in one compiled call a round."""

import contextlib
import time
from collections.abc import Callable, Sequence
from typing import Any

import tensorflow as tf
from gymnasium.vector import AutoresetMode
from numpy.typing import NDArray

from advdl.errors import UsageError
from advdl.rl.agent import Agent
from advdl.rl.episodes import Episodes
from advdl.rl.host_acting import HostActing
from advdl.rl.host_overlap import Overlap, overlap_of
from advdl.rl.host_vector import HostVectorEnv
from advdl.rl.replay_disk import disk_of
from advdl.rl.source import RoundSource, Source
from advdl.rl.staging import Staging
from advdl.rl.updating import Updating
from advdl.training.compilation import Compilation, as_compilation
from advdl.training.metrics import RunningMeans
from advdl.training.randomness import Stream
from advdl.training.stopwatch import Stopwatch
from advdl.training.trainer import Trainer

_LONGEST_ROUND = 256
"""Steps of every copy that are staged at most before a compiled call takes them in."""

_FAR = 10**9


class HostEngine:
    """Steps a vector env and trains the agent on what it gives. Its face is that of ``CompiledEngine``.

    Between two rounds of updates the policy does not change. So a round is: act and step in Python until updates are
    due, then one compiled call that stores every step and makes the updates. Agent and source do not notice: what is
    learnt from the same steps is the same in both engines.

    Args:
        env: A ``HostVectorEnv``, or another ``gymnasium.vector.VectorEnv`` whose autoreset mode is ``SAME_STEP``.
        agent: The agent.
        trainer: The agent's trainer.
        source: What ``agent.source(num_envs=env.num_envs)`` gave.
        total_steps: The run's length in env steps.
        seed: The run's seed.
        jit: Whether XLA compiles the call, or each update in it.
        chunk_seconds: How long ``advance`` may take, in seconds.
        overlap: Whether the next round is collected while the updates of the last one are made, see ``Overlap``.
        say: Told what a user should know, such as why acting is slow.
        stopwatch: Counts where the time went: ``act``, ``env``, ``stage``, and ``update``, which is the compiled call
            that stores, samples and updates.

    Raises:
        UsageError: The env begins new episodes in another way, or nothing may overlap with the agent's updates.
    """

    def __init__(
        self,
        env: Any,
        agent: Agent,
        trainer: Trainer,
        source: Source,
        *,
        total_steps: int,
        seed: int,
        jit: bool | Compilation = True,
        chunk_seconds: float = 1.0,
        overlap: bool = False,
        say: Callable[[str], None] = print,
        stopwatch: Stopwatch | None = None,
    ) -> None:
        _require_same_step(env)
        self._env, self._agent, self._trainer = env, agent, trainer
        self._num_envs, self._total, self._chunk_seconds = env.num_envs, total_steps, chunk_seconds
        self.metrics = RunningMeans()
        self.source = source
        self._updating = Updating(trainer, source, self.metrics, seed)
        self._compilation = as_compilation(jit, agent)
        self._acting = HostActing(
            agent,
            num_envs=env.num_envs,
            total=float(total_steps),
            stream=Stream(seed, "act"),
            jit=self._compilation.assumed,
            say=say,
        )
        self._overlap = overlap_of(agent, self._acting, say) if overlap else None
        self._metric_names = [f"act/{name}" for name in self._acting.metric_names]
        self._staging = Staging(
            agent.spaces,
            self._acting,
            num_envs=env.num_envs,
            capacity=self._round_after(_FAR, _LONGEST_ROUND),
            figures=len(self._metric_names) + 3,
        )
        self._episodes = Episodes(env, self._acting.first_carry, seed)
        self._iteration = tf.Variable(0, dtype=tf.int64, trainable=False)
        self._xla = self._compilation.assumed
        self._program: Any = None
        self._fresh = False
        self._stopwatch = stopwatch or Stopwatch()

    @property
    def env_steps(self) -> int:
        """Env steps made so far, all copies together."""
        steps: int = int(self._iteration) * self._num_envs
        return steps

    def build(self) -> None:
        """Traces the program; after it every variable of the run exists and a checkpoint can be restored."""
        jits = self._trainer.jits(self._xla)
        self._apart = jits and (self._compilation.apart or disk_of(self.source) is not None)
        program = tf.function(self._learn, jit_compile=jits and not self._apart, autograph=False)
        # The trace itself is called: finding it by its arguments takes as long as an update.
        self._program = program.get_concrete_function(*self._staging.specs)

    def advance(self, until: int) -> None:
        """Makes steps for about one chunk, never past ``until`` env steps.

        Raises:
            DivergedError: A loss or a gradient was not finite; the message names which.
            EnvFaultError: The env failed; the message says which copy, and how to see it again.
        """
        if self._trainer.jits(True) and self._compilation.decide() != self._xla:
            self._xla, self._program = False, None
        if self._program is None:
            self.build()
        self._episodes.take_back()
        if disk := disk_of(self.source):
            disk.take_back()
        if not self._fresh:
            self._overlap.take_back() if self._overlap else self._acting.reread()
            self._fresh = True
        ends = -(-until // self._num_envs)
        began, iteration = time.perf_counter(), int(self._iteration)
        if self._overlap:
            self._advance_overlapped(self._overlap, iteration, ends, began + self._chunk_seconds)
            return
        while iteration < ends:
            count = self._round_after(iteration, min(ends - iteration, self._staging.capacity))
            with self._watched():
                self._collect(iteration, count)
            with self._stopwatch.span("update"):
                self._take_in(iteration, count)
            iteration += count
            if time.perf_counter() - began >= self._chunk_seconds:
                break

    def weights_changed(self) -> None:
        """NumPy acts with copies of the weights, which are read again."""
        if self._overlap:
            self._overlap.reread()
        self._fresh = False

    def state(self) -> dict[str, tf.Variable]:
        """Returns every variable of the run by a stable name, for the checkpoint."""
        parts = {
            "trainer": self._trainer.state(),
            "source": self.source.state(),
            "metrics": self.metrics.state(),
            "engine": {"iteration": self._iteration, **self._episodes.state(), **self._compilation.state()},
            "overlap": self._overlap.state() if self._overlap else {},
        }
        self._fresh = False  # the caller may fill the variables
        return {f"{part}/{name}": value for part, values in parts.items() for name, value in values.items()}

    def close(self) -> None:
        """Closes the env."""
        if self._overlap:
            self._overlap.close()
        self._env.close()

    def _advance_overlapped(self, overlap: Overlap, iteration: int, ends: int, deadline: float) -> None:
        """As ``advance``, only that a round's updates are made while the next one is collected."""
        count = self._collect_next(iteration, ends)
        while count:
            if self._updates_follow(iteration, count):  # however a round is cut into calls, it is acted by one policy
                overlap.renew()
            taking_in = self._taking_in(iteration, count)
            iteration += count
            self._acting.draw_ahead(iteration, self._next_count(iteration, ends))
            updates = overlap.start(taking_in)
            try:
                count = self._collect_next(iteration, ends) if time.perf_counter() < deadline else 0
            finally:
                with self._stopwatch.span("update"):  # what of it was not hidden
                    overlap.finish(updates)

    def _collect_next(self, iteration: int, ends: int) -> int:
        count = self._next_count(iteration, ends)
        if count:
            with self._watched():
                self._collect(iteration, count)
        return count

    def _next_count(self, iteration: int, ends: int) -> int:
        """Returns how many steps the next round has; 0 at the end."""
        most = min(ends - iteration, self._staging.capacity)
        return self._round_after(iteration, most) if most > 0 else 0

    def _updates_follow(self, iteration: int, count: int) -> bool:
        before, after = (self.source.updates_in(step * self._num_envs) for step in (iteration, iteration + count))
        return after > before

    def _round_after(self, iteration: int, most: int) -> int:
        """Returns how many steps of all copies follow before updates are due, at most ``most``."""
        made = self.source.updates_in(iteration * self._num_envs)
        for count in range(1, most):
            if self.source.updates_in((iteration + count) * self._num_envs) > made:
                return count
        return max(most, 1)

    def _collect(self, iteration: int, count: int) -> None:
        episodes, staging, clock = self._episodes, self._staging, time.perf_counter
        acting = stepping = 0.0
        began = clock()
        runners = getattr(self._env, "runners", None)
        if runners:
            with self._stopwatch.span("play"):
                self._env.play(self._acting, iteration, count)
            began = clock()
        for row in range(count):
            start, seen = clock(), episodes.observation
            acted = runners.acted(self._acting) if runners else self._acting(seen, episodes.carry, iteration + row)
            decided = clock()
            following, outcome = episodes.step(acted.action, acted.carry)
            stepping += clock() - decided
            acting += decided - start
            staging.write(row, seen, acted, following, outcome)
            staging.figures[row] = (*acted.metrics.values(), *episodes.take_ended())
        for name, seconds in (("act", acting), ("env", stepping), ("stage", clock() - began - acting - stepping)):
            self._stopwatch.add(name, seconds)

    def _watched(self) -> contextlib.AbstractContextManager[None]:
        """Has an env of ours watch over a whole round at once."""
        env = self._env
        return env.watched() if isinstance(env, HostVectorEnv) else contextlib.nullcontext()

    def _taking_in(self, iteration: int, count: int) -> Callable[[], list[NDArray[Any]]]:
        """Returns what takes the staged steps in, and gives the weights then; it has copies of what is staged."""
        inputs = self._staging.tensors(iteration, count)

        def take_in() -> list[NDArray[Any]]:
            with self._trainer.guard():
                healthy, *values = self._program(*inputs)
            if not bool(healthy):
                raise self._updating.diagnosis()
            return [value.numpy() for value in values]

        return take_in

    def _take_in(self, iteration: int, count: int) -> None:
        self._acting.refresh(self._taking_in(iteration, count)())

    def _learn(self, *inputs: tf.Tensor) -> list[tf.Tensor]:
        """Stores staged steps and makes the updates that are due after each of them.

        Args:
            inputs: What is staged.

        Returns:
            Whether training is healthy, and the values that acting needs.
        """
        arrays, figures, iteration, count = self._staging.unpacked(inputs)
        if isinstance(self.source, RoundSource):
            self.source.add_round(self._staging.transitions(arrays), count)
            _for_each(count, lambda row: self._report(tf.gather(figures, row)))
            self._advance_to(iteration + count)
        else:
            _for_each(count, lambda row: self._store(arrays, figures, iteration, row), self._trainer.healthy)
        return [variable.read_value() for variable in (self._trainer.healthy, *self._acting.variables)]

    def _store(self, arrays: Sequence[tf.Tensor], figures: tf.Tensor, iteration: tf.Tensor, row: tf.Tensor) -> None:
        self.source.add(self._staging.transition(arrays, row))
        self._report(tf.gather(figures, row))
        self._advance_to(iteration + row + 1)

    def _advance_to(self, iteration: tf.Tensor) -> None:
        self._updating.after(iteration * self._num_envs, jit=self._xla, apart=self._apart)
        self._iteration.assign(iteration)

    def _report(self, figures: tf.Tensor) -> None:
        """Adds one step's figures: step by step, so that how steps are staged changes no bit of a sum."""
        self.metrics.add_all({name: figures[index] for index, name in enumerate(self._metric_names)})
        returns, lengths, count = tf.unstack(figures[-3:])
        self.metrics.add_all({"rollout/return": returns, "rollout/length": lengths}, count)


def _for_each(count: tf.Tensor, action: Callable[[tf.Tensor], None], healthy: tf.Variable | None = None) -> None:
    """Acts on 0 to ``count``; stops early when training is no longer healthy."""

    def go_on(row: tf.Tensor) -> tf.Tensor:
        return row < count if healthy is None else tf.logical_and(row < count, healthy.read_value())

    def body(row: tf.Tensor) -> tuple[tf.Tensor]:
        action(row)
        return (row + 1,)

    tf.while_loop(go_on, body, (tf.constant(0, tf.int64),), parallel_iterations=1)


def _require_same_step(env: Any) -> None:
    mode = env.metadata.get("autoreset_mode")
    if mode is None or AutoresetMode(mode) is not AutoresetMode.SAME_STEP:
        raise UsageError(
            f"the host engine needs a vector env with autoreset mode SAME_STEP, not {mode}",
            hint="gymnasium.make_vec(..., autoreset_mode=AutoresetMode.SAME_STEP) where the env knows it",
        )
