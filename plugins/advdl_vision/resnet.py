"""Residual networks: the canonical ones, and one of configurable size for reinforcement learning."""

from collections.abc import Sequence
from typing import Annotated, Any, Literal

import gymnasium
import keras
from annotated_types import Ge, Gt, MinLen

from advdl.errors import UsageError
from advdl_vision.images import LayerPart, Pooling, dense_head, image_input, pool
from advdl_vision.residual import BottleneckBlock, ResidualBlock
from advdl_vision.units import Activation, Norm, Unit, max_pooling, zero_padding

_WIDTHS = (64, 128, 256, 512)
_STRIDES = (1, 2, 2, 2)


class ResNet(keras.Model):
    """A small residual network (He et al. 2016, arXiv:1512.03385) of configurable size.

    Its defaults are for reinforcement learning: layer normalisation, because batch normalisation harms
    bootstrapped targets (CrossQ, arXiv:1902.05605) and layer normalisation steadies them (Gallici et al.
    2024, PQN, arXiv:2407.04811); and global average pooling (Trumpp et al. 2025, Impoola, arXiv:2503.05546).

    Maps images ``[batch, height, width, channels]`` to features ``[batch, units]``.

    Args:
        observation_space: What is observed.
        widths: Channels of each stage.
        blocks: Blocks of every stage.
        strides: Step of each stage's first block; as many as there are widths.
        stem: The first convolution: ``3x3``, or ``7x7`` and max-pooling, each by 2, as for large photos.
        stem_strides: Step of a ``3x3`` stem.
        block: ``basic`` (two 3x3 convolutions) or ``bottleneck`` (1x1, 3x3, 1x1 up to four times the width).
        norm: What normalises: none, layer, group or batch.
        activation: What follows each convolution.
        pooling: How the last map becomes features.
        layer: A layer, of a plugin say, that the last map goes through before it is pooled.
        units: Width of the fully connected layer at the end; 0 for none.
        channels_first: Whether images come as ``[channels, height, width]``, such as the frames that
            ``gymnasium.wrappers.FrameStackObservation`` stacks.

    Raises:
        UsageError: The space is no image of that size, or widths and strides do not match.
    """

    def __init__(
        self,
        observation_space: gymnasium.Space[Any],
        *,
        widths: Annotated[tuple[Annotated[int, Gt(0)], ...], MinLen(1)] = (32, 64, 64),
        blocks: Annotated[int, Gt(0)] = 1,
        strides: tuple[Annotated[int, Gt(0)], ...] = (1, 2, 2),
        stem: Literal["3x3", "7x7"] = "3x3",
        stem_strides: Annotated[int, Gt(0)] = 2,
        block: Literal["basic", "bottleneck"] = "basic",
        norm: Norm = "layer",
        activation: Activation = "relu",
        pooling: Pooling = "average",
        layer: LayerPart = None,
        units: Annotated[int, Ge(0)] = 256,
        channels_first: bool = False,
    ) -> None:
        if len(widths) != len(strides):
            raise UsageError(
                f"the backbone 'resnet' has {len(widths)} widths and {len(strides)} strides",
                hint="give as many strides as widths",
            )
        smallest = _product(strides) * (stem_strides if stem == "3x3" else 4)
        inputs, x = image_input(observation_space, "resnet", smallest=smallest, channels_first=channels_first)
        style: dict[str, Any] = {"norm": norm, "activation": activation}
        if stem == "3x3":
            x = Unit(widths[0], 3, strides=stem_strides, padding="even", name="stem", **style)(x)
        else:
            x = _stem(x, widths[0], **style)
        kind = ResidualBlock if block == "basic" else BottleneckBlock
        x = _stages(x, kind, widths, [blocks] * len(widths), strides, **style)
        super().__init__(inputs=inputs, outputs=dense_head(pool(x, pooling, layer), units, activation), name="resnet")


