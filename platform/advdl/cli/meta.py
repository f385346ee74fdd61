"""``advdl meta``: train what adapts to a new task in a few steps, and evaluate it."""

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any

import typer

from advdl.cli.output import emit
from advdl.cli.seeds import Group, Jobs, SeedCount, train_seeds
from advdl.cli.state import plugin_host
from advdl.cli.train import (
    Config,
    Devices,
    DryRun,
    Json,
    Precision,
    Quiet,
    Run,
    RunsDir,
    Seed,
    Sets,
    Tags,
    Which,
    resolve,
    show_settings,
)
from advdl.cli.train import train as train_run

app = typer.Typer(help="Train what adapts to new tasks, and evaluate it.", rich_markup_mode=None)


@app.command()
def train(
    context: typer.Context,
    tasks: Annotated[str | None, typer.Option(help="The tasks, such as sinusoid.", show_default=False)] = None,
    adapter: Annotated[str | None, typer.Option(help="The adapter, such as maml.", show_default=False)] = None,
    learner: Annotated[str | None, typer.Option(help="What adapts, such as regressor.", show_default=False)] = None,
    backbone: Annotated[str | None, typer.Option(help="What the learner sees through.", show_default=False)] = None,
    steps: Annotated[int | None, typer.Option(min=1, help="Meta-updates to make.", show_default=False)] = None,
    seed: Seed = None,
    seeds: SeedCount = None,
    jobs: Jobs = None,
    group: Group = "",
    precision: Precision = None,
    devices: Devices = None,
    sets: Sets = None,
    config: Config = None,
    dry_run: DryRun = False,
    tags: Tags = None,
    runs_dir: RunsDir = None,
    quiet: Quiet = False,
    as_json: Json = False,
) -> int | None:
    """Meta-train on a family of tasks, and evaluate on tasks that training never saw.

    Examples: advdl meta train --tasks sinusoid --adapter maml --steps 15000; advdl meta train --tasks few-shot.
    Every setting is listed by: advdl config keys
    """
    if seeds is not None and not dry_run:
        return train_seeds(context, seeds, first=seed, jobs=jobs, group=group, sets=sets, quiet=quiet, as_json=as_json)
    host = plugin_host(context)
    given = {
        "tasks": tasks,
        "adapter": adapter,
        "learner": learner,
        "learner.backbone": backbone,
        "steps": steps,
        "seed": seed,
        "precision": precision,
        "devices": devices,
    }
    experiment = resolve(host, given, sets, config, family="meta")
    if dry_run:
        show_settings(experiment, as_json=as_json)
        return None
    train_run(
        experiment,
        host,
        subject=experiment.get("tasks.name"),
        trained=experiment.get("adapter.name"),
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
    steps: Annotated[
        str | None,
        typer.Option(help="Inner steps after which to measure, such as 0,1,5,10; the run's own when left out."),
    ] = None,
    tasks: Annotated[
        int | None, typer.Option(min=1, help="How many held-out tasks; as many as in the run when left out.")
    ] = None,
    seed: Annotated[int, typer.Option(min=0, help="Seed of the tasks.")] = 0,
    checkpoint: Which = "best",
    picture: Annotated[
        Path | None, typer.Option(help="Where the picture of a few tasks goes; into the run when left out.")
    ] = None,
    runs_dir: RunsDir = None,
    as_json: Json = False,
) -> None:
    """Adapt to held-out tasks, and measure before and after some numbers of inner steps.

    Example: advdl meta evaluate latest --steps 0,1,5,10
    """
    from advdl.cli.output import warn
    from advdl.experiment.find_runs import runs_root
    from advdl.experiment.meta_work import build_judge, judged, load_meta
    from advdl.experiment.metered import metered, run_metrics
    from advdl.experiment.run_folder import RunFolder
    from advdl.experiment.schema import MetaEvaluation

    wanted = None if steps is None else _numbers(steps)
    folder = RunFolder.open(run, runs_root(runs_dir, os.environ))
    host = plugin_host(context)
    parts, step = load_meta(folder, host, checkpoint, warn)
    experiment = folder.experiment(host)
    usual = experiment.section(MetaEvaluation)
    found = judged(
        parts, build_judge(parts), count=tasks or usual.tasks, steps=wanted or sorted(usual.steps), seed=seed
    )
    verdict = metered(found, run_metrics(experiment, host, warn))
    files = _save(verdict.images, picture or folder.path / "pictures" / f"step-{step:012d}-seed-{seed}.png")
    data = {"run": folder.id, "checkpoint": step, "seed": seed, **verdict.figures, **verdict.details, "pictures": files}
    emit(data, json=as_json, table=lambda: _table(folder.id, step, verdict.details, verdict.figures, files))


def _numbers(text: str) -> list[int]:
    """Reads ``0,1,5,10``."""
    from advdl.errors import UsageError

    parts = [part.strip() for part in text.split(",")]
    if not all(part.isdecimal() for part in parts):
        raise UsageError(f"--steps cannot be {text!r}: it takes whole numbers, as in 0,1,5,10")
    return sorted({int(part) for part in parts})


def _save(images: Mapping[str, Any], path: Path) -> list[str]:
    """Writes the pictures; one by one, the name of each in the file's name where there are several."""
    from PIL import Image

    files = []
    for name, image in images.items():
        file = path if len(images) == 1 else path.with_stem(f"{path.stem}-{name}")
        file.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(image).save(file)
        files.append(str(file))
    return files


def _table(run: str, step: int, details: Mapping[str, Any], figures: Mapping[str, float], files: Sequence[str]) -> str:
    from advdl.cli.output import table

    name = details["score"]
    rows = []
    for steps in details["steps"]:
        mean, half = figures[f"{name}/after_{steps}"], figures[f"{name}/after_{steps}/interval"]
        rows.append([str(steps), f"{mean:.3f}", f"{mean - half:.3f} to {mean + half:.3f}"])
    lines = [f"{run}, step {step:,}, {figures['tasks']:.0f} held-out tasks"]
    lines += [table(["inner steps", name, "95% of the mean"], rows)]
    lines += [f"{key.partition('/')[2]}: {value:.4g}" for key, value in figures.items() if key.startswith("metric/")]
    return "\n".join([*lines, *(f"picture: {file}" for file in files)])
