"""What ``advdl plugins list`` and ``advdl plugins info`` tell of plugins that are loaded."""

from collections.abc import Mapping, Sequence
from typing import Any

from advdl.cli.output import table
from advdl.errors import AdvdlError, unknown_name
from advdl.plugin.component import KINDS, Component
from advdl.plugin.extras import install_line, missing_modules
from advdl.plugin.host import PluginHost
from advdl.plugin.loading import PluginRecord

LIGHT_KINDS = ("metric", "tracker")
"""Kinds whose components need no TensorFlow."""

_STYLES = {"failed": "red", "incompatible": "red", "disabled": "dim"}


def list_data(host: PluginHost, kind: str | None) -> dict[str, Any]:
    """Returns every plugin with its components, as plain data.

    Raises:
        UsageError: There is no such kind.
    """
    if kind is not None and kind not in KINDS:
        raise unknown_name("kind of component", kind, KINDS, command="advdl plugins list")
    return {"plugins": [_plugin(record, kind) for record in host.plugins]}


def list_table(data: Mapping[str, Any], kind: str | None) -> str:
    """Lays out the plugins, then their components; what cannot be used is greyed."""
    parts = [_component_table(data["plugins"])]
    if kind is None:
        parts.insert(0, _plugin_table(data["plugins"]))
    return "\n\n".join(part for part in parts if part)


def start_quietly(component: Component) -> None:
    """Starts what a component computes with, TensorFlow without its chatter, before its code is imported."""
    if component.kind not in LIGHT_KINDS:
        from advdl.training.backend import start_backend

        start_backend(component.details.get("backend", "tensorflow"))


def find(host: PluginHost, name: str) -> tuple[list[PluginRecord], list[tuple[PluginRecord, Component]]]:
    """Returns the plugins, and the components with their plugins, that a name or ``kind:name`` stands for.

    Raises:
        UsageError: There is none.
    """
    kind, _, bare = name.rpartition(":")
    plugins = [] if kind else [record for record in host.plugins if record.name == name]
    offered = [(record, component) for record in host.plugins for component in record.components]
    components = [pair for pair in offered if pair[1].name == bare and kind in ("", pair[1].kind)]
    if not plugins and not components:
        known = {component.name for _, component in offered} | {record.name for record in host.plugins}
        known |= {f"{component.kind}:{component.name}" for _, component in offered}
        raise unknown_name("plugin or component", name, known, command="advdl plugins list")
    return plugins, components


def info_data(host: PluginHost, name: str) -> dict[str, Any]:
    """Returns what is known of a plugin or of components, as plain data."""
    plugins, components = find(host, name)
    return {
        "plugins": [_plugin(record, None) for record in plugins],
        "components": [_component_with_options(host, *pair) for pair in components],
    }


def info_text(data: Mapping[str, Any]) -> str:
    """Lays out what is known of a plugin or of components."""
    plugins = [_plugin_text(plugin) for plugin in data["plugins"]]
    return "\n\n".join([*plugins, *map(_component_text, data["components"])])


def _plugin(record: PluginRecord, kind: str | None) -> dict[str, Any]:
    return {
        "name": record.name,
        "status": record.status,
        "distribution": record.distribution,
        "version": record.version,
        "entry_point": record.target,
        "contract": record.contract,
        "error": record.error,
        "problems": record.problems,
        "commands": record.commands,
        "components": [_component(found) for found in record.components if kind in (None, found.kind)],
    }


def _component(component: Component) -> dict[str, Any]:
    missing = missing_modules(component)
    return {
        "kind": component.kind,
        "name": component.name,
        "summary": component.summary,
        "target": component.target,
        "missing": missing,
        "install": install_line(component) if missing else "",
    }


def _component_with_options(host: PluginHost, record: PluginRecord, component: Component) -> dict[str, Any]:
    data = {"plugin": record.name, "distribution": record.distribution, "version": record.version}
    data |= _component(component) | {"details": dict(component.details)}
    if data["missing"]:
        return data | {"options": None, "options_error": f"not installed; {data['install']}"}
    try:
        start_quietly(component)
        options = host.options(component.kind, component.name)
    except AdvdlError as error:
        return data | {"options": None, "options_error": error.message}
    shown = ("name", "type_name", "constraint", "default", "required", "doc", "part")
    return data | {"options": [{key: getattr(option, key) for key in shown} for option in options]}


def _plugin_table(plugins: Sequence[Mapping[str, Any]]) -> str:
    rows = [
        [plugin["name"], plugin["status"], f"{plugin['distribution']} {plugin['version']}", _remark(plugin)]
        for plugin in plugins
    ]
    styles = [_STYLES.get(plugin["status"], "yellow" if plugin["problems"] else "") for plugin in plugins]
    return table(["plugin", "status", "from", "remark"], rows, styles=styles)


def _remark(plugin: Mapping[str, Any]) -> str:
    remarks = [plugin["error"], *plugin["problems"]]
    return "\n".join(remark for remark in remarks if remark) or _offers(plugin)


def _offers(plugin: Mapping[str, Any]) -> str:
    counts = {"component": len(plugin["components"]), "command": len(plugin["commands"])}
    return ", ".join(f"{count} {what}{'s' * (count > 1)}" for what, count in counts.items() if count)


def _component_table(plugins: Sequence[Mapping[str, Any]]) -> str:
    rows = [
        [found["kind"], found["name"], plugin["name"], found["install"] or found["summary"]]
        for plugin in plugins
        for found in plugin["components"]
    ]
    styles = ["dim" if found["missing"] else "" for plugin in plugins for found in plugin["components"]]
    order = sorted(range(len(rows)), key=lambda i: rows[i][:2])
    rows, styles = [rows[i] for i in order], [styles[i] for i in order]
    return table(["kind", "component", "plugin", "summary"], rows, styles=styles) if rows else ""


def _plugin_text(plugin: Mapping[str, Any]) -> str:
    facts = [
        ("plugin", plugin["name"]),
        ("status", plugin["status"]),
        ("from", f"{plugin['distribution']} {plugin['version']}"),
        ("entry point", plugin["entry_point"]),
        *(("problem", text) for text in [plugin["error"], *plugin["problems"]] if text),
        ("offers", ", ".join(f"{found['kind']}:{found['name']}" for found in plugin["components"]) or "-"),
    ]
    return _facts(facts)


def _component_text(component: Mapping[str, Any]) -> str:
    facts = [
        (component["kind"], component["name"]),
        ("summary", component["summary"]),
        ("plugin", f"{component['plugin']} ({component['distribution']} {component['version']})"),
        ("code", component["target"]),
        *((key, value) for key, value in component["details"].items()),
    ]
    if component["options"] is None:
        facts.append(("options", component["options_error"]))
        return _facts(facts)
    rows = [
        [
            option["name"],
            "required" if option["required"] else _default(option["default"]),
            f"{option['type_name']} {option['constraint']}".strip(),
            option["doc"],
        ]
        for option in component["options"]
    ]
    options = table(["option", "default", "takes", "what it is"], rows) if rows else "no options"
    return f"{_facts(facts)}\n\n{options}"


def _default(value: Any) -> str:
    if isinstance(value, Mapping):
        settings = ", ".join(f"{key}={inner}" for key, inner in value.items() if key != "name")
        return f"{value['name']} ({settings})" if settings else str(value["name"])
    if isinstance(value, bool):
        return str(value).lower()
    return "-" if value is None else str(value)


def _facts(facts: Sequence[tuple[str, str]]) -> str:
    width = max(len(name) for name, _ in facts) + 2
    return "\n".join(f"{name:<{width}}{value}".rstrip() for name, value in facts)
