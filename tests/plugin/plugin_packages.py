"""Real tiny packages, a module and its dist-info as pip would leave them, and the real command line."""

import json
import os
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from textwrap import dedent
from typing import Any

HEADER = """
from advdl.plugin import Check, Component, hookimpl
"""

MAIN = "import sys; from advdl.cli.app import main; sys.exit(main())"


@dataclass
class Packages:
    folder: Path

    def add(
        self, name: str, source: str, *, module: str | None = None, plugin: str | None = None, contract: str = ""
    ) -> str:
        """Installs a distribution with one module and one plugin; returns the module's name."""
        module = module or name.replace("-", "_")
        (self.folder / f"{module}.py").write_text(HEADER + dedent(source))
        self.add_metadata(name, {plugin or name: module}, contract)
        return module

    def add_metadata(self, name: str, plugins: Mapping[str, str], contract: str = "") -> None:
        info = self.folder / f"{name.replace('-', '_')}-1.2.3.dist-info"
        info.mkdir()
        (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.2.3\n")
        lines = [f"{plugin} = {target}" for plugin, target in plugins.items()]
        if contract:
            lines += ["[advdl.contract]", *(f"{plugin} = {contract}" for plugin in plugins)]
        (info / "entry_points.txt").write_text("\n".join(["[advdl]", *lines, ""]))


def advdl(
    *words: str, path: Path | None = None, cwd: Path | None = None, **environment: str
) -> subprocess.CompletedProcess[str]:
    """Runs the real command line in a process of its own, with a folder of packages installed."""
    search = [str(path)] if path else []
    search += [entry for entry in os.environ.get("PYTHONPATH", "").split(os.pathsep) if entry]
    inherited = {key: value for key, value in os.environ.items() if not key.startswith("ADVDL_")}
    return subprocess.run(
        [sys.executable, "-c", MAIN, *words],
        capture_output=True,
        text=True,
        timeout=120,
        cwd=cwd,
        env=inherited | {"PYTHONPATH": os.pathsep.join(search)} | environment,
    )


def listed(path: Path, *words: str, **environment: str) -> dict[str, dict[str, Any]]:
    """Returns what `advdl plugins list --json` says, by the plugin's name."""
    done = advdl(*words, "plugins", "list", "--json", path=path, **environment)
    assert done.returncode == 0, done.stderr
    return {plugin["name"]: plugin for plugin in json.loads(done.stdout)["plugins"]}
