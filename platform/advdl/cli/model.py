"""``advdl model``: train and evaluate models of data."""

import os
from pathlib import Path
from typing import Annotated, Any

import typer

from advdl.cli.output import emit
from advdl.cli.state import plugin_host
from advdl.cli.train import Config, DryRun, Json, Quiet, Run, RunsDir, Seed, Sets, Which, resolve, show_settings
from advdl.cli.train import train as train_run

app = typer.Typer(help="Train and evaluate classifiers and generative models.", rich_markup_mode=None)

_KINDS = ("learner", "sampler")


@app.command()
def train(
    context: typer.Context,
    name: Annotated[str, typer.Argument(help="The model, such as classifier or vae.", metavar="MODEL")],
    data: Annotated[
        str | None,
        typer.Option(help="The data: a name such as digits, a .npz file, or a folder or zip file of images."),
    ] = None,
    backbone: Annotated[str | None, typer.Option(help="What a learner sees through.", show_default=False)] = None,
    steps: Annotated[int | None, typer.Option(min=1, help="Updates to make.", show_default=False)] = None,
    seed: Seed = None,
    sets: Sets = None,
    config: Config = None,
    dry_run: DryRun = False,
    runs_dir: RunsDir = None,
    quiet: Quiet = False,
    as_json: Json = False,
) -> None:
    """Train a model on one part of a data set, and judge it by the rest.

    Examples: advdl model train classifier --backbone densenet; advdl model train vae --data photos.zip.
    Every setting is listed by: advdl config keys
    """
    host = plugin_host(context)
    family = _family(host, name)
    given = {family: name, f"{family}.backbone": backbone, "steps": steps, "seed": seed}
    experiment = resolve(host, {**given, **_data_settings(data)}, sets, config, family=family)
    if dry_run:
        show_settings(experiment, as_json=as_json)
        return
    train_run(
        experiment,
        host,
        subject=experiment.get("data.name"),
        trained=name,
        watched="loss",
        runs_dir=runs_dir,
        quiet=quiet,
        as_json=as_json,
    )


@app.command()
def evaluate(
    context: typer.Context,
    run: Run,
    seed: Annotated[int, typer.Option(min=0, help="Seed of what is random in the measure.")] = 0,
    checkpoint: Which = "best",
    runs_dir: RunsDir = None,
    as_json: Json = False,
) -> None:
    """Measure a run's model on the data that it was not trained on."""
    from advdl.cli.output import warn
    from advdl.experiment.find_runs import runs_root
    from advdl.experiment.metered import metered, run_metrics
    from advdl.experiment.model_work import judged, load_model
    from advdl.experiment.run_folder import RunFolder

    folder, host = RunFolder.open(run, runs_root(runs_dir, os.environ)), plugin_host(context)
    parts, step = load_model(folder, host, checkpoint, warn)
    from advdl.training.held_out import HeldOut

    found = judged(parts, HeldOut(parts.learner, parts.held_out, jit=False), seed=seed)
    found = metered(found, run_metrics(folder.experiment(host), host, warn))
    data = {"run": folder.id, "checkpoint": step, "seed": seed, **found.figures}
    emit(data, json=as_json, table=lambda: f"step {step:,}: {found.text}")


def _family(host: Any, name: str) -> str:
    """Returns the kind of model that a name is of.

    Raises:
        UsageError: There is no such model.
    """
    from advdl.errors import unknown_name

    known = {component.name: kind for kind in _KINDS for component in host.components(kind)}
    if name not in known:
        raise unknown_name("model", name, known, command="advdl plugins list --kind learner, or --kind sampler")
    return known[name]


def _data_settings(data: str | None) -> dict[str, Any]:
    """Tells a file from a name: ``photos.zip`` is ``{name = "folder", path = "photos.zip"}``."""
    if data is None:
        return {}
    path = Path(data)
    if path.suffix == ".npz":
        return {"data": "npz", "data.path": data}
    if path.suffix == ".zip" or path.is_dir() or len(path.parts) > 1:
        return {"data": "folder", "data.path": data}
    return {"data": data}
