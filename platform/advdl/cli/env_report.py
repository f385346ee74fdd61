"""What ``advdl env info`` and ``advdl env check`` tell."""

import contextlib
import re
import sys
import warnings
from collections.abc import Callable, Mapping
from typing import Any

from advdl.cli.output import table
from advdl.errors import AdvdlError
from advdl.plugin.component import Component
from advdl.plugin.host import PluginHost
from advdl.plugin.isolation import reason
from advdl.rl.env_names import compiled_twin, env_facts, gymnasium_id, registered_specs, resolve_env_id

_STYLES = {"kept": "green", "broken": "red"}
_COLOUR = re.compile(r"\x1b\[[0-9;]*m")


def info_data(host: PluginHost, name: str) -> dict[str, Any]:
    """Returns the facts of an env, as plain data; the options and the physics only of a compiled one.

    Raises:
        UsageError: There is no such env, or it cannot be made.
    """
    env_id = resolve_env_id(name, host)
    facts, twin = env_facts(env_id, host), compiled_twin(env_id, host)
    data: dict[str, Any] = {
        "id": facts.id,
        "engine": "compiled" if facts.compiled else "host",
        "observation": str(facts.observation),
        "action": str(facts.action),
        "max_episode_steps": facts.max_episode_steps,
        "reward_threshold": facts.reward_threshold,
        "compiled": twin.name if twin else None,
        "evaluated_on": facts.host_id,
    }
    return data | (_own(host, twin) if twin and twin.name == gymnasium_id(env_id) else {})


def info_text(data: Mapping[str, Any]) -> str:
    """Lays out an env's facts."""
    shown = {name: value for name, value in data.items() if not isinstance(value, dict)}
    lines = [f"{name.replace('_', ' '):<18}{'-' if value is None else value}" for name, value in shown.items()]
    for title in ("options", "params"):
        for name, value in data.get(title, {}).items():
            lines.append(f"{title:<18}{name} = {value}")
    return "\n".join(lines)


def check_data(host: PluginHost, name: str) -> dict[str, Any]:
    """Runs every check that applies to an env.

    Returns:
        ``id`` and ``checks``, each with ``check``, ``status`` (``kept`` or ``broken``), ``reason`` and
        ``warnings``.

    Raises:
        UsageError: There is no such env.
    """
    env_id = resolve_env_id(name, host)
    twin = compiled_twin(env_id, host)
    if twin is not None:
        from advdl.training.backend import start_tensorflow

        start_tensorflow()
    checks = [_result("Gymnasium's check_env", lambda: _check_host(env_id, host))]
    if twin is not None:
        checks += _check_compiled(twin)
    return {"id": env_id, "checks": checks}


def check_text(data: Mapping[str, Any]) -> str:
    """Lays out the results."""
    results = data["checks"]
    rows = [[r["check"], r["status"], "\n".join(filter(None, [r["reason"], *r["warnings"]]))] for r in results]
    text = table(["check", "contract", "remark"], rows, styles=[_STYLES[result["status"]] for result in results])
    broken = sum(result["status"] == "broken" for result in results)
    return f"{text}\n\n{data['id']} {f'fails {broken} of {len(results)} checks' if broken else 'passes'}"


def _own(host: PluginHost, component: Component) -> dict[str, Any]:
    """What only the compiled env's code tells."""
    from advdl.training.backend import start_tensorflow

    start_tensorflow()
    params = host.build("env", component.name).get_default_params()
    options = {option.name: option.default for option in host.options("env", component.name)}
    return {"options": options, "params": {} if params is None else dict(params._asdict())}


def _check_host(env_id: str, host: PluginHost) -> None:
    import gymnasium
    from gymnasium.utils.env_checker import check_env

    registered_specs(host)
    with gymnasium.make(gymnasium_id(env_id), disable_env_checker=True) as env:
        check_env(env.unwrapped, skip_render_check=True)


def _check_compiled(twin: Component) -> list[dict[str, Any]]:
    from advdl.testing.env import check_env
    from advdl.testing.twin import check_twin

    checks = [_result(f"CompiledEnv's contract, by {twin.name}", lambda: check_env(twin))]
    equal = twin.details.get("twin")
    if equal:
        checks.append(_result(f"{twin.name} equals {equal}", lambda: check_twin(twin.load(), equal)))
    return checks


def _result(check: str, run: Callable[[], None]) -> dict[str, Any]:
    status, why = "kept", ""
    with warnings.catch_warnings(record=True) as caught, contextlib.redirect_stdout(sys.stderr):
        warnings.simplefilter("always")
        try:
            run()
        except AdvdlError as error:
            status, why = "broken", error.message
        except Exception as error:  # an env may raise anything; that is what is being found out
            status, why = "broken", reason(error)
    remarks = dict.fromkeys(_COLOUR.sub("", str(warning.message)).removeprefix("WARN: ") for warning in caught)
    return {"check": check, "status": status, "reason": why, "warnings": list(remarks)}
