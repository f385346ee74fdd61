"""Pictures of adaptation: what a learner of curves predicts before and after inner steps."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from advdl.experiment.picture_frame import CAPTION, HEIGHT, INK, MARGIN, WIDTH, Canvas, Frame, Picture, Points

if TYPE_CHECKING:
    from typing import TypeGuard

    from advdl.rl.env_tasks import PlayedTasks
    from advdl.training.adapter import Adapter
    from advdl.training.tasks import Tasks

_PANELS = 3
_COLUMN = 115  # of the legend, in pixels
_TRUTH = (150, 150, 150)
# Okabe and Ito's colours, which people tell apart however they see colours.
_COLOURS = ((204, 121, 167), (230, 159, 0), (0, 158, 115), (0, 114, 178), (213, 94, 0), (86, 180, 233))


def pictures(
    tasks: "Tasks | PlayedTasks", adapter: "Adapter", *, steps: Sequence[int], seed: int
) -> dict[str, Picture]:
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
    canvas = Canvas(WIDTH * len(predicted), HEIGHT + CAPTION)
    for index, curves in enumerate(predicted):
        x, truth = tasks["query"]["x"][index], tasks["query"]["c"][index]
        frame = Frame(index * WIDTH, x, [truth, curves])
        frame.axes(canvas)
        frame.curve(canvas, x, truth, _TRUTH, width=4)
        for row, curve in enumerate(curves):
            frame.curve(canvas, x, curve, _COLOURS[row % len(_COLOURS)], width=1.6)
        frame.points(canvas, tasks["support"]["x"][index], tasks["support"]["c"][index])
    _legend(canvas, steps)
    return canvas.picture()


def _legend(canvas: Canvas, steps: Sequence[int]) -> None:
    texts = [("task", _TRUTH), *((_steps_text(step), _COLOURS[i % len(_COLOURS)]) for i, step in enumerate(steps))]
    column, row = MARGIN, HEIGHT + 8
    for text, colour in texts:
        canvas.line([(column, row), (column + 18, row)], colour, width=3)
        canvas.text((column + 24, row), text, anchor="lm")
        column += _COLUMN
    canvas.dot((column + 9, row), 3, INK)
    canvas.text((column + 24, row), "what it adapts to", anchor="lm")


def _steps_text(step: int) -> str:
    return "before" if step == 0 else f"after {step} step{'s' if step > 1 else ''}"


def _are_curves(tasks: "Tasks | PlayedTasks", adapter: "Adapter") -> "TypeGuard[Tasks]":
    from advdl.training.tasks import Tasks

    spec = tasks.spec
    numbers = spec.x.shape == (1,) and spec.c is not None and spec.c.shape == (1,)
    return isinstance(tasks, Tasks) and numbers and hasattr(adapter.learner, "predict")
