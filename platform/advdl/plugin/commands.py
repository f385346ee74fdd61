"""Plugins' commands: each plugin adds them to an app of its own first, so that a broken one adds none."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

import typer
from typer.main import get_group
from typer.models import CommandInfo, TyperInfo

from advdl.plugin.isolation import isolated
from advdl.plugin.loading import PluginRecord


@dataclass(frozen=True, slots=True)
class Offer:
    """A command, or a group of commands, of a plugin.

    Attributes:
        record: The plugin.
        info: What typer knows of it.
        names: The names that it takes on the command line.
    """

    record: PluginRecord
    info: CommandInfo | TyperInfo
    names: tuple[str, ...]


def collect(implementations: Iterable[tuple[PluginRecord, Callable[..., Any]]]) -> list[Offer]:
    """Asks every plugin for its commands; one that fails is noted and adds none."""
    offers: list[Offer] = []
    for record, hook in implementations:
        outcome = isolated(_ask, record, hook)
        record.note_outcome(outcome, "advdl_commands")
        if outcome.error:
            record.note(f"its commands are left out: advdl_commands: {outcome.error}")
        else:
            offers += outcome.value
    return offers


def extend(app: typer.Typer, offer: Offer) -> None:
    """Adds one offer to an app."""
    if isinstance(offer.info, CommandInfo):
        app.registered_commands.append(offer.info)
    else:
        app.registered_groups.append(offer.info)


def _ask(record: PluginRecord, hook: Callable[..., Any]) -> list[Offer]:
    scratch = typer.Typer()
    hook(scratch)
    infos: list[CommandInfo | TyperInfo] = [*scratch.registered_commands, *scratch.registered_groups]
    return [Offer(record, info, _names(record, info)) for info in infos]


def _names(record: PluginRecord, info: CommandInfo | TyperInfo) -> tuple[str, ...]:
    """Builds the command, which also proves that typer can, and returns its names."""
    alone = typer.Typer()
    extend(alone, Offer(record, info, ()))
    return tuple(get_group(alone).commands)
