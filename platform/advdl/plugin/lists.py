"""Which plugins may be loaded: ``--no-plugin``, ``ADVDL_PLUGINS``, and ``[plugins]`` in ``advdl.toml``."""

import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from advdl.errors import UsageError

PROJECT_FILE = "advdl.toml"
SECTION = "plugins"
"""The table of the project file that has the lists; no experiment has settings of that name."""


@dataclass(frozen=True, slots=True)
class PluginLists:
    """What may be loaded; each name is a plugin's or its distribution's.

    Attributes:
        allow: The only plugins to load, or None for all.
        deny: Plugins not to load that must be there, as the command line names them.
        deny_if_there: Plugins not to load, whether they are installed or not.
    """

    allow: tuple[str, ...] | None = None
    deny: tuple[str, ...] = ()
    deny_if_there: tuple[str, ...] = ()


def plugin_lists(environ: Mapping[str, str], folder: Path, *, no_plugin: Sequence[str] = ()) -> PluginLists:
    """Reads the lists. ``ADVDL_PLUGINS`` takes the place of the file's allow-list; what is denied anywhere is denied.

    Args:
        environ: The environment.
        folder: Where ``advdl.toml`` is looked for.
        no_plugin: What the command line denies.

    Raises:
        UsageError: The file is no TOML, or its lists are no lists of names: nothing is loaded on a guess.
    """
    table = _table(folder / PROJECT_FILE)
    listed = environ.get("ADVDL_PLUGINS")
    allow = table.get("allow") if listed is None else [name.strip() for name in listed.split(",") if name.strip()]
    return PluginLists(
        allow=None if allow is None else tuple(allow),
        deny=tuple(no_plugin),
        deny_if_there=tuple(table.get("deny", ())),
    )


def _table(path: Path) -> Mapping[str, Sequence[str]]:
    if not path.is_file():
        return {}
    try:
        table: Any = tomllib.loads(path.read_text(encoding="utf-8")).get(SECTION, {})
    except (OSError, ValueError) as error:
        raise UsageError(f"{path.name} cannot be read: {error}") from error
    if not isinstance(table, dict):
        raise UsageError(f"{SECTION} in {path.name} must be a table", hint=_EXAMPLE)
    for key, names in table.items():
        if key not in ("allow", "deny"):
            raise UsageError(f"[{SECTION}] in {path.name} has no setting {key!r}", hint=_EXAMPLE)
        if not isinstance(names, list) or not all(isinstance(name, str) for name in names):
            raise UsageError(f"{SECTION}.{key} in {path.name} must be a list of names, not {names!r}", hint=_EXAMPLE)
    return table


_EXAMPLE = f'for example: [{SECTION}] allow = ["advdl", "my-plugin"], deny = ["other-plugin"]'
