"""A run that gets no better ends, also across a stop; and every run says where its time went."""

import os
import signal
from pathlib import Path

import pytest
from kill_harness import differences
from small_run import SmallRun, When

from advdl.cli.app import main
from advdl.errors import UsageError
from advdl.experiment.console import Silent
from advdl.experiment.signals import StoppedError

# Nothing is better by so much: the first evaluation stays the best, and the third is the second without improvement.
SETS = (
    "early_stopping.patience=2",
    "early_stopping.min_change=1000",
    "early_stopping.metric=return/mean",
    "evaluation.every=400",
)


@pytest.fixture(scope="module")
def ended(tmp_path_factory: pytest.TempPathFactory) -> SmallRun:
    run = SmallRun(tmp_path_factory.mktemp("ended"), *SETS)
    console = Silent()
    assert run.begin(console).step == 1200
    assert any("training ends early: return/mean was not better than" in message for message in console.messages)
    return run


def test_a_stopped_run_ends_where_the_other_does(ended: SmallRun, tmp_path: Path) -> None:
    run = SmallRun(tmp_path, *SETS)
    with pytest.raises(StoppedError):
        run.begin(When(900, lambda: os.kill(os.getpid(), signal.SIGTERM)))
    assert run.resume() == 0
    assert differences(ended.folder.path, run.folder.path) == []
    with pytest.raises(UsageError, match="is done"):
        run.resume()
    assert run.resume(steps=1600) == 0
    assert run.folder.record().step == 1600


def test_a_figure_that_no_evaluation_has_is_named(tmp_path: Path) -> None:
    run = SmallRun(tmp_path, "early_stopping.patience=1", "early_stopping.metric=return/meen", "evaluation.every=200")
    with pytest.raises(UsageError, match=r"early_stopping\.metric cannot be 'return/meen'") as caught:
        run.begin()
    assert caught.value.hint == "did you mean 'return/mean'?"


def test_a_run_says_where_its_time_went(ended: SmallRun, capsys: pytest.CaptureFixture[str]) -> None:
    record = ended.folder.record()
    assert set(record.seconds) == {"build", "train", "evaluate", "log", "save"}
    assert all(seconds > 0 for seconds in record.seconds.values())
    evaluations = ended.folder.read_evaluations()
    times = [line["time/seconds"] for line in evaluations]
    assert 0 < times[0] < times[-1] <= sum(record.seconds.values()) + 0.01
    assert main(["runs", "show", str(ended.folder.path)]) == 0
    shown = capsys.readouterr().out
    assert "spent" in shown
    assert "train" in shown


def test_the_host_engine_tells_its_parts_apart_and_keeps_count_across_a_stop(tmp_path: Path) -> None:
    run = SmallRun(tmp_path, "engine=host", steps=800)
    with pytest.raises(StoppedError):
        run.begin(When(400, lambda: os.kill(os.getpid(), signal.SIGINT)))
    before = run.folder.record().seconds
    assert {"act", "env", "stage", "update"} <= set(before)
    assert run.resume() == 0
    after = run.folder.record().seconds
    assert all(after[part] >= before[part] for part in ("act", "env", "update"))
    assert after["env"] > before["env"]
