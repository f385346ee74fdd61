"""The search: trials in processes of their own, side by side; what they find goes to Optuna."""

import contextlib
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from advdl.errors import AdvdlError, RunError
from advdl.experiment.run_folder import RunFolder
from advdl.experiment.signals import StopRequest
from advdl.experiment.sweep.objective import Worth, progress, worth
from advdl.experiment.sweep.places import Here, Place
from advdl.experiment.sweep.recover import FAILED, PROBLEM, REACHED, RESUMES, RUN, recover
from advdl.experiment.sweep.results import TrialTrackers
from advdl.experiment.sweep.space import setting
from advdl.experiment.sweep.spec import SweepFolder, SweepSpec
from advdl.experiment.sweep.study import ask, enqueue_grid
from advdl.experiment.sweep.trial import RunningTrial, evaluations, tagged_run

if TYPE_CHECKING:
    from optuna import Study, Trial
    from optuna.trial import FrozenTrial

_POLL = 0.1
_HOPELESS = 3
_ENDS = 120.0
_CLOCKS_DIFFER = 2.0


@dataclass(slots=True)
class _Live:
    """A trial that is running."""

    trial: "Trial"
    process: RunningTrial
    began: float
    folder: RunFolder | None = None
    pruned: bool = False
    reported: int = 0
    found: list[Any] = field(default_factory=list)


class Search:
    """Makes trials until there are enough.

    Args:
        study: Optuna's.
        folder: The sweep, whose lock this process holds.
        spec: What it is.
        trackers: Told of each trial that has ended.
        jobs: Trials at a time.
        place: Where trials run; this machine when None.
        say: Told what happens.
    """

    def __init__(
        self,
        study: "Study",
        folder: SweepFolder,
        spec: SweepSpec,
        trackers: TrialTrackers,
        *,
        jobs: int = 1,
        place: Place | None = None,
        say: Callable[[str], None],
    ) -> None:
        self._study, self._folder, self._spec, self._trackers = study, folder, spec, trackers
        self._jobs, self._say = jobs, say
        self._place = place or Here(jobs)
        self._live: list[_Live] = []

    def run(self, trials: int, stop: StopRequest) -> None:
        """Goes on until ``trials`` have been finished, those of earlier processes among them.

        A stop stops the trials too; each saves a checkpoint, from which the sweep goes on.

        Raises:
            RunError: The first trials all failed.
        """
        for sentence in recover(self._study, self._folder, self._spec, self._trackers):
            self._say(sentence)
        if self._spec.sampler == "grid":
            enqueue_grid(self._study, self._spec)
        try:
            while stop.number is None:
                for live in list(self._live):
                    self._serve(live)
                self._refuse_the_hopeless()
                while len(self._live) < self._jobs and self.finished + len(self._live) < trials:
                    self._begin()
                if not self._live:
                    return
                time.sleep(_POLL)
            self._end_all()
        finally:
            for live in self._live:
                live.process.kill()

    @property
    def finished(self) -> int:
        """Trials that have ended, however they did."""
        return sum(is_finished(trial) for trial in self._study.get_trials(deepcopy=False))

    def _begin(self) -> None:
        trial = ask(self._study, self._spec)
        resumes = trial.user_attrs.get(RESUMES)
        words = self._words(trial)
        if resumes is not None:
            words = ["runs", "resume", str(self._folder.root / resumes), "--quiet", "--json"]
        log = self._folder.trials / f"{trial.number:04d}.log"
        live = _Live(trial, self._place.start(words, log), time.time())
        if resumes is not None:
            self._found(live, RunFolder(self._folder.root / resumes))
        self._live.append(live)
        self._say(f"trial {trial.number} begins{' from its checkpoint' if resumes else ''}: {described(trial.params)}")

    def _words(self, trial: "Trial") -> list[str]:
        settings = dict(trial.params)
        words = trial_words(self._spec, settings)
        marks = (self._folder.tag, f"trial={trial.number}")
        words += [word for mark in marks for word in ("--tag", mark)]
        return [*words, "--runs-dir", str(self._folder.root), "--quiet", "--json"]

    def _serve(self, live: _Live) -> None:
        """Reads what a trial has found, stops it where it does badly, and settles it when it has ended."""
        ended = live.process.code is not None
        self._read(live)
        if not ended and not live.pruned and self._does_badly(live):
            live.pruned = True
            live.process.stop()
        if ended:
            self._live.remove(live)
            self._settle(live)

    def _read(self, live: _Live) -> None:
        if live.folder is None:
            marks = (self._folder.tag, f"trial={live.trial.number}")
            folder = tagged_run(self._folder.root, marks, since=live.began - _CLOCKS_DIFFER)
            if folder is None:
                return
            self._found(live, folder)
        assert live.folder is not None
        with contextlib.suppress(AdvdlError):  # damaged: the run itself will say so
            live.found = evaluations(live.folder)

    def _found(self, live: _Live, folder: RunFolder) -> None:
        live.folder = folder
        live.trial.set_user_attr(RUN, str(folder.path.relative_to(self._folder.root)))

    def _does_badly(self, live: _Live) -> bool:
        values = progress(self._spec, live.found)
        for index, value in enumerate(values[live.reported :], start=live.reported + 1):
            live.trial.report(value, index)
            live.reported = index
            if live.trial.should_prune():
                return True
        return False

    def _settle(self, live: _Live) -> None:
        from optuna.trial import TrialState

        value = worth(self._spec, live.found)
        if live.process.code == 0 and value is not None:
            self._does_badly(live)  # what it found in its last moments is reported too
            live.trial.set_user_attr(REACHED, value.reached)
            self._tell(live, "done", value)
            self._study.tell(live.trial, value.value)
        elif live.pruned and live.process.was_stopped:
            self._tell(live, "pruned", None)
            self._study.tell(live.trial, state=TrialState.PRUNED)
        else:
            problem = live.process.problem() if live.process.code else "it was never evaluated"
            live.trial.set_user_attr(PROBLEM, problem)
            live.trial.set_user_attr(FAILED, True)
            self._tell(live, "failed", None, problem)
            self._study.tell(live.trial, state=TrialState.FAIL)

    def _tell(self, live: _Live, status: str, value: Worth | None, problem: str = "") -> None:
        number = live.trial.number
        self._trackers.ended(number, live.trial.params, status, value.value if value else None, problem)
        what = f"{value.value:.6g}" if value else status
        short = " (target not reached)" if value and value.reached is False else ""
        run = live.folder.id if live.folder else "no run"
        self._say(f"trial {number}: {what}{short}{': ' + problem if problem else ''} [{run}]")

    def _refuse_the_hopeless(self) -> None:
        """Ends a sweep whose first trials all failed: the next ones would too."""
        trials = [trial for trial in self._study.get_trials(deepcopy=False) if is_finished(trial)]
        if len(trials) >= _HOPELESS and all(trial.user_attrs.get(FAILED) for trial in trials) and not self._live:
            raise RunError(
                f"the first {len(trials)} trials failed: {trials[-1].user_attrs.get(PROBLEM)}",
                hint=f"what they said is in {self._folder.trials}",
            )

    def _end_all(self) -> None:
        for live in self._live:
            live.process.stop()
        for live in self._live:
            live.process.wait(_ENDS)
            self._read(live)


