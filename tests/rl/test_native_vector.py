"""Other libraries' vector envs through ours: each copy's stream is the bare library's, without steps that are none."""

import re
from collections.abc import Callable, Iterator
from contextlib import closing
from typing import Any

import gymnasium
import numpy as np
import pytest
from gymnasium.vector import AutoresetMode, SyncVectorEnv
from host_envs import factory

from advdl.errors import RunError, UsageError
from advdl.plugin.host import PluginHost
from advdl.rl.env_faults import EnvFaultError
from advdl.rl.env_names import resolve_env_id
from advdl.rl.envpool_stepper import EnvPoolStepper
from advdl.rl.native_steppers import SameStepStepper, make_stepper
from advdl.rl.native_vector import NativeVectorEnv
from advdl.rl.spaces import Spaces

Stream = list[tuple[Any, ...]]
"""Of one copy: what was seen, done and given, and what really followed."""


def native(kind: str, env_id: str, count: int, said: list[str] | None = None, **options: Any) -> NativeVectorEnv:
    stepper = make_stepper(kind, env_id, count, options)
    spaces = Spaces(stepper.observation_space, stepper.action_space)
    say = (lambda text: None) if said is None else said.append
    return NativeVectorEnv(stepper, spaces, env_id=env_id, num_envs=count, say=say)


def ours(env: NativeVectorEnv, steps: int, act: Callable[[int, int], Any]) -> list[Stream]:
    streams: list[Stream] = [[] for _ in range(env.num_envs)]
    seen, _ = env.reset(seed=3)
    for step in range(steps):
        actions = [act(row, step) for row in range(env.num_envs)]
        following, reward, terminated, truncated, info = env.step(np.array(actions))
        for row, stream in enumerate(streams):
            last = info["final_obs"][row] if terminated[row] or truncated[row] else following[row]
            stream.append((seen[row], actions[row], reward[row], terminated[row], truncated[row], last))
        seen = following
    return streams


def bare(env: Any, seen: Any, steps: int, act: Callable[[int, int], Any]) -> list[Stream]:
    """Steps a library's env that begins anew with the next step, and leaves these steps out."""
    streams: list[Stream] = [[] for _ in seen]
    ended = np.zeros(len(seen), bool)
    for _ in range(steps):
        actions = [act(row, len(stream)) for row, stream in enumerate(streams)]
        following, reward, terminated, truncated, _ = env.step(np.array(actions))
        for row, stream in enumerate(streams):
            if not ended[row]:
                stream.append((seen[row], actions[row], reward[row], terminated[row], truncated[row], following[row]))
        ended, seen = terminated | truncated, following
    return streams


def assert_same(one: list[Stream], two: list[Stream], *, episodes: int) -> None:
    for left, right in zip(one, two, strict=True):
        count = min(len(left), len(right))
        assert sum(step[3] or step[4] for step in left[:count]) >= episodes
        for mine, theirs in zip(left[:count], right[:count], strict=True):
            for a, b in zip(mine, theirs, strict=True):
                np.testing.assert_array_equal(a, b)


