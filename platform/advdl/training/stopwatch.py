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

    def read(self) -> Mapping[str, float]:
        """Returns the seconds by name, the largest first."""
        return dict(sorted(self._seconds.items(), key=lambda item: -item[1]))

    def describe(self) -> str:
        """Says the shares in one line, such as ``"train 91%, evaluate 8%, save 1%"``."""
        whole = sum(self._seconds.values())
        return ", ".join(f"{name} {seconds / whole:.0%}" for name, seconds in self.read().items()) if whole else ""
