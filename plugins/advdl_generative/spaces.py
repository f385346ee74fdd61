"""What a sampler's data are: images or vectors, bounded or not, whole numbers or not."""

import math
from dataclasses import dataclass
from typing import Any

import gymnasium
import numpy as np
from gymnasium import spaces
from numpy.typing import NDArray

from advdl.errors import UsageError


@dataclass(frozen=True, slots=True)
class Layout:
    """The facts about a space of samples.

    Attributes:
        shape: A sample's shape.
        dtype: Its dtype.
        low: Bounds, ``[*shape]``; infinite where there are none.
        high: Bounds, ``[*shape]``.
    """

    shape: tuple[int, ...]
    dtype: np.dtype[Any]
    low: NDArray[np.float32]
    high: NDArray[np.float32]

    @classmethod
    def of(cls, space: gymnasium.Space[Any], sampler: str) -> "Layout":
        """Reads a space.

        Raises:
            UsageError: It is neither a ``Box`` nor ``MultiBinary``, or is empty.
        """
        if isinstance(space, spaces.MultiBinary):
            ends = np.zeros(space.shape, np.float32), np.ones(space.shape, np.float32)
            return cls(tuple(space.shape), np.dtype(space.dtype), *ends)
        if not isinstance(space, spaces.Box) or not math.prod(space.shape):
            raise UsageError(
                f"{sampler} cannot draw samples of {space}",
                hint="it draws from a Box of images [height, width, channels] or of vectors, or from MultiBinary",
            )
        return cls(tuple(space.shape), np.dtype(space.dtype), space.low.astype("f4"), space.high.astype("f4"))

    @property
    def is_image(self) -> bool:
        """Whether a sample is ``[height, width, channels]``."""
        return len(self.shape) == 3

    @property
    def size(self) -> int:
        """How many numbers a sample has."""
        return math.prod(self.shape)

    @property
    def is_bounded(self) -> bool:
        """Whether every component has a lower and an upper bound."""
        return bool(np.isfinite(self.low).all() and np.isfinite(self.high).all())

    @property
    def is_whole(self) -> bool:
        """Whether samples are whole numbers."""
        return self.dtype.kind in "iub"

    @property
    def levels(self) -> int:
        """How many values a component has; 0 if they cannot be counted or differ from one to another."""
        spans = self.high - self.low
        same = self.is_whole and self.is_bounded and bool((spans == spans.flat[0]).all())
        return int(spans.flat[0]) + 1 if same else 0


def condition_width(space: gymnasium.Space[Any] | None, sampler: str) -> int:
    """Returns how many numbers a condition becomes: a class as many as there are classes, a vector its size.

    Raises:
        UsageError: It is none of these.
    """
    match space:
        case None:
            return 0
        case spaces.Discrete():
            return int(space.n)
        case spaces.Box() if math.prod(space.shape):
            return math.prod(space.shape)
    raise UsageError(f"{sampler} cannot be conditioned on {space}", hint="c is Discrete (a class) or a Box (a vector)")
