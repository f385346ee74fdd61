"""Reptile: towards where a task's own training leads."""

from typing import Annotated

import tensorflow as tf
from annotated_types import Ge

from advdl.training import Batch, Learner, TaskLoss, Values, fold, scalars
from advdl_meta.maml import MAML, Rate


class Reptile(MAML):
    """Reptile (Nichol et al. 2018): no derivative of a derivative, and no query either.

    Inner steps take support and query in turn; the meta-gradient is the way that they went, divided by the inner rate.
    So ``optimizer.learning_rate`` / ``adapter.learning_rate`` is the paper's outer step size where the optimizer is
    ``sgd``.

    Args:
        learner: What is adapted.
        learning_rate: Rate of the inner gradient descent.
        steps: Inner steps while training; with one step this is training on all tasks at once.
        transductive: Whether the samples of a held-out query are normalised together. If not, the support's statistics
            normalise each of them by itself. It matters to batch normalisation only.
    """

    def __init__(
        self,
        learner: Learner,
        *,
        learning_rate: Rate = 0.01,
        steps: Annotated[int, Ge(1)] = 10,
        transductive: bool = False,
    ) -> None:
        super().__init__(learner, learning_rate=learning_rate, steps=steps, transductive=transductive)

    def task_gradient(self, values: Values, task: Batch, seed: tf.Tensor) -> tuple[TaskLoss, Values]:
        """Returns the loss after training on the task, and the way there."""
        fast = self.start(values)
        for step in range(self.steps):
            part = task["query" if step % 2 else "support"]
            fast = self.inner_step(values, fast, part, fold(seed, step), step=step)
        loss, aux, state = self.pure.loss(fast, task["query"], fold(seed, self.steps))
        way = [(start - end) / self._rate for start, end in zip(values, fast.weights, strict=True)]
        return TaskLoss(loss, scalars(aux), state), way
