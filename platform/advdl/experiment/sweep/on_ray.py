"""Trials on a Ray cluster: each an ordinary run, in a process of an ordinary command, on whichever machine has room."""

import contextlib
import os
import signal
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from advdl.experiment.sweep.trial import STOPPED, TrialProcess, problem_of
from advdl.training.ray_cluster import start_ray

_POLL = 0.1


class RayPlace:
    """The cluster of ``RAY_ADDRESS``, or one on this machine. Its machines have to see the folder of runs.

    A trial gets an equal share of the processors, of one machine at most, and of the graphics processors.

    Args:
        jobs: Trials at a time.

    Raises:
        UsageError: Ray is not installed, or the cluster cannot be reached or has no room.
    """

    def __init__(self, jobs: int) -> None:
        self._ray, self._mine = start_ray(jobs, "trials")
        largest = max(int(node["Resources"].get("CPU", 0)) for node in self._ray.nodes() if node["Alive"])
        has = self._ray.cluster_resources()
        self._threads = max(1, min(largest, int(has["CPU"]) // jobs))
        self._graphics = min(1.0, has.get("GPU", 0.0) / jobs)

    def start(self, words: Sequence[str], log: Path) -> "RayTrial":
        """Begins a trial, as soon as there is room."""
        options = {"num_cpus": self._threads, "num_gpus": self._graphics, "max_restarts": 0, "max_concurrency": 2}
        ours = {name: value for name, value in os.environ.items() if name.startswith("ADVDL_")}
        actor = self._ray.remote(**options)(TrialActor).remote(
            list(words), str(log.resolve()), self._threads, str(Path.cwd()), ours, list(sys.path)
        )
        return RayTrial(self._ray, actor, log)

    def close(self) -> None:
        """Leaves the cluster, or ends it where this process has started it."""
        if self._mine and self._ray.is_initialized():
            self._ray.shutdown()


class TrialActor:
    """A trial's process, on the machine that Ray has chosen. It ends with this actor, which ends with the sweep."""

    def __init__(
        self, words: list[str], log: str, threads: int, folder: str, environ: Mapping[str, str], path: Sequence[str]
    ) -> None:
        sys.path += [each for each in path if each not in sys.path]
        self._process = TrialProcess(words, Path(log), threads, folder=folder, environ=environ)

    def ended(self) -> int:
        """Waits for the end; returns the exit code."""
        while (code := self._process.code) is None:
            time.sleep(_POLL)
        return code

    def stop(self) -> None:
        """Asks the run to stop."""
        self._process.stop()


class RayTrial:
    """What a sweep sees of a trial on the cluster: the same as of a ``TrialProcess``.

    Args:
        ray: The module.
        actor: The handle of a ``TrialActor``.
        log: Where what it says goes.
    """

    def __init__(self, ray: Any, actor: Any, log: Path) -> None:
        self._ray, self._actor, self._log = ray, actor, log
        self._end = actor.ended.remote()
        self._code: int | None = None
        self._lost = ""

    @property
    def code(self) -> int | None:
        """The exit code, negative for a signal; None while it runs or waits for room."""
        if self._code is None:
            self._look(0.0)
        return self._code

    @property
    def was_stopped(self) -> bool:
        """Whether it ended because it was asked to."""
        return self.code in STOPPED

    def stop(self) -> None:
        """Asks the run to stop; it saves a checkpoint."""
        if self.code is None:
            self._actor.stop.remote()

    def wait(self, seconds: float) -> None:
        """Waits for its end, then ends it."""
        self._look(seconds)
        self.kill()

    def kill(self) -> None:
        """Ends it at once, and gives its place free."""
        if self._code is None:
            self._code = -signal.SIGKILL
        with contextlib.suppress(Exception):  # whatever is wrong with an actor, it is not needed any more
            self._ray.kill(self._actor)

    def problem(self) -> str:
        """Says why it failed, in its own words."""
        return self._lost or problem_of(self.code or 0, self._log)

    def _look(self, seconds: float) -> None:
        done, _ = self._ray.wait([self._end], timeout=seconds)
        if not done:
            return
        try:
            self._code = int(self._ray.get(self._end))
        except self._ray.exceptions.RayError as error:
            self._lost = f"its machine, or Ray there, was lost: {str(error).splitlines()[0]}"
            self._code = -signal.SIGKILL
        self.kill()
