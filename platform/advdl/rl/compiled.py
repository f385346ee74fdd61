"""The compiled engine: env, acting, storing, sampling and updating in one program."""

from typing import Any

import tensorflow as tf

from advdl.errors import UsageError
from advdl.rl.agent import Agent, Progress
from advdl.rl.functional import CompiledEnv
from advdl.rl.replay_disk import disk_of
from advdl.rl.source import Source
from advdl.rl.updating import Updating
from advdl.training.compilation import Compilation, as_compilation
from advdl.training.fused import FusedLoop
from advdl.training.metrics import RunningMeans
from advdl.training.randomness import Stream
from advdl.training.trainer import Trainer


class CompiledEngine:
    """Steps ``num_envs`` copies of a compiled env and trains the agent on what they give.

    One iteration is one step of every copy, followed by the updates that are due. Episodes that end are begun anew
    in the same step; the transition keeps the observation that the episode ended with.

    Args:
        env: The env.
        agent: The agent.
        trainer: The agent's trainer.
        source: What ``agent.source(num_envs=num_envs)`` gave.
        num_envs: Copies stepped together.
        total_steps: The run's length in env steps.
        seed: The run's seed.
        jit: Whether XLA compiles the program. Where it is measured and XLA loses, the env's part is still compiled.
            Where updates are to be programs of their own, so are the env's steps.
        chunk_seconds: How long one call may take, in seconds.
        params: The env's parameters, or None for its defaults.

    Raises:
        UsageError: The source keeps its observations on the disk.
    """

    def __init__(
        self,
        env: CompiledEnv,
        agent: Agent,
        trainer: Trainer,
        source: Source,
        *,
        num_envs: int,
        total_steps: int,
        seed: int,
        jit: bool | Compilation = True,
        chunk_seconds: float = 1.0,
        params: Any = None,
    ) -> None:
        if disk_of(source):
            raise UsageError("a replay on the disk cannot be part of a compiled program", hint="engine=host")
        self._env, self._agent, self._trainer = env, agent, trainer
        self._num_envs, self._total, self._params = num_envs, float(total_steps), params
        self.metrics = RunningMeans()
        self.source = source
        self._streams = {name: Stream(seed, name) for name in ("act", "env", "reset")}
        self._updating = Updating(trainer, source, self.metrics, seed)
        self._begin_episodes(Stream(seed, "first reset").at(0))
        self._compilation, self._chunk_seconds = as_compilation(jit, agent), chunk_seconds
        self._xla = self._compilation.assumed
        self._loop = self._fused(collecting=self._xla, updating=self._xla)

    @property
    def env_steps(self) -> int:
        """Env steps made so far, all copies together."""
        return int(self._iteration) * self._num_envs

    def build(self) -> None:
        """Traces the program; after it every variable of the run exists and a checkpoint can be restored."""
        self._loop.build()

    def advance(self, until: int) -> None:
        """Makes steps for about one chunk, never past ``until`` env steps.

        Raises:
            DivergedError: A loss or a gradient was not finite; the message names which.
        """
        if self._trainer.jits(True) and self._compilation.decide() != self._xla:
            self._leave_xla()
        start = int(self._iteration)
        self._loop.advance(start, -(-until // self._num_envs) - start)
        if not bool(self._trainer.healthy):
            raise self._updating.diagnosis()

    def weights_changed(self) -> None:
        """Nothing is kept of the weights: the program reads them."""

    def restart(self, seed: int) -> None:
        """Begins every copy's episode anew; what was under way is dropped, uncounted."""
        key = Stream(seed, "restart").at(self._iteration)
        state = self._env.initial(key, self._params, batch_size=self._num_envs)
        _assign(self._env_state, state)
        _assign(self._observation, self._env.observation(state, key, self._params))
        _assign(self._carry, self._agent.initial_carry(self._num_envs))
        self._episode_return.assign(tf.zeros_like(self._episode_return))
        self._episode_length.assign(tf.zeros_like(self._episode_length))

    def state(self) -> dict[str, tf.Variable]:
        """Returns every variable of the run by a stable name, for the checkpoint."""
        parts = {"trainer": self._trainer.state(), "source": self.source.state(), "metrics": self.metrics.state()}
        state = {f"{part}/{name}": value for part, values in parts.items() for name, value in values.items()}
        flat = tf.nest.flatten((self._env_state, self._observation, self._carry))
        state |= {f"engine/live/{index:03d}": variable for index, variable in enumerate(flat)}
        return state | {
            **{f"engine/{name}": variable for name, variable in self._compilation.state().items()},
            "engine/iteration": self._iteration,
            "engine/episode_return": self._episode_return,
            "engine/episode_length": self._episode_length,
        }

    def _fused(self, *, collecting: bool, updating: bool) -> FusedLoop:
        """Where updates cannot be compiled together with it, or had better not be, collecting still can by itself."""
        jits = self._trainer.jits(updating)
        self._apart = jits and self._compilation.apart
        together = jits and not self._apart
        self._collect = (
            self._step_envs
            if together == collecting
            else tf.function(self._step_envs, jit_compile=collecting, autograph=False)
        )
        return FusedLoop(
            self._iterate,
            healthy=self._trainer.healthy,
            jit=together,
            chunk_seconds=self._chunk_seconds,
            guard=self._trainer.guard,
            agree=self._trainer.agreed,
        )

    def _leave_xla(self) -> None:
        """Traces a program whose updates XLA does not compile; the steps it does: they are many small operations."""
        self._xla = False
        self._loop = self._fused(collecting=True, updating=False)
        self._loop.build()

    def _begin_episodes(self, seed: tf.Tensor) -> None:
        state = self._env.initial(seed, self._params, batch_size=self._num_envs)
        self._env_state = _variables(state)
        self._observation = _variables(self._env.observation(state, seed, self._params))
        self._carry = _variables(self._agent.initial_carry(self._num_envs))
        self._episode_return = tf.Variable(tf.zeros([self._num_envs]), trainable=False)
        self._episode_length = tf.Variable(tf.zeros([self._num_envs], tf.int32), trainable=False)
        self._iteration = tf.Variable(0, dtype=tf.int64, trainable=False)

    def _iterate(self, iteration: tf.Tensor) -> None:
        env_steps = (iteration + 1) * self._num_envs
        self._collect(iteration)
        self._updating.after(env_steps, jit=self._xla, apart=self._apart)
        self._iteration.assign(iteration + 1)

    def _step_envs(self, iteration: tf.Tensor) -> None:
        seeds = {name: stream.at(iteration) for name, stream in self._streams.items()}
        state, observation = _values(self._env_state), _values(self._observation)
        progress = Progress(tf.cast(iteration * self._num_envs, tf.float32), self._total)
        acted = self._agent.act(observation, _values(self._carry), seeds["act"], progress=progress)
        following = self._env.transition(state, acted.action, seeds["env"], self._params)
        next_observation = self._env.observation(following, seeds["env"], self._params)
        reward = self._env.reward(state, acted.action, following, seeds["env"], self._params)
        terminated = self._env.terminal(following, seeds["env"], self._params)
        truncated = self._count_steps(reward) & ~terminated
        self.source.add(
            {
                "observation": observation,
                "action": acted.action,
                "reward": reward,
                "next_observation": next_observation,
                "terminated": terminated,
                "truncated": truncated,
                **acted.extras,
            }
        )
        self.metrics.add_all({f"act/{name}": value for name, value in acted.metrics.items()})
        self._go_on(following, next_observation, acted.carry, terminated | truncated, seeds["reset"])

    def _count_steps(self, reward: tf.Tensor) -> tf.Tensor:
        """Adds a step to every episode; returns which have reached the time limit."""
        self._episode_return.assign_add(reward)
        self._episode_length.assign_add(tf.ones_like(self._episode_length))
        if self._env.max_episode_steps is None:
            return tf.zeros([self._num_envs], tf.bool)
        return self._episode_length >= self._env.max_episode_steps

    def _go_on(self, state: Any, observation: Any, carry: Any, done: tf.Tensor, seed: tf.Tensor) -> None:
        """Begins anew what is done and keeps the rest."""
        self._report_episodes(done)
        fresh = self._env.initial(seed, self._params, batch_size=self._num_envs)
        first = self._env.observation(fresh, seed, self._params)
        _assign(self._env_state, _where(done, fresh, state))
        _assign(self._observation, _where(done, first, observation))
        _assign(self._carry, _where(done, self._agent.initial_carry(self._num_envs), carry))

    def _report_episodes(self, done: tf.Tensor) -> None:
        ended = tf.cast(done, tf.float32)
        count = tf.reduce_sum(ended)
        length = tf.cast(self._episode_length, tf.float32)
        sums = {"return": tf.reduce_sum(ended * self._episode_return), "length": tf.reduce_sum(ended * length)}
        self.metrics.add_all({f"rollout/{name}": value for name, value in sums.items()}, count)
        self._episode_return.assign(self._episode_return * (1.0 - ended))
        self._episode_length.assign(tf.where(done, 0, self._episode_length))


def _variables(nest: Any) -> Any:
    return tf.nest.map_structure(lambda value: tf.Variable(value, trainable=False), nest)


def _values(nest: Any) -> Any:
    return tf.nest.map_structure(lambda variable: variable.read_value(), nest)


def _assign(variables: Any, values: Any) -> None:
    tf.nest.map_structure(lambda variable, value: variable.assign(value), variables, values)


def _where(done: tf.Tensor, yes: Any, no: Any) -> Any:
    def choose(one: tf.Tensor, other: tf.Tensor) -> tf.Tensor:
        mask = tf.reshape(done, [-1] + [1] * (other.shape.rank - 1))
        return tf.where(mask, one, other)

    return tf.nest.map_structure(choose, yes, no)
