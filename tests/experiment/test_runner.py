"""The runner on a small real run: what it writes, how it ends, and that going on with it leaves no trace."""

import json
import os
import resource
import signal
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tensorflow as tf
from kill_harness import differences
from small_run import STEPS, SmallRun, When

from advdl.errors import CorruptError, RunError, UsageError
from advdl.experiment.console import Silent
from advdl.experiment.run_folder import RunFolder
from advdl.experiment.runner import begin
from advdl.experiment.signals import StoppedError
from advdl.training.checkpoint import CheckpointStore


@pytest.fixture(scope="module")
def reference(tmp_path_factory: pytest.TempPathFactory) -> SmallRun:
    """A run that is never stopped."""
    run = SmallRun(tmp_path_factory.mktemp("reference"))
    run.begin()
    return run


def send(number: signal.Signals) -> None:
    os.kill(os.getpid(), number)


def stopped(run: SmallRun, step: int, number: signal.Signals) -> When:
    console = When(step, lambda: send(number))
    with pytest.raises(StoppedError) as caught:
        run.resume(console)
    assert int(caught.value.exit_code) == {signal.SIGINT: 130, signal.SIGTERM: 143}[number]
    assert caught.value.message == f"stopped by {number.name} at step {console.at:,}; the checkpoint is saved"
    assert caught.value.hint == f"advdl runs resume {run.folder.path}"
    assert run.checkpoints()[-1] == console.at
    assert run.folder.record().status == "interrupted"
    return console


def no_more_room(run: SmallRun, step: int) -> When:
    """Lets the system refuse large files from a step on, until the run has failed."""
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    console = When(step, lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (16_384, limits[1])))
    try:
        with pytest.raises(RunError) as caught:
            run.resume(console)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    store = CheckpointStore(run.folder.checkpoints)
    assert caught.value.message.startswith("cannot save the checkpoint of step ")
    assert f"file too large; the previous one, step {store.steps()[-1]}, is intact" in caught.value.message
    assert int(caught.value.exit_code) == 1
    assert run.folder.record().status == "failed"
    assert store.read(store.steps()[-1])
    return console


