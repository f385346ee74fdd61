"""The curve of adaptation: a score against inner steps, its 95% interval shaded."""

from collections.abc import Mapping, Sequence

import numpy as np

from advdl.experiment.picture_frame import CAPTION, HEIGHT, MARGIN, WIDTH, Canvas, Frame, Picture, Points

_LINE, _BAND = (0, 114, 178), (190, 216, 234)
_CAP = 4  # half the width of an interval's ends, in pixels
_APART = 0.04  # of the axis: numbers that are nearer than this run into each other


def curve(name: str, figures: Mapping[str, float], steps: Sequence[int]) -> dict[str, Picture]:
    """Draws a score's mean over tasks after each number of inner steps.

    Args:
        name: The score's name.
        figures: ``NAME/after_STEPS`` and ``NAME/after_STEPS/interval``, half the interval's width.
        steps: Numbers of inner steps, ascending.

    Returns:
        ``{"curve": uint8 [height, width, 3]}``; nothing for one number of steps alone.
    """
    if len(steps) < 2:
        return {}
    mean = np.array([figures[f"{name}/after_{step}"] for step in steps], np.float64)
    half = np.array([figures[f"{name}/after_{step}/interval"] for step in steps], np.float64)
    # Inner steps may lead out to infinity; what is finite is still worth seeing.
    seen = np.isfinite(mean) & np.isfinite(half)
    return {"curve": _drawn(name, np.array(steps, np.float64)[seen], mean[seen], half[seen])} if seen.any() else {}


def _drawn(name: str, steps: Points, mean: Points, half: Points) -> Picture:
    canvas = Canvas(WIDTH, HEIGHT + CAPTION)
    frame = Frame(0, steps, [mean - half, mean + half], _apart(steps))
    frame.axes(canvas)
    above = [frame.at(x, y) for x, y in zip(steps, mean + half, strict=True)]
    below = [frame.at(x, y) for x, y in zip(steps, mean - half, strict=True)]
    if len(steps) > 1:
        canvas.area([*above, *reversed(below)], _BAND)
    frame.curve(canvas, steps, mean, _LINE, width=1.8)
    for top, bottom in zip(above, below, strict=True):
        _interval(canvas, top, bottom)
    frame.points(canvas, steps, mean, _LINE)
    canvas.text((MARGIN, HEIGHT), f"{name} after inner steps: mean over tasks, 95% interval")
    return canvas.picture()


def _interval(canvas: Canvas, top: tuple[float, float], bottom: tuple[float, float]) -> None:
    canvas.line([top, bottom], _LINE)
    for column, row in (top, bottom):
        canvas.line([(column - _CAP, row), (column + _CAP, row)], _LINE)


def _apart(steps: Points) -> list[float]:
    """Returns the numbers of steps, without those whose figures would run into each other."""
    kept: list[float] = []
    for step in steps.tolist():
        if not kept or step - kept[-1] >= _APART * (steps[-1] - steps[0]):
            kept.append(step)
    return kept
