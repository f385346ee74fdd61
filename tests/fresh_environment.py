"""A virtual environment of its own, in which nothing is installed yet and everything that this one has can be imported.

Nothing is downloaded: what is installed into it comes from files.
"""

import os
import shlex
import subprocess
import sys
import sysconfig
from collections.abc import Mapping
from pathlib import Path


class FreshEnvironment:
    """Makes the environment in a folder; ``python``, ``pip``, ``pytest`` and ``advdl`` on its path are its own."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        subprocess.run([sys.executable, "-m", "venv", "--without-pip", folder], check=True)
        site = Path(sysconfig.get_path("purelib", vars={"base": str(folder), "platbase": str(folder)}))
        folders = {sysconfig.get_path("purelib"), sysconfig.get_path("platlib")}
        lines = [f"import site; site.addsitedir({outer!r})" for outer in sorted(folders)]
        (site / "outer.pth").write_text("\n".join(lines) + "\n")
        self._add_script("pip", f"exec {shlex.quote(sys.executable)} -m pip")
        self._add_script("pytest", "exec python -m pytest -p no:cacheprovider")
        self._add_script("advdl", "exec python -m advdl.cli.app")

    @property
    def variables(self) -> Mapping[str, str]:
        """What a process in this environment has as its own."""
        inherited = {key: value for key, value in os.environ.items() if not key.startswith(("ADVDL_", "PIP_"))}
        return inherited | {
            "PATH": f"{self.folder / 'bin'}{os.pathsep}{os.environ['PATH']}",
            "PIP_PYTHON": str(self.folder / "bin/python"),
            "PIP_NO_INDEX": "1",
            "PIP_NO_DEPS": "1",
            "PIP_NO_BUILD_ISOLATION": "0",  # pip reads it so: 0 is "no isolation"
            "PIP_DISABLE_PIP_VERSION_CHECK": "1",
            "COLUMNS": "100",
            "NO_COLOR": "1",
            "PYTHONDONTWRITEBYTECODE": "1",
        }

    def run(self, *words: str, cwd: Path, expected: int = 0) -> subprocess.CompletedProcess[str]:
        """Runs a command and returns what it printed, errors too.

        Raises:
            AssertionError: It ended with another exit code.
        """
        done = subprocess.run(
            words,
            cwd=cwd,
            env=self.variables,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=600,
            check=False,
        )
        assert done.returncode == expected, f"{shlex.join(words)}: {done.returncode}\n{done.stdout}\n{done.stderr}"
        return done

    def _add_script(self, name: str, command: str) -> None:
        script = self.folder / "bin" / name
        script.write_text(f'#!/bin/sh\n{command} "$@"\n')
        script.chmod(0o755)
