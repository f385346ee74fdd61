"""Packed: arrays that a compiled program reads, the small ones in one piece: each tensor by itself costs as a step."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

Kind = tuple[tuple[int, ...], np.dtype[Any]]

_SMALL = 2**20
"""Bytes up to which copying an array once more costs less than a tensor of its own."""

_ALIGNED = 8


class Packed:
    """Arrays of zeros, to be written to, and the tensors that carry their values into a program.

    Args:
        kinds: Shape and dtype of each array.
    """

    def __init__(self, kinds: Sequence[Kind]) -> None:
        self._kinds = list(kinds)
        self._places: dict[int, slice] = {}
        size = 0
        for index, (shape, dtype) in enumerate(self._kinds):
            length = int(np.prod(shape)) * dtype.itemsize
            if length <= _SMALL:
                self._places[index] = slice(size, size + length)
                size += -(-length // _ALIGNED) * _ALIGNED
        self._bytes = np.zeros(size, np.uint8)
        self.arrays: list[NDArray[Any]] = [self._array(index) for index in range(len(self._kinds))]
        self._large = [array for index, array in enumerate(self.arrays) if index not in self._places]

    @property
    def specs(self) -> list[tf.TensorSpec]:
        """Shapes and dtypes of ``tensors``."""
        return [tf.TensorSpec(array.shape, array.dtype) for array in (self._bytes, *self._large)]

    def tensors(self) -> list[tf.Tensor]:
        """Copies the present values."""
        return [tf.constant(array) for array in (self._bytes, *self._large)]

    def unpacked(self, tensors: Sequence[tf.Tensor]) -> list[tf.Tensor]:
        """Returns each array's values; traceable.

        Args:
            tensors: What ``tensors`` returned.
        """
        packed, *large = tensors
        rest = iter(large)
        return [
            _unpacked(packed[self._places[index]], *kind) if index in self._places else next(rest)
            for index, kind in enumerate(self._kinds)
        ]

    def _array(self, index: int) -> NDArray[Any]:
        shape, dtype = self._kinds[index]
        if index not in self._places:
            return np.zeros(shape, dtype)
        return self._bytes[self._places[index]].view(dtype).reshape(shape)


def _unpacked(part: tf.Tensor, shape: tuple[int, ...], dtype: np.dtype[Any]) -> tf.Tensor:
    if dtype == np.bool_:
        return tf.reshape(tf.cast(part, tf.bool), shape)
    if dtype.itemsize > 1:
        part = tf.reshape(part, (-1, dtype.itemsize))
    return tf.reshape(tf.bitcast(part, dtype), shape)
