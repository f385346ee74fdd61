"""``advdl agent adapt``: turn a meta-trained policy to one env."""

import os
from typing import Annotated, Any

import typer

from advdl.cli.output import emit
from advdl.cli.state import plugin_host
from advdl.cli.train import Json, Run, RunsDir, Which


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
    as_json: Json = False,
) -> None:
    """Adapt a meta-trained policy to one env of its family; shows returns before and after.

    Example: advdl agent adapt latest --env "CartPole-v1?gravity=20" --episodes 5
    """
    from advdl.cli.output import warn
    from advdl.experiment.adaptation import adapt_run
    from advdl.experiment.find_runs import runs_root
    from advdl.experiment.run_folder import RunFolder

    folder = RunFolder.open(run, runs_root(runs_dir, os.environ))
    data = adapt_run(
        folder,
        plugin_host(context),
        env,
        episodes=episodes,
        steps=steps,
        judged=judged,
        seed=seed,
        checkpoint=checkpoint,
        warn=warn,
    )
    emit(data, json=as_json, table=lambda: _text(data))


def _text(data: dict[str, Any]) -> str:
    return "\n".join(
        [
            f"{data['env']} {data['params'] or ''}".rstrip() + f", step {data['checkpoint']:,}",
            f"before  return {data['before']:.1f} (std {data['before_std']:.1f}) over {data['judged']} episodes",
            f"after   return {data['after']:.1f} (std {data['after_std']:.1f}) over {data['judged']} episodes, "
            f"adapted on {data['episodes']}",
        ]
    )
