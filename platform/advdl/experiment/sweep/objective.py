"""What a trial is worth: a number of its evaluations."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from advdl.experiment.sweep.spec import SweepSpec

_MEASURES = {"steps-to-target": "step", "time-to-target": "time/seconds"}
_PENALTY = 2.0


@dataclass(frozen=True, slots=True)
class Worth:
    """A trial's value.

    Attributes:
        value: What is searched for the best of.
        reached: Whether the target was reached; None without a target.
    """

    value: float
    reached: bool | None = None


def worth(spec: SweepSpec, evaluations: Sequence[Mapping[str, Any]]) -> Worth | None:
    """Says what a run that has ended is worth; None where it was never evaluated, or its score is not finite.

    A run that does not reach the target counts as twice what it took (PAR2, the penalised average runtime of Hutter
    et al. 2009, "ParamILS"), so that a search also learns from it.
    """
    finite = [line for line in evaluations if line["score"] == line["score"]]
    if not finite:
        return None
    if spec.target is None:
        return Worth(float(finite[-1]["score"]))
    measure = _MEASURES[spec.objective]
    for line in finite:
        if line["score"] >= spec.target:
            return Worth(float(line[measure]), reached=True)
    return Worth(_PENALTY * float(finite[-1][measure]), reached=False)


def progress(spec: SweepSpec, evaluations: Sequence[Mapping[str, Any]]) -> list[float]:
    """Returns what a pruner compares after each evaluation, in the direction of the trials' values."""
    sign = 1.0 if spec.maximises else -1.0
    return [sign * float(line["score"]) for line in evaluations if line.get("kind") == "during"]
