"""Collecting while updates are made: acted a round behind, always, and so the same run however it is cut."""

import threading
from typing import Any

import numpy as np
import pytest
from host_toss import Toss, assert_same, build, put, run, snapshot

from advdl.errors import DivergedError, UsageError
from advdl.rl.host_engine import HostEngine

ROUND = 5  # steps of all copies; the first round is two of these long


def test_a_round_is_acted_with_the_weights_of_the_round_before_the_last() -> None:
    recorded: list[Any] = []
    engine, weights = build(recorded=recorded, overlap=True), []
    for stop in range(15, 301, 15):
        run(engine, stop)
        weights.append([value.numpy() for value in engine._agent.line.weights])  # as the updates there left them
    engine.close()

    def error(step: int, number: int) -> float:
        kernel, bias = weights[number]
        return float(np.abs((recorded[step][0] @ kernel + bias)[:, 0] - recorded[step][-1]).max())

    for step in range(3 * ROUND, len(recorded)):
        number = step // ROUND
        assert error(step, number - 2) < 1e-4
        assert error(step, number - 1) > 1e-3  # without overlap it would be these


@pytest.fixture(scope="module")
def engines() -> tuple[HostEngine, HostEngine, dict[str, Any]]:
    one, two = build(overlap=True), build(overlap=True)
    one.build(), two.build()
    return one, two, snapshot(one)


@pytest.fixture(scope="module")
def whole(engines: Any) -> dict[str, Any]:
    one, _, beginning = engines
    put(one, beginning)
    return snapshot(run(one, 300))


def test_how_a_run_is_cut_into_calls_changes_no_bit(engines: Any, whole: dict[str, Any]) -> None:
    one, _, beginning = engines
    put(one, beginning)
    one._chunk_seconds = 0.0
    assert_same(snapshot(run(one, 300, 6, 63, 90, 201)), whole)
    one._chunk_seconds = 10.0


@pytest.mark.parametrize("stop", [87, 150])
def test_another_engine_goes_on_with_the_same_bits(stop: int, engines: Any, whole: dict[str, Any]) -> None:
    one, two, beginning = engines
    put(one, beginning)
    put(two, snapshot(run(one, stop)))
    assert_same(snapshot(run(two, 300)), whole)


def test_what_is_learnt_from_tosses_of_a_coin_is_the_same_as_without(whole: dict[str, Any]) -> None:
    """Actions do not depend on weights here, so the lag shows in nothing but itself."""
    plain = build()
    alone = snapshot(run(plain, 300))
    plain.close()
    assert {*whole} - {*alone} == {"overlap/lag/000", "overlap/lag/001"}
    assert_same(alone, {name: whole[name] for name in alone})


def test_updates_are_made_in_a_thread_of_their_own(engines: Any) -> None:
    one, _, beginning = engines
    put(one, beginning)
    program, threads = one._program, set()

    def told(*arguments: Any) -> Any:
        threads.add(threading.current_thread().name)
        return program(*arguments)

    one._program = told
    run(one, 60)
    one._program = program
    assert len(threads) == 1
    assert next(iter(threads)).startswith("advdl-updates")


def test_what_is_not_finite_stops_it(engines: Any) -> None:
    one, _, beginning = engines
    put(one, beginning)
    one._agent.poison_after.assign(100)
    with pytest.raises(DivergedError, match=r"objective 'fit': the loss is nan$"):
        run(one, 600)
    one._agent.poison_after.assign(10**6)


class OnPolicy(Toss):
    """Learns from its present policy."""

    off_policy = False


def test_an_agent_that_learns_from_its_present_policy_is_refused() -> None:
    with pytest.raises(UsageError, match=r"env\.overlap: OnPolicy learns from what its present policy did"):
        build(kind=OnPolicy, overlap=True)
