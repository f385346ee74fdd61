"""Stopwatch: where a run's time went."""

import contextlib
import time
from collections.abc import Callable, Iterator, Mapping


class Stopwatch:
    """Adds up seconds by what they were spent on.

    Time within a span that is itself within a span counts for the inner one alone, so that the sums add up.

    Args:
        clock: Gives seconds that only grow.
    """

    def __init__(self, clock: Callable[[], float] = time.perf_counter) -> None:
        self._clock = clock
        self._seconds: dict[str, float] = {}
        self._inner = 0.0

    @contextlib.contextmanager
    def span(self, name: str) -> Iterator[None]:
        """Counts the time of a ``with`` block for ``name``."""
        outer, self._inner = self._inner, 0.0
        began = self._clock()
        try:
            yield
        finally:
            whole = self._clock() - began
            self._seconds[name] = self._seconds.get(name, 0.0) + whole - self._inner
            self._inner = outer + whole

    def add(self, name: str, seconds: float) -> None:
        """Counts seconds that were measured elsewhere; within a span, as an inner span's."""
        self._seconds[name] = self._seconds.get(name, 0.0) + seconds
        self._inner += seconds

    def restore(self, seconds: Mapping[str, float]) -> None:
        """Adds what ``read`` gave in an earlier process."""
        for name, value in seconds.items():
            self._seconds[name] = self._seconds.get(name, 0.0) + value

    @property
    def total(self) -> float:
        """All seconds that were counted."""
        return sum(self._seconds.values())

    def read(self) -> dict[str, float]:
        """Returns the seconds by name, the largest first."""
        return dict(sorted(self._seconds.items(), key=lambda item: -item[1]))

    def describe(self) -> str:
        """Says the shares in one line, such as ``"train 91%, evaluate 8%, save 1%"``."""
        return shares(self.read())


def shares(seconds: Mapping[str, float]) -> str:
    """Says shares of the whole in one line, the largest first; an empty line where nothing was counted."""
    whole = sum(seconds.values())
    largest = sorted(seconds.items(), key=lambda item: -item[1])
    return ", ".join(f"{name} {value / whole:.0%}" for name, value in largest) if whole else ""
