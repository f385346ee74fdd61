"""``advdl agent``: train, evaluate and watch agents."""

import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from advdl.cli.output import emit
from advdl.cli.state import plugin_host

if TYPE_CHECKING:
    from advdl.experiment.config import Experiment
    from advdl.experiment.run_folder import RunFolder

app = typer.Typer(help="Train, evaluate and watch agents.", rich_markup_mode=None)

Json = Annotated[bool, typer.Option("--json", help="Print JSON.")]
Quiet = Annotated[bool, typer.Option("--quiet", help="Show no progress.")]
Run = Annotated[str, typer.Argument(help="A run: its folder, its id or the beginning of it, or 'latest'.")]
RunsDir = Annotated[
    Path | None,
    typer.Option(help="Where the runs are; ADVDL_RUNS or ./runs when left out.", show_default=False),
]
Episodes = Annotated[int, typer.Option(min=1, help="How many episodes.")]
EvalSeed = Annotated[int, typer.Option("--seed", min=0, help="Seed of the episodes.")]
Which = Annotated[str, typer.Option("--checkpoint", help="Which checkpoint: best, last or a step.")]


@app.command()
def train(
    context: typer.Context,
    env: Annotated[
        str | None, typer.Option(help="The env, such as CartPole or CartPole-v1.", show_default=False)
    ] = None,
    agent: Annotated[str | None, typer.Option(help="The agent, such as dqn.", show_default=False)] = None,
    backbone: Annotated[str | None, typer.Option(help="What the agent sees through.", show_default=False)] = None,
    steps: Annotated[int | None, typer.Option(min=1, help="Env steps to make.", show_default=False)] = None,
    seed: Annotated[int | None, typer.Option(min=0, help="Seed of the run.", show_default=False)] = None,
    sets: Annotated[
        list[str] | None,
        typer.Option("--set", metavar="KEY=VALUE", help="Any setting, such as agent.gamma=0.98; repeatable."),
    ] = None,
    config: Annotated[Path | None, typer.Option(help="A TOML file of settings.", show_default=False)] = None,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Show the settings and where they come from; train nothing.")
    ] = False,
    runs_dir: RunsDir = None,
    quiet: Quiet = False,
    as_json: Json = False,
) -> None:
    """Train an agent and evaluate it on Gymnasium's own env.

    Examples: advdl agent train --env CartPole; advdl agent train --env Acrobot --seed 1 --set agent.gamma=0.98.
    Every setting is listed by: advdl config keys
    """
    host = plugin_host(context)
    given = {"env": env, "agent": agent, "agent.backbone": backbone, "steps": steps, "seed": seed}
    experiment = _resolve(host, given, sets or [], config)
    if dry_run:
        _show(experiment, as_json=as_json)
        return
    from advdl.experiment.find_runs import runs_root
    from advdl.experiment.run_folder import RunFolder

    folder = RunFolder.create(
        runs_root(runs_dir, os.environ),
        experiment.get("env.id"),
        experiment.get("agent.name"),
        experiment,
        ["advdl", *sys.argv[1:]],
        plugins={record.distribution: record.version for record in host.plugins},
    )
    _train(experiment, folder, host, quiet=quiet, as_json=as_json)


@app.command("eval")
def evaluate(
    context: typer.Context,
    run: Run,
    episodes: Episodes = 100,
    seed: EvalSeed = 0,
    checkpoint: Which = "best",
    runs_dir: RunsDir = None,
    as_json: Json = False,
) -> None:
    """Evaluate a run's policy on Gymnasium's own env."""
    from advdl.cli.output import warn
    from advdl.experiment.runner import describe, load_policy, play

    folder = _open(run, runs_dir)
    act, facts, step = load_policy(folder, plugin_host(context), checkpoint, warn)
    options = folder.config()["env"]["options"]
    evaluation = play(act, facts, episodes=episodes, seed=seed, options=options)
    figures = evaluation.figures()
    data = {
        "run": folder.id,
        "env": facts.host_id,
        "checkpoint": step,
        "seed": seed,
        **figures,
        "returns": evaluation.returns.tolist(),
    }
    emit(data, json=as_json, table=lambda: f"{facts.host_id}, step {step:,}: {describe(figures)}")