class ResNet10(keras.Model):
    """A ResNet of four basic blocks: 7x7 stem by 2, max-pooling by 2, blocks of 64, 64, 128 and 128 channels.

    Convolutions have no bias where they are normalised. Maps images ``[batch, height, width, channels]`` to
    features ``[batch, 128]``.

    Args:
        observation_space: What is observed.
        norm: What normalises: none, layer, group or batch. In bootstrapped learning take layer or group.
        pooling: How the last map becomes features.
        layer: A layer, of a plugin say, that the last map goes through before it is pooled.

    Raises:
        UsageError: The space is no image of 8 x 8 or more.
    """

    def __init__(
        self,
        observation_space: gymnasium.Space[Any],
        *,
        norm: Norm = "batch",
        pooling: Pooling = "average",
        layer: LayerPart = None,
    ) -> None:
        inputs, x = image_input(observation_space, "resnet10", smallest=8)
        x = _stem(x, 64, norm=norm)
        x = _stages(x, ResidualBlock, (64, 64, 128, 128), (1, 1, 1, 1), (1, 1, 2, 1), norm=norm)
        super().__init__(inputs=inputs, outputs=pool(x, pooling, layer), name="resnet10")


class ResNet18(keras.Model):
    """ResNet-18 (He et al. 2016, arXiv:1512.03385, table 1) without its classifier.

    Convolutions have no bias, and padding is alike on both sides, as in torchvision: with 1000 classes,
    11,689,512 trainable parameters (moving averages not counted). Maps images ``[batch, height, width,
    channels]`` to features ``[batch, 512]``.

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
        inputs, x = image_input(observation_space, "resnet18", smallest=32)
        x = _stages(_stem(x, 64, norm=norm), ResidualBlock, _WIDTHS, (2, 2, 2, 2), _STRIDES, norm=norm)
        super().__init__(inputs=inputs, outputs=pool(x, pooling, layer), name="resnet18")


class ResNet34(keras.Model):
    """ResNet-34 (He et al. 2016, arXiv:1512.03385, table 1) without its classifier.

    Convolutions have no bias, and padding is alike on both sides, as in torchvision: with 1000 classes,
    21,797,672 trainable parameters (moving averages not counted). Maps images ``[batch, height, width,
    channels]`` to features ``[batch, 512]``.

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
        inputs, x = image_input(observation_space, "resnet34", smallest=32)
        x = _stages(_stem(x, 64, norm=norm), ResidualBlock, _WIDTHS, (3, 4, 6, 3), _STRIDES, norm=norm)
        super().__init__(inputs=inputs, outputs=pool(x, pooling, layer), name="resnet34")


class ResNet50(keras.Model):
    """ResNet-50 (He et al. 2016, arXiv:1512.03385, table 1) without its classifier.

    The network of keras.applications, weight by weight: convolutions have a bias, and the first convolution
    of a stage steps. With 1000 classes 25,636,712 parameters, moving averages counted. Maps images
    ``[batch, height, width, channels]`` to features ``[batch, 2048]``.

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
        inputs, x = image_input(observation_space, "resnet50", smallest=32)
        x = _stem(x, 64, norm=norm, bias=True)
        x = _stages(x, BottleneckBlock, _WIDTHS, (3, 4, 6, 3), _STRIDES, norm=norm, bias=True)
        super().__init__(inputs=inputs, outputs=pool(x, pooling, layer), name="resnet50")


def _stem(x: Any, filters: int, **options: Any) -> Any:
    """Convolves 7x7 by 2 and takes the maximum of 3x3 by 2."""
    x = Unit(filters, 7, strides=2, padding="even", name="stem", **options)(x)
    return max_pooling(3, 2, "stem_pool", "valid")(zero_padding(1, "stem_pad")(x))


def _stages(
    x: Any,
    block: type[ResidualBlock] | type[BottleneckBlock],
    widths: Sequence[int],
    blocks: Sequence[int],
    strides: Sequence[int],
    **options: Any,
) -> Any:
    for stage, (width, count, step) in enumerate(zip(widths, blocks, strides, strict=True), start=1):
        for index in range(1, count + 1):
            name = f"stage_{stage}_block_{index}"
            x = block(filters=width, strides=step if index == 1 else 1, name=name, **options)(x)
    return x


def _product(numbers: Sequence[int]) -> int:
    result = 1
    for number in numbers:
        result *= number
    return result
