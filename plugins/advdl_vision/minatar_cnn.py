"""The network of MinAtar."""

from typing import Annotated, Any

import gymnasium
import keras
from annotated_types import Ge, Gt

from advdl_vision.images import LayerPart, Pooling, dense_head, image_input, pool
from advdl_vision.units import Activation, Norm, Unit


class MinAtarCNN(keras.Model):
    """One 3x3 convolution and a fully connected layer (Young and Tian 2019, MinAtar, arXiv:1903.03176).

    Without padding; nothing normalises and every position is kept, as in the paper. Maps images ``[batch,
    height, width, channels]`` to features ``[batch, units]``.

    Args:
        observation_space: What is observed.
        filters: Channels of the convolution.
        norm: What normalises after the convolution: none, layer, group or batch.
        activation: What follows each layer.
        pooling: How the map becomes features.
        layer: A layer, of a plugin say, that the map goes through before it is pooled.
        units: Width of the fully connected layer; 0 for none.
        channels_first: Whether images come as ``[channels, height, width]``, such as the frames that
            ``gymnasium.wrappers.FrameStackObservation`` stacks.

    Raises:
        UsageError: The space is no image of 3 x 3 or more.
    """

    def __init__(
        self,
        observation_space: gymnasium.Space[Any],
        *,
        filters: Annotated[int, Gt(0)] = 16,
        norm: Norm = "none",
        activation: Activation = "relu",
        pooling: Pooling = "flatten",
        layer: LayerPart = None,
        units: Annotated[int, Ge(0)] = 128,
        channels_first: bool = False,
    ) -> None:
        inputs, x = image_input(observation_space, "minatar_cnn", smallest=3, channels_first=channels_first)
        x = Unit(filters, 3, padding="valid", norm=norm, activation=activation, product=True, name="conv")(x)
        x = dense_head(pool(x, pooling, layer), units, activation)
        super().__init__(inputs=inputs, outputs=x, name="minatar_cnn")
