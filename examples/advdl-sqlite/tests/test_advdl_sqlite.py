import sqlite3
from pathlib import Path

from advdl.plugin import RunInfo
from advdl.testing import check_tracker, component


def test_it_keeps_its_contract() -> None:
    check_tracker(component("tracker", "sqlite"))


def test_a_resumed_run_goes_on_where_the_checkpoint_was(tmp_path: Path) -> None:
    file = tmp_path / "all.sqlite"
    first = RunInfo(tmp_path, "a-run", {"seed": 3})
    tracker = component("tracker", "sqlite", file=str(file))()
    tracker.advdl_run_started(first)
    for step in (100, 200, 300):
        tracker.advdl_metrics(first, step, {"loss": step / 100})
    tracker.advdl_run_finished(first, "interrupted", "")
    resumed = RunInfo(tmp_path, "a-run", {"seed": 3}, resumed_from=200)
    again = component("tracker", "sqlite", file=str(file))()
    again.advdl_run_started(resumed)
    again.advdl_metrics(resumed, 300, {"loss": 9.0})
    again.advdl_run_finished(resumed, "done", "")
    database = sqlite3.connect(file)
    found = database.execute("SELECT step, value FROM figures WHERE run = 'a-run' ORDER BY step").fetchall()
    assert found == [(100, 1.0), (200, 2.0), (300, 9.0)]
    assert database.execute("SELECT status, experiment FROM runs").fetchall() == [("done", '{"seed": 3}')]
    database.close()
