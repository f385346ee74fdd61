"""SlicedDense: a dense layer for small networks, whose gradient XLA computes fast on a CPU."""

from typing import Any

import keras

_ROWS = 64
"""Rows of a slice."""

_LARGEST = 128 * 128
"""Weights beyond which XLA shares a product out among threads by its columns, which is well."""

_SMALLEST = 16
"""Inputs and outputs below which a product is no matter."""


class SlicedDense(keras.layers.Dense):  # type: ignore[misc]  # Keras has no types
    """``keras.layers.Dense``, whose weights' gradient is summed over slices of 64 rows while training.

    XLA on a CPU shares the product of a small layer's gradient, 64 x 256 by 256 x 64 say, out among threads along its
    inner dimension: that takes three times as long as one thread does alone, and keeps products that could be made
    beside it from being made. Slices are too short for that. Values differ from ``Dense``'s by rounding.
    """

    def call(self, inputs: Any, training: bool | None = None) -> Any:
        """Returns ``[..., units]``.

        Args:
            inputs: Features, ``[..., n]``.
            training: Whether a gradient will be taken.
        """
        slices = _slices(inputs.shape, self.units) if training else 1
        if slices == 1:
            return super().call(inputs, training=training)
        width = inputs.shape[-1]
        parts = keras.ops.reshape(inputs, (slices, _ROWS, width))
        x = keras.ops.reshape(keras.ops.matmul(parts, self.kernel[None]), (slices * _ROWS, self.units))
        x = x + self.bias if self.use_bias else x
        return x if self.activation is None else self.activation(x)


def _slices(shape: tuple[int | None, ...], units: int) -> int:
    rows, width = shape[0], shape[-1] or 0
    small = min(width, units) >= _SMALLEST and width * units <= _LARGEST
    if len(shape) != 2 or rows is None or rows % _ROWS or not small:
        return 1
    return int(rows) // _ROWS
