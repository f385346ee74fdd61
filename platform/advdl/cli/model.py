"""``advdl model``: train and evaluate models of data."""

import os
from pathlib import Path
from typing import Annotated, Any

import typer

from advdl.cli.output import emit
from advdl.cli.seeds import Group, Jobs, SeedCount, train_seeds
from advdl.cli.state import plugin_host
from advdl.cli.train import Config, DryRun, Json, Quiet, Run, RunsDir, Seed, Sets, Tags, Which, resolve, show_settings
from advdl.cli.train import train as train_run

app = typer.Typer(help="Train and evaluate classifiers and generative models.", rich_markup_mode=None)

_KINDS = ("learner", "sampler")

Given = Annotated[
    str | None,
    typer.Option(
        metavar="C",
        help="What the samples are given: a class by name or number, or a vector as 0.5,1; of the data when left out.",
        show_default=False,
    ),
]
Output = Annotated[
    Path | None,
    typer.Option(help="A .png or .npz file; into the run when left out.", show_default=False),
]


@app.command()
def train(
    context: typer.Context,
    name: Annotated[str, typer.Argument(help="The model, such as classifier or vae.", metavar="MODEL")],
    data: Annotated[
        str | None,
        typer.Option(help="A name such as digits, a .npz file, a folder or zip file of images, env:ID or minari:ID."),
    ] = None,
    policy: Annotated[
        str | None,
        typer.Option(help="Of data from an env: who acts, a run or 'random'.", metavar="RUN", show_default=False),
    ] = None,
    backbone: Annotated[str | None, typer.Option(help="What a learner sees through.", show_default=False)] = None,
    steps: Annotated[int | None, typer.Option(min=1, help="Updates to make.", show_default=False)] = None,
    seed: Seed = None,
    seeds: SeedCount = None,
    jobs: Jobs = None,
    group: Group = "",
    sets: Sets = None,
    config: Config = None,
    dry_run: DryRun = False,
    tags: Tags = None,
    runs_dir: RunsDir = None,
    quiet: Quiet = False,
    as_json: Json = False,
) -> int | None:
    """Train a model on one part of a data set, and judge it by the rest.

    Examples: advdl model train classifier --backbone densenet; advdl model train vae --data photos.zip.
    Every setting is listed by: advdl config keys
    """
    if seeds is not None and not dry_run:
        return train_seeds(context, seeds, first=seed, jobs=jobs, group=group, sets=sets, quiet=quiet, as_json=as_json)
    host = plugin_host(context)
    family = _family(host, name)
    given = {family: name, f"{family}.backbone": backbone, "steps": steps, "seed": seed}
    given |= _data_settings(data, host) | _policy_settings(policy, runs_dir)
    experiment = resolve(host, given, sets, config, family=family)
    if dry_run:
        show_settings(experiment, as_json=as_json)
        return None
    train_run(
        experiment,
        host,
        subject=_subject(experiment),
        trained=name,
        watched="loss",
        runs_dir=runs_dir,
        tags=tags or (),
        quiet=quiet,
        as_json=as_json,
        group=group,
    )
    return None


@app.command()
def evaluate(
    context: typer.Context,
    run: Run,
    seed: Annotated[int, typer.Option(min=0, help="Seed of what is random in the measure.")] = 0,
    samples: Annotated[int, typer.Option(min=0, help="Of a sampler: also judge this many samples of it.")] = 0,
    checkpoint: Which = "best",
    runs_dir: RunsDir = None,
    as_json: Json = False,
) -> None:
    """Measure a run's model on the data that it was not trained on.

    With --samples, also what it draws: Frechet distance, precision and recall, copying, and with classes what a
    classifier learns from the samples alone.
    """
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
    lines = [f"step {step:,}: {found.text}"]
    if samples:
        from advdl.experiment.sampling import judged_samples

        figures, space = judged_samples(folder, parts, samples, seed)
        data |= {**figures, "feature_space": space}
        lines.append(f"{samples:,} samples, {space}: " + ", ".join(f"{name} {figures[name]:.4g}" for name in figures))
    emit(data, json=as_json, table=lambda: "\n".join(lines))


