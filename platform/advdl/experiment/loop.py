"""The loop of a run, whole: train, log, evaluate, save, stop. Everything that happens is called from here."""

import contextlib
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from advdl.experiment.config import Experiment
from advdl.experiment.console import Console
from advdl.experiment.patience import Patience
from advdl.experiment.profiling import Profiler
from advdl.experiment.reports import Reports
from advdl.experiment.schema import Checkpoint, EarlyStopping, General, Log
from advdl.experiment.signals import StoppedError, StopRequest
from advdl.experiment.work import Work

if TYPE_CHECKING:
    from advdl.training.checkpoint import CheckpointStore


@dataclass(slots=True)
class Plan:
    """When what happens next, in steps; saved with each checkpoint, so that a resumed run keeps its rhythm."""

    next_log: int
    next_evaluation: int
    best_score: float | None = None
    best_step: int | None = None
    solved: bool = False
    early_stopping: Mapping[str, Any] = field(default_factory=dict)
    seconds: Mapping[str, float] = field(default_factory=dict)

    @property
    def over(self) -> bool:
        """Whether training has ended before its steps were made."""
        return self.solved or bool(self.early_stopping.get("stopped"))

    def go_on(self) -> None:
        """Forgets that training has ended: it is to go on all the same."""
        self.solved, self.early_stopping = False, {}

    def as_meta(self) -> dict[str, Any]:
        """Returns the plan as plain data."""
        return {name: getattr(self, name) for name in self.__slots__}


class Loop:
    """Runs a work from where it is to its end.

    Args:
        experiment: The resolved configuration.
        work: What is trained.
        store: The run's checkpoints.
        reports: Where metrics and evaluations go.
        console: Shows progress.
        plan: What happens next; None for a new run.
    """

    def __init__(
        self,
        experiment: Experiment,
        work: Work,
        store: "CheckpointStore",
        reports: Reports,
        console: Console,
        plan: Plan | None = None,
    ) -> None:
        self._work, self._store, self._reports, self._console = work, store, reports, console
        self._total = experiment.section(General).steps
        self._log, self._checkpoint = experiment.section(Log), experiment.section(Checkpoint)
        self._evaluate_every = experiment.get("evaluation.every") or self._total
        self.plan = plan or Plan(self._log.every, min(self._evaluate_every, self._total))
        self._patience = Patience(experiment.section(EarlyStopping), self.plan.early_stopping)
        self._watch = work.stopwatch
        self._watch.restore(self.plan.seconds)
        self._target = _target(experiment.get("evaluation.stop_at"), work.target)
        self._saved_at, self._save_seconds = time.monotonic(), 0.0
        self._profiler = Profiler(self._log.profile, reports.folder.path)

    def run(self, stop: StopRequest) -> None:
        """Trains until the steps are made, the target is reached or a signal comes.

        Raises:
            StoppedError: A signal came; the checkpoint is saved.
            DivergedError: Training produced a NaN or an infinity; the last checkpoint is intact.
            RunError: The env or the disk failed.
        """
        with contextlib.closing(self._profiler):
            self._train(stop)
        self.save()

    def _train(self, stop: StopRequest) -> None:
        while True:
            self._serve(stop)
            if stop.number is not None:
                self.save()
                hint = f"advdl runs resume {self._reports.folder.path}"
                raise StoppedError(stop.number, self._work.step, hint=hint)
            if self.plan.over or self._work.step >= self._total:
                break
            self._save_if_due()
            self._advance()

    def save(self) -> None:
        """Writes a checkpoint of this moment."""
        began = time.monotonic()
        step = self._work.step
        self.plan.seconds = self._watch.read()
        with self._watch.span("save"):
            folder = self._store.save(step, self._work.state(), self.plan.as_meta())
        self._saved_at = time.monotonic()
        self._save_seconds = self._saved_at - began
        self._console.checkpoint_saved()
        self._reports.checkpoint_saved(step, folder)

    def _advance(self) -> None:
        began, before = time.perf_counter(), self._work.step
        with self._watch.span("train"):
            self._profiler.advance(self._work, min(self.plan.next_log, self.plan.next_evaluation, self._total))
        after = self._work.step
        self._reports.spent(after - before, time.perf_counter() - began)
        self._console.update(after, value=self._work.metrics.peek(self._work.watched))

    def _serve(self, stop: StopRequest) -> None:
        """Does what is due. A stop postpones an evaluation: the plan in the checkpoint still has it."""
        step = self._work.step
        if step >= self.plan.next_log:
            self.plan.next_log = _after(step, self._log.every)
            with self._watch.span("log"):
                self._reports.metrics(step)
        if step >= self.plan.next_evaluation and stop.number is None:
            self._evaluate(step)

    def _evaluate(self, step: int) -> None:
        following = _after(step, self._evaluate_every)
        self.plan.next_evaluation = following if step >= self._total else min(following, self._total)
        with self._watch.span("evaluate"):
            verdict = self._reports.evaluated(step, self._work.judge("during"), kind="during")
        self._console.message(f"step {step:,}: {verdict.text}")
        self.plan.solved = self._target is not None and verdict.score >= self._target
        self.plan.early_stopping = self._patience.after(verdict)
        if self.plan.early_stopping.get("stopped"):
            self._console.message(self._patience.describe())
        if self.plan.best_score is None or verdict.score > self.plan.best_score:
            self.plan.best_score, self.plan.best_step = verdict.score, step
            if self._checkpoint.keep_best:
                self.save()
                self._store.protect(step)

    def _save_if_due(self) -> None:
        interval = max(self._checkpoint.every_seconds, self._save_seconds / self._checkpoint.max_share)
        if time.monotonic() - self._saved_at >= interval:
            self.save()


def _after(step: int, every: int) -> int:
    return (step // every + 1) * every


def _target(stop_at: str | float, threshold: float | None) -> float | None:
    if stop_at == "never":
        return None
    return threshold if stop_at == "solved" else float(stop_at)
