"""Sheets of images: samples side by side, walks from one to another."""

from typing import Any

import gymnasium
import numpy as np
from numpy.typing import NDArray

_EDGE = 28
"""An image smaller than this is shown larger, in whole multiples."""


def is_image(space: gymnasium.Space[Any]) -> bool:
    """Returns whether samples are images with bounds."""
    shape = space.shape or ()
    bounded = isinstance(space, gymnasium.spaces.MultiBinary) or getattr(space, "is_bounded", lambda: False)()
    return len(shape) == 3 and bounded


def sheet(images: NDArray[Any], columns: int, space: gymnasium.Space[Any]) -> NDArray[np.uint8]:
    """Lays images out in rows, from left to right.

    Args:
        images: ``[count, height, width, channels]``, in the units of ``space``; of channels other than 1 or 3, such
            as the objects of a grid or the frames of a stack, the brightest is shown.
        columns: Images in a row.
        space: Their space; its bounds are black and white.

    Returns:
        uint8 ``[height, width, 3]``; the space that is left in the last row is grey.
    """
    pixels = _pixels(images, space)
    count, height, width, _ = pixels.shape
    rows = -(-count // columns)
    page = np.full((rows * (height + 1) + 1, columns * (width + 1) + 1, 3), 128, np.uint8)
    for index, image in enumerate(pixels):
        row, column = divmod(index, columns)
        top, left = row * (height + 1) + 1, column * (width + 1) + 1
        page[top : top + height, left : left + width] = image
    return page


def _pixels(images: NDArray[Any], space: gymnasium.Space[Any]) -> NDArray[np.uint8]:
    low = float(np.min(getattr(space, "low", 0.0)))
    high = float(np.max(getattr(space, "high", 1.0)))
    shares = (images.astype(np.float64) - low) / max(high - low, 1e-9)
    if shares.shape[-1] not in (1, 3):
        shares = shares.max(axis=-1, keepdims=True)
    pixels = np.round(255 * np.clip(shares, 0.0, 1.0)).astype(np.uint8)
    times = max(-(-_EDGE // min(pixels.shape[1:3])), 1)
    larger: NDArray[np.uint8] = pixels.repeat(times, axis=1).repeat(times, axis=2)
    return np.broadcast_to(larger, (*larger.shape[:3], 3))
