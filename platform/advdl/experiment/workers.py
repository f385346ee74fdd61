"""Workers: what each process of a job writes. The chief writes the run; the others work on copies of their own.

Every worker steps the same envs with the same seeds and makes the same decisions; only each update's batch is shared.
So none of them has to be told anything, and the chief's folder is the run.
"""

import atexit
import shutil
import tempfile
from collections.abc import Mapping
from pathlib import Path

from advdl.training.cluster import cluster_of


def is_chief(environ: Mapping[str, str]) -> bool:
    """Says whether this process writes the run's folder and prints results: it does where it works alone.

    Raises:
        UsageError: ``TF_CONFIG`` cannot be read.
    """
    cluster = cluster_of(environ)
    return cluster is None or cluster.chief


def own_root(root: Path, environ: Mapping[str, str]) -> Path:
    """Returns where this process makes runs: the folder itself for the chief, else one that goes when it ends."""
    return root if is_chief(environ) else _scratch()


def own_copy(folder: Path, environ: Mapping[str, str]) -> Path:
    """Returns the folder in which this process goes on with a run: itself for the chief, else a copy."""
    if is_chief(environ):
        return folder
    # The lock is the chief's; a run in several processes is still written by one.
    return Path(shutil.copytree(folder, _scratch() / folder.name, ignore=shutil.ignore_patterns("*.lock", ".tmp-*")))


def _scratch() -> Path:
    folder = Path(tempfile.mkdtemp(prefix="advdl-worker-"))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    return folder
