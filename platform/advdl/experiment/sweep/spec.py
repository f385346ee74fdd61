"""SweepSpec: what a sweep is, in its ``sweep.toml``; a sweep that goes on has to be the same one."""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from advdl.errors import CorruptError, UsageError, unknown_name
from advdl.experiment.files import write_atomically
from advdl.experiment.sweep.space import Space, parse_dimension
from advdl.experiment.toml import parse_toml, write_toml

R = TypeVar("R")

COMMANDS = (("agent", "train"), ("model", "train"), ("meta", "train"))
SAMPLERS = ("tpe", "random", "qmc", "gp", "grid")
PRUNERS = ("none", "median", "percentile", "halving", "hyperband")
OBJECTIVES = ("score", "steps-to-target", "time-to-target")
STORAGES = ("journal", "sqlite")
FOLDER = "sweeps"
"""Where sweeps are, in the folder of all runs."""

_FILE = "sweep.toml"
_NOT_IN_COMMAND = {
    "--runs-dir": "advdl sweep run --runs-dir DIR ...",
    "--dry-run": "leave it out",
    "--json": "leave it out: advdl sweep run --json",
}


@dataclass(frozen=True, slots=True)
class SweepSpec:
    """What a sweep searches, and how.

    Attributes:
        command: The command whose settings are searched, such as ``("agent", "train", "--env", "CartPole")``.
        space: The range of each setting.
        objective: ``"score"`` of the final evaluation, or the steps or the seconds of training ``"to-target"``.
        target: The score that is to be reached; None for the objective ``"score"``.
        sampler: How settings are chosen.
        pruner: How trials that do badly are found.
        storage: How Optuna keeps its study.
        seed: Seed of the choices.
    """

    command: tuple[str, ...]
    space: Space
    objective: str = "score"
    target: float | None = None
    sampler: str = "tpe"
    pruner: str = "none"
    storage: str = "journal"
    seed: int = 0

    @property
    def maximises(self) -> bool:
        """Whether a higher value is better."""
        return self.objective == "score"

    @property
    def grid_size(self) -> int | None:
        """How many points the grid has; None where it has no end."""
        size = 1
        for dimension in self.space.values():
            values = dimension.every()
            if values is None:
                return None
            size *= len(values)
        return size

    def check(self) -> None:
        """Refuses what cannot be searched.

        Raises:
            UsageError: With what is wrong.
        """
        _check_command(self.command)
        for what, name, known in (
            ("sampler", self.sampler, SAMPLERS),
            ("pruner", self.pruner, PRUNERS),
            ("objective", self.objective, OBJECTIVES),
            ("storage", self.storage, STORAGES),
        ):
            if name not in known:
                raise unknown_name(what, name, known, command=f"--{what} takes {', '.join(known)}")
        if not self.space:
            raise UsageError("there is nothing to search", hint="--search optimizer.learning_rate=log:1e-4:1e-2")
        if self.objective != "score" and self.target is None:
            raise UsageError(f"objective {self.objective} needs a target", hint="such as --target 475")
        if self.objective == "score" and self.target is not None:
            raise UsageError("a target means nothing to the objective score", hint="--objective steps-to-target")
        if self.sampler == "grid" and self.grid_size is None:
            raise UsageError("a grid needs an end: float and log have none", hint="float:LOW:HIGH:STEP, int or choice")

    def to_toml(self) -> str:
        """Writes it."""
        search = {key: dimension.text for key, dimension in self.space.items()}
        return write_toml(
            {
                "command": list(self.command),
                "objective": self.objective,
                "target": self.target,
                "sampler": self.sampler,
                "pruner": self.pruner,
                "storage": self.storage,
                "seed": self.seed,
                "search": search,
            }
        )


