"""Writes a run that was not trained here: one checkpoint, and what it is worth."""

from advdl.experiment.config import Experiment
from advdl.experiment.loop import Plan
from advdl.experiment.run_folder import RunFolder
from advdl.experiment.runner import Outcome
from advdl.experiment.schema import General
from advdl.experiment.work import Verdict, Work


def publish(folder: RunFolder, work: Work, experiment: Experiment, *, before: Verdict | None = None) -> Outcome:
    """Writes the only checkpoint of a run that is done, and its evaluation.

    Args:
        folder: The run's folder; locked.
        work: What it holds.
        experiment: Its configuration.
        before: What it was worth before it became what it is, to be kept beside its evaluation.
    """
    folder.write_status("running")
    verdict = work.judge("final")
    store = work.store(folder.checkpoints, keep_last=1)
    after = experiment.section(General).steps + 1
    store.save(work.step, work.state(), Plan(after, after, verdict.score, work.step).as_meta())
    store.protect(work.step)
    for kind, found in (("before", before), ("final", verdict)):
        if found is not None:
            folder.append_evaluation(work.step, {"kind": kind, **found.figures, **found.details})
    folder.write_status("done", step=work.step)
    return Outcome(folder, work.step, verdict, work.step)
