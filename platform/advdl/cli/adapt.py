"""``advdl agent adapt``: turn a policy to one env."""

import os
from collections.abc import Mapping
from typing import TYPE_CHECKING, Annotated, Any

import typer

from advdl.cli.output import emit
from advdl.cli.state import plugin_host
from advdl.cli.train import Json, Quiet, Run, RunsDir, Which, create_folder, resolve

if TYPE_CHECKING:
    from advdl.experiment.adaptation import Adaptation
    from advdl.experiment.config import Experiment
    from advdl.experiment.run_folder import RunFolder
    from advdl.experiment.work import Verdict


def adapt(
    context: typer.Context,
    run: Run,
    env: Annotated[str, typer.Option(help="The env and its params, such as 'CartPole-v1?gravity=20'.")],
    episodes: Annotated[int, typer.Option(min=1, help="Episodes that each step of adaptation is made on.")] = 5,
    steps: Annotated[int, typer.Option(min=1, help="Steps of adaptation.")] = 1,
    judged: Annotated[int, typer.Option(min=1, help="Episodes that are played before, and again after.")] = 100,
    seed: Annotated[int, typer.Option(min=0, help="Seed of the episodes.")] = 0,
    checkpoint: Which = "best",
    runs_dir: RunsDir = None,
    quiet: Quiet = False,
    as_json: Json = False,
) -> None:
    """Adapt a meta-trained policy to one env of its family, and make a run of what results.

    Shows returns before and after, of the policy without exploration. An agent that was not meta-trained is fine-tuned
    by its own updates, for as many env steps as the episodes may have.

    Example: advdl agent adapt latest --env "CartPole-v1?gravity=20" --episodes 5
    """
    from advdl.cli.progress import Progress
    from advdl.experiment.adaptation import Wish, adapt_run
    from advdl.experiment.find_runs import runs_root
    from advdl.experiment.run_folder import RunFolder
    from advdl.rl.env_names import resolve_env_id

    host = plugin_host(context)
    folder = RunFolder.open(run, runs_root(runs_dir, os.environ))

    def settings(given: Mapping[str, Any]) -> "Experiment":
        return resolve(host, given, None, None, canonical_env=lambda name: resolve_env_id(name, host))

    def new_folder(experiment: "Experiment") -> "RunFolder":
        return create_folder(experiment, host, experiment.get("env.id"), experiment.get("agent.name"), runs_dir)

    with Progress(episodes * steps, watched="return", quiet=quiet) as console:
        done = adapt_run(
            folder,
            host,
            Wish(env, episodes, steps, judged, seed, checkpoint),
            resolve=settings,
            new_folder=new_folder,
            console=console,
        )
    emit(_data(done, folder), json=as_json, table=lambda: _text(done, folder))


def _data(done: "Adaptation", source: "RunFolder") -> dict[str, Any]:
    from advdl.experiment.next_commands import next_commands

    made = done.outcome.folder
    return {
        "run": made.id,
        "folder": made.path,
        "from": source.id,
        "checkpoint": done.checkpoint,
        "env": done.env,
        "params": dict(done.params),
        "meta_trained": done.meta_trained,
        "how": done.how,
        "before": dict(done.before.figures),
        "after": dict(done.outcome.verdict.figures),
        "next": next_commands(made, done=True),
    }


def _text(done: "Adaptation", source: "RunFolder") -> str:
    from advdl.experiment.next_commands import next_commands

    params = "".join(f" {name}={value:g}" for name, value in done.params.items())
    commands = next_commands(done.outcome.folder, done=True)
    return "\n".join(
        [
            f"{done.env}{params}, from run {source.id}, step {done.checkpoint:,}: {done.how}",
            f"before  {_returns(done.before)}",
            f"after   {_returns(done.outcome.verdict)}",
            f"run {done.outcome.folder.path}",
            "next:",
            *(f"  {purpose:9} {command}" for purpose, command in commands.items()),
        ]
    )


def _returns(verdict: "Verdict") -> str:
    figures = verdict.figures
    mean, deviation = figures["return/mean"], figures["return/std"]
    return f"return {mean:.1f} (std {deviation:.1f}) over {figures['episodes']:.0f} episodes"
