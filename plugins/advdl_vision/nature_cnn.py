"""The network of the Nature DQN."""

from typing import Annotated, Any

import gymnasium
import keras
from annotated_types import Ge

from advdl_vision.images import LayerPart, Pooling, dense_head, image_input, pool
from advdl_vision.units import Activation, Norm, Unit


class NatureCNN(keras.Model):
    """Three convolutions and a fully connected layer (Mnih et al. 2015, doi:10.1038/nature14236).

    8x8 by 4 with 32 channels, 4x4 by 2 with 64, 3x3 with 64, without padding; nothing normalises and every
    position is kept, as in the paper. Maps images ``[batch, height, width, channels]`` to features
    ``[batch, units]``.

    Args:
        observation_space: What is observed.
        norm: What normalises after each convolution: none, layer, group or batch.
        activation: What follows each layer.
        pooling: How the last map becomes features.
        layer: A layer, of a plugin say, that the last map goes through before it is pooled.
        units: Width of the fully connected layer; 0 for none.
        channels_first: Whether images come as ``[channels, height, width]``, such as the frames that
            ``gymnasium.wrappers.FrameStackObservation`` stacks.

    Raises:
        UsageError: The space is no image of 36 x 36 or more.
    """

    def __init__(
        self,
        observation_space: gymnasium.Space[Any],
        *,
        norm: Norm = "none",
        activation: Activation = "relu",
        pooling: Pooling = "flatten",
        layer: LayerPart = None,
        units: Annotated[int, Ge(0)] = 512,
        channels_first: bool = False,
    ) -> None:
        inputs, x = image_input(observation_space, "nature_cnn", smallest=36, channels_first=channels_first)
        for index, (filters, kernel, strides) in enumerate(((32, 8, 4), (64, 4, 2), (64, 3, 1)), start=1):
            unit = Unit(
                filters,
                kernel,
                strides=strides,
                padding="valid",
                norm=norm,
                activation=activation,
                name=f"conv_{index}",
            )
            x = unit(x)
        x = dense_head(pool(x, pooling, layer), units, activation)
        super().__init__(inputs=inputs, outputs=x, name="nature_cnn")
