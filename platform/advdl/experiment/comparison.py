"""Comparison: what groups of runs are worth, env by env and together, with what is known of the doubt.

Agarwal et al. 2021, "Deep Reinforcement Learning at the Edge of the Statistical Precipice": interquartile means with
stratified bootstrap intervals, and the probability of improvement. Their library, rliable, computes the same; but it
wants as many seeds in every env, and draws from numpy's global generator, so that no two of its reports agree.
"""

import itertools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from advdl.errors import UsageError
from advdl.experiment.groups import RunGroup
from advdl.experiment.run_folder import RunFolder
from advdl.rl.statistics import (
    Floats,
    improvement_interval,
    iqm,
    pointwise_interval,
    probability_of_improvement,
    stratified_interval,
)

_POINTS = 200
_RETURNS = ("agent", "own_loop")


@dataclass(frozen=True, slots=True)
class JudgedRun:
    """A run that is compared.

    Attributes:
        folder: Its folder.
        env: What it was trained on.
        seed: Its seed.
        family: The kind of experiment.
        score: The score of its last evaluation, a final one if there is one.
        curve: Steps and scores of its evaluations during training, ``[2, evaluations]``.
    """

    folder: RunFolder
    env: str
    seed: int
    family: str
    score: float
    curve: Floats


@dataclass(frozen=True, slots=True)
class Judged:
    """A group that is compared.

    Attributes:
        name: Its name.
        runs: Its runs by env, each env's by seed.
    """

    name: str
    runs: Mapping[str, Sequence[JudgedRun]]

    def scores(self, env: str) -> Floats:
        """Returns the scores in an env, ``[runs]``."""
        return np.array([run.score for run in self.runs.get(env, ())], dtype=np.float64)


@dataclass(frozen=True, slots=True)
class Curve:
    """A group's learning curve in one env.

    Attributes:
        steps: ``[points]``.
        middle: The interquartile mean over the runs at each step.
        low: The lower end of its 95% interval.
        high: The upper end.
    """

    steps: Floats
    middle: Floats
    low: Floats
    high: Floats


def judge(group: RunGroup) -> tuple[Judged, list[str]]:
    """Reads the runs of a group.

    Returns:
        The group, and a sentence for each run that is left out.

    Raises:
        UsageError: No run of it was evaluated.
        CorruptError: A file of a run is damaged.
    """
    found: dict[str, list[JudgedRun]] = {}
    left_out = []
    for folder in group.folders:
        record, evaluation = folder.record(), folder.last_evaluation()
        score = (evaluation or {}).get("score", (evaluation or {}).get("return/mean"))
        if evaluation is None or evaluation.get("kind") != "final" or score is None or not np.isfinite(score):
            left_out.append(f"{folder.id} of {group.name} is left out: {folder.status()}, with no final evaluation")
            continue
        run = JudgedRun(folder, record.env, record.seed, record.family, float(score), _curve_of(folder))
        found.setdefault(record.env, []).append(run)
    if not found:
        raise UsageError(f"no run of {group.name!r} has a final evaluation", hint=f"advdl runs resume {group.name}")
    return Judged(group.name, {env: sorted(runs, key=lambda run: run.seed) for env, runs in found.items()}), left_out


def compare(groups: Sequence[Judged]) -> dict[str, Any]:
    """Compares groups.

    Returns:
        ``envs``: for every env and group the seeds, their scores, interquartile mean and 95% interval;
        ``together``: likewise over all envs, of scores normalised env by env, where there are several envs;
        ``improvement``: for every two groups how likely the first one's run is the better one.
    """
    envs = list(dict.fromkeys(env for group in groups for env in group.runs))
    return {
        "envs": {env: {group.name: _in_env(group, env) for group in groups if env in group.runs} for env in envs},
        "together": _together(groups, envs) if len(envs) > 1 else None,
        "improvement": [_improvement(one, other) for one, other in itertools.combinations(groups, 2)],
    }


def curves(group: Judged, env: str) -> Curve | None:
    """Returns a group's learning curve in an env, or None where no run was evaluated during training.

    It begins where every run has been evaluated. Between two of its evaluations a run's score is interpolated; a run
    that has ended, because it has solved the env, keeps its last score.
    """
    found = [run.curve for run in group.runs.get(env, ()) if run.curve.size]
    if not found:
        return None
    begin = max(curve[0, 0] for curve in found)
    steps = np.unique(np.concatenate([curve[0] for curve in found]))
    steps = steps[steps >= begin]
    steps = steps[np.unique(np.linspace(0, len(steps) - 1, _POINTS).astype(int))]
    rows = np.stack([np.interp(steps, *curve) for curve in found])
    low, high = pointwise_interval(rows)
    return Curve(steps, iqm(rows, axis=0), low, high)


def score_name(groups: Sequence[Judged]) -> str:
    """Returns what the scores are: returns, where all runs are those of agents."""
    families = {run.family for group in groups for runs in group.runs.values() for run in runs}
    return "mean return" if families <= set(_RETURNS) else "score"


def step_name(groups: Sequence[Judged]) -> str:
    """Returns what the steps are."""
    return "env steps" if score_name(groups) == "mean return" else "updates"


def _curve_of(folder: RunFolder) -> Floats:
    lines = [line for line in folder.read_evaluations() if line.get("kind") == "during"]
    points = {line["step"]: line.get("score", line.get("return/mean")) for line in lines}
    known = sorted((step, score) for step, score in points.items() if score is not None and np.isfinite(score))
    return np.array(known, dtype=np.float64).T


def _in_env(group: Judged, env: str) -> dict[str, Any]:
    scores = group.scores(env)
    runs = [{"seed": run.seed, "run": run.folder.id, "score": run.score} for run in group.runs[env]]
    return {**_figures([scores]), "runs": runs}


def _together(groups: Sequence[Judged], envs: Sequence[str]) -> dict[str, Any]:
    """Puts the envs' scores together: in each env 0 is the lowest and 1 the highest score of all runs compared."""
    ranges = {}
    for env in envs:
        scores = np.concatenate([group.scores(env) for group in groups])
        ranges[env] = (float(scores.min()), float(scores.max()))
    figures = {
        group.name: _figures([_normalised(group.scores(env), *ranges[env]) for env in group.runs])
        for group in groups
        if len(group.runs) == len(envs)
    }
    left_out = [group.name for group in groups if len(group.runs) < len(envs)]
    return {"ranges": {env: list(ends) for env, ends in ranges.items()}, "groups": figures, "left_out": left_out}


def _normalised(scores: Floats, low: float, high: float) -> Floats:
    return (scores - low) / (high - low) if high > low else np.ones_like(scores)


def _figures(strata: Sequence[Floats]) -> dict[str, Any]:
    low, high = stratified_interval(strata, iqm)
    values = np.concatenate(strata)
    return {"count": len(values), "iqm": float(iqm(values)), "low": low, "high": high, "mean": float(values.mean())}


def _improvement(one: Judged, other: Judged) -> dict[str, Any]:
    shared = [env for env in one.runs if env in other.runs]
    found: dict[str, Any] = {"better": one.name, "than": other.name, "envs": shared, "probability": None}
    if not shared:
        return found
    sides = [[group.scores(env) for env in shared] for group in (one, other)]
    low, high = improvement_interval(*sides)
    return {**found, "probability": probability_of_improvement(*sides), "low": low, "high": high}
