"""Every agent solves every probe env in the host engine too, nested observations among them; faults are found."""

from typing import Any

import keras
import numpy as np
import pytest
from gymnasium.vector import AutoresetMode, SyncVectorEnv
from host_probes import as_observation, factory
from joint_probe import NAMES, QUESTIONS
from probe_envs import GAMMA

from advdl.plugin.host import PluginHost
from advdl.rl import Agent, Spaces
from advdl.rl import episodes as episodes_module
from advdl.rl.env_factory import EnvFactory
from advdl.rl.host_engine import HostEngine
from advdl.rl.host_vector import HostVectorEnv
from advdl.rl.native_steppers import SameStepStepper
from advdl.rl.native_vector import NativeVectorEnv
from advdl.rl.policy import HostPolicy
from advdl.training import Trainer, Tuning
from advdl.training.optimizers import build_optimizer

COPIES, CLOSE = 16, 0.15
MLP = {"name": "mlp", "units": [32], "activation": "tanh"}
AGENTS: dict[str, dict[str, Any]] = {
    "dqn": {
        "epsilon": {"name": "constant", "value": 1.0},
        "loss": "mse",
        "buffer_size": 1_024,
        "target_every": 10,
        "batch_size": 64,
        "learning_starts": 256,
        "train_every": 64,
        "updates": 8,
    },
    "ppo": {"horizon": 16, "epochs": 4, "batch_size": 64, "clip": 0.3, "shared": True},
    "a2c": {"horizon": 8, "shared": True},
    "reinforce": {"horizon": 16},
}
STEPS = {"dqn": 4_000, "ppo": 12_000, "a2c": 50_000, "reinforce": 80_000}
RATE = {"name": "adam", "learning_rate": {"name": "linear", "start": 0.01, "end": 0.0, "over": 1.0}}


def learn(
    name: str, env: EnvFactory, *, steps: int = 0, copies: Any = None, **options: Any
) -> tuple[Agent, HostPolicy]:
    """Trains; returns the agent and its policy."""
    host, steps = PluginHost.from_environment(), steps or STEPS[name]
    copies = copies or HostVectorEnv(env, COPIES, seed=0)
    spaces = Spaces(copies.single_observation_space, copies.single_action_space)
    keras.utils.set_random_seed(0)
    settings = {"name": name, "backbone": MLP, "gamma": GAMMA, **AGENTS[name], **options}
    agent: Agent = host.build("agent", settings, spaces)
    source = agent.source(num_envs=COPIES)
    (objective,) = agent.objectives()
    tuning = Tuning(*build_optimizer(host, RATE, objective.variables))
    trainer = Trainer(agent, {objective.name: tuning}, total_updates=source.updates_in(steps), clip_norm=10.0)
    engine = HostEngine(copies, agent, trainer, source, total_steps=steps, seed=0, jit=False)
    while engine.env_steps < steps:
        engine.advance(steps)
    assert engine._acting.in_numpy
    return agent, HostPolicy(agent, spaces)


def errors(agent: Any, policy: HostPolicy, *, nested: bool = False, start: int = 0) -> dict[str, float]:
    """For each probe the largest error: of a value, or 1 for a wrong action."""
    seen = [as_observation(probe, place, nested=nested) for probe, place, *_ in QUESTIONS]
    batch = np.stack(seen)
    if nested:
        parts = [np.stack([one["at"][index] for one in seen]) for index in range(2)]
        batch = {"which": np.array([one["which"] for one in seen]), "at": (parts[0].astype(np.float32), parts[1])}
    values = agent.network(batch)[1] if hasattr(agent, "network") else np.asarray(agent.values(batch)).max(axis=1)
    found = dict.fromkeys(NAMES, 0.0)
    for (probe, _, value, action), guess, chosen in zip(QUESTIONS, values, policy(batch) - start, strict=True):
        wrong = float(action is not None and chosen != action)
        found[NAMES[probe]] = max(found[NAMES[probe]], abs(float(guess) - value), wrong)
    return found


@pytest.mark.parametrize("name", AGENTS)
def test_the_agent_solves_the_probes(name: str) -> None:
    assert max(errors(*learn(name, factory("HostJoint", start=3)), start=3).values()) < CLOSE


@pytest.mark.parametrize("name", ["dqn", "ppo"])
def test_also_where_they_are_seen_in_a_dict_of_tuples(name: str) -> None:
    agent, policy = learn(name, factory("HostJoint", nested=True))
    assert max(errors(agent, policy, nested=True).values()) < CLOSE


@pytest.mark.parametrize("name", ["dqn", "ppo"])
def test_also_where_another_librarys_vector_env_steps_them(name: str) -> None:
    env = factory("HostJoint")
    stepper = SameStepStepper(SyncVectorEnv([env] * COPIES, autoreset_mode=AutoresetMode.SAME_STEP))
    spaces = Spaces(stepper.observation_space, stepper.action_space)
    copies = NativeVectorEnv(stepper, spaces, env_id=env.id, num_envs=COPIES)
    assert max(errors(*learn(name, env, copies=copies)).values()) < CLOSE


def test_a_gaussian_hits_its_target() -> None:
    _, policy = learn("ppo", factory("HostTarget"), bounds="squash", log_std=-0.7)
    np.testing.assert_allclose(policy(np.array([[-1.0], [1.0]])), [[-1.0], [2.0]], atol=0.25)


def test_several_choices_at_once() -> None:
    _, policy = learn("ppo", factory("HostTarget", choices=True), steps=6_000)
    assert policy(np.array([[-1.0], [1.0]])).tolist() == [[0, 1, 0], [2, 0, 1]]


class SeesTheNextEpisode(episodes_module.Episodes):
    """Takes the observation after the reset for the one that followed."""

    def _with_final(self, seen: Any, final: Any, done: Any) -> Any:
        return seen


class TakesACutForAnEnd(episodes_module.Episodes):
    def step(self, action: Any, carry: Any) -> Any:
        following, (reward, terminated, truncated) = super().step(action, carry)
        return following, (reward, terminated | truncated, truncated & False)


@pytest.mark.parametrize(("fault", "found_by"), [(SeesTheNextEpisode, "time limit"), (TakesACutForAnEnd, "time limit")])
def test_a_wrong_engine_is_found(fault: Any, found_by: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("advdl.rl.host_engine.Episodes", fault)
    assert errors(*learn("dqn", factory("HostJoint")))[found_by] > 2 * CLOSE
