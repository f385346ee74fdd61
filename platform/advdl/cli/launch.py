"""``advdl launch``: several workers on this machine that train one run together."""

import os
from typing import Annotated

import typer

from advdl.errors import UsageError

app = typer.Typer(help="Train in several processes of this machine.", rich_markup_mode=None)


@app.command()
def launch(
    words: Annotated[
        list[str] | None,
        typer.Argument(metavar="-- COMMAND...", help="What to run, without 'advdl'.", show_default=False),
    ] = None,
    workers: Annotated[int, typer.Option(min=2, help="How many processes.")] = 2,
) -> int:
    """Train in several processes of this machine; each update's batch is shared among them.

    Example: advdl launch --workers 2 -- agent train --env CartPole. On several machines, start the same command on each
    with TF_CONFIG set instead.
    """
    from advdl.experiment.launch import launch as launch_workers

    if not words or tuple(words[:2]) not in _COMMANDS:
        known = ", ".join(" ".join(command) for command in _COMMANDS)
        raise UsageError(f"launch runs {known}", hint="advdl launch --workers 2 -- agent train --env CartPole")
    return launch_workers(words, workers, os.environ)


_COMMANDS = (("agent", "train"), ("model", "train"), ("meta", "train"), ("runs", "resume"))
