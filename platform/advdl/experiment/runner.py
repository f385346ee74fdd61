"""Runs: begin one, go on with one."""

import contextlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from advdl.errors import AdvdlError, DivergedError, ExitCode, UsageError
from advdl.experiment.config import Experiment
from advdl.experiment.console import Console
from advdl.experiment.error_log import write_error_log
from advdl.experiment.loop import Loop, Plan
from advdl.experiment.metered import run_metrics
from advdl.experiment.next_commands import next_commands
from advdl.experiment.reports import Reports
from advdl.experiment.run_folder import RunFolder
from advdl.experiment.schema import Checkpoint, General
from advdl.experiment.signals import StoppedError, StopRequest
from advdl.experiment.transfer import start_backbone
from advdl.experiment.work import Verdict, Work, build_work
from advdl.plugin.run_hooks import RunDispatcher
from advdl.plugin.tracker import RunInfo

if TYPE_CHECKING:
    from advdl.plugin.host import PluginHost


@dataclass(frozen=True, slots=True)
class Outcome:
    """How a run ended.

    Attributes:
        folder: The run's folder.
        step: Steps made.
        verdict: The final evaluation, on episodes or data that training never saw.
        kept_step: The step whose checkpoint was evaluated: the best one, or the last.
    """

    folder: RunFolder
    step: int
    verdict: Verdict
    kept_step: int


Start = Callable[[Work, Experiment, "PluginHost"], str]
"""Fills what is about to be trained, and says so in a sentence; an empty one says nothing."""


def begin(
    experiment: Experiment,
    new_folder: Callable[[], RunFolder],
    host: "PluginHost",
    console: Console,
    start: Start = start_backbone,
) -> Outcome:
    """Trains a new run from its first step to its end, and evaluates what it has learnt.

    Args:
        experiment: What the run is to do.
        new_folder: Makes its folder; called once nothing is found to be refused.
        host: The plugins.
        console: Shows progress.
        start: Where the weights come from, if not from chance.

    Raises:
        AdvdlError: The run could not be built, failed, diverged or was stopped; ``run.json`` says so too.
    """
    work = build_work(experiment, host)
    folder = new_folder()
    console.message(f"run {folder.path}")
    with folder.lock(), _recorded(folder):
        work.keep(folder.path)
        run = _Run(experiment, folder, work, host, console)
        started = start(work, experiment, host)
        if started:
            console.message(started)
        return run.go(plan=None, resumed_from=None)


def resume(folder: Path, *, steps: int | None, host: "PluginHost", console: Console) -> int:
    """Goes on with a run from its newest sound checkpoint, exactly as if it had never stopped.

    Args:
        folder: The run's folder.
        steps: Train up to this many steps, or None for what was planned.
        host: The plugins.
        console: Shows progress.

    Raises:
        UsageError: The run is done, is in use, or has no checkpoint.
        CorruptError: No checkpoint is sound.
    """
    run_folder = RunFolder(folder)
    with run_folder.lock():
        experiment = run_folder.experiment(host)
        if steps is not None:
            experiment = experiment.with_steps(steps)
        elif run_folder.status() == "done":
            longer = next_commands(run_folder, done=True)["resume"]
            raise UsageError(f"run {run_folder.id} is done", hint=f"to train longer: {longer}")
        with _recorded(run_folder):
            run = _Run(experiment, run_folder, build_work(experiment, host, folder), host, console)
            run.go_on(longer=steps is not None)
    return int(ExitCode.DONE)


