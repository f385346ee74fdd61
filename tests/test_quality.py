"""The project's tools have nothing to say."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from advdl.plugin.scaffold import kinds, scaffold

ROOT = Path(__file__).parent.parent


@pytest.mark.parametrize(
    "words", [("ruff", "check"), ("ruff", "format", "--check"), ("mypy",)], ids=lambda words: " ".join(words)
)
def test_it_finds_nothing(words: tuple[str, ...]) -> None:
    done = subprocess.run(
        [sys.executable, "-m", *words], cwd=ROOT, capture_output=True, text=True, timeout=600, check=False
    )
    assert done.returncode == 0, done.stdout[-5000:] + done.stderr[-2000:]


def test_mypy_finds_nothing_in_a_new_plugin_either(tmp_path: Path) -> None:
    """One run for all kinds, with their own settings; what mypy has found out about advdl above is used again."""
    folders = [scaffold(f"toy-{kind}", kind, tmp_path).folder for kind in kinds()]
    settings = {
        (folder / "pyproject.toml").read_text().partition("[tool.mypy]")[2].replace(module_of(folder), "MODULE")
        for folder in folders
    }
    (common,) = settings
    modules = '", "'.join(f"{module_of(folder)}.*" for folder in folders)
    (tmp_path / "pyproject.toml").write_text(f"[tool.mypy]{common.replace('MODULE.*', modules)}")
    files = [str(path) for folder in folders for path in folder.rglob("*.py")]
    done = subprocess.run(
        [sys.executable, "-m", "mypy", "--cache-dir", ROOT / ".mypy_cache", *files],
        cwd=tmp_path,
        env=os.environ | {"MYPYPATH": os.pathsep.join(str(folder / "src") for folder in folders)},
        capture_output=True,
        text=True,
        timeout=1200,
        check=False,
    )
    assert done.returncode == 0, done.stdout[-5000:] + done.stderr[-2000:]


def module_of(folder: Path) -> str:
    return folder.name.replace("-", "_")
