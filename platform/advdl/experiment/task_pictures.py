"""Pictures of adaptation: what a learner of curves predicts before and after inner steps."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from typing import TypeGuard

    from advdl.rl.env_tasks import EnvTasks
    from advdl.training.adapter import Adapter
    from advdl.training.tasks import Tasks

_PANELS, _WIDTH, _HEIGHT, _MARGIN = 3, 340, 300, 34
_INK, _GRID = (40, 40, 40), (225, 225, 225)
_TRUTH = (120, 120, 120)
_COLOURS = ((198, 60, 60), (222, 148, 40), (60, 140, 90), (50, 90, 190), (120, 70, 160), (20, 150, 170))

Points = NDArray[Any]
Picture = NDArray[np.uint8]


def pictures(tasks: "Tasks | EnvTasks", adapter: "Adapter", *, steps: Sequence[int], seed: int) -> dict[str, Picture]:
    """Draws a few held-out tasks with the predictions after each number of inner steps.

    Returns:
        ``{"adaptation": uint8 [height, width, 3]}``; nothing where samples are no numbers, or nothing is predicted.
    """
    if not _are_curves(tasks, adapter):
        return {}
    import tensorflow as tf

    from advdl.training.randomness import Stream

    at = Stream(seed, "pictures").at(0)
    drawn = tasks.sample(at, _PANELS, held_out=True)
    predicted = tf.function(lambda: adapter.predict(drawn, at, steps=steps), autograph=False)()
    arrays = tf.nest.map_structure(lambda field: field.numpy()[..., 0], (drawn, predicted))
    return {"adaptation": draw(*arrays, steps=steps)}


def draw(tasks: Any, predicted: Points, *, steps: Sequence[int]) -> Picture:
    """Draws tasks side by side.

    Args:
        tasks: Support and query, each with ``x`` and ``c`` ``[tasks, samples]``; the query's ``x`` ascends.
        predicted: ``[tasks, len(steps), queries]``.
        steps: Numbers of inner steps.
    """
    from PIL import Image, ImageDraw

    count = len(predicted)
    image = Image.new("RGB", (_WIDTH * count, _HEIGHT + 24), "white")
    canvas = ImageDraw.Draw(image)
    for index in range(count):
        frame = _Frame(index * _WIDTH, tasks["query"]["x"][index], [tasks["query"]["c"][index], predicted[index]])
        frame.axes(canvas)
        frame.curve(canvas, tasks["query"]["x"][index], tasks["query"]["c"][index], _TRUTH, width=3)
        for row, curve in enumerate(predicted[index]):
            frame.curve(canvas, tasks["query"]["x"][index], curve, _COLOURS[row % len(_COLOURS)], width=2)
        frame.points(canvas, tasks["support"]["x"][index], tasks["support"]["c"][index])
    _legend(canvas, steps)
    return np.asarray(image)


class _Frame:
    """One panel: from numbers to pixels."""

    def __init__(self, left: int, x: Points, curves: Sequence[Points]) -> None:
        values = np.concatenate([np.ravel(curve) for curve in curves])
        values = values[np.isfinite(values)]
        self._left = left
        self._x = (float(x.min()), float(x.max()))
        low, high = (float(values.min()), float(values.max())) if len(values) else (0.0, 1.0)
        self._y = (low - 0.05 * (high - low) - 1e-6, high + 0.05 * (high - low) + 1e-6)

    def axes(self, canvas: Any) -> None:
        for share in (0.0, 0.25, 0.5, 0.75, 1.0):
            x, y = (low + share * (high - low) for low, high in (self._x, self._y))
            canvas.line([self._at(x, self._y[0]), self._at(x, self._y[1])], fill=_GRID)
            canvas.line([self._at(self._x[0], y), self._at(self._x[1], y)], fill=_GRID)
            column, row = self._at(x, y)
            canvas.text((column - 8, _HEIGHT - _MARGIN + 4), f"{x:.3g}", fill=_INK)
            canvas.text((self._left + 2, row - 5), f"{y:.1f}", fill=_INK)

    def curve(self, canvas: Any, x: Points, y: Points, colour: tuple[int, int, int], *, width: int) -> None:
        if np.isfinite(y).all():
            points = [self._at(a, b) for a, b in zip(x, y, strict=True)]
            canvas.line(points, fill=colour, width=width, joint="curve")

    def points(self, canvas: Any, x: Points, y: Points) -> None:
        for a, b in zip(x, y, strict=True):
            column, row = self._at(a, b)
            canvas.ellipse([column - 3, row - 3, column + 3, row + 3], fill=_INK)

    def _at(self, x: float, y: float) -> tuple[float, float]:
        across = (x - self._x[0]) / max(self._x[1] - self._x[0], 1e-9)
        up = (y - self._y[0]) / (self._y[1] - self._y[0])
        column = self._left + _MARGIN + across * (_WIDTH - _MARGIN - 12)
        return column, _HEIGHT - _MARGIN - up * (_HEIGHT - _MARGIN - 12)


def _legend(canvas: Any, steps: Sequence[int]) -> None:
    texts = [("task", _TRUTH), *((_steps_text(step), _COLOURS[i % len(_COLOURS)]) for i, step in enumerate(steps))]
    column = _MARGIN
    for text, colour in texts:
        canvas.line([(column, _HEIGHT + 8), (column + 18, _HEIGHT + 8)], fill=colour, width=3)
        canvas.text((column + 24, _HEIGHT + 2), text, fill=_INK)
        column += 130


def _steps_text(step: int) -> str:
    return "before" if step == 0 else f"after {step} step{'s' if step > 1 else ''}"


def _are_curves(tasks: "Tasks | EnvTasks", adapter: "Adapter") -> "TypeGuard[Tasks]":
    from advdl.training.tasks import Tasks

    spec = tasks.spec
    numbers = spec.x.shape == (1,) and spec.c is not None and spec.c.shape == (1,)
    return isinstance(tasks, Tasks) and numbers and hasattr(adapter.learner, "predict")
