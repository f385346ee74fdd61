"""A panel of a picture that is drawn pixel by pixel, without a plotting library."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

WIDTH, HEIGHT, MARGIN = 340, 300, 34
INK, GRID = (40, 40, 40), (225, 225, 225)

Points = NDArray[Any]
Picture = NDArray[np.uint8]


class Frame:
    """One panel: from numbers to pixels.

    Args:
        left: Its left edge on the canvas, in pixels.
        x: What the horizontal axis spans.
        curves: What the vertical axis spans; values that are not finite are passed over.
    """

    def __init__(self, left: int, x: Points, curves: Sequence[Points]) -> None:
        values = np.concatenate([np.ravel(curve) for curve in curves])
        values = values[np.isfinite(values)]
        self._left = left
        self._x = (float(x.min()), float(x.max()))
        low, high = (float(values.min()), float(values.max())) if len(values) else (0.0, 1.0)
        self._y = (low - 0.05 * (high - low) - 1e-6, high + 0.05 * (high - low) + 1e-6)

    def axes(self, canvas: Any) -> None:
        """Draws a grid with numbers."""
        for share in (0.0, 0.25, 0.5, 0.75, 1.0):
            x, y = (low + share * (high - low) for low, high in (self._x, self._y))
            canvas.line([self.at(x, self._y[0]), self.at(x, self._y[1])], fill=GRID)
            canvas.line([self.at(self._x[0], y), self.at(self._x[1], y)], fill=GRID)
            column, row = self.at(x, y)
            canvas.text((column - 8, HEIGHT - MARGIN + 4), f"{x:.3g}", fill=INK)
            canvas.text((self._left + 2, row - 5), f"{y:.1f}", fill=INK)

    def curve(self, canvas: Any, x: Points, y: Points, colour: tuple[int, int, int], *, width: int) -> None:
        """Draws a line through points, if all of them are finite."""
        if np.isfinite(y).all():
            points = [self.at(a, b) for a, b in zip(x, y, strict=True)]
            canvas.line(points, fill=colour, width=width, joint="curve")

    def points(self, canvas: Any, x: Points, y: Points) -> None:
        """Draws dots."""
        for a, b in zip(x, y, strict=True):
            column, row = self.at(a, b)
            canvas.ellipse([column - 3, row - 3, column + 3, row + 3], fill=INK)

    def at(self, x: float, y: float) -> tuple[float, float]:
        """Returns a point's column and row."""
        across = (x - self._x[0]) / max(self._x[1] - self._x[0], 1e-9)
        up = (y - self._y[0]) / (self._y[1] - self._y[0])
        column = self._left + MARGIN + across * (WIDTH - MARGIN - 12)
        return column, HEIGHT - MARGIN - up * (HEIGHT - MARGIN - 12)
