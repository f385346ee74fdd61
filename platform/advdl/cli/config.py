"""``advdl config``: what can be set, what is set, and where."""

import os
from pathlib import Path
from typing import Annotated

import typer

from advdl.cli.output import emit
from advdl.cli.state import plugin_host

app = typer.Typer(help="Explain the configuration and where values come from.", rich_markup_mode=None)

Json = Annotated[bool, typer.Option("--json", help="Print JSON.")]
Config = Annotated[
    Path | None, typer.Option(metavar="FILE.toml", help="Read settings from a file.", show_default=False)
]


@app.command()
def show(
    context: typer.Context,
    env: Annotated[str | None, typer.Option(help="The env.", show_default=False)] = None,
    agent: Annotated[str | None, typer.Option(help="The agent.", show_default=False)] = None,
    seed: Annotated[int | None, typer.Option(help="The seed.", show_default=False)] = None,
    steps: Annotated[int | None, typer.Option(help="How long to train.", show_default=False)] = None,
    sets: Annotated[
        list[str] | None,
        typer.Option("--set", metavar="KEY=VALUE", help="Set anything; may be repeated.", show_default=False),
    ] = None,
    config: Config = None,
    as_json: Json = False,
) -> None:
    """Show every setting, and where its value comes from.

    A value is taken from the first of these that has it: the command line; variables; the file of --config;
    advdl.toml in the working folder; the agent's recipe for the env; the defaults.

    A setting can be written as --set agent.gamma=0.9, as ADVDL_AGENT__GAMMA=0.9, or in TOML as
    agent.gamma = 0.9. A component is its name, as in agent.backbone = "mlp", or a table, as in
    agent.backbone = {name = "mlp", units = [64, 64]}.
    """
    from advdl.cli.config_report import settings_table
    from advdl.experiment.config import dry_run_json, render_dry_run, resolve_experiment
    from advdl.rl.env_names import resolve_env_id
    from advdl.training.backend import start_backend

    host = plugin_host(context)
    experiment = resolve_experiment(
        host,
        command_line={"env": env, "agent": agent, "seed": seed, "steps": steps},
        sets=sets or [],
        config_file=config,
        environ=os.environ,
        folder=Path.cwd(),
        canonical_env=lambda name: resolve_env_id(name, host),
        before_import=start_backend,
    )
    emit(dry_run_json(experiment), json=as_json, table=lambda: settings_table(render_dry_run(experiment)))


@app.command()
def keys(
    context: typer.Context,
    name: Annotated[
        str | None,
        typer.Argument(
            help="A section, such as trainer, or a component, such as agent.dqn or backbone.mlp.",
            show_default=False,
        ),
    ] = None,
    family: Annotated[str, typer.Option(help="The kind of run: agent, learner, sampler, meta or own_loop.")] = "agent",
    as_json: Json = False,
) -> None:
    """List every key that can be set: type, default, what is allowed, what it means."""
    from advdl.cli.config_report import keys_data, keys_text

    data = keys_data(lambda: plugin_host(context), name, family)
    emit(data, json=as_json, table=lambda: keys_text(data))


@app.command()
def path(config: Config = None, as_json: Json = False) -> None:
    """List the places that settings are read from, the strongest first, and what is there."""
    from advdl.cli.config_report import places, places_table

    data = places(config, os.environ, Path.cwd())
    emit(data, json=as_json, table=lambda: places_table(data))
