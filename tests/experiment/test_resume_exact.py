"""Real processes, real signals: a run that is stopped at random moments equals one that never was, bit for bit.

``ADVDL_TEST_KILLS=30`` asks for more kills.
"""

import os
import random
import signal
from pathlib import Path

import pytest
from kill_harness import STEPS, Harness, differences, newest_step, read_journal

KILLS = int(os.environ.get("ADVDL_TEST_KILLS", "3"))
EXIT_CODES = {signal.SIGINT: 130, signal.SIGTERM: 143, signal.SIGKILL: -9}


@pytest.fixture(scope="module")
def harness(tmp_path_factory: pytest.TempPathFactory) -> Harness:
    return Harness(tmp_path_factory.mktemp("real"))


@pytest.fixture(scope="module")
def undisturbed(harness: Harness) -> Path:
    return harness.undisturbed()


def test_the_reference_has_everything_in_it(undisturbed: Path) -> None:
    metrics, evaluations = (read_journal(undisturbed / name) for name in ("metrics.jsonl", "evaluations.jsonl"))
    assert newest_step(undisturbed) == STEPS
    assert len(metrics) == STEPS // 160
    assert "learn/q/loss" in metrics[-1]
    assert [line["kind"] for line in evaluations] == ["during"] * (STEPS // 1600) + ["final"]


def test_stopped_at_random_moments_it_is_the_same_run(harness: Harness, undisturbed: Path) -> None:
    signals = [signal.SIGKILL] * KILLS
    for gentle in (signal.SIGINT, signal.SIGTERM):
        signals.insert(random.Random(gentle).randrange(KILLS), gentle)
    run = harness.stopped(signals, seed=2)
    assert [stop.number for stop in run.stops] == signals
    for stop, output in zip(run.stops, run.outputs, strict=False):
        assert stop.exit_code == EXIT_CODES[stop.number], output
        assert "Traceback" not in output
        if stop.number != signal.SIGKILL:
            assert f"error: stopped by {stop.number.name} at step " in output
            assert f"hint: advdl runs resume {run.folder}" in output
    assert differences(undisturbed, run.folder) == []


def test_a_difference_is_found(undisturbed: Path, tmp_path: Path) -> None:
    import shutil

    from advdl.training.checkpoint import CheckpointStore

    other = tmp_path / "other"
    shutil.copytree(undisturbed, other)
    assert differences(undisturbed, other) == []
    store = CheckpointStore(other / "checkpoints")
    tensors, meta = store.read(STEPS), store.meta(STEPS)
    tensors["source/reward"] = tensors["source/reward"].copy()
    tensors["source/reward"][7] += 1e-6
    shutil.rmtree(store.path(STEPS))
    store.save(STEPS, tensors, {**meta, "next_log": 1})
    lines = (other / "metrics.jsonl").read_text().splitlines()
    (other / "metrics.jsonl").write_text("\n".join([lines[0].replace("0.", "1.", 1), *lines[1:]]) + "\n")
    found = differences(undisturbed, other)
    assert len(found) == 3
    assert found[0] == "source/reward differs"
    assert found[1].startswith("the plan ")
    assert found[2].startswith("metrics.jsonl, line 1: ")
