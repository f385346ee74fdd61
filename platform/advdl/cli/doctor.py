"""``advdl doctor``: what works on this machine and what does not."""

import os
import platform
import sys
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import typer

from advdl.cli.output import emit, table
from advdl.cli.state import plugin_host
from advdl.errors import AdvdlError, ExitCode
from advdl.plugin.hookspecs import Check
from advdl.plugin.host import PluginHost
from advdl.plugin.isolation import isolated

_PACKAGES = (
    "advdl",
    "tensorflow",
    "keras",
    "gymnasium",
    "numpy",
    "pluggy",
    "pydantic",
    "tensorboard",
    "typer",
)

app = typer.Typer(help="Check this installation.", rich_markup_mode=None)


@dataclass(frozen=True, slots=True)
class Finding:
    """What a check found.

    Attributes:
        name: What was checked.
        ok: Nothing is wrong.
        detail: What was found, or what is wrong.
    """

    name: str
    ok: bool
    detail: str


@app.command()
def doctor(
    context: typer.Context,
    runs_dir: Annotated[Path, typer.Option(help="Where the runs are.", envvar="ADVDL_RUNS")] = Path("runs"),
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> int:
    """Check Python, the packages, the devices, the folders and the plugins; exits 1 if something is wrong."""
    findings = examine(plugin_host(context), runs_dir)
    emit(findings, json=as_json, table=lambda: _table(findings))
    return int(ExitCode.DONE if all(finding.ok for finding in findings) else ExitCode.RUN_FAILED)


def examine(host: PluginHost, runs_dir: Path) -> list[Finding]:
    """Runs every check, the plugins' included; one that raises is a finding that is not ok."""
    own = [
        Check("python", _python),
        *(Check(name, _version(name)) for name in _PACKAGES),
        Check("devices", _devices),
        Check("compile cache", _compile_cache),
        Check("runs folder", lambda: _writable(runs_dir)),
    ]
    findings = [_find(check.name, check.run) for check in own]
    findings += _plugin_findings(host)
    return findings + [_find(f"{plugin}: {check.name}", check.run) for plugin, check in host.checks()]


def _find(name: str, run: Callable[[], str]) -> Finding:
    outcome = isolated(run)
    if outcome.cause is None:
        return Finding(name, True, str(outcome.value))
    known = isinstance(outcome.cause, AdvdlError)
    return Finding(name, False, str(outcome.cause) if known else outcome.error)


def _python() -> str:
    machine = f"{platform.platform(terse=True)}, {os.cpu_count()} cores"
    return f"{platform.python_version()} on {machine} ({sys.executable})"


def _version(package: str) -> Callable[[], str]:
    def version() -> str:
        from importlib.metadata import version

        return version(package)

    return version


def _devices() -> str:
    from advdl.training.backend import start_tensorflow

    start_tensorflow()
    import tensorflow as tf

    return ", ".join(device.name.removeprefix("/physical_device:") for device in tf.config.list_physical_devices())


def _compile_cache() -> str:
    from advdl.training.backend import xla_cache_folder

    if os.environ.get("ADVDL_XLA_CACHE") == "":
        return "switched off by ADVDL_XLA_CACHE"
    return _writable(xla_cache_folder())


def _writable(folder: Path) -> str:
    """Writes a file where the folder is or would be made."""
    existing = next(parent for parent in (folder.absolute(), *folder.absolute().parents) if parent.exists())
    with tempfile.TemporaryFile(dir=existing):
        return f"{folder.absolute()} can be written"


def _plugin_findings(host: PluginHost) -> Iterator[Finding]:
    for record in host.plugins:
        name = f"plugin {record.name}"
        if record.broken:
            yield Finding(name, False, record.error)
        elif record.status == "ok":
            yield Finding(name, not record.problems, "; ".join(record.problems) or "loaded")


def _table(findings: list[Finding]) -> str:
    rows = [[finding.name, "ok" if finding.ok else "wrong", finding.detail] for finding in findings]
    styles = ["" if finding.ok else "red" for finding in findings]
    return table(["check", "", "found"], rows, styles=styles)
