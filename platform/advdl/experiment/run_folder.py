"""RunFolder: the folder ``runs/<env>/<agent>/<id>/`` that has all there is of a run."""

import dataclasses
import datetime
import errno
import hashlib
import re
import secrets
import shutil
from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from advdl.errors import AdvdlError, CorruptError, RunError, UsageError
from advdl.experiment.files import Journal, sync_folder, write_atomically
from advdl.experiment.lock import holder, locked
from advdl.experiment.provenance import provenance
from advdl.experiment.run_record import RunRecord, Status, now, read_record

if TYPE_CHECKING:
    from advdl.experiment.config import Experiment
    from advdl.plugin.host import PluginHost

_EXPERIMENT, _RECORD, _LOCK = "experiment.toml", "run.json", "lock"

SEE_RUNS = "see all runs: advdl runs list"
"""The hint of an error about a run."""


class RunFolder:
    """A run on the disk. One process at a time may write: it holds ``lock()``.

    Args:
        path: The folder.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._metrics = Journal(path / "metrics.jsonl")
        self._evaluations = Journal(path / "evaluations.jsonl")

    @classmethod
    def create(
        cls,
        root: Path,
        env: str,
        agent: str,
        experiment: "Experiment",
        command: Sequence[str],
        *,
        plugins: Mapping[str, str] | None = None,
        tags: Sequence[str] = (),
        group: str = "",
    ) -> "RunFolder":
        """Makes the folder of a new run, whole or not at all.

        Args:
            root: The folder of all runs.
            env: The env's id.
            agent: The agent's name.
            experiment: What the run is to do.
            command: The command line.
            plugins: Versions of the plugins' distributions.
            tags: Marks to find the run by.
            group: The name that it shares with other runs.

        Raises:
            UsageError: The folder cannot be written to.
            RunError: The disk is full or fails.
        """
        parent = root / _safe(env) / _safe(agent)
        try:
            parent.mkdir(parents=True, exist_ok=True)
            return cls(_publish(parent, env, agent, experiment, command, plugins or {}, tags, group))
        except OSError as error:
            if error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EIO):
                raise RunError(f"a run cannot be written to {root}: {error.strerror}") from error
            raise UsageError(
                f"a run cannot be written to {root}: {error.strerror}",
                hint="--runs-dir DIR, or ADVDL_RUNS=DIR, writes elsewhere",
            ) from error

    @classmethod
    def open(cls, ref: str | Path, root: Path) -> "RunFolder":
        """Finds a run.

        Args:
            ref: Its folder, its id, the beginning of its id, or ``latest``.
            root: The folder of all runs.

        Raises:
            UsageError: There is no such run, or more than one.
        """
        text = str(ref)
        if text not in ("", "latest") and Path(text).is_dir():
            if is_run(Path(text)):
                return cls(Path(text))
            raise UsageError(f"{text} is not the folder of a run: it has no {_RECORD}", hint=SEE_RUNS)
        from advdl.experiment.find_runs import find_run

        return find_run(text, root)

    @property
    def id(self) -> str:
        """The run's id: when it was created, its seed, and four random digits."""
        return self.path.resolve().name

    @property
    def experiment_file(self) -> Path:
        """The resolved configuration; enough to run again."""
        return self.path / _EXPERIMENT

    @property
    def checkpoints(self) -> Path:
        """Where checkpoints are kept."""
        return self.path / "checkpoints"

    @property
    def videos(self) -> Path:
        """Where videos are kept."""
        return self.path / "videos"

    @property
    def exports(self) -> Path:
        """Where exported agents are kept."""
        return self.path / "exports"

    def lock(self) -> AbstractContextManager[None]:
        """Refuses a second writer for the time of a ``with`` block; ends with the process at the latest.

        Raises:
            UsageError: The run is in use; the sentence names the process.
        """
        return locked(self.path / _LOCK, what=f"run {self.id}")

    def record(self) -> RunRecord:
        """Reads ``run.json``.

        Raises:
            CorruptError: It is missing or damaged.
        """
        return read_record(self.path / _RECORD)

    def status(self) -> str:
        """Returns how the run stands now: ``running`` without a writer is ``interrupted``.

        Raises:
            CorruptError: As ``record``.
        """
        status = self.record().status
        return "interrupted" if status == "running" and holder(self.path / _LOCK) is None else status

    def write_status(self, status: Status, *, step: int | None = None, error: str = "") -> None:
        """Writes how the run stands.

        Args:
            status: The status.
            step: The step that it has reached, or None to leave that as it is.
            error: Why it failed.

        Raises:
            CorruptError: As ``record``.
            RunError: The disk refuses.
        """
        self._write_record(self.record().with_status(status, step=step, error=error))

    def write_seconds(self, seconds: Mapping[str, float]) -> None:
        """Writes what the run's time was spent on, all its processes together.

        Raises:
            CorruptError: As ``record``.
            RunError: The disk refuses.
        """
        rounded = {name: round(value, 3) for name, value in seconds.items()}
        self._write_record(dataclasses.replace(self.record(), seconds=rounded))

    def config(self) -> dict[str, Any]:
        """Reads ``experiment.toml`` as plain data; no component is imported.

        Raises:
            CorruptError: It is missing, damaged, or not what the run wrote.
        """
        from advdl.experiment.toml import parse_toml

        try:
            content = self.experiment_file.read_bytes()
            data = parse_toml(content)
        except (OSError, ValueError) as error:
            raise CorruptError(f"{self.experiment_file} cannot be read: {error}", hint=SEE_RUNS) from error
        if _sha256(content) not in self.record().experiment_sha256:
            raise CorruptError(
                f"{self.experiment_file} was changed after the run wrote it",
                hint="a run with other settings is a new run: advdl agent train --config FILE",
            )
        return data

    def experiment(self, host: "PluginHost") -> "Experiment":
        """Reads and validates the run's configuration.

        Raises:
            CorruptError: As ``config``, or it is not valid.
            UsageError: A component that it names is not installed.
        """
        from advdl.experiment.config import read_experiment

        self.config()
        return read_experiment(host, self.experiment_file, family=self.record().family)

    def replace_experiment(self, experiment: "Experiment") -> None:
        """Writes another configuration, for a run that goes on with more steps; a crash leaves one of both.

        Raises:
            CorruptError: As ``record``.
            RunError: The disk refuses.
        """
        content = experiment.to_toml().encode()
        record = self.record()
        both = [*record.experiment_sha256, _sha256(content)]
        self._write_record(dataclasses.replace(record, experiment_sha256=both))
        write_atomically(self.experiment_file, content)
        steps = int(experiment.data["steps"])
        self._write_record(dataclasses.replace(record, experiment_sha256=both[-1:], steps=steps))

    def append_metrics(self, step: int, metrics: Mapping[str, float]) -> None:
        """Adds a line to ``metrics.jsonl``; NaN and infinities are written as null.

        Raises:
            RunError: The disk refuses.
        """
        self._metrics.append({**metrics, "step": int(step)})

    def read_metrics(self) -> list[dict[str, Any]]:
        """Reads ``metrics.jsonl`` without a last line that a crash has torn.

        Raises:
            CorruptError: Another line is damaged.
        """
        return self._metrics.read()

    def truncate_metrics(self, after_step: int) -> None:
        """Drops the metrics of later steps, and a torn last line, so that a resumed run repeats none."""
        self._metrics.truncate(after_step)

    def append_evaluation(self, step: int, evaluation: Mapping[str, Any]) -> None:
        """Adds a line to ``evaluations.jsonl``.

        Args:
            step: The step that was evaluated.
            evaluation: ``kind`` (``"during"`` or ``"final"``), ``returns``, ``return/mean``, ...

        Raises:
            RunError: The disk refuses.
        """
        self._evaluations.append({**evaluation, "step": int(step)})

    def read_evaluations(self) -> list[dict[str, Any]]:
        """Reads ``evaluations.jsonl`` as ``read_metrics`` does."""
        return self._evaluations.read()

    def last_lines(self) -> tuple[dict[str, Any] | None, dict[str, Any] | None]:
        """Returns the last metrics and the last evaluation, for whoever watches a run of another process.

        Raises:
            CorruptError: As ``read_metrics``.
        """
        return self._metrics.last(), self._evaluations.last()

    def truncate_evaluations(self, after_step: int, *, final: bool = True) -> None:
        """Drops the evaluations of later steps, and a torn last line.

        Args:
            after_step: As for ``truncate_metrics``.
            final: Whether a final evaluation of that very step stays.
        """
        self._evaluations.truncate(
            after_step, lambda line: final or line["step"] < after_step or line.get("kind") != "final"
        )

    def last_evaluation(self) -> dict[str, Any] | None:
        """Returns the last final evaluation, or else the last one, or None if there is none.

        Raises:
            CorruptError: ``evaluations.jsonl`` is damaged.
        """
        evaluations = self.read_evaluations()
        final = [evaluation for evaluation in evaluations if evaluation.get("kind") == "final"]
        return next(iter([*final[-1:], *evaluations[-1:]]), None)

    def _write_record(self, record: RunRecord) -> None:
        write_atomically(self.path / _RECORD, record.to_json())


