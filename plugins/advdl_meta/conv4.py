"""Conv-4: the small network of few-shot classification."""

import math
from typing import Annotated, Any

import gymnasium
import keras
import numpy as np
from annotated_types import Ge

from advdl.errors import UsageError
from advdl.plugin import Factory, Part
from advdl.training import BatchNorm


class Conv4(keras.Model):
    """Blocks of a 3 by 3 convolution, batch normalisation, ReLU and 2 by 2 max pooling (Vinyals et al. 2016).

    The convolution is a product of matrices, so that each task of a meta-batch can have filters of its own in one
    program. Maps images ``[batch, height, width, channels]`` to features ``[batch, features]``; uint8 is divided by
    255.

    Args:
        observation_space: An image.
        filters: Filters of each convolution; the papers take 64 for Omniglot and 32 for miniImageNet.
        blocks: How many blocks; pooling ends where a side would be less than one pixel.
        layer: A layer, of a plugin say, that follows each activation.

    Raises:
        UsageError: The space is no image.
    """

    def __init__(
        self,
        observation_space: gymnasium.Space[Any],
        *,
        filters: Annotated[int, Ge(1)] = 64,
        blocks: Annotated[int, Ge(1)] = 4,
        layer: Annotated[Factory, Part("layer")] | None = None,
    ) -> None:
        if not isinstance(observation_space, gymnasium.spaces.Box) or len(observation_space.shape) != 3:
            raise UsageError(
                f"the backbone 'conv4' cannot see {observation_space}",
                hint="it takes images [height, width, channels]; for vectors: --backbone mlp",
            )
        dtype = str(np.dtype(observation_space.dtype))
        x = inputs = keras.Input(observation_space.shape, dtype=dtype, name="observation")
        x = keras.layers.Rescaling(1 / 255 if dtype == "uint8" else 1.0, name="scale")(x)
        for index in range(blocks):
            x = ConvolutionByMatrix(filters, name=f"conv_{index}")(x)
            x = BatchNorm(name=f"norm_{index}")(x)
            x = keras.layers.Activation("relu", name=f"activation_{index}")(x)
            x = x if layer is None else layer(name=f"layer_{index}")(x)
            if min(x.shape[1:3]) >= 2:
                x = PoolByShape(name=f"pool_{index}")(x)
        super().__init__(inputs=inputs, outputs=keras.layers.Flatten(name="features")(x), name="conv4")


class ConvolutionByMatrix(keras.layers.Layer):
    """A 3 by 3 convolution with padding: the sum of nine shifted images, each times a matrix of its own.

    Shifts are products too: the second derivatives of padding and concatenation are not batched over tasks.

    Args:
        filters: How many filters.
        name: The layer's name.
    """

    def __init__(self, filters: int, *, name: str) -> None:
        super().__init__(name=name)
        self._filters = filters

    def build(self, input_shape: tuple[int | None, ...]) -> None:
        """Creates the filters."""
        channels = int(input_shape[-1] or 0)
        deviation = math.sqrt(2.0 / (9 * (channels + self._filters)))  # Glorot's, whose fans are those of all nine
        initial = keras.initializers.RandomNormal(stddev=deviation)
        self.kernel = self.add_weight(shape=(9, channels, self._filters), initializer=initial, name="kernel")

    def call(self, images: Any) -> Any:
        """Convolves ``[batch, height, width, channels]``."""
        height, width = (int(side) for side in images.shape[1:3])
        outputs = []
        for row in range(3):
            down = _shift(height, row - 1, images.dtype)
            moved = keras.ops.einsum("ih,bhwc->biwc", down, images)
            for column in range(3):
                across = _shift(width, column - 1, images.dtype)
                both = keras.ops.einsum("jw,biwc->bijc", across, moved)
                outputs.append(keras.ops.matmul(both, self.kernel[3 * row + column]))
        return sum(outputs[1:], outputs[0])

    def compute_output_shape(self, input_shape: tuple[int | None, ...]) -> tuple[int | None, ...]:
        """Returns the shape with ``filters`` channels."""
        return (*input_shape[:-1], self._filters)


def _shift(size: int, steps: int, dtype: Any) -> Any:
    """Returns the matrix that moves a line by some steps and lets zeros in."""
    return keras.ops.cast(np.eye(size, k=steps, dtype=np.float32), dtype)


class PoolByShape(keras.layers.Layer):
    """2 by 2 max pooling by reshaping, whose second derivative every compiler knows; an odd last row is left out.

    Args:
        name: The layer's name.
    """

    def __init__(self, *, name: str) -> None:
        super().__init__(name=name)

    def call(self, images: Any) -> Any:
        """Pools ``[batch, height, width, channels]``."""
        height, width, channels = images.shape[1:]
        even = images[:, : height // 2 * 2, : width // 2 * 2]
        tiles = keras.ops.reshape(even, (-1, height // 2, 2, width // 2, 2, channels))
        return keras.ops.max(tiles, axis=(2, 4))

    def compute_output_shape(self, input_shape: tuple[int | None, ...]) -> tuple[int | None, ...]:
        """Returns the shape with half the sides."""
        batch, height, width, channels = input_shape
        return (batch, (height or 0) // 2, (width or 0) // 2, channels)
