"""The multi-layer perceptron: the backbone for observations that are not images."""

import math
from typing import Annotated, Any, Literal

import gymnasium
import keras
import numpy as np
from annotated_types import Gt
from gymnasium import spaces

from advdl.errors import UsageError
from advdl.plugin import Factory, Part

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
    ) -> None:
        inputs = keras.Input(observation_space.shape, dtype=_dtype(observation_space), name="observation")
        x = Flat(observation_space, name="flat")(inputs)
        for index, width in enumerate(units):
            x = keras.layers.Dense(width, name=f"dense_{index}")(x)
            if layer_norm:
                x = keras.layers.LayerNormalization(name=f"norm_{index}")(x)
            x = keras.layers.Activation(activation, name=f"activation_{index}")(x)
            x = x if layer is None else layer(name=f"layer_{index}")(x)
        super().__init__(inputs=inputs, outputs=x, name="mlp")


class Flat(keras.layers.Layer):
    """Turns observations of a space into vectors ``[batch, size]`` of the layer's float dtype."""

    def __init__(self, space: gymnasium.Space[Any], *, name: str) -> None:
        super().__init__(name=name)
        self._scale = 1.0
        self._classes = np.zeros(0, int)
        self._starts = np.zeros(0, int)
        match space:
            case spaces.Box():
                self._scale = 1 / 255 if space.dtype == np.uint8 else 1.0
            case spaces.Discrete():
                self._classes, self._starts = np.array([space.n], int), np.array([space.start], int)
            case spaces.MultiDiscrete():
                self._classes, self._starts = space.nvec.astype(int).ravel(), space.start.astype(int).ravel()
            case spaces.MultiBinary():
                pass
        self._size = int(self._classes.sum()) or math.prod(space.shape or ())

    def call(self, observation: Any) -> Any:
        """Flattens a batch."""
        count = len(self._classes)
        if not count:
            flat = keras.ops.cast(keras.ops.reshape(observation, (-1, self._size)), self.compute_dtype)
            return flat * self._scale if self._scale != 1.0 else flat
        numbers = keras.ops.cast(keras.ops.reshape(observation, (-1, count)), "int32")
        width = int(self._classes.max())
        hot = keras.ops.one_hot(numbers - self._starts.astype("int32"), width, dtype=self.compute_dtype)
        used = np.flatnonzero(np.arange(width) < self._classes[:, None])
        return keras.ops.take(keras.ops.reshape(hot, (-1, count * width)), used.astype("int32"), axis=1)

    def compute_output_shape(self, input_shape: tuple[int | None, ...]) -> tuple[int | None, int]:
        """Returns ``(batch, size)``."""
        return (input_shape[0], self._size)


def _dtype(space: gymnasium.Space[Any]) -> str:
    if not isinstance(space, spaces.Box | spaces.Discrete | spaces.MultiDiscrete | spaces.MultiBinary):
        raise UsageError(
            f"the backbone 'mlp' cannot see observations of {type(space).__name__} spaces",
            hint="it takes Box, Discrete, MultiDiscrete and MultiBinary; "
            "gymnasium.wrappers.FlattenObservation turns others into a Box",
        )
    return str(np.dtype(space.dtype))
