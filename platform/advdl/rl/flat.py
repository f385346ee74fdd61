"""Flat: observations of any plain space as vectors, one-hot where they are choices. Written for every Keras backend."""

import math
from typing import Any

import gymnasium
import keras
import numpy as np
from gymnasium import spaces


class Flat(keras.layers.Layer):  # type: ignore[misc]
    """Turns observations of a space into vectors ``[batch, size]`` of the layer's float dtype."""

    def __init__(self, space: gymnasium.Space[Any], *, name: str) -> None:
        super().__init__(name=name)
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
            return flat * self._scale if self._scale != 1.0 else flat
        numbers = keras.ops.cast(keras.ops.reshape(observation, (-1, count)), "int32")
        width = int(self._classes.max())
        hot = keras.ops.one_hot(numbers - self._starts.astype("int32"), width, dtype=self.compute_dtype)
        used = np.flatnonzero(np.arange(width) < self._classes[:, None])
        return keras.ops.take(keras.ops.reshape(hot, (-1, count * width)), used.astype("int32"), axis=1)

    def compute_output_shape(self, input_shape: tuple[int | None, ...]) -> tuple[int | None, int]:
        """Returns ``(batch, size)``."""
        return (input_shape[0], self._size)