def trial_words(spec: SweepSpec, params: dict[str, Any]) -> list[str]:
    """Returns the command that trains with these settings; what follows ``advdl``."""
    sets = {key: setting(value) for key, value in params.items()}
    if spec.target is not None:
        sets["evaluation.stop_at"] = repr(spec.target)
    return [*spec.command, *(word for key, value in sets.items() for word in ("--set", f"{key}={value}"))]


def corners(spec: SweepSpec) -> list[list[str]]:
    """Returns commands in which every end of a range, and every choice, stands at least once."""
    ends = {key: dimension.ends() for key, dimension in spec.space.items()}
    longest = max(len(values) for values in ends.values())
    return [
        [*trial_words(spec, {key: values[min(index, len(values) - 1)] for key, values in ends.items()})]
        for index in range(longest)
    ]


def is_finished(trial: "FrozenTrial") -> bool:
    """Whether a trial counts: one that was interrupted does not, it is tried again."""
    from optuna.trial import TrialState

    if trial.state == TrialState.FAIL:
        return bool(trial.user_attrs.get(FAILED))
    return trial.state in (TrialState.COMPLETE, TrialState.PRUNED)


def described(params: dict[str, Any]) -> str:
    """Says a trial's settings in one line."""
    return ", ".join(
        f"{key} {value if isinstance(value, str) else format(value, '.6g')}" for key, value in params.items()
    )
