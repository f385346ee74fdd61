"""The multi-layer perceptron: the backbone for observations that are not images."""

from typing import Annotated, Any, Literal

import gymnasium
import keras
import numpy as np
from annotated_types import Gt
from gymnasium import spaces

from advdl.errors import UsageError
from advdl.plugin import Factory, Part
from advdl.rl.flat import Flat
from advdl.training import SlicedDense

Activation = Literal[
    "relu", "tanh", "gelu", "silu", "elu", "selu", "leaky_relu", "softplus", "sigmoid", "mish", "linear"
]


class MLP(keras.Model):
    """Fully connected layers over a flat vector.

    Any ``Box`` is flattened (uint8 is divided by 255), ``Discrete`` and ``MultiDiscrete`` become one-hot
    vectors, ``MultiBinary`` zeros and ones. Maps observations ``[batch, ...]`` of the space's dtype to
    features ``[batch, units[-1]]``.

    Args:
        observation_space: What is observed.
        units: Width of each layer; none leaves the flat vector as it is.
        activation: What follows each layer.
        layer_norm: Whether each layer is normalised (Ba et al. 2016, arXiv:1607.06450) before its activation.
        layer: A layer, of a plugin say, that follows each activation.
        rescale: Whether components of a Box with two finite bounds go in as numbers from -1 to 1. What is small beside
            the rest, such as MountainCar's speed of at most 0.07, is hardly seen otherwise.

    Raises:
        UsageError: The space is none of these.
    """

    def __init__(
        self,
        observation_space: gymnasium.Space[Any],
        *,
        units: tuple[Annotated[int, Gt(0)], ...] = (128, 128),
        activation: Activation = "relu",
        layer_norm: bool = False,
        layer: Annotated[Factory, Part("layer")] | None = None,
        rescale: bool = False,
    ) -> None:
        inputs = keras.Input(observation_space.shape, dtype=_dtype(observation_space), name="observation")
        x = Flat(observation_space, name="flat", rescale=rescale)(inputs)
        for index, width in enumerate(units):
            x = SlicedDense(width, name=f"dense_{index}")(x)
            if layer_norm:
                x = keras.layers.LayerNormalization(name=f"norm_{index}")(x)
            x = keras.layers.Activation(activation, name=f"activation_{index}")(x)
            x = x if layer is None else layer(name=f"layer_{index}")(x)
        super().__init__(inputs=inputs, outputs=x, name="mlp")


def _dtype(space: gymnasium.Space[Any]) -> str:
    if not isinstance(space, spaces.Box | spaces.Discrete | spaces.MultiDiscrete | spaces.MultiBinary):
        raise UsageError(
            f"the backbone 'mlp' cannot see observations of {type(space).__name__} spaces",
            hint="it takes Box, Discrete, MultiDiscrete and MultiBinary; "
            "gymnasium.wrappers.FlattenObservation turns others into a Box",
        )
    return str(np.dtype(space.dtype))
