"""A loss that hardly minds outliers."""

import math
from typing import Annotated, Any

import keras
from annotated_types import Gt


class HuberTail(keras.losses.Loss):
    """Huber's loss with a logarithmic tail.

    ``e^2 / 2`` for errors up to ``delta``, a line up to ``tail``, and from there on a logarithm, so that the gradient
    falls as ``1 / |e|``; the loss and its first derivative are continuous.

    Args:
        delta: The error at which the square turns into a line.
        tail: How many times ``delta`` the error is at which the line turns into a logarithm.
    """

    def __init__(self, *, delta: Annotated[float, Gt(0)] = 1.0, tail: Annotated[float, Gt(1)] = 4.0) -> None:
        super().__init__(name="huber_tail")
        self.delta, self.far = delta, delta * tail

    def call(self, y_true: Any, y_pred: Any) -> Any:
        """Returns a value a sample, ``[batch]``."""
        ops = keras.ops
        y_pred = ops.convert_to_tensor(y_pred)
        error = ops.abs(y_pred - ops.cast(y_true, y_pred.dtype))
        line = self.delta * (error - 0.5 * self.delta)
        rise = ops.log(ops.maximum(error, self.far)) - math.log(self.far)
        tail = self.delta * (self.far - 0.5 * self.delta + self.far * rise)
        beyond = ops.where(error <= self.far, line, tail)
        return ops.mean(ops.where(error <= self.delta, 0.5 * ops.square(error), beyond), axis=-1)
