"""RunMetrics: asks the metrics of a run for their figures, and shields the run from them."""

from collections.abc import Callable, Mapping
from typing import Any

from advdl.plugin.isolation import reason
from advdl.plugin.metric import Metric, Samples

PREFIX = "metric"
"""What the names of the figures begin with, so that none takes the place of another figure."""


class RunMetrics:
    """The metrics of one run.

    Whatever one of them raises (``SystemExit`` too), or returns that is no number, is reported once, and that one is
    switched off for the rest of the run. ``KeyboardInterrupt`` passes through.

    Args:
        metrics: The run's metrics by name.
        warn: Takes one sentence about what went wrong.
    """

    def __init__(self, metrics: Mapping[str, Metric], warn: Callable[[str], None]) -> None:
        self._metrics, self._warn = dict(metrics), warn

    def figures(self, samples: Samples) -> dict[str, float]:
        """Returns every figure by its full name, such as ``metric/quantile``."""
        figures: dict[str, float] = {}
        for name, metric in list(self._metrics.items()):
            try:
                figures |= named(name, metric(samples))
            except (Exception, SystemExit) as error:
                del self._metrics[name]
                self._warn(f"metric {name!r} is switched off for this run: {reason(error)}")
        return figures


def named(name: str, result: Any) -> dict[str, float]:
    """Names what a metric returned.

    Raises:
        TypeError: It is neither a number nor numbers by name.
    """
    if isinstance(result, Mapping):
        return {f"{PREFIX}/{name}/{key}": _number(value) for key, value in result.items()}
    return {f"{PREFIX}/{name}": _number(result)}


def _number(value: Any) -> float:
    if isinstance(value, str | bytes) or getattr(value, "ndim", False):
        raise TypeError(f"it returned {value!r}, which is no number")
    return float(value)
