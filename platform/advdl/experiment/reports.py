"""Reports: what a run writes about itself, into its folder and to its trackers."""

from pathlib import Path

from advdl.experiment.metered import metered
from advdl.experiment.run_folder import RunFolder
from advdl.experiment.work import Verdict, Work
from advdl.plugin.run_hooks import RunDispatcher
from advdl.plugin.run_metrics import RunMetrics
from advdl.plugin.tracker import RunInfo


class Reports:
    """Writes ``metrics.jsonl`` and ``evaluations.jsonl`` and tells the trackers.

    Args:
        folder: The run's folder.
        hooks: The trackers.
        run: What the trackers may know.
        work: What is trained.
        metrics: What is asked for further figures of an evaluation.
    """

    def __init__(self, folder: RunFolder, hooks: RunDispatcher, run: RunInfo, work: Work, metrics: RunMetrics) -> None:
        self.folder = folder
        self._run_metrics = metrics
        self._hooks, self._run, self._work = hooks, run, work
        self._speed = f"time/{work.unit.replace(' ', '_')}_per_second"
        self._steps, self._seconds = 0, 0.0

    def started(self) -> None:
        """The run begins or goes on."""
        self._hooks.started(self._run)

    def spent(self, steps: int, seconds: float) -> None:
        """Takes note of training time, for the speed among the metrics."""
        self._steps += steps
        self._seconds += seconds

    def metrics(self, step: int) -> None:
        """Writes the interval's means and begins the next interval."""
        figures = self._work.metrics.read()
        self._work.metrics.reset()
        if self._seconds > 0:
            figures[self._speed] = self._steps / self._seconds
        self._steps, self._seconds = 0, 0.0
        self.folder.append_metrics(step, figures)
        self._hooks.metrics(self._run, step, figures)
        if self._hooks.wants_histograms:
            self._hooks.histograms(self._run, step, self._work.weights())

    def evaluated(self, step: int, verdict: Verdict, *, kind: str) -> Verdict:
        """Writes an evaluation, the run's metrics among it: ``kind`` is ``"during"`` or ``"final"``.

        Returns:
            The verdict with the metrics' figures.
        """
        verdict = metered(verdict, self._run_metrics)
        facts = {"score": verdict.score, "text": verdict.text, "time/seconds": self._work.stopwatch.total}
        self.folder.append_evaluation(step, {"kind": kind, **verdict.figures, **verdict.details, **facts})
        if kind == "during":
            self._hooks.evaluated(self._run, step, verdict.figures)
        if verdict.images:
            self._hooks.images(self._run, step, verdict.images)
        return verdict

    def checkpoint_saved(self, step: int, folder: Path) -> None:
        """Tells the trackers."""
        self._hooks.checkpoint_saved(self._run, step, folder)

    def finished(self, status: str, error: str = "") -> None:
        """Tells the trackers that the run ended."""
        self._hooks.finished(self._run, status, error)
