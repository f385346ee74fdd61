"""``advdl sweep``: search the settings that do best, and show what was found."""

import os
import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from advdl.cli.output import emit, warn
from advdl.cli.seeds import Group
from advdl.cli.state import plugin_host
from advdl.cli.train import Json, RunsDir, Tags
from advdl.errors import UsageError

if TYPE_CHECKING:
    from advdl.experiment.sweep.places import Place
    from advdl.experiment.sweep.spec import SweepFolder, SweepSpec

app = typer.Typer(help="Search the settings that do best.", rich_markup_mode=None)

Name = Annotated[str | None, typer.Argument(help="The sweep; the newest when left out.", show_default=False)]
Text = str | None


@app.command()
def run(
    context: typer.Context,
    words: Annotated[
        list[str] | None,
        typer.Argument(metavar="-- COMMAND...", help="What to train, without 'advdl'.", show_default=False),
    ] = None,
    name: Annotated[Text, typer.Option(help="The sweep's name; one that is there goes on.", show_default=False)] = None,
    search: Annotated[
        list[str] | None,
        typer.Option(metavar="KEY=RANGE", help="A setting and its range, such as agent.gamma=float:0.9:0.999."),
    ] = None,
    space: Annotated[Path | None, typer.Option(help="A TOML file of ranges.", show_default=False)] = None,
    trials: Annotated[int | None, typer.Option(min=1, help="Trials in all; 20, or the whole grid.")] = None,
    jobs: Annotated[int, typer.Option(min=1, help="Trials at a time, each a process.")] = 1,
    on: Annotated[str, typer.Option(metavar="here|ray", help="Where trials run: here, or on a Ray cluster.")] = "here",
    objective: Annotated[Text, typer.Option(help="score, steps-to-target or time-to-target.")] = None,
    target: Annotated[float | None, typer.Option(help="The score that is to be reached.", show_default=False)] = None,
    sampler: Annotated[Text, typer.Option(help="tpe, random, qmc, gp or grid.")] = None,
    pruner: Annotated[Text, typer.Option(help="none, median, percentile, halving or hyperband.")] = None,
    storage: Annotated[Text, typer.Option(help="journal or sqlite.")] = None,
    seed: Annotated[int | None, typer.Option(min=0, help="Seed of the choices.", show_default=False)] = None,
    group: Group = "",
    tags: Tags = None,
    runs_dir: RunsDir = None,
    as_json: Json = False,
) -> None:
    """Search the settings that do best; every trial is an ordinary run.

    Example: advdl sweep run --name lr --search optimizer.learning_rate=log:1e-4:1e-2 -- agent train --env CartPole.
    A sweep that was stopped goes on with: advdl sweep run --name lr
    """
    from advdl.experiment.find_runs import runs_root
    from advdl.experiment.sweep.places import place_of
    from advdl.experiment.sweep.spec import SweepFolder, check_name
    from advdl.experiment.sweep.study import require_optuna

    require_optuna()
    folder = SweepFolder(runs_root(runs_dir, os.environ), check_name(name or time.strftime("sweep-%Y%m%d-%H%M%S")))
    asked: dict[str, Any] = {"objective": objective, "sampler": sampler, "pruner": pruner, "storage": storage}
    asked |= {"target": target, "seed": seed}
    given = {key: value for key, value in asked.items() if value is not None}
    marks = (*(word for tag in tags or () for word in ("--tag", tag)), *(("--group", group) if group else ()))
    spec = _spec(folder, (*(words or ()), *marks), _space(search or [], space), given)
    enough = trials or (spec.grid_size if spec.sampler == "grid" else None) or 20
    with place_of(on, jobs) as place:
        _search(context, folder, spec, enough, jobs, place)
    _show(folder, as_json=as_json, plots=False)


@app.command()
def show(
    sweep: Name = None,
    plots: Annotated[bool, typer.Option("--plots/--no-plots", help="Draw plots into the sweep's folder.")] = True,
    runs_dir: RunsDir = None,
    as_json: Json = False,
) -> None:
    """Show what a sweep has found: the best trial, which settings matter, and plots."""
    from advdl.experiment.find_runs import runs_root
    from advdl.experiment.sweep.spec import find_sweep
    from advdl.experiment.sweep.study import require_optuna

    require_optuna()
    _show(find_sweep(runs_root(runs_dir, os.environ), sweep), as_json=as_json, plots=plots)


def _space(searches: list[str], file: Path | None) -> dict[str, Any]:
    from advdl.experiment.sweep.space import parse_searches, read_space

    return {**(read_space(file) if file else {}), **parse_searches(searches)}


def _spec(folder: "SweepFolder", words: tuple[str, ...], space: dict[str, Any], given: dict[str, Any]) -> "SweepSpec":
    """Returns what a sweep is: what was said, or what it was before; both have to be the same.

    Raises:
        UsageError: It is another sweep, or cannot be searched.
    """
    from advdl.experiment.sweep.spec import SweepSpec

    if not folder.exists:
        spec = SweepSpec(words, space, **given)
        spec.check()
        return spec
    before = folder.spec()
    said: dict[str, Any] = {**given, **({"command": words} if words else {}), **({"space": space} if space else {})}
    for key, value in said.items():
        if getattr(before, key) != value:
            raise UsageError(
                f"sweep {folder.name} is there already, with another {key}",
                hint=f"go on with it: advdl sweep run --name {folder.name}; or choose another --name",
            )
    return before


def _search(
    context: typer.Context, folder: "SweepFolder", spec: "SweepSpec", trials: int, jobs: int, place: "Place"
) -> None:
    from advdl.experiment.lock import locked
    from advdl.experiment.signals import StoppedError, StopRequest
    from advdl.experiment.sweep.results import TrialTrackers
    from advdl.experiment.sweep.search import Search, corners
    from advdl.experiment.sweep.study import open_study
    from advdl.experiment.sweep.trial import dry_runs

    if not folder.exists:
        tables = dry_runs(corners(spec))["experiment"].get("trackers", {})
        folder.create(spec, {name: options for name, options in tables.items() if options is not False})
    host, trackers = plugin_host(context), folder.trackers()
    _say(f"sweep {folder.path}")
    with locked(folder.lock, what=f"sweep {folder.name}"), StopRequest().watching() as stop:
        study = open_study(folder, spec, writing=True)
        reporting = TrialTrackers(folder, host, trackers, warn)
        searching = Search(study, folder, spec, reporting, jobs=jobs, place=place, say=_say)
        searching.run(trials, stop)
        if stop.number is not None:
            how = f"with {searching.finished} trials finished; the others go on from their checkpoints"
            raise StoppedError(stop.number, how, hint=f"advdl sweep run --name {folder.name}")


def _say(text: str) -> None:
    typer.echo(text, err=True)


def _show(folder: "SweepFolder", *, as_json: bool, plots: bool) -> None:
    from advdl.cli.sweep_report import sweep_text
    from advdl.experiment.sweep.show import plots as draw
    from advdl.experiment.sweep.show import sweep_data

    data = sweep_data(folder)
    data["plots"] = [str(path) for path in draw(folder)] if plots else []
    emit(data, json=as_json, table=lambda: sweep_text(data))
