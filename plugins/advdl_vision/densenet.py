"""Densely connected networks: the canonical ones, and one of configurable size for reinforcement learning."""

from collections.abc import Sequence
from typing import Annotated, Any

import gymnasium
import keras
from annotated_types import Ge, Gt, Le, MinLen

from advdl_vision.dense_block import DenseBlock, Transition
from advdl_vision.images import LayerPart, Pooling, dense_head, image_input, pool
from advdl_vision.units import (
    BATCH_EPSILON,
    Activation,
    Norm,
    Unit,
    max_pooling,
    normalization,
    zero_padding,
)


class DenseNet(keras.Model):
    """A small densely connected network (Huang et al. 2017, arXiv:1608.06993) of configurable size.

    Its defaults are for reinforcement learning: layer normalisation, because batch normalisation harms
    bootstrapped targets (CrossQ, arXiv:1902.05605) and layer normalisation steadies them (PQN,
    arXiv:2407.04811); and global average pooling (Impoola, arXiv:2503.05546).

    Maps images ``[batch, height, width, channels]`` to features ``[batch, units]``.

    Args:
        observation_space: What is observed.
        blocks: Layers of each dense block.
        growth: Channels that each layer adds.
        bottleneck: Width of the 1x1 before each 3x3, in multiples of ``growth``; 0 for none.
        compression: The share of channels that a transition keeps.
        stem: Channels of the 3x3 convolution at the start.
        stem_strides: Its step.
        norm: What normalises: none, layer, group or batch.
        activation: What follows.
        pooling: How the last map becomes features.
        layer: A layer, of a plugin say, that the last map goes through before it is pooled.
        units: Width of the fully connected layer at the end; 0 for none.
        channels_first: Whether images come as ``[channels, height, width]``, such as the frames that
            ``gymnasium.wrappers.FrameStackObservation`` stacks.

    Raises:
        UsageError: The space is no image of that size.
    """

    def __init__(
        self,
        observation_space: gymnasium.Space[Any],
        *,
        blocks: Annotated[tuple[Annotated[int, Gt(0)], ...], MinLen(1)] = (3, 3),
        growth: Annotated[int, Gt(0)] = 16,
        bottleneck: Annotated[int, Ge(0)] = 0,
        compression: Annotated[float, Gt(0), Le(1)] = 0.5,
        stem: Annotated[int, Gt(0)] = 32,
        stem_strides: Annotated[int, Gt(0)] = 2,
        norm: Norm = "layer",
        activation: Activation = "relu",
        pooling: Pooling = "average",
        layer: LayerPart = None,
        units: Annotated[int, Ge(0)] = 256,
        channels_first: bool = False,
    ) -> None:
        smallest = stem_strides * 2 ** (len(blocks) - 1)
        inputs, x = image_input(observation_space, "densenet", smallest=smallest, channels_first=channels_first)
        style: dict[str, Any] = {"norm": norm, "activation": activation}
        x = Unit(stem, 3, strides=stem_strides, padding="even", name="stem", **style)(x)
        x = _blocks(x, blocks, growth, bottleneck, compression, **style)
        x = dense_head(pool(x, pooling, layer), units, activation)
        super().__init__(inputs=inputs, outputs=x, name="densenet")


class DenseNet121(keras.Model):
    """DenseNet-121 (Huang et al. 2017, arXiv:1608.06993, table 1) without its classifier.

    The network of keras.applications, weight by weight: with 1000 classes 8,062,504 parameters, moving
    averages counted. Maps images ``[batch, height, width, channels]`` to features ``[batch, 1024]``.

    Args:
        observation_space: What is observed.
        norm: What normalises: none, layer, group or batch. In bootstrapped learning take layer or group.
        pooling: How the last map becomes features.
        layer: A layer, of a plugin say, that the last map goes through before it is pooled.

    Raises:
        UsageError: The space is no image of 32 x 32 or more.
    """

    def __init__(
        self,
        observation_space: gymnasium.Space[Any],
        *,
        norm: Norm = "batch",
        pooling: Pooling = "average",
        layer: LayerPart = None,
    ) -> None:
        inputs, x = _canonical(observation_space, "densenet121", (6, 12, 24, 16), norm)
        super().__init__(inputs=inputs, outputs=pool(x, pooling, layer), name="densenet121")


