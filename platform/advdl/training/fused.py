"""FusedLoop: K steps of a traceable function in one compiled program."""

import contextlib
import time
from collections.abc import Callable

import tensorflow as tf

Step = Callable[[tf.Tensor], None]
"""A traceable step; its argument is the step's number, an int64 scalar. Everything that it changes is a variable."""


# A step can become dearer by far when learning starts, so a call makes at most this many times the steps of the last.
_GROWTH = 8


class FusedLoop:
    """Runs a step K times a call, with K chosen so that a call stays under about ``chunk_seconds``.

    The body is the same program for every K, so how a run is cut into calls does not change a bit of it.

    Args:
        step: The step.
        healthy: A scalar boolean variable; the loop ends as soon as it is False.
        jit: Whether XLA compiles the loop.
        chunk_seconds: How long one call may take, in seconds: signals and logs are served between calls.
        guard: Makes a context for each call, such as one that notices a lost worker.
        agree: Makes one K of what several workers' clocks say. What they exchange in a loop is matched by the number of
            the iteration in its call, so calls of different lengths would wait for each other for ever.
    """

    def __init__(
        self,
        step: Step,
        *,
        healthy: tf.Variable,
        jit: bool = True,
        chunk_seconds: float = 1.0,
        guard: Callable[[], contextlib.AbstractContextManager[None]] = contextlib.nullcontext,
        agree: Callable[[int], int] | None = None,
    ) -> None:
        self._step = step
        self._guard, self._agree = guard, agree
        self._healthy = healthy
        self._chunk_seconds = chunk_seconds
        self._seconds_per_step: float | None = None
        self._last_count = 1
        self._program = tf.function(self._loop, jit_compile=jit, autograph=False)

    def build(self) -> None:
        """Traces the program, which creates whatever variables the step creates."""
        scalar = tf.TensorSpec([], tf.int64)
        self._program.get_concrete_function(scalar, scalar)

    def advance(self, start: int, limit: int) -> int:
        """Runs one call of at most ``limit`` steps from step ``start``.

        Returns:
            The number of the next step: ``start`` + the steps made.
        """
        count = min(limit, self._affordable())
        count = self._agree(count) if self._agree else count
        began = time.perf_counter()
        with self._guard():
            end = int(self._program(tf.constant(start, tf.int64), tf.constant(count, tf.int64)))
        self._learn_speed(time.perf_counter() - began, end - start)
        return end

    def _loop(self, start: tf.Tensor, count: tf.Tensor) -> tf.Tensor:
        def go_on(index: tf.Tensor) -> tf.Tensor:
            return tf.logical_and(index < start + count, self._healthy.read_value())

        def body(index: tf.Tensor) -> tuple[tf.Tensor]:
            self._step(index)
            return (index + 1,)

        (end,) = tf.while_loop(go_on, body, (start,), parallel_iterations=1)
        return end

    def _affordable(self) -> int:
        """The first call makes one step: it compiles, so its time says nothing of the speed."""
        if self._seconds_per_step is None:
            return 1
        return max(1, min(int(self._chunk_seconds / max(self._seconds_per_step, 1e-9)), _GROWTH * self._last_count))

    def _learn_speed(self, seconds: float, steps: int) -> None:
        self._last_count = max(steps, 1)
        self._seconds_per_step = max(seconds, 1e-9) / self._last_count if self._seconds_per_step is not None else 0.0
