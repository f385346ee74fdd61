"""Runners in Ray: the run is the one without them, a killed runner leaves no trace, and what cannot be is refused."""

import os
import signal
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
import ray
from host_envs import factory

from advdl.errors import UsageError
from advdl.plugin.host import PluginHost
from advdl.rl.env_copies import Care
from advdl.rl.host_engine import HostEngine
from advdl.rl.host_vector import HostVectorEnv
from advdl.rl.spaces import Spaces
from advdl.training import Trainer, Tuning

pytestmark = [
    # Ray's own; its processes and sockets end with it.
    pytest.mark.filterwarnings("ignore::ResourceWarning"),
    pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning"),
    pytest.mark.filterwarnings("ignore::DeprecationWarning"),
    pytest.mark.filterwarnings("ignore::FutureWarning"),
]

COPIES, HORIZON, TOTAL, SEED = 4, 16, 4 * 16 * 4, 5


def engine_of(runners: int, said: list[str], **options: Any) -> tuple[HostEngine, HostVectorEnv]:
    import keras

    env = HostVectorEnv(factory(), COPIES, seed=SEED, runners=runners, care=Care(timeout=30.0), say=said.append)
    keras.utils.set_random_seed(0)
    spaces = Spaces(env.single_observation_space, env.single_action_space)
    host = PluginHost.from_environment()
    raw = {
        "name": "ppo",
        "horizon": HORIZON,
        "epochs": 2,
        "batch_size": 32,
        "backbone": {"name": "mlp", "units": [8]},
        **options,
    }
    agent = host.build("agent", raw, spaces)
    source = agent.source(num_envs=COPIES)
    optimizer = keras.optimizers.Adam(1e-2)
    (objective,) = agent.objectives()
    optimizer.build(objective.variables)
    trainer = Trainer(agent, {objective.name: Tuning(optimizer, lambda step, total: 1e-2)}, total_updates=100)
    engine = HostEngine(env, agent, trainer, source, total_steps=TOTAL, seed=SEED, jit=False, say=said.append)
    engine.build()
    return engine, env


def values(engine: HostEngine) -> dict[str, Any]:
    return {name: variable.numpy() for name, variable in engine.state().items()}


def assert_same(one: dict[str, Any], two: dict[str, Any]) -> None:
    assert one.keys() == two.keys()
    for name in one:
        np.testing.assert_array_equal(one[name], two[name], err_msg=name)


@pytest.fixture(scope="module")
def alone() -> dict[str, Any]:
    engine, _ = engine_of(0, [])
    while engine.env_steps < TOTAL:
        engine.advance(TOTAL)
    return values(engine)


@pytest.fixture(scope="module", autouse=True)
def cluster() -> Iterator[None]:
    """One Ray for all tests of this file: it takes seconds to start."""
    from advdl.training.ray_cluster import start_ray

    start_ray(2)
    yield
    ray.shutdown()


def test_killed_or_not_the_run_is_the_one_without_runners(alone: dict[str, Any]) -> None:
    said: list[str] = []
    engine, env = engine_of(2, said)
    assert env.runners is not None
    engine.advance(TOTAL // 4)
    os.kill(env.runners.pids[1], signal.SIGKILL)
    saved: dict[str, Any] = {}
    while engine.env_steps < TOTAL:
        engine.advance(engine.env_steps + COPIES * HORIZON)
        saved = saved or values(engine)
    assert [text for text in said if "die" in text] == [
        "env 'advdl-tests/Walk-v0': the runner of copies 2 to 3 died; another one takes its place"
    ]
    assert_same(values(engine), alone)
    # Another engine goes on from what was saved in the middle.
    engine.close()
    other, _ = engine_of(2, said)
    for name, variable in other.state().items():
        variable.assign(saved[name])
    while other.env_steps < TOTAL:
        other.advance(TOTAL)
    assert_same(values(other), alone)
    other.close()


def test_too_many_runners_are_refused() -> None:
    with pytest.raises(UsageError, match="9 runners need as many CPUs; Ray has 2"):
        HostVectorEnv(factory(), 9, seed=SEED, runners=9)