@app.command()
def watch(
    context: typer.Context,
    run: Run,
    episodes: Episodes = 1,
    seed: EvalSeed = 0,
    checkpoint: Which = "best",
    video: Annotated[
        Path | None,
        typer.Option(help="Write an .mp4 or .gif file; without a display this is the default.", show_default=False),
    ] = None,
    runs_dir: RunsDir = None,
    as_json: Json = False,
) -> None:
    """Watch a run's policy play, in a window or as a video."""
    from advdl.cli.output import warn
    from advdl.experiment.runner import load_policy
    from advdl.rl.watch import has_display
    from advdl.rl.watch import watch as watch_policy

    folder = _open(run, runs_dir)
    act, facts, step = load_policy(folder, plugin_host(context), checkpoint, warn)
    if video is None and not has_display():
        video = folder.videos / f"step-{step:012d}-seed-{seed}.mp4"
    options = folder.config()["env"]["options"]
    watched = watch_policy(act, facts.host_id, episodes=episodes, seed=seed, video=video, env_options=options)
    data = {"run": folder.id, "checkpoint": step, "returns": list(watched.returns), "video": watched.video}
    emit(data, json=as_json, table=lambda: _watched_text(watched))


def _resolve(host: Any, given: dict[str, Any], sets: list[str], config: Path | None) -> "Experiment":
    from advdl.experiment.config import resolve_experiment
    from advdl.rl.env_names import resolve_env_id
    from advdl.training.backend import start_tensorflow

    return resolve_experiment(
        host,
        command_line={key: value for key, value in given.items() if value is not None},
        sets=sets,
        config_file=config,
        environ=os.environ,
        folder=Path.cwd(),
        canonical_env=lambda name: resolve_env_id(name, host),
        before_import=start_tensorflow,
    )


def _show(experiment: "Experiment", *, as_json: bool) -> None:
    from advdl.cli.config_report import settings_table
    from advdl.experiment.config import dry_run_json, render_dry_run

    emit(dry_run_json(experiment), json=as_json, table=lambda: settings_table(render_dry_run(experiment)))


def _train(experiment: "Experiment", folder: "RunFolder", host: Any, *, quiet: bool, as_json: bool) -> None:
    from advdl.cli.progress import Progress
    from advdl.experiment.next_commands import next_commands
    from advdl.experiment.runner import begin, describe

    with Progress(experiment.get("steps"), quiet=quiet) as console:
        console.message(f"run {folder.path}")
        outcome = begin(experiment, folder, host, console)
    commands = next_commands(folder.path, steps=experiment.get("steps"), done=True)
    data = {
        "run": folder.id,
        "folder": folder.path,
        "step": outcome.step,
        "policy_step": outcome.policy_step,
        "evaluation": dict(outcome.evaluation),
        "next": commands,
    }
    lines = [f"trained {outcome.step:,} steps; {describe(outcome.evaluation)}", "next:"]
    lines += [f"  {purpose:9} {command}" for purpose, command in commands.items()]
    emit(data, json=as_json, table="\n".join(lines))


def _open(run: str, runs_dir: Path | None) -> "RunFolder":
    from advdl.experiment.find_runs import runs_root
    from advdl.experiment.run_folder import RunFolder

    return RunFolder.open(run, runs_root(runs_dir, os.environ))


def _watched_text(watched: Any) -> str:
    lines = [f"episode {index}: return {value:.1f}" for index, value in enumerate(watched.returns, 1)]
    return "\n".join([*lines, f"video: {watched.video}"] if watched.video else lines)
