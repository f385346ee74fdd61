"""Groups: runs that belong together by a name that they share, such as the seeds of one experiment."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from advdl.errors import UsageError
from advdl.experiment.find_runs import find_runs
from advdl.experiment.run_folder import RunFolder


@dataclass(frozen=True, slots=True)
class RunGroup:
    """Runs that share a name.

    Attributes:
        name: The name.
        folders: The runs, by env and seed.
    """

    name: str
    folders: list[RunFolder]


def find_group(text: str, root: Path) -> RunGroup | None:
    """Finds a group by its name or the beginning of it; None where no group begins so.

    Raises:
        UsageError: More than one begins so.
    """
    groups = _groups(root)
    matches = sorted(name for name in groups if text and name.startswith(text))
    if text not in groups and len(matches) > 1:
        raise UsageError(
            f"{text!r} begins the names of {len(matches)} groups", hint=f"write more of it: {_few(matches)}"
        )
    name = text if text in groups else next(iter(matches), None)
    return None if name is None else RunGroup(name, groups[name])


def _groups(root: Path) -> dict[str, list[RunFolder]]:
    found: dict[str, list[RunFolder]] = {}
    known = [(run.record, run.folder) for run in find_runs(root) if run.record is not None and run.record.group]
    for record, folder in sorted(known, key=lambda pair: (pair[0].env, pair[0].seed, pair[0].created)):
        found.setdefault(record.group, []).append(folder)
    return found


def _few(names: Sequence[str]) -> str:
    return f"{', '.join(names[:5])}{', ...' if len(names) > 5 else ''}"
