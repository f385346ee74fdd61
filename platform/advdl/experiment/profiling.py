"""Profiling: a TensorBoard profile of a window of updates."""

from pathlib import Path
from typing import Protocol, runtime_checkable

from advdl.experiment.work import Work


@runtime_checkable
class CountsUpdates(Protocol):
    """Work whose steps are not updates."""

    @property
    def updates(self) -> int:
        """Updates made so far."""


class Profiler:
    """Advances a work, and profiles it from one update to another.

    Up to the end of the window a call of the training program makes one step, so that the window is met exactly and
    each step is an event of its own. How a run is cut into calls changes nothing of its result.

    Args:
        window: ``FIRST:LAST`` in updates, or an empty string for no profile.
        folder: The run's folder, where TensorBoard looks for profiles.
    """

    def __init__(self, window: str, folder: Path) -> None:
        first, _, last = window.partition(":")
        self._first, self._last = int(first or 0), int(last or 0)
        self._folder, self._running = folder, False

    def advance(self, work: Work, until: int) -> None:
        """Trains, never past the step ``until``."""
        made = _updates(work)
        if made >= self._last:
            self.close()
            work.advance(until)
            return
        if made >= self._first and not self._running:
            self._start()
        work.advance(min(until, work.step + 1))

    def close(self) -> None:
        """Writes the profile if there is one under way."""
        if self._running:
            import tensorflow as tf

            tf.profiler.experimental.stop()
            self._running = False

    def _start(self) -> None:
        import tensorflow as tf

        tf.profiler.experimental.start(str(self._folder))
        self._running = True


def _updates(work: Work) -> int:
    return work.updates if isinstance(work, CountsUpdates) else work.step
