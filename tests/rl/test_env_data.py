"""Transitions as data: collected by the engines, the same for the same seed, and true to the env."""

import gymnasium
import numpy as np
import pytest
import tensorflow as tf
from gymnasium import spaces

from advdl.errors import UsageError
from advdl.plugin.host import PluginHost
from advdl.rl import Acted, Progress, Spaces
from advdl.rl.behaviour import Behaviour, random_actions
from advdl.rl.env_data import EnvData
from advdl.testing import check_data, component


@pytest.fixture(scope="module")
def host() -> PluginHost:
    return PluginHost.from_environment()


def test_the_contract() -> None:
    check_data(component("data", "env", transitions=40))
    check_data(component("data", "env", transitions=40, env="Pendulum-v1", sample="transition"))


def test_a_compiled_envs_transitions_are_gymnasiums(host: PluginHost) -> None:
    data = EnvData(env="Pendulum", transitions=55, envs=10)
    found = data.collect(host)
    assert {name: value.shape for name, value in found.items()} == {
        "observation": (55, 3),
        "next_observation": (55, 3),
        "action": (55, 1),
        "reward": (55,),
        "terminated": (55,),
    }
    env = gymnasium.make("Pendulum-v1").unwrapped
    for row in range(55):
        cosine, sine, speed = map(float, found["observation"][row])
        env.reset()
        env.state = np.array([np.arctan2(sine, cosine), speed])
        following, reward, *_ = env.step(found["action"][row])
        np.testing.assert_allclose(following, found["next_observation"][row], atol=1e-3)
        assert reward == pytest.approx(found["reward"][row], abs=1e-3)
    dataset = data.dataset(found, host)
    np.testing.assert_allclose(dataset.c[:, :3] + dataset.x[:, :3], found["next_observation"], atol=1e-6)


def test_the_seed_says_which(host: PluginHost) -> None:
    one, same, other = (EnvData(transitions=30, seed=seed).collect(host) for seed in (3, 3, 4))
    assert all(np.array_equal(one[name], same[name]) for name in one)
    assert not np.array_equal(one["observation"], other["observation"])


def test_an_env_without_a_compiled_twin(host: PluginHost) -> None:
    found = EnvData(env="LunarLander-v3", transitions=25, envs=4).collect(host)
    assert found["observation"].shape == (25, 8)
    assert len(np.unique(found["action"])) > 1


@pytest.mark.parametrize(
    ("env", "sentence"),
    [("CartPol", "there is no env 'CartPol'"), ("FrozenLake-v1", "observations that are vectors of floats")],
)
def test_envs_without_vectors_are_refused(env: str, sentence: str, host: PluginHost) -> None:
    with pytest.raises(UsageError, match=sentence):
        EnvData(env=env).collect(host)
    with pytest.raises(UsageError, match="is a run's"):
        EnvData(policy="runs/a/b/c").load()


def test_frames_are_data(host: PluginHost) -> None:
    data = EnvData(env="MinAtar-Breakout", transitions=40, sample="observation")
    frames = data.dataset(data.collect(host), host)
    assert (frames.x.shape, frames.x.dtype, frames.c) == ((40, 10, 10, 4), np.bool_, None)
    assert frames.spec.x == spaces.Box(0, 1, (10, 10, 4), np.bool_)
    assert len(np.unique(frames.x.reshape(40, -1), axis=0)) > 5
    pairs = EnvData(env="MinAtar-Breakout", transitions=40)
    outcomes = pairs.dataset(pairs.collect(host), host)
    assert (outcomes.x.shape, outcomes.c.shape) == ((40, 402), (40, 406))


SEED = tf.constant([1, 2])


@pytest.mark.parametrize(
    "space",
    [spaces.Discrete(3, start=5), spaces.Box(np.float32([-2, 0]), np.float32([1, 9])), spaces.Box(-1, 1, (2, 2))],
)
def test_random_actions_fill_the_space(space: spaces.Space) -> None:
    drawn = random_actions(space, 500, SEED).numpy()
    assert all(row.astype(space.dtype) in space for row in drawn)
    if isinstance(space, spaces.Discrete):
        assert {*drawn.tolist()} == {5, 6, 7}
    else:
        np.testing.assert_allclose(drawn.mean(0), (space.low + space.high) / 2, atol=0.5)


def test_spaces_without_bounds_are_refused() -> None:
    with pytest.raises(UsageError, match="random actions cannot be drawn"):
        Behaviour(Spaces(spaces.Box(-1, 1, (2,)), spaces.Box(-np.inf, np.inf, (2,))))


class Second(Behaviour):
    """Always takes the last action; reports whether it was asked to explore."""

    def act(self, observation, carry, seed, *, progress):
        self.explored = progress is not None
        return Acted(tf.fill([observation.shape[0]], tf.constant(2, tf.int64)), carry)


def test_a_behaviour_is_random_as_often_as_it_says() -> None:
    env_spaces = Spaces(spaces.Box(-1, 1, (2,), np.float32), spaces.Discrete(3))
    agent, seen = Second(env_spaces), tf.zeros([3000, 2])
    late = Progress(tf.constant(100.0), 1000.0)
    some = Behaviour(env_spaces, agent, random=0.3, warm_up=50).act(seen, (), SEED, progress=late)
    assert np.mean(some.action.numpy() == 2) == pytest.approx(0.8, abs=0.05)
    assert not agent.explored
    early = Progress(tf.constant(10.0), 1000.0)
    warming = Behaviour(env_spaces, agent, warm_up=50, explore=True).act(seen, (), SEED, progress=early)
    assert np.mean(warming.action.numpy() == 2) == pytest.approx(1 / 3, abs=0.05)
    assert agent.explored
