"""DQN solves every probe env in the compiled engine, and no longer does once one thing in it is wrong."""

from collections.abc import Callable, Sequence
from typing import Any

import keras
import numpy as np
import pytest
import tensorflow as tf
from gymnasium import spaces
from probe_envs import GAMMA, PROBES, Constant, LastSeen, Probe, TimeLimit, TwoSteps

from advdl.plugin.host import PluginHost
from advdl.rl import CompiledEngine, Spaces, UniformReplay
from advdl.training import Trainer, Tuning
from advdl.training.optimizers import build_optimizer

STEPS, COPIES, START, CLOSE = 2_400, 16, 3, 0.05
SIZES = {"batch_size": 32, "learning_starts": 128, "train_every": COPIES, "updates": 3}
AGENT: dict[str, Any] = {
    "name": "dqn",
    "backbone": {"name": "mlp", "units": [16]},
    "gamma": GAMMA,
    "epsilon": {"name": "constant", "value": 1.0},
    "buffer_size": 512,
    "target_every": 10,
    **SIZES,
}
RATE = {"name": "adam", "learning_rate": {"name": "linear", "start": 0.01, "end": 0.0, "over": 1.0}}

Transition = dict[str, tf.Tensor]


def intact(env: Probe, transition: Transition) -> Transition:
    return transition


def ignores_the_end(env: Probe, transition: Transition) -> Transition:
    return {**transition, "terminated": tf.zeros_like(transition["terminated"])}


def takes_a_cut_for_an_end(env: Probe, transition: Transition) -> Transition:
    return {**transition, "terminated": transition["terminated"] | transition["truncated"]}


def sees_the_next_episode(env: Probe, transition: Transition) -> Transition:
    done = transition["terminated"] | transition["truncated"]
    fresh = env.initial(tf.stack([transition["number"], 0]), batch_size=COPIES)
    return {**transition, "next_observation": tf.where(done[:, None], fresh, transition["next_observation"])}


FAULTS = (intact, ignores_the_end, takes_a_cut_for_an_end, sees_the_next_episode)


class AnyProbe(Probe):
    """All probes in one program, for XLA compiles for seconds: a variable says which one it is."""

    def __init__(self, probes: Sequence[Probe]) -> None:
        super().__init__(START)
        self.which = tf.Variable(0)
        self.max_episode_steps = tf.Variable(0)  # type: ignore[misc]
        self._probes = probes
        self.observation_space = spaces.Box(-3.0, 3.0, (1,), np.float32)

    def become(self, probe: Probe) -> None:
        self.which.assign(self._probes.index(probe))
        self.max_episode_steps.assign(probe.max_episode_steps or 10**6)

    def initial(self, rng: Any, params: Any = None, *, batch_size: int = 1) -> Any:
        return self._ask(lambda probe: probe.initial(rng, params, batch_size=batch_size))

    def transition(self, state: Any, action: Any, rng: Any, params: Any = None) -> Any:
        return self._ask(lambda probe: probe.transition(state, action, rng, params))

    def reward(self, state: Any, action: Any, next_state: Any, rng: Any, params: Any = None) -> Any:
        return self._ask(lambda probe: probe.reward(state, action, next_state, rng, params))

    def terminal(self, state: Any, rng: Any, params: Any = None) -> Any:
        return self._ask(lambda probe: probe.terminal(state, rng, params))

    def _ask(self, question: Callable[[Probe], tf.Tensor]) -> tf.Tensor:
        return tf.switch_case(self.which.read_value(), [lambda p=probe: question(p) for probe in self._probes])


class FaultyReplay(UniformReplay):
    """Gets transitions as an engine with a fault would make them: a variable says which one."""

    def __init__(self, env: Probe, where: Spaces) -> None:
        super().__init__(where, num_envs=COPIES, capacity=512, **SIZES)
        self._env = env
        self.fault = tf.Variable(0)

    def add(self, transition: Any) -> None:
        numbered = {**transition, "number": tf.cast(self._added, tf.int32)}
        names = self._fields.keys()

        def after(fault: Any) -> Any:
            mutated = fault(self._env, numbered)
            return {name: mutated[name] for name in names}

        super().add(tf.switch_case(self.fault.read_value(), [lambda f=f: after(f) for f in FAULTS]))


class Training:
    """DQN in an env, from its beginning as often as it is asked for."""

    def __init__(self, env: Probe, *, jit: bool, source: Any = None, **options: Any) -> None:
        host, where = PluginHost.from_environment(), Spaces(env.observation_space, env.action_space)
        keras.utils.set_random_seed(0)
        self._agent = host.build("agent", {**AGENT, **options}, where)
        (objective,) = self._agent.objectives()
        source = source or self._agent.source(num_envs=COPIES)
        tuning = Tuning(*build_optimizer(host, RATE, objective.variables))
        trainer = Trainer(self._agent, {"q": tuning}, total_updates=source.updates_in(STEPS), clip_norm=10.0)
        self._engine = CompiledEngine(
            env, self._agent, trainer, source, num_envs=COPIES, total_steps=STEPS, seed=0, jit=jit
        )
        self._engine.build()
        self._beginning = {name: variable.numpy() for name, variable in self._engine.state().items()}

    def error(self, probe: Probe) -> float:
        """Trains, and returns by how much the worst Q-value is off."""
        for name, variable in self._engine.state().items():
            variable.assign(self._beginning[name])
        while self._engine.env_steps < STEPS:
            self._engine.advance(STEPS)
        known = probe.values()
        found = self._agent.online(np.array([*known], np.float32)[:, None])
        return float(np.abs(found - np.array([*known.values()])).max())


class Compiled:
    """One compiled program for every probe and every fault."""

    def __init__(self) -> None:
        self._probes: dict[type[Probe], Probe] = {probe: probe(START) for probe in PROBES}
        self._env = AnyProbe([*self._probes.values()])
        self._source = FaultyReplay(self._env, Spaces(self._env.observation_space, self._env.action_space))
        self._training = Training(self._env, jit=True, source=self._source)

    def error(self, kind: type[Probe], fault: Any = intact) -> float:
        self._env.become(self._probes[kind])
        self._source.fault.assign(FAULTS.index(fault))
        return self._training.error(self._probes[kind])


@pytest.fixture(scope="module")
def compiled() -> Compiled:
    return Compiled()


@pytest.mark.parametrize("probe", PROBES)
def test_dqn_solves_the_probe(probe: type[Probe], compiled: Compiled) -> None:
    assert compiled.error(probe) < CLOSE


@pytest.mark.parametrize(
    ("probe", "fault"),
    [
        (Constant, ignores_the_end),
        (TimeLimit, takes_a_cut_for_an_end),
        (LastSeen, takes_a_cut_for_an_end),
        (LastSeen, sees_the_next_episode),
    ],
)
def test_the_probe_finds_the_fault(probe: type[Probe], fault: Any, compiled: Compiled) -> None:
    assert compiled.error(probe, fault) > 3 * CLOSE


def test_with_its_own_replay_without_double_and_without_xla(compiled: Compiled) -> None:
    env = LastSeen()
    assert Training(env, jit=False, double=False).error(env) < CLOSE


def test_the_probe_finds_a_discount_that_is_missing() -> None:
    env = TwoSteps()
    assert Training(env, jit=False, gamma=1.0).error(env) > 3 * CLOSE
