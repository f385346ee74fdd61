"""Runs whose replay is on the disk: what is learnt is the same, also by a run that fell over and was gone on with."""

from pathlib import Path

import numpy as np
import pytest
from kill_harness import differences, newest_step
from small_run import STEPS, SmallRun, When

from advdl.errors import UsageError
from advdl.training.checkpoint import CheckpointStore

HOST = ("engine=host", "evaluation.every=1200", "agent.buffer_size=400")


class FellOverError(Exception):
    """As when a process is killed: nothing is saved any more."""


def fall_over() -> None:
    raise FellOverError


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> SmallRun:
    run = SmallRun(tmp_path_factory.mktemp("whole"), *HOST, "agent.buffer_store=disk")
    run.begin()
    return run


def test_it_learns_what_a_replay_in_memory_teaches(whole: SmallRun, tmp_path: Path) -> None:
    memory = SmallRun(tmp_path, *HOST)
    memory.begin()
    ours, theirs = (CheckpointStore(run.folder.checkpoints).read(STEPS) for run in (whole, memory))
    missing = {"source/observation", "source/next_observation"}
    assert {*theirs} - {*ours} == missing
    for name in ours:
        np.testing.assert_array_equal(ours[name], theirs[name], err_msg=name)
    place = whole.folder.path / "replay"
    for name in ("observation", "next_observation"):
        rows = np.fromfile(place / f"{name}.rows", np.float32).reshape(-1, 4)
        np.testing.assert_array_equal(rows, theirs[f"source/{name}"])


@pytest.mark.parametrize("elsewhere", [False, True])
def test_one_that_fell_over_again_and_again_is_the_same_run(elsewhere: bool, whole: SmallRun, tmp_path: Path) -> None:
    place = [f"agent.buffer_folder={tmp_path / 'large'}"] if elsewhere else []
    run = SmallRun(tmp_path / "runs", *HOST, "agent.buffer_store=disk", *place)
    with pytest.raises(FellOverError):
        run.begin(When(700, fall_over))
    assert newest_step(run.folder.path) < 700
    with pytest.raises(FellOverError):
        run.resume(When(1_700, fall_over))
    run.resume()
    assert differences(whole.folder.path, run.folder.path) == []
    folder = tmp_path / "large" / run.folder.path.name if elsewhere else run.folder.path / "replay"
    for name in ("observation.rows", "next_observation.rows"):
        assert (folder / name).read_bytes() == (whole.folder.path / "replay" / name).read_bytes()


def test_the_compiled_engine_says_that_it_cannot(tmp_path: Path) -> None:
    run = SmallRun(tmp_path, "agent.buffer_store=disk")
    with pytest.raises(UsageError, match="a replay on the disk cannot be part of a compiled program"):
        run.begin()
