"""Statistics of returns: interquartile mean and bootstrap intervals. numpy only.

Agarwal et al. 2021, "Deep Reinforcement Learning at the Edge of the Statistical Precipice": report the
interquartile mean with a stratified bootstrap interval rather than a mean alone.
"""

from collections.abc import Sequence
from typing import Any, Protocol

import numpy as np
from numpy.typing import ArrayLike, NDArray

Floats = NDArray[np.float64]


class Statistic(Protocol):
    """Reduces an axis, as ``numpy.mean``, ``numpy.median`` and ``iqm`` do."""

    def __call__(self, values: Any, /, *, axis: int) -> Any:
        """Returns ``values`` without ``axis``."""


def iqm(values: ArrayLike, *, axis: int = -1) -> Any:
    """Returns the interquartile mean: the mean of the middle half.

    With ``n`` values, the ``floor(n / 4)`` smallest and as many of the largest are left out: of 5 values 3
    are averaged, of 3 values all. That is what ``scipy.stats.trim_mean(values, 0.25)`` and rliable compute;
    no value counts by a fraction. A NaN makes the result NaN: it is not sorted to the end and left out.

    Args:
        values: Any shape; at least one value along ``axis``.
        axis: The axis that is averaged.

    Raises:
        ValueError: There are no values.
    """
    array = np.moveaxis(np.asarray(values, dtype=np.float64), axis, -1)
    count = array.shape[-1]
    if count == 0:
        raise ValueError("the interquartile mean of no values is undefined")
    cut = count // 4
    middle = np.sort(array, axis=-1)[..., cut : count - cut].mean(axis=-1)
    return np.where(np.isnan(array).any(axis=-1), np.nan, middle)[()]


def bootstrap_interval(
    values: ArrayLike,
    statistic: Statistic = np.mean,
    seed: int = 0,
    *,
    resamples: int = 2000,
    confidence: float = 0.95,
) -> tuple[float, float]:
    """Returns the percentile bootstrap interval of a statistic (Efron 1979).

    Args:
        values: A sample of shape [n].
        statistic: What is computed of each resample.
        seed: Seeds the resampling: the same values and seed give the same interval.
        resamples: How many resamples are drawn.
        confidence: The interval's coverage, between 0 and 1.

    Raises:
        ValueError: ``values`` is empty or has more than one axis.
    """
    sample = _sample(values)
    picks = np.random.default_rng(seed).integers(len(sample), size=(resamples, len(sample)))
    return _percentiles(statistic(sample[picks], axis=-1), confidence)


def stratified_interval(
    strata: Sequence[ArrayLike],
    statistic: Statistic = iqm,
    seed: int = 0,
    *,
    resamples: int = 2000,
    confidence: float = 0.95,
) -> tuple[float, float]:
    """Returns the stratified bootstrap interval of a statistic over several runs, as rliable does.

    Each stratum is one task (or env): its runs are resampled among themselves, so that every resample has as
    many runs of every task as there are. The statistic is taken of all runs' scores together.

    Args:
        strata: One array a task: ``[runs]`` scores, or ``[runs, episodes]`` returns. In the second case the
            episodes of each drawn run are resampled too and averaged to its score.
        statistic: What is computed of each resample's scores.
        seed: Seeds the resampling.
        resamples: How many resamples are drawn.
        confidence: The interval's coverage, between 0 and 1.

    Raises:
        ValueError: There are no strata, or one of them is empty or has more than two axes.
    """
    if not strata:
        raise ValueError("a stratified bootstrap needs at least one stratum")
    rng = np.random.default_rng(seed)
    scores = [_resampled_scores(np.asarray(stratum, np.float64), resamples, rng) for stratum in strata]
    return _percentiles(statistic(np.concatenate(scores, axis=1), axis=-1), confidence)


def pointwise_interval(
    curves: ArrayLike, statistic: Statistic = iqm, seed: int = 0, *, resamples: int = 2000, confidence: float = 0.95
) -> tuple[Floats, Floats]:
    """Returns the bootstrap interval of a statistic over runs at each point of their curves.

    Whole curves are resampled, so that the band belongs together; its coverage holds at each point by itself.

    Args:
        curves: A row a run, ``[runs, points]``.
        statistic: What is computed of the runs at each point.
        seed: Seeds the resampling.
        resamples: How many resamples are drawn.
        confidence: The interval's coverage, between 0 and 1.

    Returns:
        The lower and the upper ends, ``[points]`` each.

    Raises:
        ValueError: There are no runs or no points.
    """
    rows = np.asarray(curves, dtype=np.float64)
    if rows.ndim != 2 or rows.size == 0:
        raise ValueError(f"expected curves of shape [runs, points], got shape {list(rows.shape)}")
    picks = np.random.default_rng(seed).integers(len(rows), size=(resamples, len(rows)))
    tail = (1.0 - confidence) / 2.0
    # A point at a time: all at once would be resamples x runs x points numbers.
    ends = [np.quantile(statistic(column[picks], axis=-1), (tail, 1.0 - tail)) for column in rows.T]
    low, high = np.transpose(ends)
    return low, high


