"""Reports: what a run writes about itself, into its folder and to its trackers."""

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from advdl.experiment.run_folder import RunFolder
from advdl.plugin.run_hooks import RunDispatcher
from advdl.plugin.tracker import RunInfo

if TYPE_CHECKING:
    from advdl.rl.evaluation import Evaluation
    from advdl.training.learner import Learner
    from advdl.training.metrics import RunningMeans


class Reports:
    """Writes ``metrics.jsonl`` and ``evaluations.jsonl`` and tells the trackers.

    Args:
        folder: The run's folder.
        hooks: The trackers.
        run: What the trackers may know.
        learner: Whose variables go into histograms.
    """

    def __init__(self, folder: RunFolder, hooks: RunDispatcher, run: RunInfo, learner: "Learner") -> None:
        self.folder = folder
        self._hooks, self._run, self._learner = hooks, run, learner
        self._steps, self._seconds = 0, 0.0

    def started(self) -> None:
        """The run begins or goes on."""
        self._hooks.started(self._run)

    def spent(self, steps: int, seconds: float) -> None:
        """Takes note of training time, for ``time/env_steps_per_second``."""
        self._steps += steps
        self._seconds += seconds

    def metrics(self, step: int, means: "RunningMeans") -> None:
        """Writes the interval's means and begins the next interval."""
        figures = means.read()
        means.reset()
        if self._seconds > 0:
            figures["time/env_steps_per_second"] = self._steps / self._seconds
        self._steps, self._seconds = 0, 0.0
        self.folder.append_metrics(step, figures)
        self._hooks.metrics(self._run, step, figures)
        if self._hooks.wants_histograms:
            self._hooks.histograms(self._run, step, self._arrays())

    def evaluated(self, step: int, evaluation: "Evaluation", *, kind: str) -> dict[str, float]:
        """Writes an evaluation: ``kind`` is ``"during"`` or ``"final"``."""
        figures = evaluation.figures()
        self.folder.append_evaluation(step, {"kind": kind, **figures, "returns": evaluation.returns.tolist()})
        if kind == "during":
            self._hooks.evaluated(self._run, step, figures)
        return figures

    def checkpoint_saved(self, step: int, folder: Path) -> None:
        """Tells the trackers."""
        self._hooks.checkpoint_saved(self._run, step, folder)

    def finished(self, status: str, error: str = "") -> None:
        """Tells the trackers that the run ended."""
        self._hooks.finished(self._run, status, error)

    def _arrays(self) -> Mapping[str, Any]:
        return {
            f"{name}/{variable.path}": variable.numpy()
            for name, model in self._learner.models.items()
            for variable in model.trainable_variables
        }
