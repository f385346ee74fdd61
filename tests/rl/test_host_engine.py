"""The host engine, on an env and an agent whose every step is known."""

import itertools
from typing import Any

import gymnasium
import numpy as np
import pytest
import tensorflow as tf
from gymnasium.vector import AutoresetMode, SyncVectorEnv
from host_envs import factory
from host_toss import COPIES, TOTAL, Toss, assert_same, build, put, run, snapshot

from advdl.errors import DivergedError, UsageError
from advdl.rl import Acted, Spaces
from advdl.rl.host_acting import HostActing
from advdl.rl.host_engine import HostEngine
from advdl.rl.numpy_ops import OPERATIONS
from advdl.training.compilation import Compilation
from advdl.training.randomness import Stream


def test_a_source_is_given_what_happened() -> None:
    recorded: list[Any] = []
    engine = build(recorded=recorded)
    run(engine, 150)
    names = ["observation", "next_observation", "action", "reward", "terminated", "truncated", "carried", "guess"]
    steps = [dict(zip(names, parts, strict=True)) for parts in recorded]
    assert len(steps) == 50
    ended = 0
    for before, after in itertools.pairwise(steps):
        done = before["terminated"] | before["truncated"]
        ended += done.sum()
        np.testing.assert_array_equal(after["observation"][~done], before["next_observation"][~done])
        np.testing.assert_array_equal(after["observation"][done][:, 1], 0.0)
        np.testing.assert_array_equal(after["carried"], np.where(done, 0, before["carried"] + 1))
        assert not (before["terminated"] & before["truncated"]).any()
        np.testing.assert_array_equal(before["terminated"], before["next_observation"][:, 0] > 10.0)
        cut = (before["next_observation"][:, 1] == 6.0) & ~before["terminated"]
        np.testing.assert_array_equal(before["truncated"], cut)
        assert (before["next_observation"][:, 1] == before["observation"][:, 1] + 1).all()
        np.testing.assert_allclose(before["reward"], before["next_observation"][:, 0], rtol=1e-6)
    assert ended > 20
    rounds = [step["guess"] for step in steps]
    assert np.ptp([value.sum() for value in rounds[:9]]) == 0.0  # nothing is learnt before learning starts
    assert rounds[-1].sum() != 0.0  # and acting sees what has been
    figures = engine.metrics.read()
    assert figures["act/steps"] == np.mean([3 * step for step in range(50)])
    assert 1.0 <= figures["rollout/length"] <= 6.0
    assert int(engine._trainer.updates) == 2 * (150 // 15 - 1)


class Rerun:
    """Two engines that can be put back to their beginning: tracing one takes longer than a run."""

    def __init__(self) -> None:
        self.engines = build(), build()
        for engine in self.engines:
            engine.build()
        self._beginning = snapshot(self.engines[0])

    def begin(self, index: int = 0) -> HostEngine:
        engine = self.engines[index]
        put(engine, self._beginning)
        engine._chunk_seconds = 10.0
        return engine


@pytest.fixture(scope="module")
def rerun() -> Rerun:
    return Rerun()


@pytest.fixture(scope="module")
def whole(rerun: Rerun) -> dict[str, Any]:
    return snapshot(run(rerun.begin(), 300))


def test_how_a_run_is_cut_into_calls_changes_no_bit(rerun: Rerun, whole: dict[str, Any]) -> None:
    engine = rerun.begin()
    engine._chunk_seconds = 0.0
    assert_same(snapshot(run(engine, 300, 6, 63, 90, 201)), whole)


@pytest.mark.parametrize("stop", [0, 87, 150])
def test_another_engine_goes_on_from_the_variables_with_the_same_bits(
    stop: int, rerun: Rerun, whole: dict[str, Any]
) -> None:
    first, second = rerun.begin(0), run(rerun.begin(1), 60)
    put(second, snapshot(run(first, stop)))
    assert_same(snapshot(run(second, 300)), whole)


def test_reading_the_state_disturbs_nothing(rerun: Rerun, whole: dict[str, Any]) -> None:
    engine = rerun.begin()
    for stop in range(30, 301, 30):
        snapshot(run(engine, stop))
    assert_same(snapshot(engine), whole)


def test_updates_that_are_programs_of_their_own_are_the_same_updates() -> None:
    apart, fused = (run(build(jit=jit), 300) for jit in (Compilation(True, apart=True), True))
    one, other = snapshot(apart), snapshot(fused)
    assert one.keys() == other.keys()
    for name in one:
        np.testing.assert_allclose(one[name], other[name], rtol=1e-4, atol=1e-6, err_msg=name)
    for engine in (apart, fused):
        engine.close()


def test_it_stops_at_the_first_value_that_is_not_finite(rerun: Rerun) -> None:
    engine = rerun.begin()
    engine._agent.poison_after.assign(100)  # type: ignore[attr-defined]
    with pytest.raises(DivergedError, match=r"objective 'fit': the loss is nan$"):
        run(engine, TOTAL)
    engine._agent.poison_after.assign(10**6)  # type: ignore[attr-defined]


def test_gymnasiums_own_vector_env_does_too_and_its_episodes_are_cut_at_a_resume() -> None:
    def sync() -> Any:
        return SyncVectorEnv([factory()] * COPIES, autoreset_mode=AutoresetMode.SAME_STEP)

    first, recorded = run(build(sync()), 90), []
    second = build(sync(), recorded=recorded)
    second.build()
    state = snapshot(first)
    for name, variable in second.state().items():
        variable.assign(state[name])
    run(second, 96)
    cut, following = recorded[-2:]
    assert cut[5].all()
    np.testing.assert_array_equal(cut[0], cut[1])
    np.testing.assert_array_equal(following[0][:, 1], 0.0)
    with pytest.raises(UsageError, match="autoreset mode SAME_STEP"):
        build(gymnasium.make_vec("CartPole-v1", 2))


class Bent(Toss):
    """Has an operation that NumPy is not taught."""

    def act(self, observation: Any, carry: Any, seed: Any, *, progress: Any) -> Acted:
        acted = super().act(observation, carry, seed, progress=progress)
        return Acted(acted.action, acted.carry, {"bent": tf.math.erf(acted.extras["guess"])}, acted.metrics)


def acting(kind: type[Toss]) -> tuple[HostActing, list[str]]:
    said: list[str] = []
    env = factory()()
    agent = kind(Spaces(env.observation_space, env.action_space))
    return HostActing(agent, num_envs=COPIES, total=9.0, stream=Stream(0, "act"), say=said.append), said


def test_what_numpy_cannot_do_tensorflow_does() -> None:
    (bent, said), (plain, nothing) = acting(Bent), acting(Toss)
    assert (plain.in_numpy, nothing) == (True, [])
    assert not bent.in_numpy
    assert said == ["acting goes through TensorFlow, which costs up to a millisecond a step: there is no NumPy for Erf"]
    plain.reread()
    for step in (0, 5, 100):
        seen = [np.full((COPIES, 2), step, np.float32)]
        one, two = (way(seen, way.first_carry, step) for way in (bent, plain))
        np.testing.assert_array_equal(one.action, two.action)
        np.testing.assert_array_equal(one.carry, two.carry)
        assert one.metrics == two.metrics == {"steps": 3.0 * step}


def test_numpy_does_not_act_where_it_does_something_else(monkeypatch: pytest.MonkeyPatch) -> None:
    wrong = {"BiasAdd": lambda op: lambda x, bias: x + bias + 1.0, "AddV2": lambda op: lambda x, y: x - y}
    for name, function in wrong.items():
        monkeypatch.setitem(OPERATIONS, name, function)  # type: ignore[arg-type]
    way, said = acting(Toss)
    assert not way.in_numpy
    assert "in NumPy it does something else" in said[0]
