"""Data that are collected from an env: by a run's policy where one is named, and kept with the run."""

import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from advdl.errors import CorruptError, RunError, UsageError
from advdl.experiment.policy import load_agent
from advdl.experiment.run_folder import RunFolder

if TYPE_CHECKING:
    from advdl.plugin.host import PluginHost
    from advdl.rl.env_data import EnvData, Transitions
    from advdl.training.dataset import Data, Dataset

FILE = "transitions.npz"
"""The file in a run's folder that has the transitions which it learns from."""


def is_data(given: str, host: "PluginHost") -> bool:
    """Whether a text names data by a component and what it is to load, such as ``minari:ID``."""
    name, colon, _ = given.partition(":")
    return bool(colon) and any(each.name == name and "named" in each.details for each in host.components("data"))


class Kept:
    """A run's data: loaded, or collected and then kept with the run.

    Args:
        data: What loads or collects.
        host: The plugins.
        folder: The run's folder; None for a run that has none yet.
    """

    def __init__(self, data: "Data", host: "PluginHost", folder: Path | None) -> None:
        from advdl.rl.env_data import EnvData
        from advdl.training.dataset import checked

        self._transitions: Transitions | None = None
        if not isinstance(data, EnvData):
            self.dataset: Dataset = checked(data.load())
            return
        file = folder / FILE if folder else None
        kept = file is not None and file.exists()
        self._transitions = read_transitions(file) if file is not None and kept else collected(data, host)
        self.dataset = data.dataset(self._transitions, host)

    def keep(self, folder: Path) -> None:
        """Writes what was collected into a run's folder, so that a resume need not collect it again.

        Raises:
            RunError: The disk is full or broken.
        """
        if self._transitions is not None:
            write_transitions(folder / FILE, self._transitions)


def collected(data: "EnvData", host: "PluginHost", warn: Callable[[str], None] = lambda text: None) -> "Transitions":
    """Collects the transitions that data ask for, by the random policy or by a run's agent.

    Raises:
        UsageError: There is no such env or run, or the run's agent cannot act in the env.
    """
    from advdl.rl.env_data import RANDOM

    if data.policy == RANDOM:
        return data.collect(host)
    run = RunFolder(Path(data.policy))
    if not run.path.is_dir():
        raise UsageError(
            f"data.policy is {data.policy!r}, and there is no such run", hint="--policy RUN, or --policy random"
        )
    agent, _ = load_agent(run, host, "best", warn)
    return data.collect(host, agent)


def write_transitions(file: Path, transitions: "Transitions") -> None:
    """Writes transitions as a ``.npz`` file, whole or not at all.

    Raises:
        RunError: The disk is full or broken.
    """
    partial = file.with_suffix(".tmp")
    try:
        with partial.open("wb") as opened:
            np.savez(opened, **transitions)  # type: ignore[arg-type]  # its stubs take a keyword for another
        partial.replace(file)
    except OSError as error:
        raise RunError(f"the transitions cannot be written to {file}: {error.strerror}") from error


def read_transitions(file: Path) -> "Transitions":
    """Reads transitions that ``write_transitions`` wrote.

    Raises:
        UsageError: There is no such file.
        CorruptError: It is damaged, or holds something else.
    """
    wanted = ("observation", "action", "reward", "next_observation", "terminated")
    try:
        with np.load(file, allow_pickle=False) as arrays:
            return {name: arrays[name] for name in wanted}
    except FileNotFoundError as error:
        raise UsageError(f"there is no file {file}") from error
    except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile) as error:
        raise CorruptError(f"{file} cannot be read: {error}", hint="remove it, and they are collected again") from error
