"""Patience: ends a run whose evaluations no longer get better."""

from collections.abc import Mapping
from typing import Any

from advdl.errors import UsageError, nearest
from advdl.experiment.schema import EarlyStopping as Section
from advdl.experiment.work import Verdict
from advdl.training.early_stopping import EarlyStopping

_SCORE = "score"


class Patience:
    """Watches a figure of the evaluations, where a run asks for it.

    Args:
        section: What the run asks for.
        meta: What ``after`` returned last, from the checkpoint; empty for a new run.
    """

    def __init__(self, section: Section, meta: Mapping[str, Any]) -> None:
        self._section = section
        self._stopping = EarlyStopping(section.patience, section.min_change, section.better)
        if meta:
            self._stopping.restore(meta)

    def after(self, verdict: Verdict) -> dict[str, Any]:
        """Takes an evaluation; returns plain data for the checkpoint, with ``stopped`` where training is to end.

        Raises:
            UsageError: An evaluation has no such figure.
        """
        if not self._section.patience:
            return {}
        stopped = self._stopping.update(self._figure(verdict))
        return {**self._stopping.as_meta(), "stopped": stopped}

    def describe(self) -> str:
        """Says why training ends."""
        section = self._section
        return (
            f"training ends early: {section.metric} was not better than {self._stopping.best:.6g} "
            f"in {section.patience} evaluations"
        )

    def _figure(self, verdict: Verdict) -> float:
        name = self._section.metric
        if name == _SCORE:
            return verdict.score
        if name not in verdict.figures:
            guess = nearest(name, verdict.figures)
            raise UsageError(
                f"early_stopping.metric cannot be {name!r}: an evaluation has no such figure",
                hint=f"did you mean {guess!r}?" if guess else f"it has {', '.join(sorted(verdict.figures))}",
            )
        return verdict.figures[name]
