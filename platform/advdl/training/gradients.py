"""The gradient of an objective: on one device, of a whole batch or as the mean over its parts."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol, TypeAlias

import tensorflow as tf

from advdl.errors import UsageError
from advdl.training.learner import Aux, Batch, Objective
from advdl.training.randomness import fold

Scale: TypeAlias = tf.Tensor | None
"""What the loss is multiplied by before it is differentiated; None for nothing."""

_FIRST_PART = 1000


@dataclass(frozen=True, slots=True)
class Measured:
    """An objective on a batch.

    Attributes:
        loss: The mean over the parts; scalar.
        aux: Scalars are means over the parts, reports per sample are in the batch's order.
        gradients: The mean over the parts, without the loss's scale, one for each of the objective's variables.
        parts: How many parts the batch was cut into.
        square: The mean over the parts of the gradient's squared norm; None where there is one part.
    """

    loss: tf.Tensor
    aux: Aux
    gradients: Sequence[tf.Tensor]
    parts: int = 1
    square: tf.Tensor | None = None


class Gradients(Protocol):
    """Differentiates objectives. What it does is traceable."""

    def __call__(self, objective: Objective, batch: Batch, seed: tf.Tensor, scale: Scale = None) -> Measured:
        """Differentiates an objective on a batch; ``seed`` is int32 of shape [2]."""


class LocalGradients:
    """Differentiates on one device.

    Args:
        accumulate: Parts that the batch is cut into, to save memory.
    """

    def __init__(self, accumulate: int = 1) -> None:
        self._accumulate = accumulate

    def __call__(self, objective: Objective, batch: Batch, seed: tf.Tensor, scale: Scale = None) -> Measured:
        """Differentiates an objective on a batch.

        Raises:
            UsageError: The batch cannot be cut into equal parts.
        """
        if self._accumulate == 1:
            return Measured(*gradient_of(objective, batch, seed, scale))
        parts = [
            gradient_of(objective, part, part_seed(seed, index), scale)
            for index, part in enumerate(split(batch, self._accumulate))
        ]
        losses, auxes, gradients = zip(*parts, strict=True)
        return Measured(
            mean(losses),
            join(auxes),
            [mean(same) for same in zip(*gradients, strict=True)],
            self._accumulate,
            mean([squared_norm(some) for some in gradients]),
        )


def gradient_of(
    objective: Objective, batch: Batch, seed: tf.Tensor, scale: Scale = None
) -> tuple[tf.Tensor, Aux, Sequence[tf.Tensor]]:
    """Returns loss, aux and gradients of an objective on one batch."""
    values = [variable.value for variable in objective.variables]
    with tf.GradientTape(watch_accessed_variables=False) as tape:
        for value in values:
            tape.watch(value)
        loss, aux = objective.loss(batch, seed)
        target = loss if scale is None else loss * tf.cast(scale, loss.dtype)
    return loss, aux, unscaled(tape.gradient(target, values, unconnected_gradients=_ZERO), scale)


def unscaled(gradients: Sequence[tf.Tensor], scale: Scale) -> Sequence[tf.Tensor]:
    """Takes the loss's scale off gradients; a power of two, so no digit is lost."""
    return gradients if scale is None else [gradient / tf.cast(scale, gradient.dtype) for gradient in gradients]


def part_seed(seed: tf.Tensor, part: int) -> tf.Tensor:
    """Returns the seed of one part of a batch: the same whichever device it is computed on."""
    return fold(seed, _FIRST_PART + part)


def split(batch: Batch, parts: int, *, among: str = "trainer.accumulate") -> list[Batch]:
    """Cuts a batch into equal parts, in order.

    Raises:
        UsageError: The batch does not divide by their number.
    """
    sizes = {value.shape[0] for value in tf.nest.flatten(dict(batch))}
    for size in sizes:
        if size is not None and size % parts:
            raise UsageError(
                f"a batch of {size} cannot be cut into {parts} equal parts (from {among})",
                hint=f"choose a batch size that is a multiple of {parts}",
            )

    def part(index: int) -> Batch:
        cut: Batch = tf.nest.map_structure(lambda value: tf.split(value, parts)[index], dict(batch))
        return cut

    return [part(index) for index in range(parts)]


def join(auxes: Sequence[Aux]) -> Aux:
    """Means of scalars, concatenations of per-sample reports."""
    joined = {name: [aux[name] for aux in auxes] for name in auxes[0]}
    return {name: tf.concat(values, 0) if values[0].shape.rank else mean(values) for name, values in joined.items()}


def mean(values: Sequence[tf.Tensor]) -> tf.Tensor:
    """Returns the mean of tensors of one shape."""
    return tf.add_n(list(values)) / len(values)


def squared_norm(gradients: Sequence[tf.Tensor]) -> tf.Tensor:
    """Returns the squared global norm."""
    return tf.add_n([tf.reduce_sum(tf.square(gradient)) for gradient in gradients])


def batch_size(batch: Mapping[str, object]) -> tf.Tensor:
    """Returns the number of samples; float32 scalar."""
    return tf.cast(tf.shape(tf.nest.flatten(dict(batch))[0])[0], tf.float32)


_ZERO = tf.UnconnectedGradients.ZERO
