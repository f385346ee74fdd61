"""NarrowDense: a dense layer with two or three outputs, such as Q-values, that trains fast under XLA."""

from typing import Any

import keras

_NARROW = (2, 3)
"""Outputs that are summed. XLA computes the products of one output as of a vector, and of four or more in vectors."""


class NarrowDense(keras.layers.Dense):  # type: ignore[misc]  # Keras has no types
    """``keras.layers.Dense``, computed without matrix products while training if it has two or three outputs.

    XLA on a CPU hands each product to a routine for large matrices: the two of a narrow layer's gradient, 64 x 2 by
    2 x 256 and 256 x 64 by 64 x 2, take as long as one of 64 x 256 by 256 x 256. Written as a sum of products they
    become part of the loops around them. Values differ from ``Dense``'s by rounding.
    """

    def call(self, inputs: Any, training: bool | None = None) -> Any:
        """Returns ``[..., units]``.

        Args:
            inputs: Features, ``[..., n]``.
            training: Whether a gradient will be taken.
        """
        if not training or self.units not in _NARROW:
            return super().call(inputs, training=training)
        x = keras.ops.sum(inputs[..., None, :] * keras.ops.transpose(self.kernel), axis=-1)
        x = x + self.bias if self.use_bias else x
        return x if self.activation is None else self.activation(x)
