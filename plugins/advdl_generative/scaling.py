"""Layers that turn data into what networks like, and back."""

from typing import Any, Literal

import gymnasium
import keras
import numpy as np
import tensorflow as tf
from gymnasium import spaces

from advdl_generative.spaces import Layout

_SMALLEST = 1e-6

Scale = Literal["bounds", "standard"]


class Scaling(keras.layers.Layer):
    """Shifts and scales samples, and undoes it; the numbers are variables, so a checkpoint holds them.

    ``bounds`` maps the bounds to -1 and 1. ``standard`` gives every component (of an image: all pixels together) mean
    0 and standard deviation ``spread``, once ``adapt`` has seen data; before, it is as ``bounds`` where there are any.

    Args:
        layout: What the samples are.
        scale: Which of the two.
        spread: The standard deviation that scaled data have under ``standard``.
        name: The layer's name.
    """

    def __init__(self, layout: Layout, scale: Scale, *, spread: float = 1.0, name: str = "scaling") -> None:
        super().__init__(name=name, trainable=False, dtype="float32")
        self._layout, self._scale, self._spread = layout, scale, spread
        middle, half = _from_bounds(layout)
        self.shift = self._number("shift", middle)
        self.stretch = self._number("stretch", half)

    def adapt(self, x: tf.Tensor) -> None:
        """Reads means and standard deviations off samples ``[batch, *shape]``; ``bounds`` needs none."""
        if self._scale == "bounds" and self._layout.is_bounded:
            return
        values = np.asarray(x, np.float64)
        axes = tuple(range(values.ndim)) if self._layout.is_image else 0
        shape = self._layout.shape
        self.shift.assign(np.broadcast_to(values.mean(axes), shape))
        deviation = np.broadcast_to(values.std(axes), shape)
        # A component that never changes has no scale: 1 leaves its small errors small.
        self.stretch.assign(np.where(deviation > _SMALLEST, deviation, 1.0) / self._spread)

    def call(self, x: tf.Tensor) -> tf.Tensor:
        """Scales samples; float32."""
        return (tf.cast(x, tf.float32) - self.shift) / self.stretch

    def undo(self, scaled: tf.Tensor) -> tf.Tensor:
        """Returns samples in their own units, dtype and bounds."""
        layout = self._layout
        x = tf.clip_by_value(scaled * self.stretch + self.shift, layout.low, layout.high)
        return tf.cast(tf.round(x) if layout.is_whole else x, layout.dtype)

    def limits(self) -> tuple[tf.Tensor, tf.Tensor]:
        """Returns the scaled bounds, ``[*shape]``; where there are none, six standard deviations."""
        far = 6.0 * self._spread
        bounds = (tf.constant(bound) for bound in (self._layout.low, self._layout.high))
        ends = ((bound - self.shift) / self.stretch for bound in bounds)
        low, high = (tf.where(tf.math.is_finite(end), end, sign * far) for end, sign in zip(ends, (-1, 1), strict=True))
        return low, high

    def _number(self, name: str, value: Any) -> keras.Variable:
        start = keras.initializers.Constant(np.asarray(value, np.float32))
        return self.add_weight(shape=self._layout.shape, initializer=start, trainable=False, name=name)


class Condition(keras.layers.Layer):
    """Turns c into vectors ``[batch, width]``: a class one-hot, a vector standardised once ``adapt`` has seen some.

    Args:
        space: What c is.
        width: What ``condition_width`` says.
    """

    def __init__(self, space: gymnasium.Space[Any], width: int) -> None:
        super().__init__(name="condition", trainable=False, dtype="float32")
        self._space, self._width = space, width
        self.shift = self.add_weight(shape=(width,), initializer="zeros", trainable=False, name="shift")
        self.stretch = self.add_weight(shape=(width,), initializer="ones", trainable=False, name="stretch")

    def adapt(self, c: tf.Tensor) -> None:
        """Reads a vector's means and standard deviations."""
        if isinstance(self._space, spaces.Discrete):
            return
        values = np.reshape(np.asarray(c, np.float64), (-1, self._width))
        deviation = values.std(0)
        self.shift.assign(values.mean(0))
        self.stretch.assign(np.where(deviation > _SMALLEST, deviation, 1.0))

    def call(self, c: tf.Tensor) -> tf.Tensor:
        """Encodes a batch; float32."""
        if isinstance(self._space, spaces.Discrete):
            index = tf.cast(c, tf.int32) - int(self._space.start)
            return tf.one_hot(index, self._width)
        vector = tf.reshape(tf.cast(c, tf.float32), [-1, self._width])
        return (vector - self.shift) / self.stretch


def _from_bounds(layout: Layout) -> tuple[Any, Any]:
    bounded = np.isfinite(layout.low) & np.isfinite(layout.high)
    low, high = (np.where(bounded, end, other) for end, other in ((layout.low, -1.0), (layout.high, 1.0)))
    half = (high.astype("f8") - low) / 2
    return (low.astype("f8") + high) / 2, np.where(half > _SMALLEST, half, 1.0)
