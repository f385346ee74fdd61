"""Dataset: samples in memory, and how they are split. ``Data`` is the contract of the plugins that load them."""

import abc
from dataclasses import dataclass, replace
from typing import Any

import gymnasium
import numpy as np
from numpy.typing import NDArray

from advdl.errors import UsageError
from advdl.training.data_learner import DataSpec


@dataclass(frozen=True, slots=True)
class Dataset:
    """Samples, and what belongs to each.

    Attributes:
        x: Samples, ``[count, ...]``.
        c: Their classes (int64 ``[count]``) or vectors (``[count, ...]``); None for nothing.
        spec: The spaces of one sample.
        names: Names of the classes, in order; empty where there are none.
    """

    x: NDArray[Any]
    c: NDArray[Any] | None
    spec: DataSpec
    names: tuple[str, ...] = ()

    def __len__(self) -> int:
        return len(self.x)

    def take(self, rows: Any) -> "Dataset":
        """Returns some of the samples."""
        return replace(self, x=self.x[rows], c=None if self.c is None else self.c[rows])


class Data(abc.ABC):
    """Loads a data set. A subclass is called as ``cls(**options)``."""

    @abc.abstractmethod
    def load(self) -> Dataset:
        """Reads the samples.

        Raises:
            UsageError: They are not there, or they are no data set.
            CorruptError: A file is damaged.
        """


def image_space(images: NDArray[Any]) -> gymnasium.spaces.Box:
    """Returns the space of uint8 images ``[count, height, width, channels]``."""
    return gymnasium.spaces.Box(0, 255, images.shape[1:], np.uint8)


def checked(data: Dataset) -> Dataset:
    """Returns the data set as it is, once every sample has been found to be what ``spec`` says.

    Raises:
        UsageError: A sample has another shape, or lies outside of its stated range.
    """
    _check_field("x", data.x, data.spec.x)
    if data.spec.c is not None and data.c is not None:
        _check_field("c", data.c, data.spec.c)
    return data


def _check_field(name: str, values: NDArray[Any], space: gymnasium.Space[Any]) -> None:
    if tuple(values.shape[1:]) != tuple(space.shape or ()):
        raise UsageError(f"samples of {name} have the shape {list(values.shape[1:])}, not that of {space}")
    limits = _limits(space)
    if limits is None or not len(values):
        return
    low, high = limits
    outside = ~((values >= low) & (values <= high)).reshape(len(values), -1)  # a NaN is outside, too
    if outside.any():
        row, place = np.argwhere(outside)[0]
        value = values.reshape(len(values), -1)[row, place]
        stated = f"{_said(low)} to {_said(high)}"
        raise UsageError(
            f"sample {row} of {name} has the value {value:g}, outside of its stated range {stated}",
            hint="scale the data to their range, or state another",
        )


def _limits(space: gymnasium.Space[Any]) -> tuple[Any, Any] | None:
    """Returns the least and the greatest values of a space's components; None where that is no question."""
    match space:
        case gymnasium.spaces.Box():
            return space.low, space.high
        case gymnasium.spaces.Discrete():
            return int(space.start), int(space.start + space.n - 1)
        case gymnasium.spaces.MultiBinary():
            return 0, 1
    return None


def _said(limit: Any) -> str:
    values = np.unique(limit)
    return f"{values[0]:g}" if len(values) == 1 else f"{values[0]:g}..{values[-1]:g}"


def split(data: Dataset, share: float, seed: int) -> tuple[Dataset, Dataset]:
    """Splits off a share that training does not see; every class gives that share of its samples.

    Args:
        data: The samples.
        share: The share that is split off, above 0 and below 1.
        seed: Chooses which; the run's seed does not, so that runs are judged on the same samples.

    Returns:
        What is left for training, and what is held out.

    Raises:
        UsageError: There are too few samples.
    """
    generator = np.random.default_rng(seed)
    classes = data.c if isinstance(data.spec.c, gymnasium.spaces.Discrete) else np.zeros(len(data), np.int64)
    held_out = np.concatenate([_some(generator, rows, share) for rows in _groups(classes)]).astype(np.int64)
    rest = np.setdiff1d(np.arange(len(data)), held_out)
    if not len(held_out) or not len(rest):
        raise UsageError(
            f"{len(data)} samples are too few to hold a share of {share:g} of them out",
            hint="give more samples, or another share: model.held_out",
        )
    return data.take(rest), data.take(np.sort(held_out))


def _groups(classes: Any) -> list[NDArray[np.int64]]:
    return [np.flatnonzero(classes == value) for value in np.unique(classes)]


def _some(generator: np.random.Generator, rows: NDArray[np.int64], share: float) -> NDArray[np.int64]:
    return generator.permutation(rows)[: round(share * len(rows))]
