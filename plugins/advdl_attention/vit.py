"""The vision transformer."""

from typing import Annotated, Any

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
    require_image,
    with_positions,
)


class ViT(keras.Model):
    """A vision transformer (Dosovitskiy et al. 2021, arXiv:2010.11929) without its classifier.

    The defaults are the tiny model with patches of 16 pixels (Touvron et al. 2021, DeiT, arXiv:2012.12877):
    with images of 224 x 224 and 1000 classes 5,717,416 parameters. Width 384 and 6 heads make the small, 768
    and 12 the base model. Maps images ``[batch, height, width, channels]`` to features ``[batch, width]``.

    Args:
        observation_space: What is observed.
        patch: Pixels of a patch, each way.
        width: Size of a token.
        depth: How many transformer blocks.
        heads: How many attention heads; they divide the width.
        ratio: Width of the feed-forward networks, in multiples of ``width``.
        positions: How tokens know where they are: learned, sinusoidal or none.
        readout: How tokens become features: a learned class token, their average, their max, or the last.
        dropout: The share of attention weights and of outputs that training drops.
        layer: A layer, of a plugin say, that the tokens go through after each block.

    Raises:
        UsageError: The space is no image of a patch or more, or the heads do not divide the width.
    """

    def __init__(
        self,
        observation_space: gymnasium.Space[Any],
        *,
        patch: Annotated[int, Gt(0)] = 16,
        width: Annotated[int, Gt(0)] = 192,
        depth: Annotated[int, Gt(0)] = 12,
        heads: Annotated[int, Gt(0)] = 3,
        ratio: Annotated[int, Gt(0)] = 4,
        positions: Positions = "learned",
        readout: Readout = "class",
        dropout: Annotated[float, Ge(0), Lt(1)] = 0.0,
        layer: Annotated[Factory, Part("layer")] | None = None,
    ) -> None:
        require_image(observation_space, "vit", smallest=patch)
        head_size(width, heads)
        inputs, x = observation(observation_space)
        x = patches(x, width, patch)
        x = ClassToken(name="class_token")(x) if readout == "class" else x
        x = with_positions(x, positions)
        x = encode(x, depth=depth, readout=readout, heads=heads, ratio=ratio, dropout=dropout, layer=layer)
        super().__init__(inputs=inputs, outputs=x, name="vit")
