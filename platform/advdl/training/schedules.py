"""Schedules: a value as a function of progress. Learning rates, exploration and clip ranges share them.

A schedule is called with a step and with the run's total of steps, in whatever unit its user counts: a learning rate
counts updates, or env steps where ``trainer.rate_counts`` says so; exploration, clip range and entropy count env
steps. Both may be Python numbers or scalar tensors; with tensors it is traceable (also by XLA) and computes in float32,
with numbers in float64.

Options named ``over``, ``warmup``, ``every`` and ``boundaries`` are lengths: a share of the run if at most 1,
a count of steps if above. In the formulas t is the step and T the length ``over`` in steps.
"""

import math
from dataclasses import dataclass
from itertools import pairwise
from typing import Annotated, Any, Protocol, runtime_checkable

import tensorflow as tf
from annotated_types import Ge, Gt, Interval

from advdl.errors import UsageError

Number = Any
"""A Python number or a scalar tensor."""

Length = Annotated[float, Gt(0)]
"""A share of the run if at most 1, a count of steps if above."""


@runtime_checkable
class Schedule(Protocol):
    """A value that changes with progress. Options are keyword-only arguments of the class."""

    def __call__(self, step: Number, total: Number) -> Number:
        """Returns the value at a step.

        Args:
            step: Steps made so far: a number, or a scalar tensor.
            total: Steps that the run will make.

        Returns:
            A float, or a float32 scalar tensor if an argument is a tensor.
        """


@dataclass(frozen=True, kw_only=True)
class Constant:
    """The same value all along: ``v(t) = value``.

    Args:
        value: The value.
    """

    value: float

    def __call__(self, step: Number, total: Number) -> Number:
        """Returns the value."""
        if tf.is_tensor(step) or tf.is_tensor(total):
            return tf.constant(self.value, tf.float32)
        return self.value


@dataclass(frozen=True, kw_only=True)
class Linear:
    """A straight line, then flat: ``v(t) = start + (end - start) * min(t / T, 1)``.

    Args:
        start: The value at the first step.
        end: The value from ``over`` on.
        over: How long the way takes: a share of the run if at most 1, a count of steps if above.
    """

    start: float
    end: float = 0.0
    over: Length = 1.0

    def __call__(self, step: Number, total: Number) -> Number:
        """Returns the value at a step."""
        step, total = _numbers(step, total)
        return self.start + (self.end - self.start) * _clip(step / _steps(self.over, total))


@dataclass(frozen=True, kw_only=True)
class Cosine:
    """Half a cosine down to a floor, after a linear warm-up, with warm restarts on request.

    ``v(t) = start * t / W`` while t < W, the warm-up in steps. From W to T there are ``restarts + 1``
    periods; a share p of the way through the i-th (from 0),
    ``v = start * (alpha + (1 - alpha) * shrink**i * (1 + cos(pi * p)) / 2)``.
    A period is ``growth`` times as long as the one before it. After T the value stays.

    Paper: Loshchilov & Hutter 2017, "SGDR: Stochastic Gradient Descent with Warm Restarts", arXiv:1608.03983,
    where ``growth`` is called T_mult.

    Args:
        start: The value after the warm-up, and the first period's peak.
        alpha: The floor, as a share of ``start``.
        over: When the last period ends, warm-up included: a share of the run if at most 1, a count of steps
            if above.
        warmup: How long the value rises from 0: a share of the run if at most 1, a count of steps if above.
        restarts: How often the value jumps back to a peak.
        growth: Length of a period relative to the one before.
        shrink: Height of a peak above the floor, relative to the one before.
    """

    start: float
    alpha: Annotated[float, Interval(ge=0, le=1)] = 0.0
    over: Length = 1.0
    warmup: Annotated[float, Ge(0)] = 0.0
    restarts: Annotated[int, Interval(ge=0, le=100)] = 0
    growth: Annotated[float, Gt(0)] = 1.0
    shrink: Annotated[float, Gt(0)] = 1.0

    def __call__(self, step: Number, total: Number) -> Number:
        """Returns the value at a step."""
        step, total = _numbers(step, total)
        warmup = _steps(self.warmup, total)
        way = _clip((step - warmup) / _most(_steps(self.over, total) - warmup, _TINY))
        value = self._descend(way, 0)
        for index in range(1, self.restarts + 1):
            value = _choose(way >= self._begin(index) - _TINY, self._descend(way, index), value)
        return _choose(step < warmup, self.start * step / _most(warmup, _TINY), value)

    def _begin(self, index: int) -> float:
        """Returns where a period begins, as a share of all periods' length."""
        lengths = [self.growth**i for i in range(self.restarts + 1)]
        return sum(lengths[:index]) / sum(lengths)

    def _descend(self, way: Number, index: int) -> Number:
        begin, end = self._begin(index), self._begin(index + 1)
        half_wave = (1 + _cos(math.pi * _clip((way - begin) / (end - begin)))) / 2
        return self.start * (self.alpha + (1 - self.alpha) * self.shrink**index * half_wave)


