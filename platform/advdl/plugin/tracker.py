"""Tracker: what a run reports to, through the lifecycle hooks. TensorBoard is one."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    import numpy as np

Metrics = Mapping[str, float]
"""Scalars by name; a ``/`` groups them, as in ``loss/q``."""


@dataclass(frozen=True, slots=True)
class RunInfo:
    """What a tracker may know of a run.

    Attributes:
        folder: The run's folder.
        id: The run's id, the folder's last part.
        experiment: The fully resolved configuration, as plain data.
        resumed_from: The step that a resumed run goes on from, or None for a new run.
    """

    folder: Path
    id: str
    experiment: Mapping[str, Any]
    resumed_from: int | None = None


class Tracker(Protocol):
    """Receives what a run reports. Every method is optional; each is called through the hook of its name.

    A tracker is built once a run, with its options as keyword-only arguments. What it raises is reported
    once and switches it off; the run goes on.

    Attributes:
        histograms: Whether the tracker wants ``advdl_histograms``; optional, false when it is not there.
            Variables are only gathered when a tracker wants them.
    """

    histograms: bool = False

    def advdl_run_started(self, run: RunInfo) -> None:
        """The run is about to make its first step, or to go on from ``run.resumed_from``."""

    def advdl_metrics(self, run: RunInfo, step: int, metrics: Metrics) -> None:
        """Scalars of the interval that ended at env step (or update) ``step``."""

    def advdl_evaluated(self, run: RunInfo, step: int, evaluation: Metrics) -> None:
        """An evaluation: ``return/mean``, ``return/std``, ``return/iqm``, ``return/low``, ..."""

    def advdl_images(self, run: RunInfo, step: int, images: "Mapping[str, np.ndarray]") -> None:
        """Pictures of an evaluation by name, each uint8 ``[height, width, 3]``."""

    def advdl_histograms(self, run: RunInfo, step: int, arrays: "Mapping[str, np.ndarray]") -> None:
        """The learner's variables at ``step``, by name."""

    def advdl_checkpoint_saved(self, run: RunInfo, step: int, folder: Path) -> None:
        """A checkpoint has been published in ``folder``."""

    def advdl_run_finished(self, run: RunInfo, status: str, error: str) -> None:
        """The run ended; ``status`` is ``"done"``, ``"failed"``, ``"diverged"`` or ``"interrupted"``."""
