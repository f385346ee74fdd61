"""What ``advdl config show``, ``keys`` and ``path`` tell."""

import textwrap
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from advdl.cli.output import style, table
from advdl.errors import unknown_name
from advdl.experiment.layers import OTHER_VARIABLES, PREFIX
from advdl.experiment.schema import COMPONENT_TABLES, FAMILIES, METRICS, TRACKERS, Family, General
from advdl.experiment.toml import format_value
from advdl.plugin.component import KINDS
from advdl.plugin.lists import PROJECT_FILE
from advdl.plugin.options import Option
from advdl.training.backend import start_backend

if TYPE_CHECKING:
    from advdl.plugin.host import PluginHost


def settings_table(rows: Iterable[tuple[str, Any, str]]) -> str:
    """Lays out resolved settings: key, value, origin; defaults are dim."""
    listed = list(rows)
    styles = ["dim" if origin == "default" else "" for _, _, origin in listed]
    cells = [[key, format_value(value), origin] for key, value, origin in listed]
    return table(["setting", "value", "from"], cells, styles=styles)


def keys_data(host: "Callable[[], PluginHost]", name: str | None, family_name: str = "agent") -> list[dict[str, Any]]:
    """Returns what is known of each key.

    Args:
        host: Loads the plugins; called only for a component's options.
        name: A section, a component such as ``agent.dqn`` or ``backbone.mlp``, or None for all sections.
        family_name: The kind of experiment: ``agent``, ``learner``, ``sampler``, ``meta``, ``own_loop``.

    Raises:
        UsageError: There is no such section, component or family.
    """
    if family_name not in FAMILIES:
        raise unknown_name("family", family_name, FAMILIES, command=f"--family takes {', '.join(FAMILIES)}")
    family = FAMILIES[family_name]
    if name is None:
        sections = [entry for section in ("", *family.sections) for entry in _section(family, section)]
        return sections + _component_keys(family)
    section, _, rest = name.partition(".")
    if rest:
        return _component(host(), family, section, rest)
    if section in family.sections:
        return _section(family, section)
    found = [entry for entry in keys_data(host, None, family_name) if entry["key"].split(".")[0] == section]
    if not found:
        raise unknown_name("section", name, family.keys, command=f"advdl config keys --family {family_name}")
    return found


def keys_text(data: Sequence[Mapping[str, Any]]) -> str:
    """Lays out keys in 80 columns, each with its default, and below it what it means and takes."""
    return "\n".join(line for entry in data for line in _key_lines(entry))


def places(config: Path | None, environ: Mapping[str, str], folder: Path) -> list[dict[str, Any]]:
    """Lists where settings are read from, the strongest first."""
    variables = [name for name in sorted(environ) if name.startswith(PREFIX) and name not in OTHER_VARIABLES]
    others = [{"place": f"variable {name}", "state": environ.get(name, "not set")} for name in OTHER_VARIABLES]
    return [
        {"place": "command line: --seed, --steps, --env, --agent, --set KEY=VALUE", "state": None},
        *({"place": f"variable {name}", "state": environ[name]} for name in variables),
        {
            "place": f"variables {PREFIX}KEY and {PREFIX}SECTION__KEY",
            "state": None if variables else "none set",
        },
        {"place": f"--config {config or 'FILE.toml'}", "state": _state(config)},
        {"place": str(folder / PROJECT_FILE), "state": _state(folder / PROJECT_FILE)},
        {"place": "the agent's recipe for the env, in its plugin", "state": None},
        {"place": "defaults", "state": None},
        *others,
    ]


def places_table(data: Sequence[Mapping[str, Any]]) -> str:
    """Lays out the places."""
    return table(["read from", "now"], [[entry["place"], entry["state"]] for entry in data])


def _section(family: Family, name: str) -> list[dict[str, Any]]:
    section = family.sections[name] if name else General
    return [_entry(f"{name}.{option.name}".lstrip("."), option) for option in section.describe()]


def _component_keys(family: Family) -> list[dict[str, Any]]:
    slots = [
        _row(f"{key}.name", f"the name of an {slot.kind}", slot.default, slot.summary)
        for key, slot in family.slots.items()
    ]
    options = [
        _row(f"{key}.OPTION", "its option", None, f"see: advdl config keys {key}.{slot.default}")
        for key, slot in family.slots.items()
    ]
    overrides = [
        _row(f"{key}.NAME", f"as [{slot}]", None, f"what differs from [{slot}] for the objective NAME")
        for key, slot in family.overrides.items()
    ]
    trackers = _row(f"{TRACKERS}.NAME", "true, false or a table", None, "whether a tracker is on, and its options")
    metrics = _row(f"{METRICS}.NAME", "true, false or a table", None, "whether a metric is on, and its options")
    return [*slots, *options, *overrides, trackers, metrics]


def _component(host: "PluginHost", family: Family, section: str, name: str) -> list[dict[str, Any]]:
    prefix = f"{section}.{name}" if section in COMPONENT_TABLES else section
    kind = _kind(family, section)
    backend = host.get(kind, name).details.get("backend", "tensorflow")
    if kind not in COMPONENT_TABLES.values():
        start_backend(backend)  # its start-up chatter is no part of the answer
    return [_entry(f"{prefix}.{option.name}", option) for option in host.options(kind, name)]


def _kind(family: Family, section: str) -> str:
    if section in COMPONENT_TABLES:
        return COMPONENT_TABLES[section]
    slot = family.slots.get(family.overrides.get(section, section))
    if slot is None and section not in KINDS:
        known = (*family.slots, *COMPONENT_TABLES, *KINDS)
        raise unknown_name("section or kind of component", section, known, command="advdl config keys")
    return slot.kind if slot else section


def _entry(key: str, option: Option) -> dict[str, Any]:
    return {
        "key": key,
        "type": option.type_name,
        "default": option.default,
        "required": option.required,
        "constraint": option.constraint,
        "description": option.doc,
    }


def _row(key: str, type_name: str, default: Any, description: str) -> dict[str, Any]:
    return {
        "key": key,
        "type": type_name,
        "default": default,
        "required": False,
        "constraint": "",
        "description": description,
    }


def _key_lines(entry: Mapping[str, Any]) -> list[str]:
    value = None if entry["default"] is None else format_value(entry["default"])
    takes = f"{entry['type']} {entry['constraint']}".rstrip()
    meaning = "; ".join(filter(None, [entry["description"].rstrip("."), "required" if entry["required"] else ""]))
    below = f"{meaning} ({takes})" if meaning else takes
    heading = style(entry["key"], "bold") + (f" = {value}" if value else "")
    return [heading, *textwrap.wrap(below, 80, initial_indent="    ", subsequent_indent="    ")]


def _state(path: Path | None) -> str:
    if path is None:
        return "not given"
    return "read" if path.is_file() else "not there"
