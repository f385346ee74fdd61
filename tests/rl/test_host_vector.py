"""Copies of an env: what they give, that they can be brought back, and that each fault is named with all it takes."""

import re
from contextlib import closing
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from host_envs import factory

from advdl.errors import UsageError
from advdl.rl.env_copies import Care
from advdl.rl.env_copy import copy_seed
from advdl.rl.env_factory import EnvFactory
from advdl.rl.env_faults import EnvFaultError
from advdl.rl.host_vector import HostVectorEnv

SEED = 3


def copies(count: int = 3, *, workers: int = 0, said: list[str] | None = None, env: Any = None, **care: Any) -> Any:
    say = (lambda text: None) if said is None else said.append
    return HostVectorEnv(env or factory(), count, seed=SEED, workers=workers, care=Care(**care), say=say)


def play(env: Any, steps: int, first: int = 0) -> list[Any]:
    """Acts by the step's number; returns everything that was given."""
    given = []
    for step in range(first, first + steps):
        observation, *rest, info = env.step(np.array([(step + row) % 2 for row in range(env.num_envs)]))
        final = info["final_obs"][rest[1] | rest[2]] if info else None
        given.append((observation, *rest, final))
    return given


def assert_same(one: list[Any], two: list[Any]) -> None:
    for ours, theirs in zip(one, two, strict=True):
        for left, right in zip(ours, theirs, strict=True):
            np.testing.assert_array_equal(left, right)


def test_a_copy_gives_what_the_env_gives_and_the_true_last_observation() -> None:
    with closing(copies()) as env:
        seen, _ = env.reset()
        given = play(env, 30)
    for row in range(3):
        alone, episode = factory()(), 0
        observation = alone.reset(seed=copy_seed(SEED, row, 0))[0]
        np.testing.assert_array_equal(seen[row], observation)
        for step, (observations, rewards, terminated, truncated, final) in enumerate(given):
            observation, reward, done, cut, _ = alone.step((step + row) % 2)
            assert (rewards[row], terminated[row], truncated[row]) == (np.float32(reward), done, cut)
            if done or cut:
                place = int(np.flatnonzero(np.flatnonzero(terminated | truncated) == row)[0])
                np.testing.assert_array_equal(final[place], observation)
                episode += 1
                observation = alone.reset(seed=copy_seed(SEED, row, episode))[0]
            np.testing.assert_array_equal(observations[row], observation)
        assert episode > 3


def test_workers_give_the_same() -> None:
    with closing(copies(5)) as here, closing(copies(5, workers=2)) as there:
        np.testing.assert_array_equal(here.reset()[0], there.reset()[0])
        assert_same(play(here, 20), play(there, 20))
        saved, now = there.snapshot(), play(here, 0)
        assert saved == here.snapshot()
        assert now == []


@pytest.mark.parametrize("env_id", ["CartPole-v1", "LunarLander-v3", "HalfCheetah-v5", "FrozenLake-v1"])
def test_another_process_goes_on_where_this_one_was(env_id: str) -> None:
    said: list[str] = []
    first = HostVectorEnv(EnvFactory.of(env_id), 2, seed=SEED, say=said.append)
    second = HostVectorEnv(EnvFactory.of(env_id), 2, seed=99, say=said.append)
    first.reset(), second.reset()
    first.action_space.seed(1)
    actions = [first.action_space.sample() for _ in range(80)]
    for action in actions[:40]:
        seen = first.step(action)[0]
    second.reset()
    second._copies = first._make(EnvFactory.of(env_id), SEED, 0, 0)  # seeds come from the run's, which is the same
    second._copies.open(second.single_observation_space)
    second.restore(first.snapshot(), seen)
    for action in actions[40:]:
        for one, two in zip(first.step(action)[:4], second.step(action)[:4], strict=True):
            np.testing.assert_array_equal(one, two)
    assert first.snapshot() == second.snapshot()
    assert [text for text in said if "brought back" in text] == []
    first.close(), second.close()


def test_one_that_cannot_be_brought_back_is_said_and_begins_anew() -> None:
    said: list[str] = []
    with (
        closing(copies(2, env=factory("Forgetful"))) as env,
        closing(copies(2, env=factory("Forgetful"), said=said)) as other,
    ):
        env.reset(), other.reset()
        seen = play(env, 1)[-1][0]
        other.restore(env.snapshot(), seen)
        assert [re.sub(r"seed \d+", "seed", text) for text in said] == [
            f"env 'advdl-tests/Forgetful-v0', copy {row}, cannot be brought back: the same seed and actions lead to "
            "another observation; it begins a new episode"
            for row in range(2)
        ]
        (observations, rewards, terminated, truncated, final), *rest = play(other, 3)
        np.testing.assert_array_equal(final, seen)
        assert (rewards.tolist(), terminated.tolist(), truncated.tolist()) == ([0, 0], [False, False], [True, True])
        assert not np.array_equal(observations, seen)
        assert len(rest) == 2


FAULTS = {
    "raises": "raised ValueError: the floor gave way",
    "hangs": r"did not come back within 0\.6 s",
    "exits": r"called sys\.exit\(7\)",
    "shape": r"gave an observation of shape \[3\] instead of \[2\]",
    "dtype": "gave an observation of dtype <U1 instead of float32",
    "nan": r"gave an observation that is not finite \(nan at \[0\]\)",
    "infinite": "gave the reward inf",
    "outside": r"gave an observation that is out of bounds \(21 at \[0\]\)",
    "short": "raised ValueError: not enough values to unpack.*",
}
ONLY_IN_A_WORKER = {"leaves": "ended its process with exit code 7", "killed": "was killed by SIGKILL"}
CASES = [(0, name, what) for name, what in FAULTS.items()] + [
    (2, name, what) for name, what in {**ONLY_IN_A_WORKER, "raises": FAULTS["raises"], "hangs": FAULTS["hangs"]}.items()
]


