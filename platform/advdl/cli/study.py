"""``advdl study``: questions that take many runs, and the controls that their answers need."""

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from advdl.cli.output import emit
from advdl.cli.state import plugin_host
from advdl.cli.train import Config, Json, Quiet, Sets, create_folder, resolve

if TYPE_CHECKING:
    from advdl.experiment.config import Experiment
    from advdl.experiment.run_folder import RunFolder

app = typer.Typer(help="Answer a question with many runs and their controls.", rich_markup_mode=None)


@app.callback()
def study() -> None:
    """Answer a question with many runs and their controls."""


@app.command()
def augmentation(
    context: typer.Context,
    env: Annotated[str, typer.Option(help="The env.")] = "CartPole",
    agent: Annotated[str, typer.Option(help="The agent; its memory holds plain transitions.")] = "dqn",
    data_model: Annotated[str, typer.Option(help="The model: vae, gan or diffusion.")] = "diffusion",
    seeds: Annotated[int, typer.Option(min=1, help="How many seeds, from 0 on.")] = 10,
    factor: Annotated[int, typer.Option(min=1, help="Updates beside the default arm's, as a multiple of them.")] = 4,
    steps: Annotated[int, typer.Option(min=1, help="Env steps of every run.")] = 10_000,
    output: Annotated[
        Path | None,
        typer.Option(help="The folder of runs and results; studies/augmentation-ENV when left out."),
    ] = None,
    sets: Sets = None,
    config: Config = None,
    quiet: Quiet = False,
    as_json: Json = False,
) -> None:
    """Does a model of transitions help an agent? Four arms, the same seeds, and what the differences are worth.

    The arms: the agent's own number of updates; FACTOR times as many; as many with the model; as many with the same
    model at random weights. Started again, it makes the runs that are missing.
    """
    from advdl.cli.progress import Progress
    from advdl.experiment import augmentation_report as report
    from advdl.experiment.augmentation_study import Study, experiments
    from advdl.experiment.toml import format_value
    from advdl.rl.env_names import resolve_env_id

    host = plugin_host(context)
    shared = {"env": env, "agent": agent, "steps": steps}

    def settle(given: Mapping[str, Any], family: str) -> "Experiment":
        model = {"sampler": data_model} if family == "augmented" else {}
        arm = [f"{key}={format_value(value)}" for key, value in given.items()]
        return resolve(
            host,
            {**shared, **model},
            [*(sets or []), *arm],  # what makes the arm comes last: no --set may undo it
            config,
            family=family,
            control_of="augmented",
            canonical_env=lambda name: resolve_env_id(name, host),
        )

    planned = experiments(settle, range(seeds), factor)
    name = planned[0][2].get("env.id")
    folder = output or Path("studies") / f"augmentation-{name.replace('/', '_')}"

    def new_folder(experiment: "Experiment", arm: str) -> "RunFolder":
        return create_folder(experiment, host, name, arm, folder / "runs")

    with Progress(steps, watched="return", quiet=quiet) as console:
        results = Study(folder, host, console, new_folder).run(planned)
    text = report.report(results, f"{name}: {agent} with {data_model}, {steps:,} steps, {factor} times the updates")
    (folder / "report.md").write_text(text)
    report.save_picture(results, folder / "curves.png")
    data = {"folder": folder, "arms": report.arms(results), "comparisons": report.comparisons(results)}
    emit(data, json=as_json, table=lambda: f"{text}\ncurves: {folder / 'curves.png'}")
