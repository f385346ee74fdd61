"""Where trials run: on this machine, or on a Ray cluster."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Protocol

from advdl.errors import UsageError, unknown_name
from advdl.experiment.provenance import cores
from advdl.experiment.sweep.trial import RunningTrial, TrialProcess

PLACES = ("here", "ray")


class Place(Protocol):
    """Has room for trials."""

    def start(self, words: Sequence[str], log: Path) -> RunningTrial:
        """Begins a trial.

        Args:
            words: Its command, what follows ``advdl``.
            log: Where what it says goes.
        """


class Here:
    """This machine; trials side by side share its processors.

    Args:
        jobs: Trials at a time.

    Raises:
        UsageError: There are fewer processors.
    """

    def __init__(self, jobs: int) -> None:
        if jobs > cores():
            raise UsageError(f"--jobs {jobs} is more than the {cores()} processors here", hint=f"--jobs {cores()}")
        self._threads = max(1, cores() // jobs) if jobs > 1 else 0

    def start(self, words: Sequence[str], log: Path) -> TrialProcess:
        """Begins a trial."""
        return TrialProcess(words, log, self._threads)


@contextmanager
def place_of(name: str, jobs: int) -> Iterator[Place]:
    """Gives the place of that name, and leaves it at the end.

    Raises:
        UsageError: There is none, or it has no room.
    """
    if name not in PLACES:
        raise unknown_name("place", name, PLACES, command=f"--on takes {', '.join(PLACES)}")
    if name == "here":
        yield Here(jobs)
        return
    from advdl.experiment.sweep.on_ray import RayPlace

    place = RayPlace(jobs)
    try:
        yield place
    finally:
        place.close()
