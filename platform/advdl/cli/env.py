"""``advdl env``: what there is to train in, what is known of it, whether it keeps its contract."""

from typing import Annotated, Any

import typer

from advdl.cli.output import emit, table, warn
from advdl.cli.state import plugin_host
from advdl.errors import ExitCode

app = typer.Typer(help="List, describe and check envs.", rich_markup_mode=None)

Json = Annotated[bool, typer.Option("--json", help="Print JSON.")]
Id = Annotated[
    str, typer.Argument(metavar="ID", help="An env, such as CartPole or package:Env-v0.", show_default=False)
]


@app.command("list")
def list_envs(
    context: typer.Context,
    compiled: Annotated[bool, typer.Option("--compiled", help="Only envs that have a compiled twin.")] = False,
    text: Annotated[
        str,
        typer.Option("--filter", metavar="TEXT", help="Only envs whose id contains this.", show_default=False),
    ] = "",
    as_json: Json = False,
) -> None:
    """List envs; spaces are shown where they are known without making the env."""
    from advdl.rl.env_names import list_envs

    found = [
        {
            "id": env.id,
            "engine": "compiled" if env.compiled else "host",
            "observation": env.observation,
            "action": env.action,
            "install": f"pip install '{env.install}'" if env.install else "",
        }
        for env in list_envs(plugin_host(context), warn=warn)
        if (env.compiled or not compiled) and text.casefold() in env.id.casefold()
    ]
    emit(found, json=as_json, table=lambda: _list_table(found))


@app.command()
def info(context: typer.Context, env_id: Id, as_json: Json = False) -> None:
    """Describe an env; it is made for that."""
    from advdl.cli.env_report import info_data, info_text

    data = info_data(plugin_host(context), env_id)
    emit(data, json=as_json, table=lambda: info_text(data))


@app.command()
def check(context: typer.Context, env_id: Id, as_json: Json = False) -> int:
    """Check an env against Gymnasium's rules and its compiled twin against it; exits 4 if one is broken."""
    from advdl.cli.env_report import check_data, check_text

    data = check_data(plugin_host(context), env_id)
    emit(data, json=as_json, table=lambda: check_text(data))
    broken = any(result["status"] == "broken" for result in data["checks"])
    return int(ExitCode.PLUGIN if broken else ExitCode.DONE)


def _list_table(found: list[dict[str, Any]]) -> str:
    if not found:
        return "no env fits; see them all: advdl env list"
    keys = ["id", "engine", "observation", "action"]
    rows = [[*(env[key] for key in keys), env["install"].removeprefix("pip install ")] for env in found]
    styles = ["dim" if env["install"] else "" for env in found]
    return table(["env", "engine", "observation", "action", "needs pip install"], rows, styles=styles)