@dataclass(frozen=True, kw_only=True)
class Exponential:
    """Geometric decay to a floor: ``v(t) = max(start * rate ** (t / T), end)``, T being ``every`` in steps.

    Args:
        start: The value at the first step.
        rate: What the value is multiplied by every ``every``.
        every: A share of the run if at most 1, a count of steps if above.
        staircase: Whether the value changes only at whole multiples of ``every``.
        end: The value does not fall below this.
    """

    start: float
    rate: Annotated[float, Interval(gt=0, le=1)]
    every: Length = 1.0
    staircase: bool = False
    end: float = 0.0

    def __call__(self, step: Number, total: Number) -> Number:
        """Returns the value at a step."""
        step, total = _numbers(step, total)
        periods = step / _steps(self.every, total)
        if self.staircase:
            periods = _floor(periods + _TINY)
        return _most(self.start * self.rate**periods, self.end)


@dataclass(frozen=True, kw_only=True)
class Piecewise:
    """Steps: ``v(t) = values[i]`` from ``boundaries[i - 1]`` up to, but not at, ``boundaries[i]``.

    Args:
        values: The values, one more than boundaries.
        boundaries: Where the value changes, rising: shares of the run if at most 1, counts of steps if above.

    Raises:
        UsageError: The counts do not match, or the boundaries do not rise.
    """

    values: tuple[float, ...]
    boundaries: tuple[Length, ...] = ()

    def __post_init__(self) -> None:
        if len(self.values) != len(self.boundaries) + 1:
            raise UsageError(
                f"a piecewise schedule has {len(self.values)} values and {len(self.boundaries)} boundaries, "
                "and needs one value more than boundaries"
            )
        if any(right <= left for left, right in pairwise(self.boundaries)):
            raise UsageError(f"the boundaries of a piecewise schedule must rise, unlike {list(self.boundaries)}")

    def __call__(self, step: Number, total: Number) -> Number:
        """Returns the value at a step."""
        step, total = _numbers(step, total)
        value = Constant(value=self.values[0])(step, total)
        for boundary, after in zip(self.boundaries, self.values[1:], strict=True):
            value = _choose(step >= _steps(boundary, total) - _TINY * total, after, value)
        return value


def as_schedule(value: float | Schedule) -> Schedule:
    """Returns a schedule as it is, and a number as the constant schedule of that value."""
    return Constant(value=float(value)) if isinstance(value, int | float) else value


# Rounding of step / total, in float32, must not delay a change by a step.
_TINY = 1e-6


def _numbers(step: Number, total: Number) -> tuple[Number, Number]:
    if tf.is_tensor(step) or tf.is_tensor(total):
        return tf.cast(step, tf.float32), tf.cast(total, tf.float32)
    return float(step), float(total)


def _steps(length: float, total: Number) -> Number:
    return length * _most(total, 1.0) if length <= 1 else total * 0.0 + length


def _most(value: Number, floor: float) -> Number:
    return tf.maximum(value, floor) if tf.is_tensor(value) else max(value, floor)


def _clip(value: Number) -> Number:
    return tf.clip_by_value(value, 0.0, 1.0) if tf.is_tensor(value) else min(max(value, 0.0), 1.0)


def _choose(condition: Number, then: Number, otherwise: Number) -> Number:
    if tf.is_tensor(condition):
        return tf.where(condition, then, otherwise)
    return then if condition else otherwise


def _cos(value: Number) -> Number:
    return tf.cos(value) if tf.is_tensor(value) else math.cos(value)


def _floor(value: Number) -> Number:
    return tf.floor(value) if tf.is_tensor(value) else math.floor(value)
