"""The deep residual network of IMPALA."""

from typing import Annotated, Any

import gymnasium
import keras
from annotated_types import Ge, Gt, MinLen

from advdl_vision.images import LayerPart, Pooling, dense_head, image_input, pool
from advdl_vision.residual import PreActivationBlock
from advdl_vision.units import Activation, Norm, Unit, max_pooling


class Impala(keras.Model):
    """Three stages of a convolution, max-pooling by 2 and two residual blocks (Espeholt et al. 2018, figure 3).

    IMPALA (arXiv:1802.01561) flattens the last map: ``pooling = "flatten"``. The default is its mean over
    positions, which learns better and generalises better on Procgen (Trumpp et al. 2025, Impoola,
    arXiv:2503.05546), most so where the view is not centred on the agent. Nothing normalises, as in both.

    Maps images ``[batch, height, width, channels]`` to features ``[batch, units]``.

    Args:
        observation_space: What is observed.
        widths: Channels of each stage.
        scale: Multiplies every width; Impoola takes 2.
        blocks: Residual blocks of every stage.
        norm: What normalises before the convolutions of the blocks: none, layer, group or batch.
        activation: What comes before them.
        pooling: How the last map becomes features.
        layer: A layer, of a plugin say, that the last map goes through before it is pooled.
        units: Width of the fully connected layer; 0 for none.
        channels_first: Whether images come as ``[channels, height, width]``, such as the frames that
            ``gymnasium.wrappers.FrameStackObservation`` stacks.

    Raises:
        UsageError: The space is no image of that size, 8 x 8 with three stages.
    """

    def __init__(
        self,
        observation_space: gymnasium.Space[Any],
        *,
        widths: Annotated[tuple[Annotated[int, Gt(0)], ...], MinLen(1)] = (16, 32, 32),
        scale: Annotated[int, Gt(0)] = 1,
        blocks: Annotated[int, Gt(0)] = 2,
        norm: Norm = "none",
        activation: Activation = "relu",
        pooling: Pooling = "average",
        layer: LayerPart = None,
        units: Annotated[int, Ge(0)] = 256,
        channels_first: bool = False,
    ) -> None:
        smallest = 2 ** len(widths)
        inputs, x = image_input(observation_space, "impala", smallest=smallest, channels_first=channels_first)
        for stage, width in enumerate(widths, start=1):
            x = Unit(width * scale, 3, activation="linear", name=f"stage_{stage}_conv")(x)
            x = max_pooling(3, 2, f"stage_{stage}_pool")(x)
            for index in range(1, blocks + 1):
                name = f"stage_{stage}_block_{index}"
                x = PreActivationBlock(norm=norm, activation=activation, name=name)(x)
        x = keras.layers.Activation(activation, name="last_activation")(x)
        x = dense_head(pool(x, pooling, layer), units, activation)
        super().__init__(inputs=inputs, outputs=x, name="impala")
