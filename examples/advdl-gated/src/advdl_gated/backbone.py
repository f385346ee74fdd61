"""A backbone of gated layers."""

from typing import Annotated, Any

import gymnasium
import keras
from advdl.errors import UsageError
from annotated_types import Gt, MinLen

from advdl_gated.layer import Gate


class GatedMLP(keras.Model):
    """Fully connected layers over a vector, each followed by a gate.

    Maps observations ``[batch, size]`` to features ``[batch, units[-1]]``.

    Args:
        observation_space: A ``Box`` of one axis.
        units: Width of each layer.
        openness: What the gates' bias starts with.
    """

    def __init__(
        self,
        observation_space: gymnasium.Space[Any],
        *,
        units: Annotated[tuple[Annotated[int, Gt(0)], ...], MinLen(1)] = (64, 64),
        openness: Annotated[float, Gt(0)] = 2.0,
    ) -> None:
        if not isinstance(observation_space, gymnasium.spaces.Box) or len(observation_space.shape) != 1:
            raise UsageError(f"gated_mlp needs a Box of one axis, not {observation_space}")
        inputs = keras.Input(observation_space.shape, dtype=str(observation_space.dtype), name="observation")
        x = inputs
        for index, width in enumerate(units):
            x = keras.layers.Dense(width, activation="relu", name=f"dense_{index}")(x)
            x = Gate(openness=openness, name=f"gate_{index}")(x)
        super().__init__(inputs=inputs, outputs=x, name="gated_mlp")
