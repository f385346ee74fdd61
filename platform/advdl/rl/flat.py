"""Flat: observations of any plain space as vectors, one-hot where they are choices. Written for every Keras backend."""

import math
from typing import Any

import gymnasium
import keras
import numpy as np
from gymnasium import spaces
from numpy.typing import NDArray

_UNBOUNDED = 1e9
"""Envs write bounds as large as this, up to the largest float, where they have none."""


class Flat(keras.layers.Layer):  # type: ignore[misc]
    """Turns observations of a space into vectors ``[batch, size]`` of the layer's float dtype.

    Args:
        space: What is observed.
        name: The layer's name.
        rescale: Whether components of a ``Box`` with two finite bounds go from -1 to 1; the others stay as they are.
    """

    def __init__(self, space: gymnasium.Space[Any], *, name: str, rescale: bool = False) -> None:
        super().__init__(name=name)
        self._rescale = _rescaling(space) if rescale and isinstance(space, spaces.Box) else None
        self._scale = 1.0
        self._classes = np.zeros(0, int)
        self._starts = np.zeros(0, int)
        match space:
            case spaces.Box():
                self._scale = 1 / 255 if space.dtype == np.uint8 else 1.0
            case spaces.Discrete():
                self._classes, self._starts = np.array([space.n], int), np.array([space.start], int)
            case spaces.MultiDiscrete():
                self._classes, self._starts = space.nvec.astype(int).ravel(), space.start.astype(int).ravel()
            case spaces.MultiBinary():
                pass
        self._size = int(self._classes.sum()) or math.prod(space.shape or ())

    def call(self, observation: Any) -> Any:
        """Flattens a batch."""
        count = len(self._classes)
        if not count:
            flat = keras.ops.cast(keras.ops.reshape(observation, (-1, self._size)), self.compute_dtype)
            if self._rescale is not None:
                middle, factor = (keras.ops.cast(part, self.compute_dtype) for part in self._rescale)
                return (flat - middle) * factor
            return flat * self._scale if self._scale != 1.0 else flat
        numbers = keras.ops.cast(keras.ops.reshape(observation, (-1, count)), "int32")
        width = int(self._classes.max())
        hot = keras.ops.one_hot(numbers - self._starts.astype("int32"), width, dtype=self.compute_dtype)
        used = np.flatnonzero(np.arange(width) < self._classes[:, None])
        return keras.ops.take(keras.ops.reshape(hot, (-1, count * width)), used.astype("int32"), axis=1)

    def compute_output_shape(self, input_shape: tuple[int | None, ...]) -> tuple[int | None, int]:
        """Returns ``(batch, size)``."""
        return (input_shape[0], self._size)


def _rescaling(box: spaces.Box) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Returns what to subtract from each component and what to multiply it with then, float32 ``[size]``."""
    low, high = (bound.astype(np.float64).ravel() for bound in (box.low, box.high))
    bounded = (np.maximum(np.abs(low), np.abs(high)) < _UNBOUNDED) & (low < high)
    low, high = np.where(bounded, low, -1.0), np.where(bounded, high, 1.0)
    return ((low + high) / 2).astype(np.float32), (2 / (high - low)).astype(np.float32)
