"""The names that variables have in a checkpoint."""

from collections.abc import Sequence
from typing import Any

import keras
import numpy.typing as npt
import tensorflow as tf

from advdl.training.learner import Learner


def learner_variables(learner: Learner) -> dict[str, tf.Variable]:
    """Returns a learner's variables by a stable name."""
    variables: dict[str, tf.Variable] = {}
    for name, model in learner.models.items():
        variables |= numbered(f"learner/{name}", model.variables)
    return variables


def learner_weights(learner: Learner) -> dict[str, npt.NDArray[Any]]:
    """Returns the values of a learner's trainable variables by model and path, for histograms."""
    return {
        f"{name}/{variable.path}": variable.numpy()
        for name, model in learner.models.items()
        for variable in model.trainable_variables
    }


def numbered(prefix: str, variables: Sequence[keras.Variable]) -> dict[str, tf.Variable]:
    """Names by position: Keras' automatic layer names depend on what else the process has built."""
    return {f"{prefix}/{index:03d}.{variable.name}": variable.value for index, variable in enumerate(variables)}
