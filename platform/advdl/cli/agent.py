"""``advdl agent``: train, evaluate and watch agents."""

import os
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from advdl.cli.adapt import adapt
from advdl.cli.models import Models
from advdl.cli.output import emit
from advdl.cli.seeds import Group, Jobs, SeedCount, train_seeds
from advdl.cli.state import plugin_host
from advdl.cli.train import (
    Config,
    Devices,
    DryRun,
    Json,
    Precision,
    Profile,
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

if TYPE_CHECKING:
    from advdl.experiment.config import Experiment
    from advdl.experiment.run_folder import RunFolder
    from advdl.plugin.host import PluginHost

app = typer.Typer(help="Train, evaluate, watch and export agents.", rich_markup_mode=None)
app.command()(adapt)

Episodes = Annotated[int, typer.Option(min=1, help="How many episodes.")]
EvalSeed = Annotated[int, typer.Option("--seed", min=0, help="Seed of the episodes.")]


@app.command()
def train(
    context: typer.Context,
    env: Annotated[
        str | None, typer.Option(help="The env, such as CartPole or CartPole-v1.", show_default=False)
    ] = None,
    agent: Annotated[str | None, typer.Option(help="The agent, such as dqn.", show_default=False)] = None,
    backbone: Annotated[str | None, typer.Option(help="What the agent sees through.", show_default=False)] = None,
    envs: Annotated[
        int | None, typer.Option(min=1, help="Copies of the env stepped together.", show_default=False)
    ] = None,
    workers: Annotated[
        int | None, typer.Option(min=0, help="Processes that step the copies, for slow envs.", show_default=False)
    ] = None,
    runners: Annotated[
        str | None,
        typer.Option(metavar="ray:N", help="Ray actors that step the copies and act in them.", show_default=False),
    ] = None,
    backbone_from: Annotated[
        str | None, typer.Option(help="A run whose backbone this one's starts from.", show_default=False)
    ] = None,
    freeze_backbone: Annotated[
        bool, typer.Option("--freeze-backbone", help="Keep the backbone as it is; train the rest.")
    ] = False,
    world_model: Annotated[
        str | None,
        typer.Option(help="Train in a model of the env that is fitted to the real steps: vae, gan, diffusion."),
    ] = None,
    world_model_from: Annotated[
        str | None,
        typer.Option(help="A run whose world model and real transitions this one goes on with.", metavar="RUN"),
    ] = None,
    model_free: Annotated[
        bool, typer.Option("--model-free", help="The control: as many real steps as with --world-model, and no model.")
    ] = False,
    data_model: Annotated[
        str | None,
        typer.Option(help="Top the agent's memory up with what a model of it draws: vae, gan, diffusion."),
    ] = None,
    synthetic_ratio: Annotated[
        float | None,
        typer.Option(min=0, max=1, help="Share of each batch that --data-model draws.", show_default=False),
    ] = None,
    offline: Annotated[
        str | None,
        typer.Option(
            help="A .npz file of transitions, a run with one, or minari:ID: learn from them alone.", metavar="FILE"
        ),
    ] = None,
    steps: Annotated[int | None, typer.Option(min=1, help="Env steps to make.", show_default=False)] = None,
    seed: Seed = None,
    seeds: SeedCount = None,
    jobs: Jobs = None,
    group: Group = "",
    precision: Precision = None,
    devices: Devices = None,
    profile: Profile = None,
    sets: Sets = None,
    config: Config = None,
    dry_run: DryRun = False,
    tags: Tags = None,
    runs_dir: RunsDir = None,
    quiet: Quiet = False,
    as_json: Json = False,
) -> int | None:
    """Train an agent and evaluate it on Gymnasium's own env.

    Examples: advdl agent train --env CartPole; advdl agent train --env Acrobot --seed 1 --set agent.gamma=0.98.
    Every setting is listed by: advdl config keys
    """
    if seeds is not None and not dry_run:
        return train_seeds(context, seeds, first=seed, jobs=jobs, group=group, sets=sets, quiet=quiet, as_json=as_json)
    from advdl.rl.env_names import resolve_env_id

    host = plugin_host(context)
    given = {"env": env, "agent": agent, "agent.backbone": backbone, "steps": steps, "seed": seed}
    given |= {"precision": precision, "devices": devices, "log.profile": profile}
    if backbone_from:  # in full: the run's settings say where it came from, wherever they are read
        given |= _taken(_open(backbone_from, runs_dir), backbone)
    given |= {
        "env.num": envs,
        "env.workers": workers,
        "env.runners": runners,
        "backbone_freeze": freeze_backbone or None,
    }
    world: str | Mapping[str, Any] | None = world_model
    if world_model_from:  # likewise
        reused = _reused(_open(world_model_from, runs_dir), world_model)
        world, given = reused.pop("sampler"), {**given, **reused}
    models = Models(host, world, model_free, data_model, synthetic_ratio, _offline(offline, host, runs_dir))

    def settle(given: Mapping[str, Any], family: str, control_of: str) -> "Experiment":
        canonical = lambda name: resolve_env_id(name, host)  # noqa: E731
        return resolve(host, given, sets, config, family=family, canonical_env=canonical, control_of=control_of)

    experiment = models.resolve(given, settle)
    if dry_run:
        show_settings(experiment, as_json=as_json)
        return None
    train_run(
        experiment,
        host,
        subject=experiment.get("env.id"),
        trained=experiment.get("agent.name"),
        watched="return",
        runs_dir=runs_dir,
        tags=tags or (),
        quiet=quiet,
        as_json=as_json,
        group=group,
    )
    return None


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
    from advdl.experiment.agent_work import verdict
    from advdl.experiment.metered import metered, run_metrics
    from advdl.experiment.policy import load_policy
    from advdl.rl.evaluation import evaluate as play

    folder = _open(run, runs_dir)
    host = plugin_host(context)
    act, facts, step = load_policy(folder, host, checkpoint, warn)
    played = play(act, facts.host_id, episodes=episodes, seed=seed, **_env_of(folder))
    found = metered(verdict(played), run_metrics(folder.experiment(host), host, warn))
    data = {
        "run": folder.id,
        "env": facts.host_id,
        "checkpoint": step,
        "seed": seed,
        **found.figures,
        **found.details,
    }
    emit(data, json=as_json, table=lambda: f"{facts.host_id}, step {step:,}: {found.text}")


@app.command("import")
def import_agent(
    context: typer.Context,
    file: Annotated[Path, typer.Argument(help="A file that another library saved, such as a stable-baselines3 zip.")],
    agent: Annotated[str, typer.Option(help="The agent that it is, such as sb3-ppo.")],
    env: Annotated[str, typer.Option(help="The env that it learnt in.")],
    trust_pickle: Annotated[
        bool, typer.Option("--trust-pickle", help="Load its pickles, which run whatever code their maker put in.")
    ] = False,
    sets: Sets = None,
    runs_dir: RunsDir = None,
    as_json: Json = False,
) -> None:
    """Make a run of an agent that another library saved; then evaluate, watch or resume it.

    Example: advdl agent import ppo.zip --agent sb3-ppo --env CartPole --trust-pickle
    """
    from advdl.cli.progress import Progress
    from advdl.cli.train import create_folder, show_outcome
    from advdl.experiment.foreign import import_foreign
    from advdl.rl.env_names import resolve_env_id

    host = plugin_host(context)

    def settings(found: Mapping[str, Any]) -> "Experiment":
        given = {**found, "agent": agent, "env": env}
        return resolve(host, given, sets, None, canonical_env=lambda name: resolve_env_id(name, host))

    def folder(experiment: "Experiment") -> "RunFolder":
        return create_folder(experiment, host, experiment.get("env.id"), agent, runs_dir)

    with Progress(1, watched="return", quiet=False) as console:
        outcome = import_foreign(
            file, agent, trusted=trust_pickle, resolve=settings, new_folder=folder, host=host, console=console
        )
    show_outcome(outcome, as_json=as_json)


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
    from advdl.experiment.policy import load_policy
    from advdl.rl.watch import has_display
    from advdl.rl.watch import watch as watch_policy

    folder = _open(run, runs_dir)
    act, facts, step = load_policy(folder, plugin_host(context), checkpoint, warn)
    if video is None and not has_display():
        video = folder.videos / f"step-{step:012d}-seed-{seed}.mp4"
    watched = watch_policy(act, facts.host_id, episodes=episodes, seed=seed, video=video, **_env_of(folder))
    data = {"run": folder.id, "checkpoint": step, "returns": list(watched.returns), "video": watched.video}
    emit(data, json=as_json, table=lambda: _watched_text(watched))


@app.command("export")
def export_policy(
    context: typer.Context,
    run: Run,
    kind: Annotated[
        str, typer.Option("--format", help="onnx, savedmodel or litert; of an sb3 agent, onnx or sb3.")
    ] = "onnx",
    checkpoint: Which = "best",
    output: Annotated[
        Path | None,
        typer.Option(help="The file, or the folder of a SavedModel; in the run's folder when left out."),
    ] = None,
    runs_dir: RunsDir = None,
    as_json: Json = False,
) -> None:
    """Write a run's policy as a file that acts without advdl, checked against the live one."""
    from advdl.cli.output import warn
    from advdl.experiment.exports import export_run

    done = export_run(_open(run, runs_dir), plugin_host(context), kind, checkpoint, output, warn)
    emit(done, json=as_json, table=lambda: str(done["file"]))


def _env_of(folder: "RunFolder") -> dict[str, Any]:
    env = folder.config()["env"]
    return {"env_options": env["options"], "env_wrappers": env.get("wrappers", [])}


def _offline(text: str | None, host: "PluginHost", runs_dir: Path | None) -> str | None:
    """Says in full which file or run of transitions is meant, so that settings say it wherever they are read.

    Raises:
        UsageError: There is no such file, or no such run.
    """
    from advdl.errors import UsageError
    from advdl.experiment.env_data import is_data

    if text is not None and is_data(text, host):
        return text
    if text is None or Path(text).is_file():
        return text and str(Path(text).resolve())
    if text.endswith(".npz"):
        raise UsageError(f"there is no file {text}", hint="advdl model train vae --data env:ENV leaves one in its run")
    return str(_open(text, runs_dir).path.resolve())


def _taken(folder: "RunFolder", backbone: str | None) -> dict[str, Any]:
    """Says in settings whose backbone it starts from: with that one's options, unless a backbone is named."""
    from advdl.experiment.backbones import backbone_settings

    settings = {} if backbone else {"agent.backbone": backbone_settings(folder)}
    return {"backbone_from": str(folder.path.resolve()), **settings}


def _reused(folder: "RunFolder", world_model: str | None) -> dict[str, Any]:
    """Says in settings whose world model it goes on with, and what that one is.

    Raises:
        UsageError: That run has none, or another than the one that is named.
    """
    from advdl.errors import UsageError
    from advdl.experiment.reuse import reused_settings

    settings = reused_settings(folder)
    if world_model not in (None, settings["sampler"]["name"]):
        raise UsageError(f"the world model of run {folder.id} is {settings['sampler']['name']!r}, not {world_model!r}")
    return settings


def _open(run: str, runs_dir: Path | None) -> "RunFolder":
    from advdl.experiment.find_runs import runs_root
    from advdl.experiment.run_folder import RunFolder

    return RunFolder.open(run, runs_root(runs_dir, os.environ))


def _watched_text(watched: Any) -> str:
    lines = [f"episode {index}: return {value:.1f}" for index, value in enumerate(watched.returns, 1)]
    return "\n".join([*lines, f"video: {watched.video}"] if watched.video else lines)
