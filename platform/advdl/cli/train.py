"""What the nouns that train share: settings from options, the run, and what is told of it afterwards."""

import os
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from advdl.cli.output import emit

if TYPE_CHECKING:
    from advdl.experiment.config import Experiment
    from advdl.experiment.console import Console
    from advdl.experiment.run_folder import RunFolder
    from advdl.experiment.runner import Outcome
    from advdl.plugin.host import PluginHost

Json = Annotated[bool, typer.Option("--json", help="Print JSON.")]
Quiet = Annotated[bool, typer.Option("--quiet", help="Show no progress.")]
Run = Annotated[str, typer.Argument(help="A run: its folder, its id or the beginning of it, or 'latest'.")]
RunsDir = Annotated[
    Path | None,
    typer.Option(help="Where the runs are; ADVDL_RUNS or ./runs when left out.", show_default=False),
]
Seed = Annotated[int | None, typer.Option(min=0, help="Seed of the run.", show_default=False)]
Sets = Annotated[
    list[str] | None,
    typer.Option("--set", metavar="KEY=VALUE", help="Any setting, such as agent.gamma=0.98; repeatable."),
]
Config = Annotated[Path | None, typer.Option(help="A TOML file of settings.", show_default=False)]
Precision = Annotated[
    str | None,
    typer.Option(help="float32, mixed_float16, mixed_bfloat16, or auto by device.", show_default=False),
]
Devices = Annotated[int | None, typer.Option(min=1, help="Devices that share each update's batch.", show_default=False)]
Profile = Annotated[
    str | None,
    typer.Option(metavar="FIRST:LAST", help="Updates to profile for TensorBoard, such as 10:20.", show_default=False),
]
DryRun = Annotated[bool, typer.Option("--dry-run", help="Show the settings and where they come from; train nothing.")]
Tags = Annotated[list[str] | None, typer.Option("--tag", metavar="TEXT", help="A mark to find the run by; repeatable.")]
Which = Annotated[str, typer.Option("--checkpoint", help="Which checkpoint: best, last or a step.")]


def resolve(
    host: "PluginHost",
    given: Mapping[str, Any],
    sets: Sequence[str] | None,
    config: Path | None,
    *,
    family: str = "agent",
    canonical_env: Callable[[str], str] | None = None,
    control_of: str = "",
) -> "Experiment":
    """Resolves an experiment from a command's options; an option that was not given is None."""
    from advdl.experiment.config import resolve_experiment
    from advdl.training.backend import start_backend

    return resolve_experiment(
        host,
        command_line={key: value for key, value in given.items() if value is not None},
        sets=sets or [],
        config_file=config,
        environ=os.environ,
        folder=Path.cwd(),
        family=family,
        canonical_env=canonical_env,
        before_import=start_backend,
        control_of=control_of,
    )


def show_settings(experiment: "Experiment", *, as_json: bool) -> None:
    """Prints every setting and where it comes from."""
    from advdl.cli.config_report import settings_table
    from advdl.experiment.config import dry_run_json, render_dry_run

    emit(dry_run_json(experiment), json=as_json, table=lambda: settings_table(render_dry_run(experiment)))


def train(
    experiment: "Experiment",
    host: "PluginHost",
    *,
    subject: str,
    trained: str,
    watched: str,
    runs_dir: Path | None,
    quiet: bool,
    as_json: bool,
    tags: Sequence[str] = (),
    group: str = "",
) -> None:
    """Trains a new run, shows its progress, and prints its evaluation and the next commands.

    Args:
        experiment: What the run is to do.
        host: The plugins.
        subject: What it is trained on; names the run's folder.
        trained: What is trained; names the folder below.
        watched: What the progress line's metric is called.
        runs_dir: What ``--runs-dir`` said.
        quiet: Whether to show no progress.
        as_json: Whether to print JSON.
        tags: What ``--tag`` said.
        group: The name that the run shares with others.
    """
    from advdl.cli.progress import Progress
    from advdl.cli.seeds import checked_group
    from advdl.experiment.runner import begin
    from advdl.experiment.workers import is_chief

    checked_group(group)
    with Progress(experiment.get("steps"), watched=watched, quiet=quiet) as console:
        _tell_precision(experiment, console)
        outcome = begin(
            experiment,
            lambda: create_folder(experiment, host, subject, trained, runs_dir, tags, group=group),
            host,
            console,
        )
    if is_chief(os.environ):
        show_outcome(outcome, as_json=as_json)


def create_folder(
    experiment: "Experiment",
    host: "PluginHost",
    subject: str,
    trained: str,
    runs_dir: Path | None,
    tags: Sequence[str] = (),
    *,
    group: str = "",
) -> "RunFolder":
    """Makes the folder of a new run, with the command line and the plugins' versions in it."""
    from advdl.experiment.find_runs import runs_root
    from advdl.experiment.run_folder import RunFolder
    from advdl.experiment.workers import own_root

    root, command = own_root(runs_root(runs_dir, os.environ), os.environ), ["advdl", *sys.argv[1:]]
    plugins = {record.distribution: record.version for record in host.plugins}
    return RunFolder.create(root, subject, trained, experiment, command, plugins=plugins, tags=tags, group=group)


def show_outcome(outcome: "Outcome", *, as_json: bool) -> None:
    """Prints how a run ended, and what can be done with it."""
    from advdl.experiment.next_commands import next_commands
    from advdl.training.stopwatch import shares

    commands = next_commands(outcome.folder, done=True)
    seconds = outcome.folder.record().seconds
    data = {
        "run": outcome.folder.id,
        "folder": outcome.folder.path,
        "step": outcome.step,
        "kept_step": outcome.kept_step,
        "evaluation": dict(outcome.verdict.figures),
        "seconds": dict(seconds),
        "next": commands,
    }
    lines = [f"trained {outcome.step:,} steps; {outcome.verdict.text}"]
    lines += [f"took {sum(seconds.values()):.1f} s: {shares(seconds)}"] if seconds else []
    lines += ["next:"]
    lines += [f"  {purpose:9} {command}" for purpose, command in commands.items()]
    emit(data, json=as_json, table="\n".join(lines))


def _tell_precision(experiment: "Experiment", console: "Console") -> None:
    if experiment.get("precision") == "auto":
        from advdl.training.precision import precision_of

        console.message(f"precision: {precision_of('auto').reason}")
