"""``advdl plugins``: what is installed, what it offers, whether it keeps its contract, and a new one."""

from pathlib import Path
from typing import Annotated, Any

import typer

from advdl.cli.output import emit
from advdl.cli.state import plugin_host, state_of
from advdl.errors import ExitCode

app = typer.Typer(help="List, describe, check and start plugins.", rich_markup_mode=None)

Json = Annotated[bool, typer.Option("--json", help="Print JSON.")]


@app.command("list")
def list_plugins(
    context: typer.Context,
    kind: Annotated[str | None, typer.Option(help="Only components of this kind.", show_default=False)] = None,
    as_json: Json = False,
) -> None:
    """List plugins, the broken ones with the reason, and the components that they offer."""
    from advdl.cli.lazy import NOUNS
    from advdl.cli.plugin_report import list_data, list_table
    from advdl.plugin.host import PluginHost

    host = PluginHost.from_environment(no_plugin=state_of(context).no_plugin, strict=False)
    host.add_commands(typer.Typer(), reserved=[noun.name for noun in NOUNS])
    data = list_data(host, kind)
    emit(data, json=as_json, table=lambda: list_table(data, kind))


@app.command()
def info(
    context: typer.Context,
    name: Annotated[str, typer.Argument(help="A plugin, a distribution, a component, or kind:component.")],
    as_json: Json = False,
) -> None:
    """Describe a plugin or a component.

    What a plugin adds (version, files, entry points) is read from its metadata, and none of its code runs. The options
    of a component are read from its class, which is imported for that.
    """
    from advdl.cli.plugin_facts import facts_data, facts_text
    from advdl.cli.plugin_report import info_data, info_text

    facts = facts_data(name, no_plugin=state_of(context).no_plugin)
    if facts is not None:
        emit(facts, json=as_json, table=lambda: facts_text(facts))
        return
    data = info_data(plugin_host(context), name)
    emit(data, json=as_json, table=lambda: info_text(data))


@app.command()
def check(
    context: typer.Context,
    names: Annotated[list[str], typer.Argument(help="Plugins, components, or kind:component.")],
    as_json: Json = False,
) -> int:
    """Check components against the contracts of their kinds; exits 4 when one is broken."""
    from advdl.cli.plugin_check import check_components, check_table

    host = plugin_host(context)
    results = [result for name in names for result in check_components(host, name)]
    emit(results, json=as_json, table=lambda: check_table(results))
    broken = any(result["status"] == "broken" for result in results)
    return int(ExitCode.PLUGIN if broken else ExitCode.DONE)


@app.command()
def new(
    name: Annotated[str, typer.Argument(help="The package's name, such as my-plugin.")],
    kind: Annotated[str, typer.Option(help="What it offers: backbone, agent, env, tracker, command, ...")],
    path: Annotated[Path, typer.Option(help="The folder to put the package's folder in.")] = Path(),
    as_json: Json = False,
) -> None:
    """Write an installable package with a working component of a kind, and a test for it."""
    from advdl.plugin.scaffold import scaffold

    made = scaffold(name, kind, path)
    data: dict[str, Any] = {"folder": str(made.folder), "files": [str(file) for file in made.files]}
    emit(data | {"next": made.next_commands}, json=as_json, table=made.describe)
