"""A tracker that writes to SQLite."""

import json
import sqlite3
from collections.abc import Mapping
from pathlib import Path

from advdl.plugin import Metrics, RunInfo

_SCHEMA = """
CREATE TABLE IF NOT EXISTS runs (id TEXT PRIMARY KEY, experiment TEXT, status TEXT, error TEXT);
CREATE TABLE IF NOT EXISTS figures (run TEXT, kind TEXT, step INTEGER, name TEXT, value REAL);
CREATE INDEX IF NOT EXISTS figures_of_a_run ON figures (run, kind, name, step);
CREATE TABLE IF NOT EXISTS checkpoints (run TEXT, step INTEGER, folder TEXT);
"""


class Sqlite:
    """Writes a run's settings, metrics, evaluations, checkpoints and end to an SQLite database.

    Args:
        file: The database. A relative path lies in the run's folder; an absolute one can be shared by many runs.
    """

    def __init__(self, *, file: Path = Path("run.sqlite")) -> None:
        self._file = file

    def advdl_run_started(self, run: RunInfo) -> None:
        """Enters the run; of a resumed one, drops what was written after the step that it goes on from."""
        with self._open(run) as database:
            database.executescript(_SCHEMA)
            entry = (run.id, json.dumps(run.experiment), "running", "")
            database.execute("INSERT OR REPLACE INTO runs VALUES (?, ?, ?, ?)", entry)
            for table in ("figures", "checkpoints"):
                after = -1 if run.resumed_from is None else run.resumed_from
                database.execute(f"DELETE FROM {table} WHERE run = ? AND step > ?", (run.id, after))

    def advdl_metrics(self, run: RunInfo, step: int, metrics: Metrics) -> None:
        """Writes the metrics of an interval."""
        self._write(run, "metrics", step, metrics)

    def advdl_evaluated(self, run: RunInfo, step: int, evaluation: Metrics) -> None:
        """Writes an evaluation."""
        self._write(run, "evaluation", step, evaluation)

    def advdl_checkpoint_saved(self, run: RunInfo, step: int, folder: Path) -> None:
        """Notes where a checkpoint is."""
        with self._open(run) as database:
            database.execute("INSERT INTO checkpoints VALUES (?, ?, ?)", (run.id, step, str(folder)))

    def advdl_run_finished(self, run: RunInfo, status: str, error: str) -> None:
        """Notes how it ended."""
        with self._open(run) as database:
            database.execute("UPDATE runs SET status = ?, error = ? WHERE id = ?", (status, error, run.id))

    def _write(self, run: RunInfo, kind: str, step: int, figures: Mapping[str, float]) -> None:
        rows = [(run.id, kind, step, name, value) for name, value in figures.items()]
        with self._open(run) as database:
            database.executemany("INSERT INTO figures VALUES (?, ?, ?, ?, ?)", rows)

    def _open(self, run: RunInfo) -> "_Transaction":
        return _Transaction(run.folder / self._file)


class _Transaction:
    """A connection for one transaction: nothing is held open between two hooks, and all of it is written or nothing."""

    def __init__(self, file: Path) -> None:
        self._connection = sqlite3.connect(file, timeout=30.0)

    def __enter__(self) -> sqlite3.Connection:
        return self._connection

    def __exit__(self, kind: object, error: object, trace: object) -> None:
        if error is None:
            self._connection.commit()
        self._connection.close()
