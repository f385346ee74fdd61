"""Cluster: the workers that train together, as TensorFlow's ``TF_CONFIG`` names them. Needs no TensorFlow."""

import json
from collections.abc import Mapping
from dataclasses import dataclass

from advdl.errors import UsageError

_EXAMPLE = '{"cluster": {"worker": ["host1:2222", "host2:2222"]}, "task": {"type": "worker", "index": 0}}'


@dataclass(frozen=True, slots=True)
class Cluster:
    """The workers of a job, and which of them this process is.

    Attributes:
        addresses: ``host:port`` of each worker.
        index: This worker's place among them; the worker 0 is the chief, which writes the run's folder.
    """

    addresses: tuple[str, ...]
    index: int

    @property
    def chief(self) -> bool:
        """Whether this process writes what there is one of."""
        return self.index == 0

    @property
    def peers(self) -> Mapping[int, str]:
        """The addresses of the other workers, by their index."""
        return {index: address for index, address in enumerate(self.addresses) if index != self.index}


def cluster_of(environ: Mapping[str, str]) -> Cluster | None:
    """Reads ``TF_CONFIG``; None if it is not set or names one worker.

    Raises:
        UsageError: It cannot be read, or names other jobs than ``worker``.
    """
    text = environ.get("TF_CONFIG", "")
    if not text.strip():
        return None
    try:
        config = json.loads(text)
        jobs, task = config["cluster"], config["task"]
        workers, kind, index = jobs["worker"], task["type"], int(task["index"])
        addresses = tuple(str(address) for address in workers)
        if kind != "worker" or set(jobs) != {"worker"} or not 0 <= index < len(addresses):
            raise ValueError("its task is none of its workers, or it has other jobs")
    except (ValueError, KeyError, TypeError) as error:
        raise UsageError(f"TF_CONFIG cannot be used: {error!s}", hint=f"it looks like {_EXAMPLE}") from error
    return Cluster(addresses, index) if len(addresses) > 1 else None


def config_of(addresses: tuple[str, ...], index: int) -> str:
    """Returns the ``TF_CONFIG`` of one worker."""
    return json.dumps({"cluster": {"worker": list(addresses)}, "task": {"type": "worker", "index": index}})
