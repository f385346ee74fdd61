"""What is done about the trials that a sweep was in the middle of when it ended."""

import time
from typing import TYPE_CHECKING, Any

from advdl.errors import AdvdlError, UsageError
from advdl.experiment.run_folder import RunFolder
from advdl.experiment.sweep.objective import progress, worth
from advdl.experiment.sweep.results import TrialTrackers
from advdl.experiment.sweep.spec import SweepFolder, SweepSpec
from advdl.experiment.sweep.study import quiet
from advdl.experiment.sweep.trial import evaluations, tagged_run

if TYPE_CHECKING:
    from optuna import Study
    from optuna.trial import FrozenTrial

RETRIES, RESUMES, PROBLEM, RUN, REACHED, FAILED = "retries", "resumes", "problem", "run", "reached", "failed"
"""Facts of a trial that Optuna keeps for us, by name."""

INTERRUPTED = "the sweep was stopped"
_PATIENCE = 120.0


def recover(study: "Study", folder: SweepFolder, spec: SweepSpec, trackers: TrialTrackers) -> list[str]:
    """Settles the trials that were running: what has ended counts; what has not is tried again, from its checkpoint.

    Args:
        study: Optuna's.
        folder: The sweep, whose lock this process holds.
        spec: What it is.
        trackers: Told of the trials that have ended.

    Returns:
        A sentence for each.

    Raises:
        UsageError: A trial's run is still in use.
    """
    from optuna.trial import TrialState

    with quiet():
        return [
            _settle(study, folder, spec, trial, trackers) for trial in study.get_trials(states=(TrialState.RUNNING,))
        ]


def run_of(folder: SweepFolder, trial: "FrozenTrial") -> RunFolder | None:
    """Returns the run of a trial, where it has one."""
    known = trial.user_attrs.get(RUN)
    if known is not None:
        return RunFolder(folder.root / known)
    return tagged_run(folder.root, [folder.tag, f"trial={trial.number}"])


def _settle(study: "Study", folder: SweepFolder, spec: SweepSpec, trial: "FrozenTrial", trackers: TrialTrackers) -> str:
    import optuna

    run = run_of(folder, trial)
    status = _status_at_rest(run) if run else "interrupted"
    live = optuna.trial.Trial(study, trial._trial_id)
    if run is not None:
        live.set_user_attr(RUN, str(run.path.relative_to(folder.root)))
    if run is not None and status == "done":
        found = worth(spec, evaluations(run))
        for index, value in enumerate(progress(spec, evaluations(run)), start=1):
            if index not in trial.intermediate_values:
                live.report(value, index)
        if found is not None:
            live.set_user_attr(REACHED, found.reached)
            trackers.ended(trial.number, trial.params, "done", found.value)
            study.tell(trial.number, found.value)
            return f"trial {trial.number} had ended; it counts"
    if status in ("failed", "diverged", "done"):
        live.set_user_attr(PROBLEM, run.record().error if run else status)
        live.set_user_attr(FAILED, True)
        study.tell(trial.number, state=optuna.trial.TrialState.FAIL)
        return f"trial {trial.number} had failed"
    _try_again(study, folder, trial, run)
    live.set_user_attr(PROBLEM, INTERRUPTED)
    study.tell(trial.number, state=optuna.trial.TrialState.FAIL)
    return f"trial {trial.number} was interrupted; its settings are tried again"


def _try_again(study: "Study", folder: SweepFolder, trial: "FrozenTrial", run: RunFolder | None) -> None:
    """Makes the same settings wait; once, should this be interrupted too."""
    if any(other.user_attrs.get(RETRIES) == trial.number for other in study.get_trials(deepcopy=False)):
        return
    facts: dict[str, Any] = {RETRIES: trial.number}
    if run is not None and any(run.checkpoints.glob("step-*")):
        facts[RESUMES] = str(run.path.relative_to(folder.root))
    if trial.params:
        study.enqueue_trial(trial.params, user_attrs=facts)


def _status_at_rest(run: RunFolder) -> str:
    """Returns how a run stands once its process, which ends with its sweep, is gone."""
    deadline = time.monotonic() + _PATIENCE
    try:
        while run.status() == "running":
            if time.monotonic() > deadline:
                raise UsageError(f"run {run.id} of this sweep is still in use", hint="wait for it, or stop it")
            time.sleep(0.2)
        return run.status()
    except AdvdlError:
        if time.monotonic() > deadline:
            raise
        return "interrupted"
