"""State: what the root command's options say, for every command below it."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import typer

    from advdl.plugin.host import PluginHost


@dataclass(slots=True)
class State:
    """What holds for the whole command line.

    Attributes:
        no_plugin: Plugins to leave out.
    """

    no_plugin: Sequence[str] = ()
    _host: "PluginHost | None" = field(default=None, repr=False)

    def host(self) -> "PluginHost":
        """Loads the plugins, once, and warns of those that are not loaded or use what will go."""
        from advdl.cli.output import warn
        from advdl.plugin.host import PluginHost

        if self._host is None:
            self._host = PluginHost.from_environment(no_plugin=self.no_plugin)
            for record in self._host.plugins:
                if record.broken:
                    warn(f"plugin {record.name!r} is left out: {record.error}")
                for sentence in record.deprecated:
                    warn(f"plugin {record.name!r}: {sentence}")
        return self._host


def state_of(context: "typer.Context") -> State:
    """Returns the command line's state; a fresh one for a command that runs without the root, as in tests."""
    root = context.find_root()
    if not isinstance(root.obj, State):
        root.obj = State()
    return root.obj


def plugin_host(context: "typer.Context") -> "PluginHost":
    """Returns the plugins, ``--no-plugin`` applied; warns of those that failed.

    Example:
        ``def list_envs(context: typer.Context) -> None: host = plugin_host(context)``
    """
    return state_of(context).host()