def by_turns(row: int, step: int) -> int:
    return (step // (2 + row)) % 2


class TestCartPoleOfGymnasium:
    def test_gives_the_bare_librarys_episodes(self) -> None:
        with closing(native("gymnasium", "CartPole-v1", 1, max_episode_steps=30)) as env:
            streams = ours(env, 300, by_turns)
            bare_env = gymnasium.make_vec("CartPole-v1", 1, max_episode_steps=30)
            seen, _ = bare_env.reset(seed=env._seed)
            assert_same(streams, bare(bare_env, seen, 300, by_turns), episodes=8)
        assert any(step[4] for step in streams[0])

    def test_leaves_copies_alone_that_have_not_ended(self) -> None:
        with closing(native("gymnasium", "CartPole-v1", 4)) as env:
            streams = ours(env, 60, by_turns)
            bare_env = gymnasium.make_vec("CartPole-v1", 4)
            seen, _ = bare_env.reset(seed=env._seed)
            firsts = [first_episode(stream) for stream in bare(bare_env, seen, 60, by_turns)]
        assert_same([stream[: len(first)] for stream, first in zip(streams, firsts, strict=True)], firsts, episodes=1)
        assert len({len(first) for first in firsts}) > 1


def first_episode(stream: Stream) -> Stream:
    return stream[: next(index for index, step in enumerate(stream) if step[3] or step[4]) + 1]


@pytest.mark.filterwarnings("ignore:.*precision lowered")
class TestEnvPool:
    @pytest.mark.parametrize("limit", [500, 12])
    def test_gives_the_bare_librarys_episodes(self, limit: int) -> None:
        import envpool

        with closing(native("envpool", "CartPole-v1", 3, max_episode_steps=limit)) as env:
            streams = ours(env, 90, by_turns)
            library = envpool.make("CartPole-v1", "gymnasium", num_envs=3, seed=env._seed, max_episode_steps=limit)
            assert_same(streams, bare(library, library.reset()[0], 90, by_turns), episodes=2)
        ends = [(step[3], step[4]) for stream in streams for step in stream if step[3] or step[4]]
        assert ((False, True) in ends) == (limit == 12)
        assert not any(terminated and truncated for terminated, truncated in ends)

    def test_continuous_actions_and_float64(self) -> None:
        import envpool

        def push(row: int, step: int) -> Any:
            return np.full(6, np.sin(step + row), np.float32)

        with closing(native("envpool", "HalfCheetah-v5", 2, max_episode_steps=10)) as env:
            streams = ours(env, 25, push)
            library = envpool.make("HalfCheetah-v5", "gymnasium", num_envs=2, seed=env._seed, max_episode_steps=10)
            assert_same(streams, bare(library, library.reset()[0], 25, push), episodes=2)

    def test_a_seed_gives_the_same_copies_and_another_one_others(self) -> None:
        said: list[str] = []
        with closing(native("envpool", "CartPole-v1", 3, said)) as env:
            first, again, other = (env.reset(seed=seed)[0].tolist() for seed in (5, 5, 6))
        assert not any(row in first for row in other)  # seed + copy would have two of three in common
        assert first != again  # the same copies begin their next episodes
        assert len(said) == 2
        assert "cannot be brought back" in said[0]
        with closing(native("envpool", "CartPole-v1", 3)) as env:
            assert env.reset(seed=5)[0].tolist() == first

    def test_does_not_know_every_env(self) -> None:
        with pytest.raises(UsageError, match="EnvPool has no env 'Nowhere-v0'"):
            EnvPoolStepper("Nowhere-v0", 2, {})


def test_ales_own_vector_env_gives_the_bare_librarys_episodes() -> None:
    env_id = resolve_env_id("ALE/Pong-v5", PluginHost.from_environment())
    options = {"max_num_frames_per_episode": 80, "reward_clipping": False}

    def move(row: int, step: int) -> int:
        return 2 + (step // 5 + row) % 2

    with closing(native("gymnasium", env_id, 2, **options)) as env:
        streams = ours(env, 45, move)
        bare_env = gymnasium.make_vec(env_id, 2, vectorization_mode="vector_entry_point", **options)
        assert AutoresetMode(bare_env.metadata["autoreset_mode"]) is AutoresetMode.NEXT_STEP
        seen, _ = bare_env.reset(seed=env._seed)
        assert_same(streams, bare(bare_env, seen, 45, move), episodes=2)
        bare_env.close()
    assert streams[0][0][0].shape == (4, 84, 84)


class Wrong(SyncVectorEnv):
    """Gymnasium's own with ``SAME_STEP``, which does wrong at the third step."""

    fault = "raises"

    def __init__(self, num_envs: int, **options: Any) -> None:
        self.fault = options.pop("fault", "raises")
        super().__init__([factory()] * num_envs, autoreset_mode=AutoresetMode.SAME_STEP)
        self.made = 0

    def step(self, actions: Any) -> Any:
        seen, reward, *rest = super().step(actions)
        self.made += 1
        if self.made == 3:
            if self.fault == "raises":
                raise ValueError("the floor gave way")
            if self.fault == "reward":
                reward[1] = np.inf
            else:
                seen[1, 0] = {"nan": np.nan, "outside": 21.0}[self.fault]
        return seen, reward, *rest


@pytest.fixture(autouse=True)
def _registered() -> Iterator[None]:
    gymnasium.register("advdl-tests/Wrong-v0", entry_point="host_envs:Walk", vector_entry_point=Wrong)
    gymnasium.register("advdl-tests/Next-v0", entry_point="host_envs:Walk", vector_entry_point=next_step)
    yield
    for name in ("Wrong", "Next"):
        del gymnasium.registry[f"advdl-tests/{name}-v0"]


def next_step(num_envs: int) -> SyncVectorEnv:
    return SyncVectorEnv([factory()] * num_envs)


FAULTS = {
    "raises": r"some copy, raised ValueError: the floor gave way in step 3 .* on action \[1, 0\]",
    "nan": r"copy 1, gave an observation that is not finite in step 3 .* on action 0",
    "reward": r"copy 1, gave the reward inf in step 3 .* on action 0",
    "outside": r"copy 1, gave an observation that is out of bounds in step 3 .* on action 0",
}


@pytest.mark.parametrize("fault", FAULTS)
def test_faults_are_named(fault: str) -> None:
    said: list[str] = []
    stepper = SameStepStepper(Wrong(2, fault=fault))
    spaces = Spaces(stepper.observation_space, stepper.action_space)
    bounds: Any = "stop" if fault == "outside" else "warn"
    env = NativeVectorEnv(stepper, spaces, env_id="x", num_envs=2, bounds=bounds, say=said.append)
    env.reset(seed=0)
    with closing(env):
        env.step(np.array([1, 0])), env.step(np.array([1, 0]))
        with pytest.raises(EnvFaultError) as caught:
            env.step(np.array([1, 0]))
    assert re.search(FAULTS[fault], caught.value.message)
    assert ("the floor gave way" in caught.value.traceback) == (fault == "raises")
    assert said == []


def test_floats_out_of_bounds_are_said_once() -> None:
    said: list[str] = []
    with closing(native("gymnasium", "advdl-tests/Wrong-v0", 2, said, fault="outside")) as env:
        env.reset(seed=0)
        for _ in range(6):
            env.step(np.array([1, 0]))
    assert len(said) == 1
    assert "out of bounds in step 3" in said[0]


def test_what_cannot_be_is_refused() -> None:
    with pytest.raises(UsageError, match=r"has autoreset mode AutoresetMode\.NEXT_STEP, and no other"):
        make_stepper("gymnasium", "advdl-tests/Next-v0", 2, {})
    with pytest.raises(UsageError, match="'Acrobot-v1' has no vector entry point"):
        make_stepper("gymnasium", "Acrobot-v1", 2, {})
    with pytest.raises(UsageError, match="cannot have num_envs"):
        make_stepper("gymnasium", "CartPole-v1", 2, {"num_envs": 3})
    with pytest.raises(UsageError, match=r"CartPole-v1.*unexpected keyword argument 'gravity'"):
        make_stepper("gymnasium", "CartPole-v1", 2, {"gravity": 3})
    with pytest.raises(RunError, match="cannot be found"):
        make_stepper("gymnasium", "Nowhere-v0", 2, {})
    stepper = make_stepper("gymnasium", "CartPole-v1", 2, {})
    other = Spaces(gymnasium.spaces.Box(-1.0, 1.0, (3,)), stepper.action_space)
    with pytest.raises(UsageError, match=r"observations of 'CartPole-v1' are Box.* and Box.* where the agent is eval"):
        NativeVectorEnv(stepper, other, env_id="CartPole-v1", num_envs=2)
