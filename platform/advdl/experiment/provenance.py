"""Provenance: what a run was made with - versions, git commit, machine."""

import os
import platform
import subprocess
import sys
from collections.abc import Mapping
from importlib import metadata
from pathlib import Path
from typing import Any

DISTRIBUTIONS = ("advdl", "tensorflow", "keras", "gymnasium", "numpy")
"""The distributions whose versions every run records."""

OTHER_DISTRIBUTIONS = {"torch": "torch", "stable-baselines3": "stable_baselines3", "sb3-contrib": "sb3_contrib"}
"""Distributions whose versions a run records that has imported their modules."""

_GIT_TIMEOUT = 2.0


def provenance(folder: Path, plugins: Mapping[str, str]) -> dict[str, Any]:
    """Returns what there is to know of where and with what a run is made; imports none of it.

    Args:
        folder: Where the command was given.
        plugins: Versions of the plugins' distributions.
    """
    return {"versions": versions(), "plugins": dict(plugins), "git": git_state(folder), "machine": machine()}


def versions() -> dict[str, str | None]:
    """Returns the installed versions; None for a distribution that is not installed."""
    found: dict[str, str | None] = {"python": platform.python_version()}
    for name in (*DISTRIBUTIONS, *(other for other, module in OTHER_DISTRIBUTIONS.items() if module in sys.modules)):
        try:
            found[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            found[name] = None
    return found


def git_state(folder: Path) -> dict[str, Any] | None:
    """Returns the commit of the folder's repository and whether there are uncommitted changes.

    Returns:
        ``{"commit": ..., "dirty": ...}``, where dirty is None if git took too long to say; None without a
        repository, without a commit or without git.
    """
    commit = _git(folder, "rev-parse", "HEAD")
    if not commit:
        return None
    changes = _git(folder, "status", "--porcelain", "--untracked-files=no")
    return {"commit": commit, "dirty": None if changes is None else bool(changes)}


def machine() -> dict[str, Any]:
    """Returns the processor's model, the usable cores and the operating system; no names, no addresses."""
    return {"cpu": _cpu_model(), "cores": cores(), "os": f"{platform.system()} {platform.release()}"}


def _git(folder: Path, *arguments: str) -> str | None:
    # Looking must not write: no refreshed index, no lock that a commit of the user's would meet.
    environ = {**os.environ, "GIT_OPTIONAL_LOCKS": "0"}
    try:
        done = subprocess.run(
            ["git", *arguments],
            cwd=folder,
            env=environ,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=_GIT_TIMEOUT,
            check=True,
        )
    except (OSError, subprocess.SubprocessError, UnicodeDecodeError):
        return None
    return done.stdout.strip()


def _cpu_model() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.processor()
    models = (line.partition(":")[2].strip() for line in lines if line.startswith("model name"))
    return next(models, platform.processor())


def cores() -> int:
    """Returns how many cores this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1
