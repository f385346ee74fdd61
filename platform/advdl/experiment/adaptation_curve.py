"""The curve of adaptation: a score against inner steps, its 95% interval shaded."""

from collections.abc import Mapping, Sequence

import numpy as np

from advdl.experiment.picture_frame import HEIGHT, INK, MARGIN, WIDTH, Frame, Picture, Points

_LINE, _BAND = (50, 90, 190), (205, 215, 240)
_CAPTION = 24


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
    from PIL import Image, ImageDraw

    image = Image.new("RGB", (WIDTH, HEIGHT + _CAPTION), "white")
    canvas = ImageDraw.Draw(image)
    frame = Frame(0, steps, [mean - half, mean + half])
    above = [frame.at(x, y) for x, y in zip(steps, mean + half, strict=True)]
    below = [frame.at(x, y) for x, y in zip(steps, mean - half, strict=True)]
    if len(steps) > 1:
        canvas.polygon([*above, *reversed(below)], fill=_BAND)
    frame.axes(canvas)
    frame.curve(canvas, steps, mean, _LINE, width=2)
    frame.points(canvas, steps, mean)
    canvas.text((MARGIN, HEIGHT + 2), f"{name} after inner steps, 95% interval", fill=INK)
    return np.asarray(image)
