"""State: live variables by name, and how they are compared with saved tensors and filled from them."""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import keras
import numpy as np
import numpy.typing as npt
import tensorflow as tf

Array = npt.NDArray[Any]

State = Mapping[str, tf.Variable | keras.Variable | Array]
"""Live values by stable, unique names: variables, or arrays that are filled in place."""


@dataclass(frozen=True, slots=True)
class TensorFact:
    """A tensor's shape and the name of its dtype."""

    shape: tuple[int, ...]
    dtype: str

    @classmethod
    def of(cls, tensor: tf.Tensor) -> "TensorFact":
        """Describes a tensor."""
        return cls(tuple(tensor.shape), tf.as_dtype(tensor.dtype).name)

    @property
    def size(self) -> int:
        """The tensor's size in bytes."""
        return math.prod(self.shape) * int(tf.as_dtype(self.dtype).size)

    def __str__(self) -> str:
        return f"{self.dtype} {list(self.shape)}"


def read(state: State) -> dict[str, tf.Tensor]:
    """Returns the present values; a variable's memory is shared, not copied."""
    return {name: tf.convert_to_tensor(_backing(live)) for name, live in state.items()}


def assign(state: State, tensors: dict[str, tf.Tensor]) -> None:
    """Fills every value of the state from the tensor of its name, and empties ``tensors``."""
    for name, live in state.items():
        # Popped one by one: a variable takes the tensor's memory over, and its own is freed at once.
        tensor = tensors.pop(name)
        if isinstance(live, np.ndarray):
            live[...] = tensor.numpy()
        else:
            _backing(live).assign(tensor)


def differences(state: State, saved: Mapping[str, TensorFact], *, partial: bool) -> list[str]:
    """Says, tensor by tensor, why a saved state does not fit the live one; nothing if it fits.

    Args:
        state: The live values.
        saved: What was saved.
        partial: Whether ``saved`` may hold more than ``state``.
    """
    extra = [] if partial else [name for name in saved if name not in state]
    lacking = [name for name in state if name not in saved]
    unlike = [
        f"{name!r} is {saved[name]} in it and {_describe(_backing(live))} here"
        for name, live in state.items()
        if name in saved and not _fits(_backing(live), saved[name])
    ]
    return (
        unlike
        + [f"it has no {name!r}" for name in lacking]
        + [f"it has {name!r}, which this run has not" for name in extra]
    )


def _backing(live: Any) -> Any:
    """Returns the TensorFlow variable of a Keras one, and anything else as it is."""
    return live.value if isinstance(live, keras.Variable) else live


def _fits(live: Any, fact: TensorFact) -> bool:
    same_dtype = tf.as_dtype(live.dtype).name == fact.dtype
    return same_dtype and bool(tf.TensorShape(live.shape).is_compatible_with(fact.shape))


def _describe(live: Any) -> str:
    return f"{tf.as_dtype(live.dtype).name} {list(live.shape)}"
