"""Compiled envs as ordinary Gymnasium envs."""

from typing import Any

import gymnasium
import numpy as np
import pytest
import tensorflow as tf
from gymnasium.utils.env_checker import check_env
from gymnasium.vector import AutoresetMode, SyncVectorEnv
from gymnasium.wrappers.vector import RecordEpisodeStatistics

import advdl_envs
from advdl.errors import UsageError
from advdl.rl.gym_adapter import CompiledVectorEnv
from advdl_envs.cartpole import CartPole
from advdl_envs.plugin import COMPONENTS

IDS = [component.name for component in COMPONENTS if "twin" in component.details]
assert advdl_envs.__doc__


def cartpoles(num_envs: int = 16, **options: Any) -> CompiledVectorEnv:
    return CompiledVectorEnv("advdl_envs.cartpole:CartPole", num_envs, **options)


@tf.function
def transition(state: tf.Tensor, action: tf.Tensor) -> tf.Tensor:
    return CartPole().transition(state, action, None)


def following(observation: np.ndarray, action: np.ndarray) -> np.ndarray:
    """CartPole's observation is its state."""
    return np.asarray(transition(tf.constant(observation), tf.constant(action)))


@pytest.mark.parametrize("env_id", [*IDS, "advdl/MinAtar-Breakout-v0"])
@pytest.mark.filterwarnings("ignore:.*A Box (observation|action) space:UserWarning")
@pytest.mark.filterwarnings("ignore:.*Box action spaces, we recommend:UserWarning")
def test_gymnasiums_own_check_passes(env_id: str) -> None:
    with gymnasium.make(env_id) as env:
        check_env(env.unwrapped, skip_render_check=True)


@pytest.mark.parametrize("env_id", IDS)
def test_spec_is_the_twins(env_id: str) -> None:
    spec, twin = gymnasium.spec(env_id), gymnasium.spec(env_id.removeprefix("advdl/"))
    assert (spec.max_episode_steps, spec.reward_threshold) == (twin.max_episode_steps, twin.reward_threshold)
    assert gymnasium.envs.registration.EnvSpec.from_json(spec.to_json()) == spec


def test_an_episode_is_truncated_by_the_time_limit() -> None:
    with gymnasium.make("advdl/Pendulum-v1") as env:
        env.reset(seed=0)
        ends = [env.step(np.zeros(1, np.float32))[2:4] for _ in range(200)]
    assert ends == [(False, False)] * 199 + [(False, True)]


def test_physics_and_options_reach_the_env() -> None:
    with gymnasium.make("advdl/Pendulum-v1", params={"g": 0.0}) as env:
        env.reset(seed=0)
        speeds = [env.step(np.zeros(1, np.float32))[0][2] for _ in range(3)]
    assert speeds[0] == speeds[2]
    with gymnasium.make("advdl/CartPole-v1", sutton_barto_reward=True) as env:
        env.reset(seed=0)
        assert env.step(0)[1] == 0.0
    with pytest.raises(UsageError) as caught:
        gymnasium.make("advdl/CartPole-v1", params={"gravty": 1.0})
    assert "'gravity'" in caught.value.hint


@pytest.mark.parametrize("env_id", IDS)
def test_a_frame_is_the_twins(env_id: str) -> None:
    twin = gymnasium.make(env_id.removeprefix("advdl/"), render_mode="rgb_array").unwrapped
    with gymnasium.make(env_id, render_mode="rgb_array") as env:
        env.reset(seed=3)
        frame = env.render()
        twin.reset(seed=0)
        twin.state = np.asarray(env.unwrapped._state[0], np.float64)
        np.testing.assert_array_equal(frame, twin.render())
        env.action_space.seed(0)
        action = env.action_space.sample()
        for _ in range(20):
            env.step(action)
        assert (env.render() != frame).any()
    twin.close()


def test_reset_is_deterministic_and_goes_on() -> None:
    vector = cartpoles()
    first, second = vector.reset(seed=5)[0], vector.reset()[0]
    again, other = vector.reset(seed=5)[0], vector.reset(seed=6)[0]
    np.testing.assert_array_equal(first, again)
    np.testing.assert_array_equal(second, cartpoles_second_reset())
    assert (first != other).all()
    assert (first != second).all()
    assert len(np.unique(first)) == first.size, "every copy starts elsewhere"


def cartpoles_second_reset() -> np.ndarray:
    vector = cartpoles()
    vector.reset(seed=5)
    return vector.reset()[0]


