"""What ``advdl plugins info`` tells of a plugin before any of its code has run."""

import os
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from advdl.cli.output import table
from advdl.plugin.host import installed
from advdl.plugin.lists import plugin_lists
from advdl.plugin.loading import Loader
from advdl.plugin.metadata import facts_of, find_distribution

_OWN = "advdl"
_SHOWN = 40


def facts_data(name: str, *, no_plugin: Sequence[str]) -> dict[str, Any] | None:
    """Returns what the metadata say of a plugin or a distribution; nothing of any plugin is imported.

    Args:
        name: A plugin's or a distribution's name.
        no_plugin: What the command line denies.

    Returns:
        Plain data, or None: there is none of that name, or it is a plugin of advdl's own, whose code runs already.
    """
    points = list(installed())
    dist = find_distribution(name, points)
    if dist is None or (dist.name == _OWN and name != _OWN):
        return None
    facts = facts_of(dist)
    lists = plugin_lists(os.environ, Path.cwd(), no_plugin=no_plugin)
    records = [record for record in Loader(lists).survey(points) if record.distribution == dist.name]
    plugins = [
        {
            "name": record.name,
            "status": "not imported" if record.status == "ok" else record.status,
            "entry_point": record.target,
            "contract": record.contract,
            "error": record.error,
        }
        for record in records
    ]
    return {"distribution": asdict(facts), "plugins": plugins, "components": None}


def facts_text(data: Mapping[str, Any]) -> str:
    """Lays out what the metadata say."""
    facts = data["distribution"]
    plugins = table(
        ["plugin", "status", "module", "contract", "remark"],
        [[each[key] for key in ("name", "status", "entry_point", "contract", "error")] for each in data["plugins"]],
    )
    points = table(["added to", "name", "target"], facts["entry_points"])
    next_step = (
        "nothing of it was imported\nits components: advdl plugins list; their options: advdl plugins info KIND:NAME"
    )
    return "\n\n".join([_head(facts), plugins, points, _files(facts["files"]), next_step])


def _head(facts: Mapping[str, Any]) -> str:
    origin = f"{facts['source']}{' (editable)' if facts['editable'] else ''}" if facts["source"] else ""
    lines = [
        ("distribution", f"{facts['name']} {facts['version']}"),
        ("summary", facts["summary"]),
        ("installed from", origin),
        ("needs", ", ".join(facts["requires"])),
    ]
    return "\n".join(f"{name:<16}{value or '-'}" for name, value in lines)


def _files(files: Sequence[Mapping[str, Any]]) -> str:
    rows = [[file["path"], "-" if file["size"] is None else f"{file['size']:,}"] for file in files[:_SHOWN]]
    more = f"\n... and {len(files) - _SHOWN} more: --json lists them" if len(files) > _SHOWN else ""
    return table(["file", "bytes"], rows) + more