def damage(run: SmallRun, step: int) -> None:
    data = CheckpointStore(run.folder.checkpoints).path(step) / "state.data-00000-of-00001"
    content = bytearray(data.read_bytes())
    content[len(content) // 2] ^= 1
    data.write_bytes(content)


def fails_once(monkeypatch: pytest.MonkeyPatch, owner: type, name: str, at: Any = None) -> None:
    """Lets a method raise, the first time that it is called (with a first argument of ``at``, if given)."""
    method = getattr(owner, name)

    def fail(self: Any, *arguments: Any, **options: Any) -> Any:
        if at not in (None, *arguments[:1]):
            return method(self, *arguments, **options)
        monkeypatch.setattr(owner, name, method)
        raise ZeroDivisionError(name)

    monkeypatch.setattr(owner, name, fail)


class TestAWholeRun:
    def test_it_is_recorded(self, reference: SmallRun) -> None:
        record = reference.folder.record()
        assert (record.status, record.step, record.error) == ("done", STEPS, "")
        steps = [line["step"] for line in reference.folder.read_metrics()]
        assert steps == [-(-step // 8) * 8 for step in range(100, STEPS + 1, 100)]
        last = reference.folder.read_metrics()[-1]
        assert {"act/epsilon", "learn/q/loss", "learn/q/gradient_norm", "rollout/return"} < set(last)
        assert last["time/env_steps_per_second"] > 0

    def test_it_is_evaluated_on_its_rhythm_and_at_the_end(self, reference: SmallRun) -> None:
        evaluations = reference.folder.read_evaluations()
        assert [(line["step"], line["kind"]) for line in evaluations] == [
            *((step, "during") for step in (600, 1200, 1800, 2400)),
            (2400, "final"),
        ]
        assert all(len(line["returns"]) == line["episodes"] == 3 for line in evaluations)

    def test_the_best_and_the_last_checkpoint_are_kept(self, reference: SmallRun) -> None:
        during = {line["step"]: line["return/mean"] for line in reference.folder.read_evaluations()[:-1]}
        best = max(during, key=lambda step: (during[step], -step))
        store = CheckpointStore(reference.folder.checkpoints)
        assert store.best() == best
        assert store.steps()[-1] == STEPS
        assert store.meta(STEPS)["best_step"] == best

    def test_the_updates_are_those_that_were_counted(self, reference: SmallRun) -> None:
        tensors = CheckpointStore(reference.folder.checkpoints).read(STEPS)
        assert tensors["trainer/updates"] == (STEPS - 96) // 8
        assert tensors["source/added"] == STEPS
        assert tensors["engine/iteration"] == STEPS // 8


def test_whatever_stops_it_it_goes_on_as_if_nothing_had_happened(
    reference: SmallRun, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = SmallRun(tmp_path)
    # Stopped between the checkpoint of the best evaluation and its mark.
    fails_once(monkeypatch, CheckpointStore, "protect")
    with pytest.raises(ZeroDivisionError):
        run.begin()
    assert CheckpointStore(run.folder.checkpoints).best() is None
    record = run.folder.record()
    assert (record.status, record.error) == ("failed", "protect")
    # A signal when an evaluation is due, which is made after the resume; then an error before the next checkpoint.
    assert stopped(run, 1200, signal.SIGINT).at == 1200
    with pytest.raises(ZeroDivisionError):
        run.resume(When(1201, lambda: 1 // 0 and None))
    # A checkpoint that is damaged: the one before is used, with one warning.
    stopped(run, 1500, signal.SIGTERM)
    *_, before, newest = run.checkpoints()
    damage(run, newest)
    console = no_more_room(run, 1900)
    warnings = [message for message in console.messages if "damaged" in message]
    assert len(warnings) == 1
    assert f"step {newest} (" in warnings[0]
    assert warnings[0].endswith(f"step {before} is used instead")
    # The run is evaluated, but does not live to say so.
    fails_once(monkeypatch, RunFolder, "write_status", "done")
    with pytest.raises(ZeroDivisionError):
        run.resume()
    assert run.folder.read_evaluations()[-1]["kind"] == "final"
    assert run.resume() == 0
    assert run.folder.record().status == "done"
    assert differences(reference.folder.path, run.folder.path) == []
    stores = [CheckpointStore(each.folder.checkpoints) for each in (reference, run)]
    assert stores[0].best() == stores[1].best()


class TestWithoutAGoodCheckpoint:
    def test_there_is_none(self, tmp_path: Path) -> None:
        with pytest.raises(UsageError, match="there is no checkpoint in "):
            SmallRun(tmp_path).resume()

    def test_it_is_of_another_agent_or_damaged(self, tmp_path: Path) -> None:
        run = SmallRun(tmp_path)
        CheckpointStore(run.folder.checkpoints).save(8, {"trainer/updates": tf.Variable(0.0)}, {})
        with pytest.raises(UsageError) as misfit:
            run.resume()
        assert "does not fit: 'trainer/updates' is float32 [] in it and int64 [] here (and " in misfit.value.message
        damage(run, 8)
        run.folder.append_metrics(16, {})
        with pytest.raises(CorruptError, match=r"damaged in .*: step 8 \(") as damaged:
            run.resume()
        assert int(damaged.value.exit_code) == 3
        assert run.folder.read_metrics()  # nothing was dropped


class TestLonger:
    def test_a_run_that_is_done_goes_on_with_more_steps_only(self, tmp_path: Path) -> None:
        run = SmallRun(tmp_path, steps=800)
        run.begin()
        with pytest.raises(UsageError, match=f"run {run.folder.id} is done") as caught:
            run.resume()
        assert caught.value.hint.endswith("--steps 1600")
        before = CheckpointStore(run.folder.checkpoints).read(800)
        assert run.resume(steps=1600) == 0
        record = run.folder.record()
        assert (record.status, record.step, record.steps) == ("done", 1600, 1600)
        assert run.folder.config()["steps"] == 1600
        assert [line["step"] for line in run.folder.read_metrics()][-1] == 1600
        after = CheckpointStore(run.folder.checkpoints).read(1600)
        assert after["trainer/updates"] == before["trainer/updates"] + 100

    def test_it_stops_when_the_target_is_reached(self, tmp_path: Path) -> None:
        run = SmallRun(tmp_path, "evaluation.stop_at=1", "checkpoint.keep_best=false")
        outcome = run.begin()
        assert (outcome.step, outcome.kept_step) == (600, 600)
        during, final = run.folder.read_evaluations()
        assert (during["kind"], final["kind"]) == ("during", "final")
        assert during["returns"] != final["returns"]  # on other episodes
        assert outcome.verdict.figures["return/mean"] == np.mean(final["returns"])
        assert CheckpointStore(run.folder.checkpoints).best() is None


class TestRefusals:
    @pytest.mark.parametrize(
        ("setting", "message"),
        [
            ("optimizers.r.learning_rate=0.1", "[optimizers.r] fits no objective of 'dqn'"),
        ],
    )
    def test_parts_that_do_not_fit(self, setting: str, message: str, tmp_path: Path) -> None:
        run = SmallRun(tmp_path, setting)
        with pytest.raises(UsageError) as caught:
            begin(run.experiment, lambda: pytest.fail("a refused run got a folder"), run.host, Silent())
        assert caught.value.message == message


def test_the_plan_is_plain_json(reference: SmallRun) -> None:
    meta = json.loads((reference.folder.checkpoints / f"step-{STEPS:012d}/meta.json").read_text())
    assert meta["next_log"] == STEPS + 100
    assert meta["solved"] is False