def test_next_step_begins_an_episode_in_the_step_after_its_end() -> None:
    vector = cartpoles(max_episode_steps=20)
    assert vector.metadata["autoreset_mode"] is AutoresetMode.NEXT_STEP
    observation, _ = vector.reset(seed=0)
    done, lengths, ends = np.zeros(16, bool), np.zeros(16, int), set()
    for _ in range(60):
        action = np.ones(16, np.int64) * (np.arange(16) % 2)
        expected = following(observation, action)
        observation, reward, terminated, truncated, info = vector.step(action)
        assert info == {}
        np.testing.assert_allclose(observation[~done], expected[~done], atol=1e-5)
        assert (np.abs(observation[done]) <= 0.05).all()
        assert (reward == np.where(done, 0.0, 1.0)).all()
        assert not (terminated | truncated)[done].any()
        lengths = np.where(done, 0, lengths + 1)
        assert (truncated == (lengths == 20)).all()
        done = terminated | truncated
        ends |= set(zip(terminated[done].tolist(), truncated[done].tolist(), strict=True))
    assert (True, False) in ends


def test_same_step_begins_it_at_once_and_keeps_the_last_observation() -> None:
    vector = cartpoles(max_episode_steps=9, autoreset_mode="SameStep")
    observation, _ = vector.reset(seed=0)
    ended, lengths = 0, np.zeros(16, int)
    for _ in range(60):
        action = np.arange(16) % 2
        expected = following(observation, action)
        observation, reward, terminated, truncated, info = vector.step(action)
        done = terminated | truncated
        ended += done.sum()
        assert (reward == 1.0).all()
        np.testing.assert_allclose(observation[~done], expected[~done], atol=1e-5)
        assert (np.abs(observation[done]) <= 0.05).all()
        assert ("final_obs" in info) == done.any()
        for index in np.flatnonzero(done):
            np.testing.assert_allclose(info["final_obs"][index], expected[index], atol=1e-5)
        lengths += 1
        assert (truncated == (lengths == 9)).all()
        lengths[done] = 0
    assert ended > 16


def test_the_last_observation_is_laid_out_as_gymnasium_does() -> None:
    def one() -> Any:
        return gymnasium.make("CartPole-v1", max_episode_steps=1)

    theirs = SyncVectorEnv([one, one], autoreset_mode=AutoresetMode.SAME_STEP)
    ours = cartpoles(2, max_episode_steps=1, autoreset_mode=AutoresetMode.SAME_STEP)
    infos = []
    for vector in (theirs, ours):
        vector.reset(seed=0)
        *_, info = vector.step(np.array([0, 1]))
        infos.append(info)
    assert infos[0].keys() == infos[1].keys()
    for name in ("_final_obs", "_final_info", "final_info"):
        np.testing.assert_array_equal(infos[0][name], infos[1][name])
    assert infos[0]["final_obs"].dtype == infos[1]["final_obs"].dtype == object
    assert infos[0]["final_obs"][0].dtype == infos[1]["final_obs"][0].dtype


def test_disabled_leaves_resetting_to_a_mask() -> None:
    vector = cartpoles(4, max_episode_steps=3, autoreset_mode=AutoresetMode.DISABLED)
    before, _ = vector.reset(seed=0)
    for _ in range(3):
        before, _, _, truncated, _ = vector.step(np.zeros(4, np.int64))
    assert truncated.all()
    mask = np.array([True, False, True, False])
    after, _ = vector.reset(options={"reset_mask": mask})
    np.testing.assert_array_equal(after[~mask], before[~mask])
    assert (np.abs(after[mask]) <= 0.05).all()
    assert vector.step(np.zeros(4, np.int64))[3].tolist() == [False, True, False, True]


def test_gymnasiums_make_vec_and_wrappers_work() -> None:
    vector = RecordEpisodeStatistics(gymnasium.make_vec("advdl/MountainCar-v0", 3))
    vector.reset(seed=0)
    for _ in range(200):
        *_, truncated, info = vector.step(np.ones(3, np.int64))
    assert truncated.all()
    assert info["episode"]["r"].tolist() == [-200.0] * 3


def test_arrays_that_were_returned_do_not_change_later() -> None:
    vector = cartpoles(autoreset_mode=AutoresetMode.SAME_STEP, max_episode_steps=2)
    kept = [vector.reset(seed=0)[0]]
    for _ in range(5):
        kept.extend(vector.step(np.zeros(16, np.int64))[:4])
    copies = [array.copy() for array in kept]
    for _ in range(5):
        vector.step(np.zeros(16, np.int64))
    for array, copy in zip(kept, copies, strict=True):
        np.testing.assert_array_equal(array, copy)


def test_params_may_differ_between_copies() -> None:
    vector = CompiledVectorEnv("advdl_envs.pendulum:Pendulum", 2, params={"g": np.array([0.0, 10.0], np.float32)})
    first, _ = vector.reset(seed=0)
    second = vector.step(np.zeros((2, 1), np.float32))[0]
    assert first[0, 2] == second[0, 2]
    assert first[1, 2] != second[1, 2]


def test_what_cannot_be_done_is_refused() -> None:
    with pytest.raises(UsageError, match="rendered"):
        cartpoles(render_mode="rgb_array")
    with pytest.raises(UsageError, match="'low'"):
        cartpoles().reset(options={"low": 0.0})
    with gymnasium.make("advdl/CartPole-v1") as env:
        env.reset(seed=0)
        with pytest.raises(UsageError, match="render mode"):
            env.unwrapped.render()
