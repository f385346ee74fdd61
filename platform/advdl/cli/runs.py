"""``advdl runs``: list, show, compare and resume runs."""

import os
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from advdl.cli.output import emit, warn
from advdl.cli.state import plugin_host
from advdl.cli.train import Json, Quiet, Run, RunsDir
from advdl.errors import UsageError, unknown_name

if TYPE_CHECKING:
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
    as_json: Json = False,
    runs_dir: RunsDir = None,
) -> None:
    """List runs, the newest first."""
    from advdl.cli.runs_report import list_data, list_table, select
    from advdl.experiment.find_runs import find_runs, runs_root
    from advdl.experiment.run_record import STATUSES

    known = (*STATUSES, "damaged")
    if status is not None and status not in known:
        raise unknown_name("status", status, known, command=f"--status takes {', '.join(known)}")
    root = runs_root(runs_dir, os.environ)
    data = list_data(select(find_runs(root), env=env, agent=agent, status=status, tag=tag))
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
    runs: Annotated[list[str], typer.Argument(help="Two or more runs.", metavar="RUN RUN...")],
    as_json: Json = False,
    runs_dir: RunsDir = None,
) -> None:
    """Compare runs: the settings that differ, and their evaluations."""
    from advdl.cli.runs_report import compare_data, compare_text

    if len(runs) < 2:
        raise UsageError("one run cannot be compared", hint=f"advdl runs compare {runs[0]} ANOTHER")
    data = compare_data([_open(run, runs_dir) for run in runs])
    emit(data, json=as_json, table=lambda: compare_text(data))


@app.command()
def resume(
    context: typer.Context,
    run: Run,
    steps: Annotated[
        int | None,
        typer.Option(min=1, help="Train up to this many steps instead of as planned.", show_default=False),
    ] = None,
    quiet: Quiet = False,
    as_json: Json = False,
    runs_dir: RunsDir = None,
) -> int:
    """Go on with a run from its last checkpoint, exactly as if it had never stopped."""
    from advdl.cli.progress import Progress
    from advdl.cli.runs_report import show_data, show_text
    from advdl.experiment.run_folder import RunFolder
    from advdl.experiment.runner import resume as resume_run
    from advdl.experiment.workers import is_chief, own_copy

    folder = _open(run, runs_dir)
    folder = RunFolder(own_copy(folder.path, os.environ))
    record = folder.record()
    with Progress(steps or record.steps, quiet=quiet) as console:
        code = resume_run(folder.path, steps=steps, host=plugin_host(context), console=console)
    if is_chief(os.environ):
        data = show_data(folder)
        emit(data, json=as_json, table=lambda: show_text(data))
    return int(code)


def _open(run: str, runs_dir: Path | None) -> "RunFolder":
    from advdl.experiment.find_runs import runs_root
    from advdl.experiment.run_folder import RunFolder

    return RunFolder.open(run, runs_root(runs_dir, os.environ))
