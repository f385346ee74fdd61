"""TensorBoardTracker: what a run reports, for TensorBoard."""

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated

import numpy as np
from annotated_types import Ge
from numpy.typing import NDArray

from advdl.plugin import Metrics, RunInfo
from advdl_tensorboard import summaries
from advdl_tensorboard.event_file import EventFile


class TensorBoardTracker:
    """Writes TensorBoard events into the run's folder, without TensorFlow.

    Metrics keep their names as tags (``loss/q``; a name without a group goes to ``train/``); evaluations
    become ``eval/return_mean`` and so on. A new run opens with its configuration as text, its row of the
    HPARAMS table and a layout for CUSTOM SCALARS. A resumed run goes on in a new file, and what was written
    after its checkpoint is hidden, so that the curve is that of a run that never stopped.

    Args:
        histograms: Whether to write histograms of the learner's variables.
        flush_seconds: Seconds that an event may wait before it is written to disk.
    """

    def __init__(self, *, histograms: bool = False, flush_seconds: Annotated[float, Ge(0)] = 2.0) -> None:
        self.histograms = histograms
        self._flush_seconds = flush_seconds
        self._events: EventFile | None = None

    def advdl_run_started(self, run: RunInfo) -> None:
        """Opens a new event file.

        Raises:
            OSError: The folder cannot be written.
        """
        purge_from = None if run.resumed_from is None else run.resumed_from + 1
        self._events = EventFile(run.folder, flush_seconds=self._flush_seconds, purge_from=purge_from)
        if run.resumed_from is None:
            options = dict(summaries.flatten(run.experiment))
            self._open.add(0, summaries.text("experiment", summaries.table(options)))
            self._open.add(0, summaries.session_start(options), summaries.layout())
            self._open.flush()

    def advdl_metrics(self, step: int, metrics: Metrics) -> None:
        """Writes scalars."""
        self._open.add(step, *(summaries.scalar(_tag(name), value) for name, value in metrics.items()))

    def advdl_evaluated(self, step: int, evaluation: Metrics) -> None:
        """Writes an evaluation's figures; what has been measured is worth writing at once."""
        values = (summaries.scalar("eval/" + name.replace("/", "_"), value) for name, value in evaluation.items())
        self._open.add(step, *values)
        self._open.flush()

    def advdl_histograms(self, step: int, arrays: Mapping[str, NDArray[np.generic]]) -> None:
        """Writes a histogram of each array."""
        if self.histograms:
            values = (summaries.histogram(f"variables/{name}", array) for name, array in arrays.items())
            self._open.add(step, *(value for value in values if value is not None))

    def advdl_images(self, step: int, images: Mapping[str, NDArray[np.uint8]]) -> None:
        """Writes pictures as PNG."""
        self._open.add(step, *(summaries.image(f"images/{name}", pixels) for name, pixels in images.items()))
        self._open.flush()

    def advdl_checkpoint_saved(self, step: int, folder: Path) -> None:
        """Writes what is pending: a run resumed from this checkpoint does not report it again."""
        del step, folder
        self._open.flush()

    def advdl_run_finished(self, status: str) -> None:
        """Closes the file.

        TensorBoard keeps the first end that a row of the HPARAMS table gets, so a run that can be resumed
        leaves it open.
        """
        events = self._open
        if status in ("done", "diverged"):
            events.add(0, summaries.session_end(succeeded=status == "done"))
        events.close()

    @property
    def _open(self) -> EventFile:
        if self._events is None:
            raise RuntimeError("advdl_run_started has not been called")
        return self._events


def _tag(name: str) -> str:
    return name if "/" in name else f"train/{name}"
