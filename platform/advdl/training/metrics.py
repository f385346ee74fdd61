"""Means of scalars over an interval, kept in variables so that the compiled program can add to them."""

import tensorflow as tf

_SPARE = 64


class RunningMeans:
    """Sums and counts by name.

    What a learner reports is known only when the program is traced; the variables are there before, since a program
    that creates variables is traced twice. They are part of the checkpoint, so an interval that a kill cut in two
    reports the same means.
    """

    def __init__(self) -> None:
        self._sums: dict[str, tf.Variable] = {}
        self._counts: dict[str, tf.Variable] = {}
        self._spare = [_pair() for _ in range(_SPARE)]

    def add(self, name: str, value: tf.Tensor, weight: tf.Tensor | float = 1.0) -> None:
        """Adds ``value`` (a scalar, already multiplied by its weight) to a mean; traceable.

        A value that is not finite is left out: an update that overflowed in float16 and was skipped has no loss.
        """
        self._create(name)
        value = tf.cast(value, tf.float32)
        finite = tf.math.is_finite(value)
        self._sums[name].assign_add(tf.where(finite, value, 0.0))
        self._counts[name].assign_add(tf.where(finite, tf.cast(weight, tf.float32), 0.0))

    def read(self) -> dict[str, float]:
        """Returns the means of the interval; a name that got no weight is left out."""
        counts = {name: float(count) for name, count in self._counts.items()}
        return {name: float(self._sums[name]) / count for name, count in counts.items() if count > 0}

    def peek(self, name: str) -> float | None:
        """Returns one mean of the interval so far, or None if it got no weight."""
        count = float(self._counts[name]) if name in self._counts else 0.0
        return float(self._sums[name]) / count if count else None

    def reset(self) -> None:
        """Starts a new interval."""
        for variable in self.state().values():
            variable.assign(0.0)

    def state(self) -> dict[str, tf.Variable]:
        """Returns the variables by name, for the checkpoint."""
        sums = {f"{name}/sum": variable for name, variable in self._sums.items()}
        return sums | {f"{name}/count": variable for name, variable in self._counts.items()}

    def _create(self, name: str) -> None:
        if name not in self._sums:
            with tf.init_scope():
                self._sums[name], self._counts[name] = self._spare.pop() if self._spare else _pair()


def _pair() -> tuple[tf.Variable, tf.Variable]:
    return tf.Variable(0.0, trainable=False), tf.Variable(0.0, trainable=False)
