"""Self-attention over the parts of an image, the steps of a history or the entities of a Dict."""

from typing import Annotated, Any, Literal

import gymnasium
import keras
from annotated_types import Ge, Gt, Lt

from advdl.plugin import Factory, Part
from advdl_attention.attention import head_size
from advdl_attention.entities import all_tokens
from advdl_attention.tokens import ClassToken, Positions, Readout, encode, with_positions


class Attention(keras.Model):
    """A small transformer encoder over the tokens of an observation, for reinforcement learning.

    An image ``[height, width, channels]`` goes through a 3x3 convolution and is cut into patches; of a history
    or a set of entities ``[time, features]`` each row is a token. Of a ``Dict`` or ``Tuple`` every leaf gives its
    tokens, those of an image or of a set, and one for anything else: a vector, or a choice. As in relational
    reinforcement learning (Zambaldi et al. 2019, arXiv:1806.01830) the features are the maximum over tokens; layer
    normalisation comes first in each block (Parisotto et al. 2020, arXiv:1910.06764).

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
        UsageError: The space is neither an image nor a history nor made of what can be seen, or the heads do not
            divide the width.
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
        head_size(width, heads)
        seen: dict[str, Any] = {"stem": stem, "activation": activation, "channels_first": channels_first}
        inputs, x = all_tokens(observation_space, width, patch=patch, **seen)
        x = ClassToken(name="class_token")(x) if readout == "class" else x
        options: dict[str, Any] = {"heads": heads, "ratio": ratio, "dropout": dropout, "causal": causal}
        x = encode(with_positions(x, positions), depth=depth, readout=readout, layer=layer, **options)
        if units:
            x = keras.layers.Activation(activation, name="activation")(keras.layers.Dense(units, name="dense")(x))
        super().__init__(inputs=inputs, outputs=x, name="attention")
