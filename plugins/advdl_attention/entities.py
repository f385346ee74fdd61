"""Observations as tokens: the patches of an image, the rows of a history or a set, one for any other part of a Dict."""

import math
from typing import Any

import gymnasium
import keras
from gymnasium import spaces

from advdl.errors import UsageError
from advdl.rl.backbones import layer_name, observation_input
from advdl.rl.flat import Flat
from advdl.rl.images import box_shape, cannot_see, channels_last
from advdl.rl.spaces import flatten, leaves
from advdl_attention.tokens import floats, patches

_NAME = "attention"
_NEEDS = "it needs an image [height, width, channels], or [time, features] of a history"
_CHOICES = (spaces.Discrete, spaces.MultiDiscrete, spaces.MultiBinary)
_MOST_PATCHES = 64


def all_tokens(space: gymnasium.Space[Any], width: int, **options: Any) -> tuple[Any, Any]:
    """Starts a functional model on observations of a space.

    Args:
        space: What is observed: an image, a history, or a ``Dict`` or ``Tuple``, nested as it may be.
        width: Size of a token.
        **options: How an image is cut: ``patch``, ``stem``, ``activation``, ``channels_first``.

    Returns:
        The model's input, nested as the space is, and tokens ``[batch, tokens, width]`` in the leaves' order.

    Raises:
        UsageError: The space, or a part of it, cannot be seen.
    """
    turned = options["channels_first"]
    parts = list(leaves(space))
    for path, leaf in parts:
        _require(channels_last(leaf) if turned else leaf, path)
    inputs = observation_input(space)
    seen = [
        _tokens(x, leaf, path, width, **options) for (path, leaf), x in zip(parts, flatten(space, inputs), strict=True)
    ]
    return inputs, seen[0] if len(seen) == 1 else keras.layers.Concatenate(axis=1, name="tokens")(seen)


def _require(leaf: gymnasium.Space[Any], path: str) -> None:
    """Refuses what is no image and no history, and in a Dict what is no vector and no choice either.

    Raises:
        UsageError: The leaf cannot be seen, or is an image with its channels first.
    """
    if path and isinstance(leaf, _CHOICES):
        return
    shape = box_shape(leaf, _NAME, _NEEDS, turns=True)
    if len(shape) not in (2, 3) and not path:
        raise UsageError(cannot_see(_NAME, shape) + _NEEDS, hint="the backbone 'mlp' takes it as a vector")


def _tokens(
    x: Any,
    leaf: gymnasium.Space[Any],
    path: str,
    width: int,
    *,
    patch: int | None,
    stem: int,
    activation: str,
    channels_first: bool,
) -> Any:
    suffix = f"_{layer_name(path)}" if path else ""
    rank = len(leaf.shape or ()) if isinstance(leaf, spaces.Box) else 1
    if rank == 3:
        x = floats(x, leaf, suffix)
        x = keras.layers.Permute((2, 3, 1), name=f"channels_last{suffix}")(x) if channels_first else x
        x = _stem(x, stem, activation, suffix)
        return patches(x, width, patch or _patch_size(x.shape[1], x.shape[2]), suffix)
    if rank == 2:
        return keras.layers.Dense(width, name=f"tokens{suffix}")(floats(x, leaf, suffix))
    x = keras.layers.Dense(width, name=f"token{suffix}")(Flat(leaf, name=f"flat{suffix}")(x))
    return keras.layers.Reshape((1, width), name=f"tokens{suffix}")(x)


def _stem(x: Any, filters: int, activation: str, suffix: str) -> Any:
    if not filters:
        return x
    options: dict[str, Any] = {"padding": "same", "data_format": "channels_last"}
    x = keras.layers.Conv2D(filters, 3, name=f"stem{suffix}", **options)(x)
    return keras.layers.Activation(activation, name=f"stem_activation{suffix}")(x)


def _patch_size(height: int, width: int) -> int:
    sizes = range(1, max(height, width) + 1)
    return next(size for size in sizes if math.ceil(height / size) * math.ceil(width / size) <= _MOST_PATCHES)
