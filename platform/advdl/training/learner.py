"""Learner and Objective: what the trainer trains. It knows no more than this file says."""

import abc
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import keras
import tensorflow as tf

Batch = Mapping[str, Any]
"""Named tensors, or nests of tensors, whose first axis is the batch."""

Aux = Mapping[str, tf.Tensor]
"""What a loss reports: scalars are metrics; a tensor per sample (such as TD errors) goes back to the source."""

Loss = Callable[[Batch, tf.Tensor], tuple[tf.Tensor, Aux]]
"""``loss(batch, seed) -> (scalar loss, aux)``, traceable; ``seed`` is an int32 tensor of shape [2]."""


Divergence = Callable[[Batch, tf.Tensor], tf.Tensor]
"""``divergence(batch, seed) -> scalar``, traceable: how far the learner is from the one that made the batch."""


@dataclass(frozen=True, slots=True)
class Objective:
    """A loss and the variables that minimise it. A GAN has two, a DQN one.

    Attributes:
        name: Names the objective in metrics and in ``[optimizers.NAME]``.
        loss: A traceable function of a batch and a seed.
        variables: The trainable Keras variables that the gradient is taken of.
        divergence: What a trust region bounds; None where there is no such thing.
    """

    name: str
    loss: Loss
    variables: Sequence[keras.Variable]
    divergence: Divergence | None = None


class Learner(abc.ABC):
    """Keras variables and what they minimise.

    A subclass builds its models in ``__init__`` from its keyword-only options. Objectives are minimised one after
    the other in the order given, each on the same batch.
    """

    @property
    @abc.abstractmethod
    def models(self) -> Mapping[str, keras.Model | keras.layers.Layer]:
        """Every model whose variables are the learner's state, by a stable name."""

    @abc.abstractmethod
    def objectives(self) -> Sequence[Objective]:
        """What is minimised, in order."""

    def backbones(self) -> Sequence[keras.Model]:
        """Returns the backbones that it sees through, the one that acts first; none if it has no such part.

        What is returned can start from another run's, and can be frozen.
        """
        return ()

    def prepare(self, batch: Batch) -> Batch:
        """Computes what a loss needs of the whole batch, such as its advantages' mean and spread; traceable.

        Runs once an update. A loss sees the result, perhaps a part of it at a time: batches are cut to save memory and
        to share them among devices.

        Args:
            batch: What the source gave.

        Returns:
            A batch with as many samples.
        """
        return batch

    def after_update(self, update: tf.Tensor) -> None:
        """Runs in the compiled program after every update: target networks, moving averages.

        Args:
            update: The number of updates made so far, this one included; int64 scalar.
        """
        del update
