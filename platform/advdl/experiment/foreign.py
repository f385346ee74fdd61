"""Takes an agent in that another library saved: from its file, it becomes a run like any other."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from advdl.errors import CorruptError, UsageError
from advdl.experiment.config import Experiment
from advdl.experiment.console import Console
from advdl.experiment.publish import publish
from advdl.experiment.run_folder import RunFolder
from advdl.experiment.runner import Outcome
from advdl.experiment.work import build_work
from advdl.plugin.construct import load_component
from advdl.training.backend import start_backend

if TYPE_CHECKING:
    from advdl.plugin.host import PluginHost


def import_foreign(
    path: Path,
    agent: str,
    *,
    trusted: bool,
    resolve: Callable[[Mapping[str, Any]], Experiment],
    new_folder: Callable[[Experiment], RunFolder],
    host: "PluginHost",
    console: Console,
) -> Outcome:
    """Makes a run of a foreign file, with one checkpoint and its evaluation.

    Args:
        path: The file.
        agent: The agent that reads it.
        trusted: Whether the user lets code from the file run.
        resolve: Makes an experiment of settings by dotted key.
        new_folder: Makes the run's folder.
        host: The plugins.
        console: Told what the file does not hold.

    Raises:
        CorruptError: It is not trusted, or cannot be read.
        UsageError: There is no such file or agent, or they do not fit each other.
    """
    component = host.get("agent", agent)
    if component.details.get("loop") != "own":
        raise UsageError(
            f"agent {agent!r} has no foreign files: its runs are advdl's own", hint="see them all: advdl runs list"
        )
    if not path.is_file():
        raise UsageError(f"there is no file {str(path)!r}")
    if not trusted:
        raise CorruptError(
            f"{path} is refused: it holds pickled objects, and loading them runs whatever code their maker put in, "
            "with all your rights",
            hint="only if you trust whoever made it: --trust-pickle",
        )
    start_backend(component.details.get("backend", "tensorflow"))
    foreign = load_component(component).open_foreign(path)
    settings = {f"agent.{name}": value for name, value in foreign.options.items()}
    experiment = resolve({**settings, "env.num": foreign.num_envs, "steps": max(1, foreign.env_steps)})
    work: Any = build_work(experiment, host)
    foreign.adopt(work.agent)
    for sentence in foreign.lost:
        console.message(sentence)
    folder = new_folder(experiment)
    with folder.lock():
        return publish(folder, work, experiment)
