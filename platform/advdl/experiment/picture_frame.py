"""Panels of a picture that is drawn without a plotting library: lengths are in pixels of a plain screen."""

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

WIDTH, HEIGHT, MARGIN, CAPTION = 340, 290, 40, 30
INK, GRID = (40, 40, 40), (228, 228, 228)

_SHARP = 2  # pixels of the picture for one of a plain screen
_SMOOTH = 2  # and as many drawn for each of those, since Pillow draws jagged lines
_FONT, _RIGHT, _TOP, _ABOUT_TICKS = 11, 14, 10, 5

Points = NDArray[Any]
Picture = NDArray[np.uint8]
Colour = tuple[int, int, int]
Place = tuple[float, float]


class Canvas:
    """Something to draw on.

    Args:
        width: In pixels of a plain screen.
        height: Likewise.
    """

    def __init__(self, width: int, height: int) -> None:
        from PIL import Image, ImageDraw, ImageFont

        self._scale = _SHARP * _SMOOTH
        self._image = Image.new("RGB", (width * self._scale, height * self._scale), "white")
        self._draw = ImageDraw.Draw(self._image)
        self._font = ImageFont.load_default(_FONT * self._scale)

    def line(self, places: Sequence[Place], colour: Colour, *, width: float = 1.0) -> None:
        """Draws a line through places."""
        thick = max(round(width * self._scale), 1)
        self._draw.line([self._at(place) for place in places], fill=colour, width=thick, joint="curve")

    def area(self, places: Sequence[Place], colour: Colour) -> None:
        """Fills what lies between places."""
        self._draw.polygon([self._at(place) for place in places], fill=colour)

    def dot(self, place: Place, radius: float, colour: Colour) -> None:
        """Draws a dot with a white rim, so that it is seen on a line."""
        (column, row), scale = place, self._scale
        for size, fill in ((radius + 0.8, (255, 255, 255)), (radius, colour)):
            box = [scale * end for end in (column - size, row - size, column + size, row + size)]
            self._draw.ellipse(box, fill=fill)

    def text(self, place: Place, text: str, *, anchor: str = "la") -> None:
        """Writes; ``anchor`` says what of the text is at the place, as Pillow has it."""
        self._draw.text(self._at(place), text, fill=INK, font=self._font, anchor=anchor)

    def picture(self) -> Picture:
        """Returns what has been drawn."""
        return np.asarray(self._image.reduce(_SMOOTH))

    def _at(self, place: Place) -> Place:
        return place[0] * self._scale, place[1] * self._scale


class Frame:
    """One panel: from numbers to pixels.

    Args:
        left: Its left edge on the canvas, in pixels.
        x: What the horizontal axis spans.
        curves: What the vertical axis spans; values that are not finite are passed over.
        x_ticks: Where the horizontal axis has numbers; at round ones if left out.
    """

    def __init__(self, left: int, x: Points, curves: Sequence[Points], x_ticks: Sequence[float] | None = None) -> None:
        values = np.concatenate([np.ravel(curve) for curve in curves])
        values = values[np.isfinite(values)]
        self._left = left
        self._x = (float(x.min()), float(x.max()))
        low, high = (float(values.min()), float(values.max())) if len(values) else (0.0, 1.0)
        room = 0.05 * (high - low) or 0.5
        self._y = (low - room, high + room)
        self._x_ticks = round_numbers(*self._x) if x_ticks is None else x_ticks

    def axes(self, canvas: Canvas) -> None:
        """Draws a grid with numbers."""
        for x in self._x_ticks:
            canvas.line([self.at(x, self._y[0]), self.at(x, self._y[1])], GRID)
            canvas.text((self.at(x, self._y[0])[0], HEIGHT - MARGIN + 5), f"{x:g}", anchor="ma")
        for y in round_numbers(*self._y):
            canvas.line([self.at(self._x[0], y), self.at(self._x[1], y)], GRID)
            canvas.text((self._left + MARGIN - 5, self.at(self._x[0], y)[1]), f"{y:g}", anchor="rm")

    def curve(self, canvas: Canvas, x: Points, y: Points, colour: Colour, *, width: float) -> None:
        """Draws a line through points, if all of them are finite."""
        if np.isfinite(y).all():
            canvas.line([self.at(a, b) for a, b in zip(x, y, strict=True)], colour, width=width)

    def points(self, canvas: Canvas, x: Points, y: Points, colour: Colour = INK) -> None:
        """Draws dots."""
        for a, b in zip(x, y, strict=True):
            canvas.dot(self.at(a, b), 3, colour)

    def at(self, x: float, y: float) -> Place:
        """Returns a point's column and row."""
        across = (x - self._x[0]) / max(self._x[1] - self._x[0], 1e-9)
        up = (y - self._y[0]) / (self._y[1] - self._y[0])
        column = self._left + MARGIN + across * (WIDTH - MARGIN - _RIGHT)
        return column, HEIGHT - MARGIN - up * (HEIGHT - MARGIN - _TOP)


def round_numbers(low: float, high: float) -> list[float]:
    """Returns about five round numbers from ``low`` to ``high``: multiples of 1, 2, 2.5 or 5 times a power of ten."""
    rough = max((high - low) / _ABOUT_TICKS, 1e-9)
    power = 10.0 ** math.floor(math.log10(rough))
    step = next(size * power for size in (1, 2, 2.5, 5, 10) if size * power >= rough * (1 - 1e-9))
    first, last = math.ceil(low / step - 1e-9), math.floor(high / step + 1e-9)
    return [round(count * step, 10) + 0.0 for count in range(first, last + 1)]
