"""Pictures of adaptation: what a learner of curves predicts before and after inner steps."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from advdl.experiment.picture_frame import HEIGHT, INK, MARGIN, WIDTH, Frame, Picture, Points

if TYPE_CHECKING:
    from typing import TypeGuard

    from advdl.rl.env_tasks import EnvTasks
    from advdl.training.adapter import Adapter
    from advdl.training.tasks import Tasks

_PANELS = 3
_TRUTH = (120, 120, 120)
_COLOURS = ((198, 60, 60), (222, 148, 40), (60, 140, 90), (50, 90, 190), (120, 70, 160), (20, 150, 170))


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
    image = Image.new("RGB", (WIDTH * count, HEIGHT + 24), "white")
    canvas = ImageDraw.Draw(image)
    for index in range(count):
        frame = Frame(index * WIDTH, tasks["query"]["x"][index], [tasks["query"]["c"][index], predicted[index]])
        frame.axes(canvas)
        frame.curve(canvas, tasks["query"]["x"][index], tasks["query"]["c"][index], _TRUTH, width=3)
        for row, curve in enumerate(predicted[index]):
            frame.curve(canvas, tasks["query"]["x"][index], curve, _COLOURS[row % len(_COLOURS)], width=2)
        frame.points(canvas, tasks["support"]["x"][index], tasks["support"]["c"][index])
    _legend(canvas, steps)
    return np.asarray(image)


def _legend(canvas: Any, steps: Sequence[int]) -> None:
    texts = [("task", _TRUTH), *((_steps_text(step), _COLOURS[i % len(_COLOURS)]) for i, step in enumerate(steps))]
    column = MARGIN
    for text, colour in texts:
        canvas.line([(column, HEIGHT + 8), (column + 18, HEIGHT + 8)], fill=colour, width=3)
        canvas.text((column + 24, HEIGHT + 2), text, fill=INK)
        column += 130


def _steps_text(step: int) -> str:
    return "before" if step == 0 else f"after {step} step{'s' if step > 1 else ''}"


def _are_curves(tasks: "Tasks | EnvTasks", adapter: "Adapter") -> "TypeGuard[Tasks]":
    from advdl.training.tasks import Tasks

    spec = tasks.spec
    numbers = spec.x.shape == (1,) and spec.c is not None and spec.c.shape == (1,)
    return isinstance(tasks, Tasks) and numbers and hasattr(adapter.learner, "predict")
