"""Lazy commands: the root knows every noun's help line and imports its module only when it is called."""

import contextlib
import importlib
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import typer
from typer.core import TyperCommand, TyperGroup
from typer.main import get_command_from_info, get_group, get_group_from_info
from typer.models import TyperInfo

from advdl.cli.state import State


@dataclass(frozen=True, slots=True)
class Noun:
    """A command, or a group of commands, of advdl's own.

    Attributes:
        name: What users type.
        help: Its line in ``advdl --help``.
        target: ``"module:attribute"`` of its ``typer.Typer``.
    """

    name: str
    help: str
    target: str


NOUNS = (
    Noun("agent", "Train, evaluate, watch and export agents.", "advdl.cli.agent:app"),
    Noun("meta", "Train what adapts to new tasks, and evaluate it.", "advdl.cli.meta:app"),
    Noun("model", "Train and evaluate classifiers and generative models.", "advdl.cli.model:app"),
    Noun("env", "List, describe and check envs.", "advdl.cli.env:app"),
    Noun("launch", "Train in several processes of this machine.", "advdl.cli.launch:app"),
    Noun("study", "Answer a question with many runs and their controls.", "advdl.cli.study:app"),
    Noun("runs", "List, show, resume and compare runs.", "advdl.cli.runs:app"),
    Noun("sweep", "Search the settings that do best.", "advdl.cli.sweep:app"),
    Noun("tensorboard", "Show the runs' curves in TensorBoard.", "advdl.cli.tensorboard:app"),
    Noun("plugins", "List, describe, check and start plugins.", "advdl.cli.plugins:app"),
    Noun("config", "Explain the configuration and where values come from.", "advdl.cli.config:app"),
    Noun("doctor", "Check this installation.", "advdl.cli.doctor:app"),
)


class LazyGroup(TyperGroup):
    """The root command: advdl's own nouns, then the plugins' commands.

    Plugins are loaded only to list the commands, or for a name that is not one of our own.
    """

    def __init__(self, **attributes: Any) -> None:
        super().__init__(**attributes)
        self._nouns = {noun.name: noun for noun in NOUNS}
        self._listing = False
        self._of_plugins: TyperGroup | None = None

    def list_commands(self, ctx: Any) -> list[str]:
        """Returns every command's name, the plugins' last."""
        return [*self._nouns, *self._plugin_group(ctx).commands]

    def get_command(self, ctx: Any, cmd_name: str) -> Any:
        """Returns a command, or None; while commands are being listed, a stub with the help line.

        Raises:
            PluginError: Two plugins added a command of that name.
        """
        noun = self._nouns.get(cmd_name)
        if noun is None:
            return self._plugin_command(ctx, cmd_name)
        if self._listing:
            return TyperCommand(noun.name, help=noun.help, rich_markup_mode=None)
        return load_noun(noun)

    def format_commands(self, ctx: Any, formatter: Any) -> None:
        """Writes the help's list of commands without importing them."""
        with self._list_only():
            super().format_commands(ctx, formatter)

    def shell_complete(self, ctx: Any, incomplete: str) -> list[Any]:
        """Completes a command's name without importing them all."""
        with self._list_only():
            return super().shell_complete(ctx, incomplete)

    def _plugin_command(self, ctx: Any, name: str) -> Any:
        found = self._plugin_group(ctx).commands.get(name)
        if found is None and not self._listing:
            self._host.require_command(name)
        return found

    def _plugin_group(self, ctx: Any) -> TyperGroup:
        """Loads the plugins' commands; never strictly, for a broken plugin must not break the help."""
        from advdl.plugin.host import PluginHost

        if self._of_plugins is None:
            state = ctx.obj if isinstance(ctx.obj, State) else State()
            app = typer.Typer()
            self._host = PluginHost.from_environment(no_plugin=state.no_plugin, strict=False)
            self._host.add_commands(app, reserved=self._nouns)
            self._of_plugins = get_group(app)
        return self._of_plugins

    @contextlib.contextmanager
    def _list_only(self) -> Iterator[None]:
        self._listing = True
        try:
            yield
        finally:
            self._listing = False


def load_noun(noun: Noun) -> Any:
    """Imports a noun's module and returns its command; a noun with one unnamed verb is that verb."""
    module, _, attribute = noun.target.partition(":")
    app: typer.Typer = getattr(importlib.import_module(module), attribute)
    single = len(app.registered_commands) == 1 and not app.registered_groups and not app.registered_callback
    if single:
        command: Any = get_command_from_info(
            app.registered_commands[0], pretty_exceptions_short=False, rich_markup_mode=None
        )
        command.name = noun.name
        return command
    info = TyperInfo(app, name=noun.name, help=noun.help, no_args_is_help=True)
    return get_group_from_info(info, pretty_exceptions_short=False, suggest_commands=False, rich_markup_mode=None)