class DenseNet169(keras.Model):
    """DenseNet-169 (Huang et al. 2017, arXiv:1608.06993, table 1) without its classifier.

    The network of keras.applications, weight by weight: with 1000 classes 14,307,880 parameters, moving
    averages counted. Maps images ``[batch, height, width, channels]`` to features ``[batch, 1664]``.

    Args:
        observation_space: What is observed.
        norm: What normalises: none, layer, group or batch. In bootstrapped learning take layer or group.
        pooling: How the last map becomes features.
        layer: A layer, of a plugin say, that the last map goes through before it is pooled.

    Raises:
        UsageError: The space is no image of 32 x 32 or more.
    """

    def __init__(
        self,
        observation_space: gymnasium.Space[Any],
        *,
        norm: Norm = "batch",
        pooling: Pooling = "average",
        layer: LayerPart = None,
    ) -> None:
        inputs, x = _canonical(observation_space, "densenet169", (6, 12, 32, 32), norm)
        super().__init__(inputs=inputs, outputs=pool(x, pooling, layer), name="densenet169")


class DenseNet201(keras.Model):
    """DenseNet-201 (Huang et al. 2017, arXiv:1608.06993, table 1) without its classifier.

    The network of keras.applications, weight by weight: with 1000 classes 20,242,984 parameters, moving
    averages counted. Maps images ``[batch, height, width, channels]`` to features ``[batch, 1920]``.

    Args:
        observation_space: What is observed.
        norm: What normalises: none, layer, group or batch. In bootstrapped learning take layer or group.
        pooling: How the last map becomes features.
        layer: A layer, of a plugin say, that the last map goes through before it is pooled.

    Raises:
        UsageError: The space is no image of 32 x 32 or more.
    """

    def __init__(
        self,
        observation_space: gymnasium.Space[Any],
        *,
        norm: Norm = "batch",
        pooling: Pooling = "average",
        layer: LayerPart = None,
    ) -> None:
        inputs, x = _canonical(observation_space, "densenet201", (6, 12, 48, 32), norm)
        super().__init__(inputs=inputs, outputs=pool(x, pooling, layer), name="densenet201")


def _canonical(space: gymnasium.Space[Any], name: str, blocks: Sequence[int], norm: Norm) -> tuple[Any, Any]:
    """Builds a DenseNet-BC for photos, up to its last map."""
    inputs, x = image_input(space, name, smallest=32)
    x = Unit(64, 7, strides=2, padding="even", norm=norm, name="stem")(x)
    x = max_pooling(3, 2, "stem_pool", "valid")(zero_padding(1, "stem_pad")(x))
    return inputs, _blocks(x, blocks, 32, 4, 0.5, norm=norm, activation="relu")


def _blocks(
    x: Any,
    blocks: Sequence[int],
    growth: int,
    bottleneck: int,
    compression: float,
    *,
    norm: Norm,
    activation: Activation,
) -> Any:
    style: dict[str, Any] = {"norm": norm, "activation": activation}
    for index, layers in enumerate(blocks, start=1):
        if index > 1:
            x = Transition(compression=compression, name=f"transition_{index - 1}", **style)(x)
        name = f"block_{index}"
        x = DenseBlock(layers=layers, growth=growth, bottleneck=bottleneck, name=name, **style)(x)
    last = normalization(norm, int(x.shape[-1]), epsilon=BATCH_EPSILON, name="last_norm")
    x = x if last is None else last(x)
    return keras.layers.Activation(activation, name="last_activation")(x)