@pytest.mark.parametrize(("workers", "fault", "what"), CASES)
def test_a_fault_is_named_with_copy_step_seed_and_action(workers: int, fault: str, what: str, tmp_path: Path) -> None:
    flag = tmp_path / "flag"
    flag.touch()
    broken = factory(fault=fault, at=3, copies=str(flag))
    env = copies(2, workers=workers, env=broken, timeout=0.6 if fault == "hangs" else 30.0, bounds="stop")
    try:
        env.reset()
        with pytest.raises(EnvFaultError) as caught:
            play(env, 40)
    finally:
        env.close()
    fault_found, message = caught.value.fault, caught.value.message
    pattern = rf"env 'advdl-tests/Walk-v0', copy \d, {what} in step 3 of the episode with seed \d+ on action [01]"
    assert re.fullmatch(pattern, message)
    assert fault_found.seed in [copy_seed(SEED, fault_found.index, episode) for episode in range(20)]
    if fault == "raises":  # the traceback is the env's own, from whichever process
        assert re.search(r"host_envs\.py.*_raises.*ValueError: the floor gave way", fault_found.traceback, re.DOTALL)


def test_the_message_is_enough_to_see_a_fault_again() -> None:
    with closing(copies(1, env=factory(fault="raises", at=4))) as env:
        env.reset()
        with pytest.raises(EnvFaultError) as caught:
            play(env, 100)
    alone = factory(fault="raises", at=4)()
    alone.reset(seed=caught.value.fault.seed)
    for _ in range(caught.value.fault.step - 1):
        alone.step(0)
    with pytest.raises(ValueError, match="the floor gave way"):
        alone.step(0)


@pytest.mark.parametrize(("workers", "fault"), [(0, "raises"), (0, "nan"), (0, "hangs"), (2, "killed"), (2, "raises")])
def test_a_copy_is_begun_anew_where_that_is_asked_for(workers: int, fault: str, tmp_path: Path) -> None:
    flag, said = tmp_path / "flag", []
    flag.touch()
    broken = factory(fault=fault, at=3, copies=str(flag))
    timeout = 0.6 if fault == "hangs" else 30.0
    env = copies(2, workers=workers, env=broken, said=said, on_fault="restart", timeout=timeout)
    env.reset()
    given = play(env, 20)
    env.close()
    assert len(said) == 1
    assert said[0].endswith("; a new episode begins")
    assert not flag.exists()
    cut = [step for step, part in enumerate(given) if (part[3] & (part[1] == 0.0)).any()]
    (step,) = cut
    row = int(np.flatnonzero(given[step][3] & (given[step][1] == 0.0))[0])
    ended = np.flatnonzero(given[step][2] | given[step][3]).tolist()
    # It ends where it was seen last.
    np.testing.assert_array_equal(given[step][4][ended.index(row)], given[step - 1][0][row])
    assert given[step][0][row][1] == 0.0


def test_a_copy_that_fails_again_and_again_stops_training_in_any_case() -> None:
    with closing(copies(1, env=factory(fault="raises", at=1), on_fault="restart")) as env:
        env.reset()
        with pytest.raises(EnvFaultError, match="the floor gave way"):
            play(env, 10)


def test_floats_out_of_bounds_are_said_once_and_choices_always_stop() -> None:
    said: list[str] = []
    with closing(copies(2, env=factory(fault="outside", at=3), said=said)) as env:
        env.reset()
        play(env, 20)
    assert len(said) == 1
    assert "out of bounds (21 at [0])" in said[0]
    with closing(copies(2, env=factory("Counting"))) as env:
        env.reset()
        with pytest.raises(EnvFaultError, match=r"out of bounds \(3\) in step 3"):
            play(env, 20)


class TestWrappers:
    def test_are_made_by_name(self) -> None:
        wrappers = ["FlattenObservation", {"name": "FrameStackObservation", "stack_size": 3}]
        env = EnvFactory.of("CartPole-v1", {}, wrappers)()
        assert env.observation_space.shape == (3, 4)
        env.close()

    def test_that_change_rewards_do_not_judge(self) -> None:
        judged = EnvFactory.of("CartPole-v1", {}, [{"name": "ClipReward", "max_reward": 0.5}]).for_judging()()
        judged.reset(seed=0)
        assert judged.step(0)[1] == 1.0
        judged.close()

    @pytest.mark.parametrize(
        ("wrapper", "message", "hint"),
        [
            ("FlatenObservation", "there is no wrapper 'FlatenObservation'", "did you mean 'FlattenObservation'"),
            ({"name": "ClipReward", "most": 1}, "unexpected keyword argument 'most'", "its options: min_reward"),
            ("NormalizeObservation", "its statistics would be lost", "agent.normalise_observations"),
            ({"stack_size": 3}, "takes names and tables", "gymnasium"),
        ],
    )
    def test_that_cannot_be_are_refused(self, wrapper: Any, message: str, hint: str) -> None:
        with pytest.raises(UsageError, match=message) as caught:
            EnvFactory.of("CartPole-v1", {}, [wrapper])
        assert hint in caught.value.hint