def is_run(path: Path) -> bool:
    """Whether a folder is, or was, one of a run."""
    return (path / _RECORD).is_file() or (path / _EXPERIMENT).is_file()


def _publish(
    parent: Path,
    env: str,
    agent: str,
    experiment: "Experiment",
    command: Sequence[str],
    plugins: Mapping[str, str],
    tags: Sequence[str],
    group: str,
) -> Path:
    """Writes the folder under a hidden name, then gives it its own."""
    run_id = _new_id(experiment.data["seed"])
    content = experiment.to_toml().encode()
    record = RunRecord(
        id=run_id,
        family=experiment.family,
        env=env,
        agent=agent,
        seed=experiment.data["seed"],
        steps=experiment.data["steps"],
        experiment_sha256=[_sha256(content)],
        created=now(),
        command=list(command),
        tags=list(tags),
        group=group,
        **provenance(Path.cwd(), plugins),
    )
    hidden, path = parent / f".{run_id}.new", parent / run_id
    hidden.mkdir()
    try:
        write_atomically(hidden / _EXPERIMENT, content)
        write_atomically(hidden / _RECORD, record.to_json())
        hidden.rename(path)
    except (OSError, AdvdlError):
        shutil.rmtree(hidden, ignore_errors=True)
        raise
    sync_folder(parent)
    return path


def _new_id(seed: int) -> str:
    moment = datetime.datetime.now(datetime.UTC)
    return f"{moment:%Y%m%d-%H%M%S}-s{seed}-{secrets.token_hex(3)}"


def _safe(name: str) -> str:
    """Makes a name that is one folder: ``ALE/Pong-v5`` becomes ``ALE_Pong-v5``."""
    return re.sub(r"[^A-Za-z0-9._-]", "_", name).lstrip(".") or "_"


def _sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()
