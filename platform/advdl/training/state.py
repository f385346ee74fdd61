"""State: live variables by name, how they are read and how they are filled from saved tensors."""

from collections.abc import Mapping
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from advdl.training.tensors import Array

__all__ = ["Array", "State", "assign", "backing", "read"]

State = Mapping[str, tf.Variable | keras.Variable | Array]
"""Live values by stable, unique names: variables, arrays that are filled in place, or what else TensorFlow can read as
a tensor and has ``assign``, such as one place of a variable."""


def read(state: State) -> dict[str, tf.Tensor]:
    """Returns the present values; a variable's memory is shared, not copied."""
    return {name: tf.convert_to_tensor(value) for name, value in backing(state).items()}


def assign(state: State, tensors: dict[str, tf.Tensor]) -> None:
    """Fills every value of the state from the tensor of its name, and empties ``tensors``."""
    for name, live in backing(state).items():
        # Popped one by one: a variable takes the tensor's memory over, and its own is freed at once.
        tensor = tensors.pop(name)
        if isinstance(live, np.ndarray):
            live[...] = np.asarray(tensor)
        else:
            live.assign(tensor)


def backing(state: State) -> dict[str, Any]:
    """Returns the TensorFlow variables of Keras' ones, and anything else as it is."""
    return {name: live.value if isinstance(live, keras.Variable) else live for name, live in state.items()}
