"""``advdl runs``: list, show, compare and resume runs."""

import os
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from advdl.cli.output import emit, warn
from advdl.cli.seeds import Jobs, resume_group
from advdl.cli.state import plugin_host
from advdl.cli.train import Json, Quiet, Run, RunsDir
from advdl.errors import UsageError, unknown_name

if TYPE_CHECKING:
    from advdl.experiment.groups import RunGroup
    from advdl.experiment.run_folder import RunFolder

app = typer.Typer(help="List, show, resume and compare runs.", rich_markup_mode=None)


@app.command("list")
def list_runs(
    env: Annotated[str | None, typer.Option(help="Only runs in this env.", show_default=False)] = None,
    agent: Annotated[str | None, typer.Option(help="Only runs of this agent.", show_default=False)] = None,
    status: Annotated[
        str | None, typer.Option(help="Only runs that stand so, such as done.", show_default=False)
    ] = None,
    tag: Annotated[str | None, typer.Option(help="Only runs with this mark.", show_default=False)] = None,
    group: Annotated[str | None, typer.Option(help="Only runs of this group.", show_default=False)] = None,
    as_json: Json = False,
    runs_dir: RunsDir = None,
) -> None:
    """List runs, the newest first; those of a group together."""
    from advdl.cli.runs_report import list_data, list_table, select
    from advdl.experiment.find_runs import find_runs, runs_root
    from advdl.experiment.run_record import STATUSES

    known = (*STATUSES, "damaged")
    if status is not None and status not in known:
        raise unknown_name("status", status, known, command=f"--status takes {', '.join(known)}")
    root = runs_root(runs_dir, os.environ)
    data = list_data(select(find_runs(root), env=env, agent=agent, status=status, tag=tag, group=group))
    if not data:
        typer.echo(f"no such runs in {root}", err=True)
    for run in data:
        if run["problem"]:
            warn(run["problem"])
    emit(data, json=as_json, table=lambda: list_table(data))


@app.command()
def show(run: Run, as_json: Json = False, runs_dir: RunsDir = None) -> None:
    """Show a run: how it stands, its evaluation, what it was made with, and what can be done with it."""
    from advdl.cli.runs_report import show_data, show_text

    data = show_data(_open(run, runs_dir))
    emit(data, json=as_json, table=lambda: show_text(data))


@app.command()
def compare(
    runs: Annotated[list[str], typer.Argument(help="Groups of runs, or two or more runs.", metavar="GROUP|RUN ...")],
    out: Annotated[
        Path | None,
        typer.Option(help="A folder for learning curves, PNG and SVG, and the comparison as JSON.", show_default=False),
    ] = None,
    as_json: Json = False,
    runs_dir: RunsDir = None,
) -> None:
    """Compare groups of runs, or runs.

    Groups, such as the seeds that --seeds trains: interquartile means with stratified bootstrap intervals, the
    probability that one is better than another, and learning curves. Runs: the settings that differ, and their
    evaluations.
    """
    from advdl.cli.compare_report import groups_data, groups_text
    from advdl.cli.runs_report import compare_data, compare_text

    groups = _groups(runs, runs_dir, curves=out is not None)
    if groups:
        found = groups_data(groups, out, warn)
        emit(found, json=as_json, table=lambda: groups_text(found))
        return
    if len(runs) < 2:
        raise UsageError("one run cannot be compared", hint=f"advdl runs compare {runs[0]} ANOTHER")
    data = compare_data([_open(run, runs_dir) for run in runs])
    emit(data, json=as_json, table=lambda: compare_text(data))


@app.command()
def resume(
    context: typer.Context,
    run: Annotated[
        str, typer.Argument(help="A run: its folder, its id or the beginning of it, or 'latest'; or a group of runs.")
    ],
    steps: Annotated[
        int | None,
        typer.Option(min=1, help="Train up to this many steps instead of as planned.", show_default=False),
    ] = None,
    jobs: Jobs = None,
    quiet: Quiet = False,
    as_json: Json = False,
    runs_dir: RunsDir = None,
) -> int:
    """Go on with a run from its last checkpoint, exactly as if it had never stopped.

    Of a group, with every run that is not done, side by side.
    """
    from advdl.cli.progress import Progress
    from advdl.cli.runs_report import show_data, show_text
    from advdl.experiment.find_runs import runs_root
    from advdl.experiment.groups import find_group
    from advdl.experiment.run_folder import RunFolder
    from advdl.experiment.runner import resume as resume_run
    from advdl.experiment.workers import is_chief, own_copy

    found = None if Path(run).is_dir() else find_group(run, runs_root(runs_dir, os.environ))
    if found is not None and "TF_CONFIG" not in os.environ:
        return resume_group(context, found.name, found.folders, jobs=jobs, quiet=quiet, as_json=as_json)
    folder = _open(run, runs_dir)
    folder = RunFolder(own_copy(folder.path, os.environ))
    record = folder.record()
    with Progress(steps or record.steps, quiet=quiet) as console:
        code = resume_run(folder.path, steps=steps, host=plugin_host(context), console=console)
    if is_chief(os.environ):
        data = show_data(folder)
        emit(data, json=as_json, table=lambda: show_text(data))
    return int(code)


def _groups(words: list[str], runs_dir: Path | None, *, curves: bool) -> "list[RunGroup]":
    """Returns what is compared as groups, a run as a group of its own; none where no word names a group.

    Args:
        words: Names of groups, or runs.
        runs_dir: What ``--runs-dir`` said.
        curves: Whether runs alone are groups too: curves are drawn of groups.
    """
    from advdl.experiment.find_runs import runs_root
    from advdl.experiment.groups import find_group

    root = runs_root(runs_dir, os.environ)
    found = [None if Path(word).is_dir() else find_group(word, root) for word in words]
    if not curves and not any(found):
        return []
    groups = [group or _alone(word, runs_dir) for word, group in zip(words, found, strict=True)]
    return list({group.name: group for group in groups}.values())


def _alone(run: str, runs_dir: Path | None) -> "RunGroup":
    from advdl.experiment.groups import RunGroup

    folder = _open(run, runs_dir)
    return RunGroup(folder.id, [folder])


def _open(run: str, runs_dir: Path | None) -> "RunFolder":
    from advdl.experiment.find_runs import runs_root
    from advdl.experiment.run_folder import RunFolder

    return RunFolder.open(run, runs_root(runs_dir, os.environ))