class SweepFolder:
    """A sweep on the disk: ``runs/sweeps/NAME/``.

    Args:
        root: The folder of all runs.
        name: The sweep's name.
    """

    def __init__(self, root: Path, name: str) -> None:
        self.root, self.name, self.path = root, name, root / FOLDER / name

    @property
    def exists(self) -> bool:
        """Whether there is such a sweep."""
        return (self.path / _FILE).is_file()

    @property
    def lock(self) -> Path:
        """Held by the process that searches."""
        return self.path / "lock"

    @property
    def trials(self) -> Path:
        """What the trials' processes said, and what trackers wrote of them."""
        return self.path / "trials"

    @property
    def tag(self) -> str:
        """The mark of this sweep's runs."""
        return f"sweep={self.name}"

    def create(self, spec: SweepSpec, trackers: Mapping[str, Any]) -> None:
        """Makes the folder of a new sweep.

        Args:
            spec: What it is.
            trackers: The trackers of its runs, with their options.

        Raises:
            UsageError: It cannot be written.
        """
        try:
            self.trials.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise UsageError(
                f"a sweep cannot be written to {self.root}: {error.strerror}", hint="--runs-dir DIR writes elsewhere"
            ) from error
        write_atomically(self.path / _FILE, (spec.to_toml() + write_toml({"trackers": trackers})).encode())

    def spec(self) -> SweepSpec:
        """Reads what the sweep is.

        Raises:
            CorruptError: It cannot be read.
        """
        return self._read(_spec_of)

    def trackers(self) -> dict[str, Any]:
        """Reads which trackers its runs have.

        Raises:
            CorruptError: It cannot be read.
        """
        return self._read(lambda data: {name: dict(options) for name, options in data["trackers"].items()})

    def _read(self, part: Callable[[dict[str, Any]], R]) -> R:
        path = self.path / _FILE
        try:
            return part(parse_toml(path.read_bytes()))
        except (OSError, ValueError, KeyError, TypeError, AttributeError, UsageError) as error:
            raise CorruptError(f"{path} cannot be read: {error}", hint="begin another: --name NAME") from error


def find_sweep(root: Path, name: str | None) -> SweepFolder:
    """Finds a sweep by its name; the newest without one.

    Raises:
        UsageError: There is none.
    """
    names = sorted(
        (path.parent.name for path in (root / FOLDER).glob(f"*/{_FILE}")),
        key=lambda each: (root / FOLDER / each / _FILE).stat().st_mtime,
    )
    if not names:
        raise UsageError(f"there are no sweeps in {root}", hint="advdl sweep run --help")
    if name is None:
        return SweepFolder(root, names[-1])
    if name not in names:
        raise unknown_name("sweep", name, names, command=f"ls {root / FOLDER}")
    return SweepFolder(root, name)


def check_name(name: str) -> str:
    """Returns a sweep's name that can be a folder's.

    Raises:
        UsageError: It cannot.
    """
    if not re.fullmatch(r"[A-Za-z0-9_][A-Za-z0-9._-]*", name):
        raise UsageError(f"a sweep cannot be called {name!r}", hint="letters, digits, dots, - and _")
    return name


def _check_command(words: tuple[str, ...]) -> None:
    known = ", ".join(" ".join(command) for command in COMMANDS)
    if words[:2] not in COMMANDS:
        raise UsageError(f"a sweep runs {known}", hint="advdl sweep run --search ... -- agent train --env CartPole")
    for word in words:
        name = word.partition("=")[0]
        if name in _NOT_IN_COMMAND:
            raise UsageError(f"{name} cannot stand in a sweep's command", hint=_NOT_IN_COMMAND[name])


def _spec_of(data: Mapping[str, Any]) -> SweepSpec:
    space = {key: parse_dimension(text, where=key) for key, text in data["search"].items()}
    fields = ("objective", "sampler", "pruner", "storage", "seed")
    spec = SweepSpec(tuple(data["command"]), space, target=data.get("target"), **{name: data[name] for name in fields})
    spec.check()
    return spec
