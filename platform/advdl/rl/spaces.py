"""Spaces: what an agent sees and what it can do. Imports no TensorFlow: env workers use it too."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import gymnasium
import numpy as np
from gymnasium import spaces


@dataclass(frozen=True, slots=True)
class Spaces:
    """An env's two spaces.

    Attributes:
        observation: The space of one observation.
        action: The space of one action.
    """

    observation: gymnasium.Space[Any]
    action: gymnasium.Space[Any]


def leaves(space: gymnasium.Space[Any], path: str = "") -> Iterator[tuple[str, gymnasium.Space[Any]]]:
    """Yields the spaces that ``Dict`` and ``Tuple`` spaces are made of, in the order of ``tf.nest.flatten``.

    Args:
        space: Any space; one that is not nested is its own only leaf.
        path: What the leaves' paths begin with.

    Yields:
        A path, such as ``"camera.left"`` (empty for a space that is not nested), and the leaf.
    """
    dot = "." if path else ""
    if isinstance(space, spaces.Dict):
        for key in sorted(space.spaces):
            yield from leaves(space.spaces[key], f"{path}{dot}{key}")
    elif isinstance(space, spaces.Tuple):
        for index, inner in enumerate(space.spaces):
            yield from leaves(inner, f"{path}{dot}{index}")
    else:
        yield path, space


def flatten(space: gymnasium.Space[Any], value: Any) -> list[Any]:
    """Takes a value of a space, or a batch of them, apart: one part a leaf.

    Raises:
        KeyError, IndexError, TypeError: The value lacks a part.
    """
    if isinstance(space, spaces.Dict):
        return [part for key in sorted(space.spaces) for part in flatten(space.spaces[key], value[key])]
    if isinstance(space, spaces.Tuple):
        return [part for index, inner in enumerate(space.spaces) for part in flatten(inner, value[index])]
    return [value]


def unflatten(space: gymnasium.Space[Any], parts: Sequence[Any]) -> Any:
    """Puts together what ``flatten`` took apart; dicts and tuples are plain ones."""
    remaining = iter(parts)

    def build(inner: gymnasium.Space[Any]) -> Any:
        if isinstance(inner, spaces.Dict):
            return {key: build(inner.spaces[key]) for key in sorted(inner.spaces)}
        if isinstance(inner, spaces.Tuple):
            return tuple(build(part) for part in inner.spaces)
        return next(remaining)

    return build(space)


def stored_dtype(space: gymnasium.Space[Any]) -> np.dtype[Any]:
    """Returns the dtype in which values of a leaf are stored and seen: float64 becomes float32.

    Raises:
        TypeError: The space has no single dtype and shape, such as ``Text`` or ``Sequence``.
    """
    if space.dtype is None or space.shape is None or not isinstance(space, _ARRAYS):
        raise TypeError(f"{space} has no single shape and dtype")
    return np.dtype(np.float32 if space.dtype == np.float64 else space.dtype)


_ARRAYS = (spaces.Box, spaces.Discrete, spaces.MultiDiscrete, spaces.MultiBinary)
