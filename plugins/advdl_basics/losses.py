"""Keras' losses with typed options. A loss is called as ``loss(target, prediction, sample_weight=None)``.

Each averages over the batch. Cross-entropies take logits unless told otherwise.
"""

from typing import Annotated

import keras
from annotated_types import Gt, Interval

Share = Annotated[float, Interval(ge=0, lt=1)]


class MeanSquaredError(keras.losses.MeanSquaredError):
    """``(target - prediction) ** 2``, averaged."""

    def __init__(self) -> None:
        super().__init__()


class MeanAbsoluteError(keras.losses.MeanAbsoluteError):
    """``|target - prediction|``, averaged."""

    def __init__(self) -> None:
        super().__init__()


class Huber(keras.losses.Huber):
    """``e**2 / 2`` for errors up to delta, ``delta * (|e| - delta / 2)`` beyond.

    Paper: Huber 1964, "Robust Estimation of a Location Parameter".

    Args:
        delta: The error at which the square turns into a line, in the target's unit.
    """

    def __init__(self, *, delta: Annotated[float, Gt(0)] = 1.0) -> None:
        super().__init__(delta=delta)


class LogCosh(keras.losses.LogCosh):
    """``log(cosh(e))`` of the error e: near ``e**2 / 2`` for small ones, ``|e| - log 2`` for large ones."""

    def __init__(self) -> None:
        super().__init__()


class BinaryCrossentropy(keras.losses.BinaryCrossentropy):
    """Cross-entropy of targets in [0, 1].

    Args:
        from_logits: Whether predictions are logits rather than probabilities.
        label_smoothing: How far targets are drawn to 1/2.
    """

    def __init__(self, *, from_logits: bool = True, label_smoothing: Share = 0.0) -> None:
        super().__init__(from_logits=from_logits, label_smoothing=label_smoothing)


class CategoricalCrossentropy(keras.losses.CategoricalCrossentropy):
    """Cross-entropy of one-hot targets ``[batch, classes]``.

    Args:
        from_logits: Whether predictions are logits rather than probabilities.
        label_smoothing: How far targets are drawn to the uniform distribution.
    """

    def __init__(self, *, from_logits: bool = True, label_smoothing: Share = 0.0) -> None:
        super().__init__(from_logits=from_logits, label_smoothing=label_smoothing)


class SparseCategoricalCrossentropy(keras.losses.SparseCategoricalCrossentropy):
    """Cross-entropy of integer targets ``[batch]``.

    Args:
        from_logits: Whether predictions are logits rather than probabilities.
    """

    def __init__(self, *, from_logits: bool = True) -> None:
        super().__init__(from_logits=from_logits)
