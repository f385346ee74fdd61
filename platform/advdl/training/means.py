"""Means: means of scalars over an interval, in plain Python, for loops that are not compiled."""

from collections.abc import Mapping
from typing import Any


class Means:
    """Sums and counts by name; the plain counterpart of ``RunningMeans``."""

    def __init__(self) -> None:
        self._sums: dict[str, float] = {}
        self._counts: dict[str, float] = {}

    def add(self, name: str, value: float, weight: float = 1.0) -> None:
        """Adds ``value``, already multiplied by its weight, to a mean."""
        self._sums[name] = self._sums.get(name, 0.0) + value
        self._counts[name] = self._counts.get(name, 0.0) + weight

    def read(self) -> dict[str, float]:
        """Returns the means of the interval; a name that got no weight is left out."""
        return {name: self._sums[name] / count for name, count in self._counts.items() if count > 0}

    def peek(self, name: str) -> float | None:
        """Returns one mean of the interval so far, or None if it got no weight."""
        count = self._counts.get(name, 0.0)
        return self._sums[name] / count if count else None

    def reset(self) -> None:
        """Starts a new interval."""
        self._sums.clear()
        self._counts.clear()

    def facts(self) -> dict[str, list[float]]:
        """Returns sums and counts by name, for a checkpoint's plain facts."""
        return {name: [self._sums[name], count] for name, count in self._counts.items()}

    def restore(self, facts: Mapping[str, Any]) -> None:
        """Takes back what ``facts`` returned."""
        self._sums = {name: float(pair[0]) for name, pair in facts.items()}
        self._counts = {name: float(pair[1]) for name, pair in facts.items()}