def probability_of_improvement(strata: Sequence[ArrayLike], others: Sequence[ArrayLike]) -> float:
    """Returns how likely a run beats a run of the others on the same task, averaged over the tasks.

    On each task it is the Mann-Whitney U statistic over the number of pairs; a tie counts one half (Agarwal et al.
    2021, section 4.3).

    Args:
        strata: One array a task: ``[runs]`` scores.
        others: As many, with the other algorithm's scores.

    Raises:
        ValueError: There are no tasks, or not the same number of them.
    """
    if not strata or len(strata) != len(others):
        raise ValueError(f"expected scores of the same tasks, got {len(strata)} and {len(others)} of them")
    return float(
        np.mean([_beats(np.asarray(x)[None], np.asarray(y)[None]) for x, y in zip(strata, others, strict=True)])
    )


def improvement_interval(
    strata: Sequence[ArrayLike],
    others: Sequence[ArrayLike],
    seed: int = 0,
    *,
    resamples: int = 2000,
    confidence: float = 0.95,
) -> tuple[float, float]:
    """Returns the stratified bootstrap interval of ``probability_of_improvement``.

    The runs of each side and each task are resampled among themselves, both sides independently.

    Args:
        strata: As for ``probability_of_improvement``.
        others: Likewise.
        seed: Seeds the resampling.
        resamples: How many resamples are drawn.
        confidence: The interval's coverage, between 0 and 1.

    Raises:
        ValueError: As ``probability_of_improvement``, or a task has no scores.
    """
    probability_of_improvement(strata, others)
    rng = np.random.default_rng(seed)
    drawn = [
        _beats(*(_resampled_scores(np.asarray(side, np.float64), resamples, rng) for side in pair))
        for pair in zip(strata, others, strict=True)
    ]
    return _percentiles(np.mean(drawn, axis=0), confidence)


def summary(returns: ArrayLike, *, seed: int = 0) -> dict[str, float]:
    """Describes the returns of an evaluation.

    Returns:
        ``return/mean``, ``return/std`` (of the population, as ``numpy.std``), ``return/iqm``, ``return/low``
        and ``return/high`` (the bootstrap 95% interval of the mean), ``return/min``, ``return/max``,
        ``episodes``.

    Raises:
        ValueError: There are no returns.
    """
    sample = _sample(returns)
    low, high = bootstrap_interval(sample, np.mean, seed)
    return {
        "return/mean": float(sample.mean()),
        "return/std": float(sample.std()),
        "return/iqm": float(iqm(sample)),
        "return/low": low,
        "return/high": high,
        "return/min": float(sample.min()),
        "return/max": float(sample.max()),
        "episodes": float(len(sample)),
    }


def _beats(scores: Floats, others: Floats) -> Floats:
    """Returns the share of pairs ``[resamples, n] x [resamples, m]`` that are won, ``[resamples]``."""
    difference = scores[:, :, None] - others[:, None, :]
    return np.asarray(((difference > 0) + 0.5 * (difference == 0)).mean(axis=(1, 2)))


def _sample(values: ArrayLike) -> Floats:
    sample = np.asarray(values, dtype=np.float64)
    if sample.ndim != 1 or sample.size == 0:
        raise ValueError(f"expected a sample of shape [n] with n > 0, got shape {list(sample.shape)}")
    return sample


def _resampled_scores(stratum: Floats, resamples: int, rng: np.random.Generator) -> Floats:
    if stratum.ndim not in (1, 2) or stratum.size == 0:
        raise ValueError(f"expected a stratum of [runs] or [runs, episodes], got shape {list(stratum.shape)}")
    runs = rng.integers(len(stratum), size=(resamples, len(stratum)))
    if stratum.ndim == 1:
        return stratum[runs]
    # One run at a time: all episodes of all resamples at once would be resamples x runs x episodes numbers.
    episodes = stratum.shape[1]
    columns = [
        stratum[drawn[:, None], rng.integers(episodes, size=(resamples, episodes))].mean(axis=1) for drawn in runs.T
    ]
    return np.stack(columns, axis=1)


def _percentiles(estimates: Floats, confidence: float) -> tuple[float, float]:
    tail = (1.0 - confidence) / 2.0
    low, high = np.quantile(estimates, (tail, 1.0 - tail))
    return float(low), float(high)
