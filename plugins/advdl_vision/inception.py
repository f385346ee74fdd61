"""Inception networks of modules: GoogLeNet, and one of configurable size for reinforcement learning."""

from typing import Annotated, Any

import gymnasium
import keras
from annotated_types import Ge, Gt, MinLen, MultipleOf

from advdl_vision.images import LayerPart, Pooling, dense_head, image_input, pool
from advdl_vision.inception_module import InceptionModule, LocalResponseNormalization
from advdl_vision.units import Activation, Norm, Unit, max_pooling

_GOOGLENET = (  # 1x1, 3x3 reduce, 3x3, 5x5 reduce, 5x5, pool: table 1 of the paper
    ("3a", 64, 96, 128, 16, 32, 32),
    ("3b", 128, 128, 192, 32, 96, 64),
    ("4a", 192, 96, 208, 16, 48, 64),
    ("4b", 160, 112, 224, 24, 64, 64),
    ("4c", 128, 128, 256, 24, 64, 64),
    ("4d", 112, 144, 288, 32, 64, 64),
    ("4e", 256, 160, 320, 32, 128, 128),
    ("5a", 256, 160, 320, 32, 128, 128),
    ("5b", 384, 192, 384, 48, 128, 128),
)


class Inception(keras.Model):
    """A small network of Inception modules (Szegedy et al. 2015, arXiv:1409.4842) of configurable size.

    Its defaults are for reinforcement learning: layer normalisation, because batch normalisation harms
    bootstrapped targets (CrossQ, arXiv:1902.05605) and layer normalisation steadies them (PQN,
    arXiv:2407.04811); and global average pooling (Impoola, arXiv:2503.05546). Max-pooling by 2 between modules.

    Maps images ``[batch, height, width, channels]`` to features ``[batch, units]``.

    Args:
        observation_space: What is observed.
        stem: Channels of the 3x3 convolution at the start.
        stem_strides: Its step.
        widths: Channels of each module: a quarter 1x1, half 3x3, an eighth each 5x5 and pooled.
        norm: What normalises: none, layer, group or batch.
        activation: What follows each convolution.
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
        stem: Annotated[int, Gt(0)] = 32,
        stem_strides: Annotated[int, Gt(0)] = 2,
        widths: Annotated[tuple[Annotated[int, Gt(0), MultipleOf(16)], ...], MinLen(1)] = (64, 128),
        norm: Norm = "layer",
        activation: Activation = "relu",
        pooling: Pooling = "average",
        layer: LayerPart = None,
        units: Annotated[int, Ge(0)] = 256,
        channels_first: bool = False,
    ) -> None:
        smallest = stem_strides * 2 ** (len(widths) - 1)
        inputs, x = image_input(observation_space, "inception", smallest=smallest, channels_first=channels_first)
        style: dict[str, Any] = {"norm": norm, "activation": activation}
        x = Unit(stem, 3, strides=stem_strides, padding="even", name="stem", **style)(x)
        for index, width in enumerate(widths, start=1):
            if index > 1:
                x = max_pooling(3, 2, f"pool_{index - 1}")(x)
            x = InceptionModule(**_shares(width), name=f"module_{index}", **style)(x)
        x = dense_head(pool(x, pooling, layer), units, activation)
        super().__init__(inputs=inputs, outputs=x, name="inception")


class InceptionV1(keras.Model):
    """GoogLeNet (Szegedy et al. 2015, arXiv:1409.4842) without its classifiers.

    As in the paper, convolutions have a bias and nothing but local response normalisation normalises: with
    1000 classes 6,998,552 parameters, the auxiliary classifiers not counted. Maps images ``[batch, height,
    width, channels]`` to features ``[batch, 1024]``.

    Args:
        observation_space: What is observed.
        norm: What normalises after each convolution: none, layer, group or batch.
        local_response: Whether the stem normalises local responses.
        pooling: How the last map becomes features.
        layer: A layer, of a plugin say, that the last map goes through before it is pooled.

    Raises:
        UsageError: The space is no image of 32 x 32 or more.
    """

    def __init__(
        self,
        observation_space: gymnasium.Space[Any],
        *,
        norm: Norm = "none",
        local_response: bool = True,
        pooling: Pooling = "average",
        layer: LayerPart = None,
    ) -> None:
        inputs, x = image_input(observation_space, "inception_v1", smallest=32)
        x = max_pooling(3, 2, "pool_1")(Unit(64, 7, strides=2, padding="even", norm=norm, name="conv_1")(x))
        x = LocalResponseNormalization(name="response_1")(x) if local_response else x
        x = Unit(192, 3, norm=norm, name="conv_3")(Unit(64, 1, norm=norm, name="conv_2")(x))
        x = LocalResponseNormalization(name="response_2")(x) if local_response else x
        x = max_pooling(3, 2, "pool_2")(x)
        for name, *numbers in _GOOGLENET:
            if name in ("4a", "5a"):
                x = max_pooling(3, 2, f"pool_{name}")(x)
            channels: dict[str, Any] = dict(zip(_BRANCHES, numbers, strict=True))
            x = InceptionModule(**channels, norm=norm, name=f"module_{name}")(x)
        super().__init__(inputs=inputs, outputs=pool(x, pooling, layer), name="inception_v1")


_BRANCHES = ("one", "three_reduce", "three", "five_reduce", "five", "pool")


def _shares(width: int) -> dict[str, Any]:
    """Splits a module's channels about as module 3a does."""
    parts = (width // 4, width * 3 // 8, width // 2, width // 16, width // 8, width // 8)
    return dict(zip(_BRANCHES, parts, strict=True))
