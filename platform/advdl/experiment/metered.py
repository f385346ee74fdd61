"""What a run's metrics add to a verdict."""

from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING

from advdl.experiment.config import Experiment
from advdl.experiment.work import Verdict
from advdl.plugin.run_metrics import RunMetrics

if TYPE_CHECKING:
    from advdl.plugin.host import PluginHost


def run_metrics(experiment: Experiment, host: "PluginHost", warn: Callable[[str], None]) -> RunMetrics:
    """Builds the metrics that an experiment asks for."""
    built = {name: host.build("metric", raw) for name, raw in experiment.metrics.items()}
    return RunMetrics(built, warn)


def metered(verdict: Verdict, metrics: RunMetrics) -> Verdict:
    """Adds the metrics' figures to a verdict that says what its samples are."""
    figures = metrics.figures(verdict.samples) if verdict.samples is not None else {}
    if not figures:
        return verdict
    words = ", ".join(f"{name.partition('/')[2]} {value:.4g}" for name, value in figures.items())
    return replace(verdict, figures={**verdict.figures, **figures}, text=f"{verdict.text}; {words}")