class _Run:
    """One process' work on a run."""

    def __init__(
        self, experiment: Experiment, folder: RunFolder, work: Work, host: "PluginHost", console: Console
    ) -> None:
        self._experiment, self._folder, self._work = experiment, folder, work
        self._host, self._console = host, console
        self._checkpoint = experiment.section(Checkpoint)
        with work.stopwatch.span("build"):
            work.build()
        self._store = work.store(folder.checkpoints, keep_last=self._checkpoint.keep_last)

    def go_on(self, *, longer: bool) -> Outcome:
        """Restores the newest sound checkpoint and drops what was written after it."""
        restored = self._store.restore(self._work.state(), warn=self._console.message)
        step, plan = restored.step, Plan(**restored.meta)
        if longer:
            plan.go_on()
            self._folder.replace_experiment(self._experiment)
        self._folder.truncate_metrics(step)
        # What the plan still has is made again: an evaluation that is due, or the final one of a run that had ended.
        ended = plan.over or step >= self._experiment.section(General).steps
        self._folder.truncate_evaluations(min(step, plan.next_evaluation - 1), final=not ended)
        # It may have been stopped before the mark was set.
        if self._checkpoint.keep_best and plan.best_step in self._store.steps():
            self._store.protect(plan.best_step)
        return self.go(plan=plan, resumed_from=step)

    def go(self, plan: Plan | None, resumed_from: int | None) -> Outcome:
        """Trains to the end, then evaluates what is kept."""
        reports = self._reports(resumed_from)
        loop = Loop(self._experiment, self._work, self._store, reports, self._console, plan)
        reports.started()
        with self._timed(), _told(reports):
            with StopRequest().watching() as stop:
                if plan is None:
                    loop.save()  # a run that is killed in its first second can be resumed too
                loop.run(stop)
            return self._finish(reports, loop.plan)

    def _finish(self, reports: Reports, plan: Plan) -> Outcome:
        step = self._work.step
        chosen = plan.best_step if self._checkpoint.keep_best else None
        if chosen not in self._store.steps():  # damaged and pruned since: the last one is what there is
            chosen = None
        if chosen is not None and chosen != step:
            self._store.restore(self._work.learnt(), chosen, partial=True)
        with self._work.stopwatch.span("evaluate"):
            verdict = reports.evaluated(step, self._work.judge("final"), kind="final")
        return Outcome(self._folder, step, verdict, step if chosen is None else chosen)

    @contextlib.contextmanager
    def _timed(self) -> Iterator[None]:
        """Writes where the time went, however the run ends."""
        try:
            yield
        finally:
            with contextlib.suppress(AdvdlError, OSError):
                self._folder.write_seconds(self._work.stopwatch.read())

    def _reports(self, resumed_from: int | None) -> Reports:
        trackers = {name: self._host.build("tracker", raw) for name, raw in self._experiment.trackers.items()}
        hooks = RunDispatcher(self._host.run_implementations(), trackers, self._console.message)
        run = RunInfo(self._folder.path, self._folder.id, self._experiment.data, resumed_from)
        metrics = run_metrics(self._experiment, self._host, self._console.message)
        return Reports(self._folder, hooks, run, self._work, metrics)


@contextlib.contextmanager
def _recorded(folder: RunFolder) -> Iterator[None]:
    """Keeps ``run.json`` true to what happens to the run."""
    folder.write_status("running")
    try:
        yield
    except BaseException as error:
        status = _status_of(error)
        with contextlib.suppress(AdvdlError, OSError):  # a full disk must not hide what filled it
            folder.write_status(status, step=_last_step(folder), error=str(error))
        if status != "interrupted":
            write_error_log(folder.path, error)
        raise
    folder.write_status("done", step=_last_step(folder))


@contextlib.contextmanager
def _told(reports: Reports) -> Iterator[None]:
    """Tells the trackers how the run ended."""
    try:
        yield
    except BaseException as error:
        reports.finished(_status_of(error), str(error))
        raise
    reports.finished("done")


def _status_of(error: BaseException) -> Any:
    if isinstance(error, DivergedError):
        return "diverged"
    return "interrupted" if isinstance(error, StoppedError | KeyboardInterrupt) else "failed"


def _last_step(folder: RunFolder) -> int | None:
    from advdl.training.checkpoint import CheckpointStore

    steps = CheckpointStore(folder.checkpoints).steps()
    return steps[-1] if steps else None
