"""What ``advdl plugins check`` does: the conformance check of each component's kind."""

import contextlib
import importlib
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from advdl.cli.output import table
from advdl.cli.plugin_report import LIGHT_KINDS, find, start_quietly
from advdl.errors import AdvdlError, PluginError
from advdl.plugin.component import KINDS, Component
from advdl.plugin.extras import install_line, missing_modules
from advdl.plugin.host import PluginHost
from advdl.plugin.isolation import reason
from advdl.plugin.options import Option, coerce

_STYLES = {"kept": "green", "broken": "red", "skipped": "dim"}


def check_components(host: PluginHost, name: str) -> list[dict[str, Any]]:
    """Checks what a name stands for, each component by itself.

    Returns:
        A dict a component: ``kind``, ``name``, ``status`` (``kept``, ``broken`` or ``skipped``), ``reason``, and
        ``page``, where a broken contract is explained.

    Raises:
        UsageError: There is no such plugin or component.
        PluginError: The plugin failed to load.
    """
    plugins, components = find(host, name)
    for record in plugins:
        if record.status != "ok":
            error = record.error or "it is disabled"
            raise PluginError(f"plugin {name!r} is not loaded: {error}", hint="advdl plugins list")
    offered = [component for record in plugins for component in record.components]
    offered += [component for _, component in components if component not in offered]
    return [_result(host, component) for component in offered]


def check_table(results: Sequence[Mapping[str, Any]]) -> str:
    """Lays out the results."""
    rows = [[result["kind"], result["name"], result["status"], _remark(result)] for result in results]
    styles = [_STYLES[result["status"]] for result in results]
    return table(["kind", "component", "contract", "reason"], rows, styles=styles)


def _result(host: PluginHost, component: Component) -> dict[str, Any]:
    status, why, page = "kept", "", ""
    if missing_modules(component):
        status, why = "skipped", install_line(component)
    else:
        try:
            host.get(component.kind, component.name)
            _silence(component)
            _check_of(component)(_subject(host, component))
        except AdvdlError as error:
            status, why, page = "broken", error.message, getattr(error, "page", "")
        except Exception as error:
            status, why = "broken", f"the check itself failed: {reason(error)}"
    return {"kind": component.kind, "name": component.name, "status": status, "reason": why, "page": page}


def _remark(result: Mapping[str, Any]) -> str:
    return f"{result['reason']}\nthe contract: {result['page']}" if result["page"] else str(result["reason"])


def _silence(component: Component) -> None:
    """Keeps TensorFlow's chatter from the report: a check traces the same code often, on purpose."""
    start_quietly(component)
    if component.kind not in LIGHT_KINDS and component.details.get("backend", "tensorflow") == "tensorflow":
        import tensorflow as tf

        tf.get_logger().setLevel("ERROR")


def _check_of(component: Component) -> Callable[[Any], None]:
    own_loop = component.kind == "agent" and component.details.get("loop") == "own"
    target = "advdl.testing:check_own_loop_agent" if own_loop else KINDS[component.kind].check
    module, _, name = target.partition(":")
    check: Callable[[Any], None] = getattr(importlib.import_module(module), name)
    return check


def _subject(host: PluginHost, component: Component) -> Any:
    """An env is checked as it is; everything else is built by its check, more than once."""
    options = host.options(component.kind, component.name)
    settings = {option.name: _example(option) for option in options if option.required}
    factory = host.factory(component.kind, {"name": component.name, **settings})
    return factory() if component.kind == "env" else factory


def _example(option: Option) -> Any:
    """Finds a value that a required option takes; what it is does not matter to a contract."""
    examples: tuple[Any, ...] = (1.0, 0.5, 2, "a", [1.0], ["a"], {})
    for value in examples:
        with contextlib.suppress(AdvdlError):
            return coerce(option, value, where="")
    return None
