"""Finds runs below a folder, by id or all of them; a damaged one is listed, not an obstacle."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from advdl.errors import CorruptError, UsageError, nearest
from advdl.experiment.run_folder import SEE_RUNS, RunFolder, is_run
from advdl.experiment.run_record import RunRecord

LATEST = "latest"
"""What a user writes for the newest run."""


@dataclass(frozen=True, slots=True)
class FoundRun:
    """A run in a listing.

    Attributes:
        folder: Where it is.
        record: What its ``run.json`` says, or None if it is damaged.
        status: How it stands now, or ``"damaged"``.
        problem: What is damaged, or an empty string.
    """

    folder: RunFolder
    record: RunRecord | None
    status: str
    problem: str = ""


def runs_root(given: Path | None, environ: Mapping[str, str]) -> Path:
    """Returns the folder of all runs: what ``--runs-dir`` says, or ``ADVDL_RUNS``, or ``./runs``."""
    return given or Path(environ.get("ADVDL_RUNS") or "runs")


def find_runs(root: Path) -> list[FoundRun]:
    """Lists the runs below a folder, the newest first; damaged ones are among them.

    Raises:
        UsageError: The folder cannot be read.
    """
    found = [_inspect(RunFolder(path)) for path in _run_paths(root)]
    return sorted(found, key=_age, reverse=True)


def find_run(text: str, root: Path) -> RunFolder:
    """Finds a run by its id, the beginning of its id, or ``latest``.

    Raises:
        UsageError: There is no such run, or more than one.
    """
    if text == LATEST:
        readable = [run.folder for run in find_runs(root) if run.record is not None]
        if not readable:
            raise UsageError(f"there are no runs in {root}", hint="advdl agent train --env CartPole makes one")
        return readable[0]
    ids = {path.name: path for path in _run_paths(root)}
    matches = [name for name in ids if text and name.startswith(text)]
    if text in ids or len(matches) == 1:
        return RunFolder(ids[text if text in ids else matches[0]])
    if matches:
        raise UsageError(f"{text!r} begins the ids of {len(matches)} runs", hint=_these(matches))
    guess = nearest(text, ids)
    did_you_mean = f"did you mean {guess}? " if guess else ""
    raise UsageError(f"there is no run {text!r} in {root}", hint=did_you_mean + SEE_RUNS)


def _these(ids: Sequence[str]) -> str:
    newest = sorted(ids, reverse=True)[:5]
    return f"write more of it: {', '.join(newest)}{', ...' if len(ids) > len(newest) else ''}"


def _run_paths(root: Path) -> list[Path]:
    if not root.exists():
        return []
    if not root.is_dir():
        raise UsageError(f"{root} is not a folder of runs", hint="--runs-dir DIR looks elsewhere")
    try:
        return [path for path in root.glob("[!.]*/[!.]*/[!.]*") if is_run(path)]
    except OSError as error:
        raise UsageError(f"{root} cannot be read: {error.strerror}") from error


def _inspect(folder: RunFolder) -> FoundRun:
    try:
        return FoundRun(folder, folder.record(), folder.status())
    except CorruptError as error:
        return FoundRun(folder, None, "damaged", error.message)


def _age(run: FoundRun) -> str:
    return re.sub(r"\D", "", run.record.created if run.record else run.folder.id[:15])
