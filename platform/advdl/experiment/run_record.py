"""RunRecord: what ``run.json`` says of a run."""

import dataclasses
import datetime
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, get_args

from advdl.errors import CorruptError

FORMAT = 1
"""The version of the run folder's format; a folder of a later one is refused."""

Status = Literal["created", "running", "done", "failed", "interrupted", "diverged"]
STATUSES: tuple[str, ...] = get_args(Status)

_LISTS = "runs are listed by: advdl runs list"


@dataclass(frozen=True, slots=True)
class RunRecord:
    """A run's state and provenance.

    Attributes:
        id: The run's id, its folder's name.
        family: The kind of experiment.
        env: The env's id.
        agent: The agent's name.
        seed: The seed.
        steps: How many steps were asked for.
        experiment_sha256: SHA-256 of ``experiment.toml``; two while it is being replaced.
        created: When it was created, UTC, ISO 8601.
        status: How it stands.
        error: Why it failed, or an empty string.
        step: The last step that was recorded here.
        started: When it began to train, or None.
        ended: When it ended, or None.
        seconds: What its time was spent on, all its processes together: ``train``, ``evaluate``, ``save``, ...
        command: The command line that made it.
        tags: Marks to find the run by.
        versions: Of Python and of what matters most, by distribution.
        plugins: Versions of the plugins' distributions.
        git: Commit and dirty flag of the working folder's repository, or None.
        machine: Processor, cores, operating system.
        group: The name that it shares with the runs that it belongs with, or an empty string.
        format: The version of the folder's format.
    """

    id: str
    family: str
    env: str
    agent: str
    seed: int
    steps: int
    experiment_sha256: Sequence[str]
    created: str
    status: str = "created"
    error: str = ""
    step: int = 0
    started: str | None = None
    ended: str | None = None
    seconds: Mapping[str, float] = field(default_factory=dict)
    command: Sequence[str] = ()
    tags: Sequence[str] = ()
    versions: Mapping[str, Any] = field(default_factory=dict)
    plugins: Mapping[str, Any] = field(default_factory=dict)
    git: Mapping[str, Any] | None = None
    machine: Mapping[str, Any] = field(default_factory=dict)
    group: str = ""
    format: int = FORMAT

    def to_json(self) -> bytes:
        """Writes the record as JSON."""
        return json.dumps(dataclasses.asdict(self), indent=2).encode() + b"\n"

    def with_status(self, status: Status, *, step: int | None, error: str) -> "RunRecord":
        """Returns the record with another status, the times of start and end kept up to date."""
        running = status == "running"
        return dataclasses.replace(
            self,
            status=status,
            error=error,
            step=self.step if step is None else int(step),
            started=self.started or (now() if running else None),
            ended=None if running else now(),
        )


def read_record(path: Path) -> RunRecord:
    """Reads a ``run.json``.

    Raises:
        CorruptError: It is missing, damaged, or of a later format.
    """
    try:
        data = json.loads(path.read_bytes())
    except (OSError, ValueError, RecursionError) as error:
        what = error.strerror if isinstance(error, OSError) else error
        raise CorruptError(f"{path} cannot be read: {what}", hint=_LISTS) from error
    if isinstance(data, dict) and isinstance(data.get("format"), int) and data["format"] > FORMAT:
        raise CorruptError(f"{path} was written by a later advdl", hint="pip install --upgrade advdl")
    if not _is_record(data):
        raise CorruptError(f"{path} is damaged: it does not describe a run", hint=_LISTS)
    known = {item.name for item in dataclasses.fields(RunRecord)}
    return RunRecord(**{key: value for key, value in data.items() if key in known})


def now() -> str:
    """Returns this moment, UTC, ISO 8601 with microseconds."""
    return datetime.datetime.now(datetime.UTC).isoformat(timespec="microseconds").replace("+00:00", "Z")


def _is_record(data: Any) -> bool:
    return (
        isinstance(data, dict)
        and all(isinstance(data.get(key), str) for key in ("id", "family", "env", "agent", "created", "error"))
        and all(isinstance(data.get(key), int) for key in ("seed", "steps", "step", "format"))
        and all(isinstance(data.get(key), str | None) for key in ("started", "ended"))
        and all(isinstance(data.get(key), list) for key in ("experiment_sha256", "command"))
        and all(isinstance(data.get(key), dict) for key in ("versions", "plugins", "machine"))
        and isinstance(data.get("seconds", {}), dict)
        and isinstance(data.get("tags", []), list)
        and isinstance(data.get("git"), dict | None)
        and isinstance(data.get("group", ""), str)
        and data.get("status") in STATUSES
    )
