"""Networks that see noisy samples and how noisy they are: a residual MLP for vectors, a U-Net for images."""

from typing import Any

import keras

from advdl_generative.group_norm import GroupNorm
from advdl_generative.layers import condition_input, embed_level, modulate, modulation

_GROUPS = 8


def dense_denoiser(shape: tuple[int, ...], width: int, depth: int, condition: int, name: str) -> keras.Model:
    """A residual MLP: ``[noisy, level, c] -> [batch, *shape]``; its output is 0 before training.

    Args:
        shape: A sample's shape; it is flattened.
        width: Units of each layer.
        depth: Residual blocks, of two layers each.
        condition: Width of the condition; 0 for none.
        name: The model's name.
    """
    inputs = [keras.Input(shape, name="noisy"), keras.Input((), name="level"), *condition_input(condition)]
    embedding = embed_level(inputs[1], inputs[2:], width)
    x = keras.layers.Flatten(name="flat")(inputs[0])
    size = x.shape[-1]
    x = keras.layers.Dense(width, name="first")(x)
    for index in range(depth):
        x = _dense_block(x, embedding, width, f"block_{index}")
    x = keras.layers.LayerNormalization(name="last_norm")(x)
    x = keras.layers.Dense(size, kernel_initializer="zeros", name="last", dtype="float32")(x)
    return keras.Model(inputs, keras.layers.Reshape(shape, name="shaped", dtype="float32")(x), name=name)


def unet(
    shape: tuple[int, ...],
    width: int,
    levels: int,
    depth: int,
    condition: int,
    name: str,
    *,
    heads: int = 4,
    beside: int = 0,
) -> keras.Model:
    """A U-Net with self-attention at its lowest resolution (Ho et al. 2020): ``[noisy, level, c] -> [batch, *shape]``.

    The level and the condition scale and shift the channels of every block, after its group norm (Dhariwal & Nichol
    2021, arXiv:2105.05233: adaptive group normalisation).

    Args:
        shape: An image's shape. Where its height or width is no multiple of ``2 ** (levels - 1)`` it is padded.
        width: Channels at full resolution; each halving doubles them.
        levels: Resolutions.
        depth: Residual blocks at each resolution, down and up.
        condition: Width of the condition; 0 for none.
        name: The model's name.
        heads: Attention heads.
        beside: Channels of an image that is seen beside the noisy one, a last input; 0 for none.
    """
    inputs = [keras.Input(shape, name="noisy"), keras.Input((), name="level"), *condition_input(condition)]
    embedding = embed_level(inputs[1], inputs[2:], 4 * width)
    x, margin = inputs[0], [-side % 2 ** (levels - 1) for side in shape[:2]]
    if beside:
        inputs.append(keras.Input((*shape[:2], beside), name="beside"))
        x = keras.layers.Concatenate(name="noisy_and_beside")([x, inputs[-1]])
    if any(margin):
        x = keras.layers.ZeroPadding2D(((0, margin[0]), (0, margin[1])), name="padded")(x)
    x = _conv(width, "first")(x)
    x, skips = _down(x, embedding, width, levels, depth)
    channels = width * 2 ** (levels - 1)
    x = _conv_block(x, embedding, channels, "middle_0")
    x = _attend(x, channels, heads, "middle_attention")
    x = _conv_block(x, embedding, channels, "middle_1")
    x = _up(x, skips, embedding, width, levels, depth)
    x = _normed(x, "last_norm")
    x = keras.layers.Conv2D(shape[-1], 3, padding="same", kernel_initializer="zeros", name="last", dtype="float32")(x)
    if any(margin):
        x = keras.layers.Cropping2D(((0, margin[0]), (0, margin[1])), name="cropped", dtype="float32")(x)
    return keras.Model(inputs, x, name=name)


def _dense_block(x: Any, embedding: Any, width: int, name: str) -> Any:
    residual = keras.layers.LayerNormalization(name=f"{name}_norm")(x)
    residual = modulate(residual, embedding, width, f"{name}_film")
    residual = keras.layers.Activation("silu", name=f"{name}_activation_0")(residual)
    residual = keras.layers.Dense(width, name=f"{name}_dense_0")(residual)
    residual = keras.layers.Activation("silu", name=f"{name}_activation_1")(residual)
    residual = keras.layers.Dense(width, kernel_initializer="zeros", name=f"{name}_dense_1")(residual)
    return keras.layers.Add(name=f"{name}_sum")([x, residual])


def _down(x: Any, embedding: Any, width: int, levels: int, depth: int) -> tuple[Any, list[list[Any]]]:
    skips: list[list[Any]] = []
    for level in range(levels):
        skips.append([])
        for index in range(depth):
            x = _conv_block(x, embedding, width * 2**level, f"down_{level}_{index}")
            skips[-1].append(x)
        if level < levels - 1:
            x = _conv(width * 2 ** (level + 1), f"down_{level}_halve", strides=2)(x)
    return x, skips


def _up(x: Any, skips: list[list[Any]], embedding: Any, width: int, levels: int, depth: int) -> Any:
    for level in reversed(range(levels)):
        for index in reversed(range(depth)):
            x = keras.layers.Concatenate(name=f"up_{level}_{index}_skip")([x, skips[level][index]])
            x = _conv_block(x, embedding, width * 2**level, f"up_{level}_{index}")
        if level:
            x = keras.layers.UpSampling2D(2, name=f"up_{level}_double")(x)
            x = _conv(width * 2 ** (level - 1), f"up_{level}_smooth")(x)
    return x


def _conv_block(x: Any, embedding: Any, channels: int, name: str) -> Any:
    residual = _conv(channels, f"{name}_conv_0")(_normed(x, f"{name}_norm_0"))
    condition = modulation(embedding, channels, f"{name}_film")
    residual = _conv(channels, f"{name}_conv_1", kernel_initializer="zeros")(
        _normed([residual, *condition], f"{name}_norm_1")
    )
    if x.shape[-1] != channels:
        x = keras.layers.Conv2D(channels, 1, name=f"{name}_project")(x)
    return keras.layers.Add(name=f"{name}_sum")([x, residual])


def _attend(x: Any, channels: int, heads: int, name: str) -> Any:
    height, width = x.shape[1:3]
    tokens = GroupNorm(_groups(channels), name=f"{name}_norm")(x)
    tokens = keras.layers.Reshape((height * width, channels), name=f"{name}_tokens")(tokens)
    attended = keras.layers.MultiHeadAttention(heads, max(channels // heads, 1), name=name)(tokens, tokens)
    attended = keras.layers.Reshape((height, width, channels), name=f"{name}_image")(attended)
    return keras.layers.Add(name=f"{name}_sum")([x, attended])


def _normed(x: Any, name: str) -> Any:
    image = x[0] if isinstance(x, list) else x
    x = GroupNorm(_groups(image.shape[-1]), name=name)(x)
    return keras.layers.Activation("silu", name=f"{name}_activation")(x)


def _conv(channels: int, name: str, **kwargs: Any) -> Any:
    return keras.layers.Conv2D(channels, 3, padding="same", name=name, **kwargs)


def _groups(channels: int) -> int:
    return next(count for count in range(min(_GROUPS, channels), 0, -1) if channels % count == 0)
