"""Runners, without Ray: they play what the copies in one process play, and a round that is lost is played again."""

import itertools
import subprocess
import sys
from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest
from host_envs import factory
from test_host_vector import SEED

from advdl.rl.env_copies import Care
from advdl.rl.host_vector import HostVectorEnv
from advdl.rl.numpy_steps import Instruction, NumpySteps
from advdl.rl.runner import Runner, RunnerTask
from advdl.rl.spaces import Spaces

COPIES = 4
# What is seen, weighed, and a draw added: copies differ by both.
POLICY = NumpySteps(
    values=[None] * 6,
    preparing=[],
    instructions=[
        Instruction(lambda seen, weight, draw: ((seen @ weight + draw) > 5.0).astype(np.int64), (0, 2, 3), 4, 0)
    ],
    inputs=[0],
    step=1,
    variables=[2],
    draws=[3],
    results=[4, 1],
)
WEIGHTS = [np.array([0.7, 0.1], np.float32)]


def runner_of(first: int, last: int, **fault: Any) -> Runner:
    make = factory(**fault)
    with make.checked() as env:
        spaces = Spaces(env.observation_space, env.action_space)
    runner = Runner(RunnerTask(make, spaces, COPIES, first, last, SEED, Care()))
    assert "fault" not in runner.open()
    runner.take_policy(POLICY)
    return runner


def draws_of(first: int, count: int) -> list[Any]:
    return [np.stack([np.random.default_rng(step).normal(size=COPIES) for step in range(first, first + count)])]


def in_one_process(rounds: Sequence[int]) -> list[Any]:
    env = HostVectorEnv(factory(), COPIES, seed=SEED)
    seen, _ = env.reset()
    given, step = [], 0
    for count in rounds:
        for row in draws_of(step, count)[0]:
            action = POLICY_FUNCTION(seen, WEIGHTS[0], row)
            seen, reward, terminated, truncated, _ = env.step(action)
            given.append((action, seen, reward, terminated, truncated))
        step += count
    return given


POLICY_FUNCTION = POLICY.instructions[0].function


@pytest.mark.parametrize("bounds", [(0, 4), (0, 1, 4)])
def test_runners_play_what_one_process_plays(bounds: tuple[int, ...]) -> None:
    runners = [runner_of(first, last) for first, last in itertools.pairwise(bounds)]
    for runner in runners:
        assert "snapshot" in runner.reset()
    expected, step = in_one_process([5, 1, 20]), 0
    for count in (5, 1, 20):
        answers = [runner.play(WEIGHTS, draws_of(step, count), step, count) for runner in runners]
        rows = [slice(first, last) for first, last in itertools.pairwise(bounds)]
        for row in range(count):
            action = np.concatenate([answer["acted"][0][row, own] for answer, own in zip(answers, rows, strict=True)])
            seen = np.concatenate([answer["seen"][0][row] for answer in answers])
            flags = [np.concatenate([answer["seen"][part][row] for answer in answers]) for part in (-3, -2, -1)]
            for ours, theirs in zip((action, seen, *flags), expected[step + row], strict=True):
                np.testing.assert_array_equal(ours, theirs)
            assert all(answer["acted"][1][row] == step + row for answer in answers)
        step += count


def test_another_runner_plays_a_lost_round_again() -> None:
    runner = runner_of(1, 3)
    runner.reset()
    before = runner.play(WEIGHTS, draws_of(0, 7), 0, 7)
    lost = runner.play(WEIGHTS, draws_of(7, 9), 7, 9)
    other = runner_of(1, 3)
    assert other.restore(before["snapshot"], before["observation"])["lost"] == []
    again = other.play(WEIGHTS, draws_of(7, 9), 7, 9)
    assert again["snapshot"] == lost["snapshot"]
    for answer in (again, lost):  # what an episode ended with holds good where one has ended
        _, final, _, terminated, truncated = answer["seen"]
        final[~(terminated | truncated)] = 0.0
        assert (terminated | truncated).any()
    for ours, theirs in zip([*again["acted"], *again["seen"]], [*lost["acted"], *lost["seen"]], strict=True):
        np.testing.assert_array_equal(ours, theirs)


def test_a_fault_of_an_env_is_named() -> None:
    runner = runner_of(2, 4, fault="raises", at=3)
    runner.reset()
    answer = runner.play(WEIGHTS, draws_of(0, 9), 0, 9)
    assert answer["fault"]["what"] == "raised ValueError: the floor gave way"
    assert answer["fault"]["index"] in (2, 3)


def test_a_runners_process_needs_no_tensorflow() -> None:
    code = "import sys, advdl.rl.runner_actor; sys.exit('tensorflow' in sys.modules or 'keras' in sys.modules)"
    subprocess.run([sys.executable, "-c", code], check=True, timeout=120)
