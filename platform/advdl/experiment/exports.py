"""Exports of runs: a policy out of a checkpoint as a file that acts without advdl."""

import shutil
import tempfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from advdl.errors import UsageError, unknown_name
from advdl.experiment.policy import load_agent, load_own_loop
from advdl.experiment.run_folder import RunFolder
from advdl.rl.export_formats import SUFFIXES

if TYPE_CHECKING:
    from advdl.plugin.host import PluginHost

Warn = Callable[[str], None]


def export_run(
    folder: RunFolder, host: "PluginHost", kind: str, checkpoint: str, output: Path | None, warn: Warn
) -> dict[str, Any]:
    """Writes a run's policy as a file.

    Args:
        folder: The run.
        host: The plugins.
        kind: The format.
        checkpoint: ``"best"``, ``"last"``, or a step.
        output: The file, or the folder of a SavedModel; None for one in the run's folder.
        warn: Told when a damaged checkpoint is passed over.

    Returns:
        The run, the checkpoint's step, the format and the file.

    Raises:
        UsageError: There is no such format for this run, no such checkpoint, or there is something at ``output``.
        RunError: What was written does not act as the live policy; it is removed again.
    """
    write = _own_loop if folder.record().family == "own_loop" else _native
    step, file = write(folder, host, kind, checkpoint, output, warn)
    return {"run": folder.id, "checkpoint": step, "format": kind, "file": file}


def _native(
    folder: RunFolder, host: "PluginHost", kind: str, checkpoint: str, output: Path | None, warn: Warn
) -> tuple[int, Path]:
    from advdl.training.backend import start_tensorflow

    _check(kind, SUFFIXES)
    start_tensorflow()
    from advdl.rl.export import export

    agent, step = load_agent(folder, host, checkpoint, warn)
    target = output or _target(folder, step, kind, SUFFIXES)
    export(agent, target, kind)
    return step, target


def _own_loop(
    folder: RunFolder, host: "PluginHost", kind: str, checkpoint: str, output: Path | None, warn: Warn
) -> tuple[int, Path]:
    agent, _, step = load_own_loop(folder, host, checkpoint, warn)
    try:
        _check(kind, agent.formats)
        target = output or _target(folder, step, kind, agent.formats)
        if target.exists():
            raise UsageError(f"{target} is there already", hint="--output names another file")
        target.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(prefix=".export-", dir=target.parent) as work:
            written = Path(work) / f"policy{agent.formats[kind]}"
            agent.export(written, kind)
            shutil.move(written, target)
    finally:
        agent.close()
    return step, target


def _check(kind: str, formats: Mapping[str, str]) -> None:
    if kind not in formats:
        raise unknown_name("format", kind, formats, command="advdl agent export --help")


def _target(folder: RunFolder, step: int, kind: str, formats: Mapping[str, str]) -> Path:
    return folder.exports / f"step-{step:012d}-{kind}{formats[kind]}"
