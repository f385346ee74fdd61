"""TrustRegion: a step along the natural gradient, as far as a divergence allows."""

from collections.abc import Callable, Sequence

import keras
import tensorflow as tf

from advdl.errors import UsageError
from advdl.training.gradients import gradient_of
from advdl.training.learner import Batch, Objective

_WIDTH = 1e-2
"""The norm of the change of weights by which curvature is measured: small beside them, large beside rounding."""


class TrustRegion:
    """Minimises an objective within a divergence from where it is (Schulman et al. 2015, arXiv:1502.05477).

    The direction is the natural gradient, by conjugate gradients; products with the divergence's second derivative are
    central differences of its gradient, which needs one derivative less where the loss itself is one of an adapted
    learner. The step is as long as the second derivative allows, and is shortened until the loss has fallen and the
    divergence is within its bound; if it never is, nothing changes.

    Args:
        bound: The greatest divergence of a step.
        iterations: Conjugate gradients' iterations.
        damping: Is added to the second derivative's diagonal.
        trials: How often a step is shortened.
        shorter: By which factor.
    """

    def __init__(
        self,
        bound: float = 0.01,
        *,
        iterations: int = 10,
        damping: float = 1e-2,
        trials: int = 15,
        shorter: float = 0.8,
    ) -> None:
        self._bound, self._iterations, self._damping = bound, iterations, damping
        self._trials, self._shorter = trials, shorter

    def __call__(
        self,
        objective: Objective,
        batch: Batch,
        seed: tf.Tensor,
        *,
        loss: tf.Tensor,
        gradients: Sequence[tf.Tensor],
        finite: tf.Tensor,
    ) -> dict[str, tf.Tensor]:
        """Makes the step; traceable.

        Args:
            objective: Has a divergence.
            batch: What it is minimised on.
            seed: Stateless seed, int32 of shape [2].
            loss: The loss before the step.
            gradients: Its gradients.
            finite: Scalar; no step is made without it.

        Returns:
            ``divergence`` that was gone, ``step`` as a share of the longest one (0 for none).

        Raises:
            UsageError: The objective has no divergence.
        """
        divergence = _divergence_of(objective)
        start = flatten([variable.value for variable in objective.variables])
        slope = flatten(gradients)

        def measured(point: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
            assign(objective.variables, point)
            return objective.loss(batch, seed)[0], divergence.loss(batch, seed)[0]

        def product(vector: tf.Tensor) -> tf.Tensor:
            return self._damping * vector + _second_derivative(divergence, batch, seed, start, vector)

        way = conjugate_gradients(product, slope, self._iterations)
        squared = tf.reduce_sum(way * product(way))
        longest = way * tf.sqrt(2.0 * self._bound / tf.maximum(squared, 1e-12))
        share, gone = self._search(measured, start, longest, loss, finite & tf.math.is_finite(squared))
        assign(objective.variables, tf.where(share > 0, start - share * longest, start))
        return {"divergence": gone, "step": share}

    def _search(
        self,
        measured: Callable[[tf.Tensor], tuple[tf.Tensor, tf.Tensor]],
        start: tf.Tensor,
        longest: tf.Tensor,
        loss: tf.Tensor,
        finite: tf.Tensor,
    ) -> tuple[tf.Tensor, tf.Tensor]:
        """Shortens the step until it is good; returns its share and its divergence, zeros for none."""

        def body(trial: tf.Tensor, good: tf.Tensor, share: tf.Tensor, gone: tf.Tensor) -> tuple[tf.Tensor, ...]:
            del good, share, gone
            share = tf.pow(self._shorter, tf.cast(trial, tf.float32))
            found, gone = measured(start - share * longest)
            good = (found < loss) & (gone <= self._bound) & tf.math.is_finite(found)
            return trial + 1, good, tf.where(good, share, 0.0), tf.where(good, gone, 0.0)

        def go_on(trial: tf.Tensor, good: tf.Tensor, share: tf.Tensor, gone: tf.Tensor) -> tf.Tensor:
            del share, gone
            return finite & ~good & (trial < self._trials)

        state = tf.constant(0), tf.constant(False), tf.constant(0.0), tf.constant(0.0)
        _, _, share, gone = tf.while_loop(go_on, body, state, parallel_iterations=1)
        return share, gone


def conjugate_gradients(
    product: Callable[[tf.Tensor], tf.Tensor], target: tf.Tensor, iterations: int, *, enough: float = 1e-10
) -> tf.Tensor:
    """Solves ``A x = target`` for a symmetric positive matrix of which products are known.

    Args:
        product: ``A v`` for ``v``.
        target: ``[n]``.
        iterations: At most so many.
        enough: The squared norm of what is left that ends it.
    """

    def body(
        index: tf.Tensor, x: tf.Tensor, left: tf.Tensor, way: tf.Tensor, square: tf.Tensor
    ) -> tuple[tf.Tensor, ...]:
        along = product(way)
        length = square / tf.reduce_sum(way * along)
        left = left - length * along
        new = tf.reduce_sum(tf.square(left))
        return index + 1, x + length * way, left, left + new / square * way, new

    def go_on(index: tf.Tensor, x: tf.Tensor, left: tf.Tensor, way: tf.Tensor, square: tf.Tensor) -> tf.Tensor:
        del x, left, way
        return (index < iterations) & (square > enough)

    state = tf.constant(0), tf.zeros_like(target), target, target, tf.reduce_sum(tf.square(target))
    return tf.while_loop(go_on, body, state, parallel_iterations=1)[1]


def flatten(tensors: Sequence[tf.Tensor]) -> tf.Tensor:
    """Returns tensors as one vector."""
    return tf.concat([tf.reshape(tensor, [-1]) for tensor in tensors], 0)


def assign(variables: Sequence[keras.Variable], vector: tf.Tensor) -> None:
    """Gives variables the values of a vector that ``flatten`` could have made of theirs."""
    sizes = [int(tf.TensorShape(variable.shape).num_elements() or 1) for variable in variables]
    for variable, part in zip(variables, tf.split(vector, sizes), strict=True):
        variable.assign(tf.reshape(part, variable.shape))


def _divergence_of(objective: Objective) -> Objective:
    divergence = objective.divergence
    if divergence is None:
        raise UsageError(f"objective {objective.name!r} has no divergence, and a trust region needs one")
    return Objective("divergence", lambda batch, seed: (divergence(batch, seed), {}), objective.variables)


def _second_derivative(
    divergence: Objective, batch: Batch, seed: tf.Tensor, start: tf.Tensor, vector: tf.Tensor
) -> tf.Tensor:
    """Returns the product of the divergence's second derivative at ``start`` and a vector."""
    width = _WIDTH / tf.maximum(tf.norm(vector), 1e-12)
    slopes = []
    for sign in (1.0, -1.0):
        assign(divergence.variables, start + sign * width * vector)
        slopes.append(flatten(gradient_of(divergence, batch, seed)[2]))
    return (slopes[0] - slopes[1]) / (2.0 * width)
