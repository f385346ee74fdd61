"""Both engines make the same of the same: given the same episodes, the same run, whatever the agent remembers."""

import functools
from typing import Any, ClassVar

import gymnasium
import keras
import numpy as np
import pytest
import tensorflow as tf
from gymnasium.vector import AutoresetMode
from gymnasium.vector.utils import batch_space

from advdl.plugin.host import PluginHost
from advdl.rl import CompiledEngine, Spaces
from advdl.rl.functional import CompiledEnv
from advdl.rl.host_engine import HostEngine
from advdl.rl.updating import Updating
from advdl.training import Trainer, Tuning
from advdl.training.optimizers import build_optimizer
from advdl.training.randomness import Stream
from advdl_envs.cartpole import CartPole

COPIES, STEPS, SEED = 4, 640, 3
MLP = {"name": "mlp", "units": [32], "activation": "tanh"}
REPLAY = {"buffer_size": 256, "batch_size": 16, "learning_starts": 64, "train_every": 12, "updates": 3, "loss": "mse"}
DQN = {"name": "dqn", **REPLAY, "target_every": 5}
AGENTS: dict[str, dict[str, Any]] = {
    "dqn": DQN,
    "dqn of three steps by priority": {**DQN, "n_step": 3, "prioritized": True, "dueling": True},
    "ppo that normalises": {
        "name": "ppo",
        "horizon": 16,
        "epochs": 2,
        "batch_size": 16,
        "kl_stop": 0.02,
        "clip": {"name": "linear", "start": 0.3},
        "normalise_observations": True,
        "scale_rewards": True,
    },
    "a2c": {"name": "a2c", "horizon": 5},
}
RATE = {"name": "adam", "learning_rate": {"name": "linear", "start": 0.01, "end": 0.0, "over": 1.0}}


class ShortCartPole(CartPole):
    """Some of its episodes end, and some are cut."""

    max_episode_steps: ClassVar[int | None] = 15


class Twin(gymnasium.vector.VectorEnv[Any, Any, Any]):
    """A compiled env as a vector env, with the very random numbers that the compiled engine gives it."""

    metadata: ClassVar[dict[str, Any]] = {"autoreset_mode": AutoresetMode.SAME_STEP}

    def __init__(self, env: CompiledEnv) -> None:
        self._compiled, self.num_envs = env, COPIES
        self.single_observation_space, self.single_action_space = env.observation_space, env.action_space
        self.observation_space = batch_space(env.observation_space, COPIES)
        self.action_space = batch_space(env.action_space, COPIES)
        self._streams = {name: Stream(SEED, name) for name in ("env", "reset")}
        self._step, self._age = 0, np.zeros(COPIES, np.int32)

    def reset(self, *, seed: Any = None, options: Any = None) -> tuple[Any, dict[str, Any]]:
        self._state, observation = self._begin(Stream(SEED, "first reset").at(0))
        return observation, {}

    def step(self, actions: Any) -> tuple[Any, Any, Any, Any, dict[str, Any]]:
        env, rng = self._compiled, self._streams["env"].at(self._step)
        action = tf.constant(actions)
        following = env.transition(self._state, action, rng)
        final = env.observation(following, rng).numpy()
        reward = env.reward(self._state, action, following, rng).numpy()
        terminated = env.terminal(following, rng).numpy()
        self._age += 1
        truncated = self._age >= env.max_episode_steps  # of both at once the engine makes a termination
        done = terminated | truncated
        fresh, first = self._begin(self._streams["reset"].at(self._step))
        self._state = tf.where(done[:, None], fresh, following)
        self._age[done] = 0
        self._step += 1
        return np.where(done[:, None], first, final), reward, terminated, truncated, {"final_obs": final}

    def _begin(self, rng: tf.Tensor) -> tuple[tf.Tensor, Any]:
        state = self._compiled.initial(rng, batch_size=COPIES)
        return state, self._compiled.observation(state, rng).numpy()


def build(options: dict[str, Any], env: CompiledEnv, *, host: bool) -> CompiledEngine | HostEngine:
    keras.utils.set_random_seed(0)
    plugins = PluginHost.from_environment()
    agent: Any = plugins.build("agent", {"backbone": MLP, **options}, Spaces(env.observation_space, env.action_space))
    source = agent.source(num_envs=COPIES)
    (objective,) = agent.objectives()
    tuning = Tuning(*build_optimizer(plugins, RATE, objective.variables))
    trainer = Trainer(agent, {objective.name: tuning}, total_updates=source.updates_in(STEPS), clip_norm=10.0)
    run = {"total_steps": STEPS, "seed": SEED, "jit": False}
    if host:
        return HostEngine(Twin(env), agent, trainer, source, **run)
    return CompiledEngine(env, agent, trainer, source, num_envs=COPIES, **run)


def ran(engine: CompiledEngine | HostEngine) -> dict[str, Any]:
    """Returns what a run has made: its memory, weights, optimizer and counts, and its figures."""
    while engine.env_steps < STEPS:
        engine.advance(STEPS)
    figures = {f"figure {name}": np.float32(value) for name, value in engine.metrics.read().items()}
    made = {name: value.numpy() for name, value in engine.state().items() if name.startswith(("trainer/", "source/"))}
    return made | figures


def unlike(one: dict[str, Any], two: dict[str, Any]) -> list[str]:
    """Names what differs by more than the rounding of NumPy's network beside TensorFlow's."""
    assert one.keys() == two.keys()
    return [
        name
        for name, value in one.items()
        if not (np.array_equal if value.dtype.kind in "iub" else alike)(value, two[name])
    ]


def alike(one: Any, two: Any) -> bool:
    return bool(np.allclose(one, two, rtol=2e-3, atol=2e-4))


@functools.cache
def in_the_compiled(name: str) -> dict[str, Any]:
    return ran(build(AGENTS[name], ShortCartPole(), host=False))


def in_the_host(name: str) -> dict[str, Any]:
    return ran(build(AGENTS[name], ShortCartPole(), host=True))


@pytest.mark.parametrize("name", AGENTS)
def test_a_run_does_not_depend_on_the_engine(name: str) -> None:
    assert unlike(in_the_compiled(name), in_the_host(name)) == []
    assert in_the_compiled(name)["figure rollout/length"] < 15.0


class LeavesOneRoundOut(Updating):
    def after(self, env_steps: Any, **options: Any) -> None:
        super().after(env_steps + tf.cast(env_steps == 324, tf.int64), **options)


def test_a_difference_in_one_round_is_seen(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("advdl.rl.host_engine.Updating", LeavesOneRoundOut)
    assert any(name.startswith("trainer/") for name in unlike(in_the_compiled("dqn"), in_the_host("dqn")))
