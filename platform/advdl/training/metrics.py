"""Means of scalars over an interval, kept in variables so that the compiled program can add to them."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import tensorflow as tf

from advdl.training.tensors import Array

_ROOM = 64
"""Names of a vector."""


class RunningMeans:
    """Sums and counts by name.

    They stand in vectors: a program adds all that an update reports at once, where it would otherwise run, and XLA
    compile, two small pieces for every name. What a learner reports is known only when the program is traced; the
    vectors are there before, since a program that creates variables is traced twice. They are part of the checkpoint,
    name by name, so an interval that a kill cut in two reports the same means.
    """

    def __init__(self) -> None:
        self._vectors = [_Vectors(_ROOM)]

    def add(self, name: str, value: tf.Tensor, weight: tf.Tensor | float = 1.0) -> None:
        """Adds ``value`` (a scalar, already multiplied by its weight) to a mean; traceable.

        A value that is not finite is left out: an update that overflowed in float16 and was skipped has no loss.
        """
        self.add_all({name: value}, weight)

    def add_all(self, values: Mapping[str, tf.Tensor], weight: tf.Tensor | float = 1.0) -> None:
        """Adds scalars of one weight, as ``add`` does; traceable."""
        homes: dict[int, dict[str, tf.Tensor]] = {}
        for name, value in values.items():
            homes.setdefault(self._home(name), {})[name] = value
        for home, of_home in homes.items():
            self._vectors[home].add(of_home, weight)

    def add_report(self, report: Mapping[str, tf.Tensor]) -> None:
        """Adds the scalars of what an update reports, as ``learn/NAME``; traceable."""
        self.add_all({f"learn/{name}": value for name, value in report.items() if value.shape.rank == 0})

    def read(self) -> dict[str, float]:
        """Returns the means of the interval; a name that got no weight is left out."""
        return {
            name: total / count for each in self._vectors for name, (total, count) in each.read().items() if count > 0
        }

    def peek(self, name: str) -> float | None:
        """Returns one mean of the interval so far, or None if it got no weight."""
        return self.read().get(name)

    def reset(self) -> None:
        """Starts a new interval."""
        for each in self._vectors:
            each.reset()

    def state(self) -> dict[str, Any]:
        """Returns sums and counts by name, for the checkpoint."""
        return {key: entry for each in self._vectors for key, entry in each.state().items()}

    def _home(self, name: str) -> int:
        """Returns which vectors have a name, and gives it a place if none has."""
        for home, each in enumerate(self._vectors):
            if each.takes(name):
                return home
        with tf.init_scope():
            self._vectors.append(_Vectors(_ROOM))
        return self._home(name)


class _Vectors:
    """A vector of sums and one of counts, and which place is whose."""

    def __init__(self, room: int) -> None:
        self._sums = tf.Variable(tf.zeros([room]), trainable=False)
        self._counts = tf.Variable(tf.zeros([room]), trainable=False)
        self._room, self._places = room, dict[str, int]()

    def takes(self, name: str) -> bool:
        if name not in self._places and len(self._places) < self._room:
            self._places[name] = len(self._places)
        return name in self._places

    def add(self, values: Mapping[str, tf.Tensor], weight: tf.Tensor | float) -> None:
        row, named = self._row(values)
        finite = tf.math.is_finite(row)
        self._sums.assign_add(tf.where(finite, row, 0.0))
        self._counts.assign_add(tf.where(finite, named * tf.cast(weight, tf.float32), 0.0))

    def _row(self, values: Mapping[str, tf.Tensor]) -> tuple[tf.Tensor, Array]:
        """Returns scalars at their places and zeros elsewhere; and ones at their places and zeros elsewhere."""
        named, pieces, at = np.zeros(self._room, np.float32), [], 0
        for place, value in sorted((self._places[name], value) for name, value in values.items()):
            pieces += [tf.zeros([place - at]), tf.reshape(tf.cast(value, tf.float32), [1])]
            named[place], at = 1.0, place + 1
        return tf.concat([*pieces, tf.zeros([self._room - at])], axis=0), named

    def read(self) -> dict[str, tuple[float, float]]:
        sums, counts = self._sums.numpy(), self._counts.numpy()
        return {name: (float(sums[place]), float(counts[place])) for name, place in self._places.items()}

    def reset(self) -> None:
        for vector in (self._sums, self._counts):
            vector.assign(tf.zeros([self._room]))

    def state(self) -> dict[str, "_Entry"]:
        sums = {f"{name}/sum": _Entry(self._sums, place) for name, place in self._places.items()}
        return sums | {f"{name}/count": _Entry(self._counts, place) for name, place in self._places.items()}


class _Entry:
    """One place of a vector, as live as a scalar variable."""

    def __init__(self, vector: tf.Variable, place: int) -> None:
        self._vector, self._place = vector, place

    shape, dtype = tf.TensorShape([]), tf.float32

    def assign(self, value: Any) -> None:
        """Sets the place."""
        self._vector[self._place].assign(value)

    def numpy(self) -> np.float32:
        """Returns what is there."""
        found: np.float32 = self._vector.numpy()[self._place]
        return found

    def __tf_tensor__(self, dtype: Any = None, name: str | None = None) -> tf.Tensor:
        return tf.convert_to_tensor(self.numpy(), dtype, name=name)

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> Array:
        return np.asarray(self.numpy(), dtype)
