"""What an observation must be: shape, dtype, finite, within its space's bounds. Checked for all copies at once."""

from dataclasses import dataclass
from typing import Any, Literal

import gymnasium
import numpy as np
from gymnasium import spaces
from numpy.typing import NDArray

from advdl.rl.spaces import leaves, stored_dtype

Bounds = Literal["stop", "warn", "ignore"]
"""What follows a float outside of its Box: Gymnasium's own LunarLander leaves its bounds when it flies high."""

_ROUNDING = 1e-5


@dataclass(frozen=True, slots=True)
class LeafRule:
    """What holds for one leaf of the observation.

    Attributes:
        path: Where the leaf is; empty for an observation that is not nested.
        shape: The shape of one value.
        dtype: The dtype in which it is stored.
        declared: The dtype that the space declares.
        low: Least values, or None where there is nothing to check.
        high: Greatest values.
        strict: Whether a value out of bounds has no meaning at all, as in a space of integers.
        finite: The bounds, the greatest numbers in the place of infinite ones; None where there is nothing to check.
    """

    path: str
    shape: tuple[int, ...]
    dtype: np.dtype[Any]
    declared: np.dtype[Any]
    low: NDArray[Any] | None
    high: NDArray[Any] | None
    strict: bool
    finite: tuple[NDArray[Any], NDArray[Any]] | None

    @property
    def name(self) -> str:
        """What the leaf is called in a sentence."""
        return f"an observation {self.path!r}" if self.path else "an observation"

    def misfit(self, value: Any) -> str:
        """Says what is wrong with the shape or the dtype of one value; an empty string if nothing is."""
        array = value if isinstance(value, np.ndarray | np.generic) else np.asarray(value)
        if array.shape != self.shape:
            return f"gave {self.name} of shape {list(array.shape)} instead of {list(self.shape)}"
        if array.dtype != self.declared and not np.can_cast(array.dtype, self.declared, "same_kind"):
            return f"gave {self.name} of dtype {array.dtype} instead of {self.declared}"
        return ""

    def sound(self, batch: NDArray[Any]) -> bool:
        """Says whether all values of ``[copies, ...]`` are finite and within bounds: what is asked at every step."""
        if self.finite is None:
            return True
        low, high = self.finite
        if self.dtype.kind == "f":  # a NaN becomes a bound; two operations and two strings take less time than `all`
            return bool(np.fmin(np.fmax(batch, low), high).tobytes() == batch.tobytes())
        inside = (batch >= low) & (batch <= high)
        return 0 not in inside.tobytes()

    def not_finite(self, batch: NDArray[Any]) -> int | None:
        """Returns the first row of ``[copies, ...]`` that holds a NaN or an infinity."""
        if self.dtype.kind != "f" or np.isfinite(batch).all():
            return None
        return _first_row(~np.isfinite(batch))

    def outside(self, batch: NDArray[Any]) -> int | None:
        """Returns the first row of ``[copies, ...]`` that has a value out of bounds."""
        if self.low is None or self.high is None:
            return None
        wrong = (batch < self.low) | (batch > self.high)
        return _first_row(wrong) if wrong.any() else None


def leaf_rules(space: gymnasium.Space[Any]) -> list[LeafRule]:
    """Reads the rules off a space.

    Raises:
        TypeError: A leaf has no single shape and dtype.
    """
    return [_rule(path, leaf) for path, leaf in leaves(space)]


def _rule(path: str, leaf: Any) -> LeafRule:
    dtype = stored_dtype(leaf)
    low, high = _bounds(leaf)
    if dtype.kind == "f" and low is not None and high is not None:
        slack = _ROUNDING * np.maximum(1.0, np.minimum(np.abs(low), np.abs(high)))
        slack = np.where(np.isfinite(slack), slack, 0.0)
        low, high = (low - slack).astype(dtype), (high + slack).astype(dtype)
    declared, finite = np.dtype(leaf.dtype), _finite(dtype, low, high)
    return LeafRule(path, tuple(leaf.shape), dtype, declared, low, high, dtype.kind != "f", finite)


def _finite(
    dtype: np.dtype[Any], low: NDArray[Any] | None, high: NDArray[Any] | None
) -> tuple[NDArray[Any], NDArray[Any]] | None:
    if dtype.kind != "f":
        return None if low is None or high is None else (low, high)
    least, greatest = np.finfo(dtype).min, np.finfo(dtype).max
    return np.maximum(-np.inf if low is None else low, least, dtype=dtype), np.minimum(
        np.inf if high is None else high, greatest, dtype=dtype
    )


def _bounds(leaf: Any) -> tuple[NDArray[Any] | None, NDArray[Any] | None]:
    match leaf:
        case spaces.Discrete():
            return np.asarray(leaf.start), np.asarray(leaf.start + leaf.n - 1)
        case spaces.MultiDiscrete():
            return np.asarray(leaf.start), np.asarray(leaf.start) + leaf.nvec - 1
        case spaces.MultiBinary():
            return np.asarray(0), np.asarray(1)
    if np.isinf(leaf.low).all() and np.isinf(leaf.high).all():
        return None, None
    kind = np.dtype(leaf.dtype)
    if kind.kind in "ui" and (leaf.low == np.iinfo(kind).min).all() and (leaf.high == np.iinfo(kind).max).all():
        return None, None
    return leaf.low, leaf.high


def _first_row(wrong: NDArray[np.bool_]) -> int:
    return int(np.flatnonzero(wrong.reshape(len(wrong), -1).any(axis=1))[0])