@app.command()
def sample(
    context: typer.Context,
    run: Run,
    count: Annotated[int, typer.Option(min=1, help="How many samples.")] = 100,
    given: Given = None,
    seed: Annotated[int, typer.Option(min=0, help="Seed of the samples.")] = 0,
    output: Output = None,
    checkpoint: Which = "best",
    runs_dir: RunsDir = None,
    as_json: Json = False,
) -> None:
    """Draw samples from a run's sampler: as a sheet of images, or as arrays.

    Examples: advdl model sample latest --given 7; advdl model sample latest --count 5000 --output synthetic.npz
    """
    from advdl.experiment.sampling import save_samples

    folder, parts, step = _sampler(context, run, checkpoint, runs_dir)
    file = save_samples(folder, parts, step, count=count, given=given, seed=seed, output=output)
    data = {"run": folder.id, "checkpoint": step, "seed": seed, "samples": count, "file": str(file)}
    emit(data, json=as_json, table=lambda: f"{count:,} samples of step {step:,}: {file}")


@app.command()
def interpolate(
    context: typer.Context,
    run: Run,
    rows: Annotated[int, typer.Option(min=1, help="How many walks.")] = 10,
    steps: Annotated[int, typer.Option(min=2, help="Samples on each, both ends included.")] = 10,
    given: Given = None,
    seed: Annotated[int, typer.Option(min=0, help="Seed of the ends.")] = 0,
    output: Output = None,
    checkpoint: Which = "best",
    runs_dir: RunsDir = None,
    as_json: Json = False,
) -> None:
    """Walk through the noise from one sample of a run's sampler to another."""
    from advdl.experiment.sampling import save_walks

    folder, parts, step = _sampler(context, run, checkpoint, runs_dir)
    file = save_walks(folder, parts, step, rows=rows, steps=steps, given=given, seed=seed, output=output)
    data = {"run": folder.id, "checkpoint": step, "seed": seed, "rows": rows, "steps": steps, "file": str(file)}
    emit(data, json=as_json, table=lambda: f"{rows} walks of step {step:,}: {file}")


def _sampler(context: typer.Context, run: str, checkpoint: str, runs_dir: Path | None) -> Any:
    """Opens a run and rebuilds its sampler."""
    from advdl.cli.output import warn
    from advdl.experiment.find_runs import runs_root
    from advdl.experiment.run_folder import RunFolder
    from advdl.experiment.sampling import load_sampler

    folder = RunFolder.open(run, runs_root(runs_dir, os.environ))
    parts, step = load_sampler(folder, plugin_host(context), checkpoint, warn)
    return folder, parts, step


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


def _data_settings(data: str | None, host: Any) -> dict[str, Any]:
    """Tells a file from a name: ``photos.zip`` is ``{name = "folder", path = "photos.zip"}``.

    ``env:Pendulum-v1`` is a component and the value of the option that its ``details`` name.
    """
    if data is None:
        return {}
    kind, colon, rest = data.partition(":")
    named = {component.name: component.details.get("named") for component in host.components("data")}
    if colon and named.get(kind):
        return {"data": kind, f"data.{named[kind]}": rest}
    path = Path(data)
    if path.suffix == ".npz":
        return {"data": "npz", "data.path": data}
    if path.suffix == ".zip" or path.is_dir() or len(path.parts) > 1:
        return {"data": "folder", "data.path": data}
    return {"data": data}


def _policy_settings(policy: str | None, runs_dir: Path | None) -> dict[str, Any]:
    """Says in settings who acts; a run in full, so that they say it wherever they are read."""
    if policy in (None, "random"):
        return {} if policy is None else {"data.policy": policy}
    from advdl.experiment.find_runs import runs_root
    from advdl.experiment.run_folder import RunFolder

    return {"data.policy": str(RunFolder.open(policy or "", runs_root(runs_dir, os.environ)).path.resolve())}


def _subject(experiment: Any) -> str:
    """Names the folder of runs: by the env where the data are collected from one."""
    name: str = experiment.get("data.name")
    return experiment.get("data.env") if name == "env" else name
