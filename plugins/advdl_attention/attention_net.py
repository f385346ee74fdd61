"""Self-attention over the parts of an image or the steps of a history."""

import math
from typing import Annotated, Any, Literal

import gymnasium
import keras
from annotated_types import Ge, Gt, Lt

from advdl.plugin import Factory, Part
from advdl_attention.attention import head_size
from advdl_attention.tokens import (
    ClassToken,
    Positions,
    Readout,
    encode,
    observation,
    patches,
    require_image_or_history,
    with_positions,
)

_MOST_PATCHES = 64


class Attention(keras.Model):
    """A small transformer encoder over the tokens of an observation, for reinforcement learning.

    An image ``[height, width, channels]`` goes through a 3x3 convolution and is cut into patches; of a history
    or a set of entities ``[time, features]`` each row is a token. As in relational reinforcement learning
    (Zambaldi et al. 2019, arXiv:1806.01830) the features are the maximum over tokens; layer normalisation
    comes first in each block (Parisotto et al. 2020, arXiv:1910.06764).

    Maps observations ``[batch, ...]`` to features ``[batch, units]``.

    Args:
        observation_space: What is observed.
        patch: Pixels of a patch, each way; nothing means the fewest that give at most 64 patches.
        stem: Channels of the 3x3 convolution before the patches; 0 for none.
        width: Size of a token.
        depth: How many transformer blocks.
        heads: How many attention heads; they divide the width.
        ratio: Width of the feed-forward networks, in multiples of ``width``.
        positions: How tokens know where they are: learned, sinusoidal, or none for a set.
        causal: Whether a token sees only those before it, as in a history that is read out at its last.
        readout: How tokens become features: their max, their average, the last, or a learned class token.
        dropout: The share of attention weights and of outputs that training drops.
        layer: A layer, of a plugin say, that the tokens go through after each block.
        activation: What follows the convolution and the fully connected layer.
        units: Width of the fully connected layer at the end; 0 for none.
        channels_first: Whether images come as ``[channels, height, width]``, such as the frames that
            ``gymnasium.wrappers.FrameStackObservation`` stacks. A history stays as it is.

    Raises:
        UsageError: The space is neither an image nor a history, or the heads do not divide the width.
    """

    def __init__(
        self,
        observation_space: gymnasium.Space[Any],
        *,
        patch: Annotated[int, Gt(0)] | None = None,
        stem: Annotated[int, Ge(0)] = 32,
        width: Annotated[int, Gt(0)] = 64,
        depth: Annotated[int, Gt(0)] = 2,
        heads: Annotated[int, Gt(0)] = 4,
        ratio: Annotated[int, Gt(0)] = 2,
        positions: Positions = "learned",
        causal: bool = False,
        readout: Readout = "max",
        dropout: Annotated[float, Ge(0), Lt(1)] = 0.0,
        layer: Annotated[Factory, Part("layer")] | None = None,
        activation: Literal["relu", "tanh", "gelu", "silu", "elu", "selu", "leaky_relu", "mish"] = "relu",
        units: Annotated[int, Ge(0)] = 256,
        channels_first: bool = False,
    ) -> None:
        require_image_or_history(observation_space, "attention", turned=channels_first)
        head_size(width, heads)
        inputs, x = observation(observation_space)
        if len(observation_space.shape or ()) == 3:
            x = keras.layers.Permute((2, 3, 1), name="channels_last")(x) if channels_first else x
            x = _stem(x, stem, activation)
            x = patches(x, width, patch or _patch_size(x.shape[1], x.shape[2]))
        else:
            x = keras.layers.Dense(width, name="tokens")(x)
        x = ClassToken(name="class_token")(x) if readout == "class" else x
        options: dict[str, Any] = {"heads": heads, "ratio": ratio, "dropout": dropout, "causal": causal}
        x = encode(with_positions(x, positions), depth=depth, readout=readout, layer=layer, **options)
        if units:
            x = keras.layers.Activation(activation, name="activation")(keras.layers.Dense(units, name="dense")(x))
        super().__init__(inputs=inputs, outputs=x, name="attention")


def _stem(x: Any, filters: int, activation: str) -> Any:
    if not filters:
        return x
    convolution = keras.layers.Conv2D(filters, 3, padding="same", data_format="channels_last", name="stem")
    return keras.layers.Activation(activation, name="stem_activation")(convolution(x))


def _patch_size(height: int, width: int) -> int:
    sizes = range(1, max(height, width) + 1)
    return next(size for size in sizes if math.ceil(height / size) * math.ceil(width / size) <= _MOST_PATCHES)
