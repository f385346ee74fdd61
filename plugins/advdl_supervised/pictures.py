"""Pictures of a classifier: its confusion matrix, and what it took images for."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw

# TensorBoard shrinks what is wider than 350 pixels, and drops strokes of the letters: ten classes fit, and four tiles.
_CELL, _LABEL, _LETTERS = 29, 58, 9
_TILE, _CAPTION, _COLUMNS = 86, 14, 4
_RIGHT, _WRONG = (30, 110, 60), (190, 40, 40)

Picture = NDArray[np.uint8]


def confusion_matrix(truth: NDArray[Any], guess: NDArray[Any], names: Sequence[str]) -> Picture:
    """Draws how often each class (a row) was taken for each class (a column); shades are shares of the row.

    Args:
        truth: Classes, ``[count]``.
        guess: What they were taken for, ``[count]``.
        names: The classes' names.
    """
    counts = np.zeros((len(names), len(names)), np.int64)
    np.add.at(counts, (truth, guess), 1)
    size = _LABEL + _CELL * len(names)
    image = Image.new("RGB", (size, size), "white")
    canvas = ImageDraw.Draw(image)
    for row, name in enumerate(names):
        canvas.text((4, _LABEL + row * _CELL + 8), name[:_LETTERS], fill="black")
        canvas.text((_LABEL + row * _CELL + 4, _LABEL - 16), name[:4], fill="black")
        for column in range(len(names)):
            _cell(canvas, row, column, counts[row, column], counts[row].sum())
    canvas.text((4, 4), "true \\ taken for", fill="black")
    return np.asarray(image)


def predictions(images: Picture, truth: NDArray[Any], guess: NDArray[Any], names: Sequence[str]) -> Picture:
    """Draws images ``[count, height, width, channels]`` with the class that each was taken for, red where wrong."""
    rows = -(-len(images) // _COLUMNS)
    sheet = Image.new("RGB", (_COLUMNS * _TILE, rows * (_TILE + _CAPTION)), "white")
    canvas = ImageDraw.Draw(sheet)
    for index, pixels in enumerate(images):
        left, top = index % _COLUMNS * _TILE, index // _COLUMNS * (_TILE + _CAPTION)
        right = truth[index] == guess[index]
        caption = names[guess[index]] if right else f"{names[guess[index]]}, not {names[truth[index]]}"
        sheet.paste(_tile(pixels), (left + 2, top + _CAPTION))
        canvas.text((left + 2, top), caption[:12], fill=_RIGHT if right else _WRONG)
    return np.asarray(sheet)


def _cell(canvas: ImageDraw.ImageDraw, row: int, column: int, count: int, total: int) -> None:
    share = count / max(total, 1)
    left, top = _LABEL + column * _CELL, _LABEL + row * _CELL
    shade = round(255 * (1 - share))
    canvas.rectangle((left, top, left + _CELL - 1, top + _CELL - 1), fill=(shade, shade, 255), outline=(220, 220, 220))
    if count:
        canvas.text((left + 5, top + 8), str(count), fill="white" if share > 0.5 else "black")


def _tile(pixels: Picture) -> Image.Image:
    grey = pixels.shape[-1] != 3
    image = Image.fromarray(pixels[..., 0] if grey else pixels).convert("RGB")
    return image.resize((_TILE - 4, _TILE - 4), Image.Resampling.NEAREST)
