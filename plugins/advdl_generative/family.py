"""What the three families share: scaled samples, encoded conditions, checks of the spec."""

from collections.abc import Callable
from typing import Any

import keras
import tensorflow as tf

from advdl.errors import UsageError
from advdl.training import Batch, DataSpec, Sampler
from advdl_generative.scaling import Condition, Scale, Scaling
from advdl_generative.spaces import Layout, condition_width

_LOOPS, _STRIDE = 100_000, 0x1E3779B1  # far from the small numbers that fold is called with


class Family(Sampler):
    """A sampler that works on scaled samples and encoded conditions.

    Attributes:
        layout: What x is.
        scaling: Scales x.
        width: Numbers in an encoded condition; 0 for none.

    Args:
        spec: What the data are.
        name: The sampler's name, for errors.
        scale: How x is scaled.
        spread: The standard deviation of scaled data, where they are standardised.
    """

    def __init__(self, spec: DataSpec, name: str, scale: Scale, *, spread: float = 1.0) -> None:
        super().__init__(spec)
        self.layout = Layout.of(spec.x, name)
        self.width = condition_width(spec.c, name)
        self.scaling = Scaling(self.layout, scale, spread=spread)
        self._condition = None if spec.c is None else Condition(spec.c, self.width)

    @property
    def fixed(self) -> dict[str, keras.layers.Layer]:
        """The layers that learn nothing after ``adapt``: a part of ``models``."""
        return {"scaling": self.scaling} | ({} if self._condition is None else {"condition": self._condition})

    def adapt(self, batch: Batch) -> None:
        """Reads the scales of x and of a vector c off the data."""
        self.scaling.adapt(batch["x"])
        if self._condition is not None:
            self._condition.adapt(batch["c"])

    def encode(self, c: tf.Tensor | None) -> list[tf.Tensor]:
        """Returns the condition as a network's further inputs: one tensor ``[batch, width]``, or none."""
        return [] if self._condition is None else [self._condition(c)]

    def condition_of(self, batch: Batch) -> list[tf.Tensor]:
        """Returns a batch's encoded condition."""
        return self.encode(batch.get("c"))


def check_image(layout: Layout, factor: int, name: str) -> None:
    """Refuses what convolutions cannot take.

    Raises:
        UsageError: It is no image, or its height or width is no multiple of ``factor``.
    """
    hint = "take the option network = 'dense'"
    if not layout.is_image:
        raise UsageError(f"{name}'s convolutions need images, not samples of shape {list(layout.shape)}", hint=hint)
    if any(side % factor for side in layout.shape[:2]):
        height, width = layout.shape[:2]
        raise UsageError(
            f"{name} needs images whose height and width are multiples of {factor}, not {height} x {width}",
            hint=f"pad or resize them, or {hint}",
        )


def at(seed: tf.Tensor, index: tf.Tensor) -> tf.Tensor:
    """Derives the seed of a step of a traced loop from the loop's seed, as ``fold`` does of a plain number."""
    return seed + tf.stack([(tf.cast(index, tf.int32) + _LOOPS) * _STRIDE, 0])


def track(source: keras.Model, average: keras.Model, update: tf.Tensor, decay: float) -> None:
    """Moves an average of weights a step: by less at first, so that it forgets where training started; traceable."""
    count = tf.cast(update, tf.float32)
    share = tf.minimum(decay, (1.0 + count) / (10.0 + count))
    for ours, theirs in zip(source.weights, average.weights, strict=True):
        theirs.assign(theirs * share + ours * (1.0 - share) if theirs.dtype.startswith("float") else ours)


def twins(build: Callable[[str], keras.Model], name: str) -> tuple[keras.Model, keras.Model]:
    """Builds a network and the one that will hold the average of its weights."""
    first, average = build(name), build(f"{name}_average")
    for ours, theirs in zip(first.weights, average.weights, strict=True):
        theirs.assign(ours)
    average.trainable = False
    return first, average


def flat_sum(values: Any) -> tf.Tensor:
    """Sums all but the first axis, ``[batch, ...] -> [batch]``."""
    return tf.reduce_sum(tf.reshape(values, [tf.shape(values)[0], -1]), axis=-1)
