"""Adapter: a learner that learns how another learner adapts. The contract of those plugins."""

import abc
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import keras
import tensorflow as tf

from advdl.training.learner import Aux, Batch, Learner, Objective
from advdl.training.pure_learner import Fast, PureLearner
from advdl.training.randomness import fold

Values = Sequence[tf.Tensor]
"""A tensor for each of an adapter's ``meta_variables``."""


class TaskLoss(NamedTuple):
    """What one task says.

    Attributes:
        loss: Scalar: the loss on the query after adaptation.
        aux: Scalars to report.
        state: A tensor for each of the adapter's ``carried`` variables, as the task leaves them.
    """

    loss: tf.Tensor
    aux: Aux
    state: Sequence[tf.Tensor]


class Adapter(Learner):
    """Trains a learner's initial weights (and whatever else a subclass learns) so that few inner steps adapt it.

    The tasks of a meta-batch run batched, in one program; each inner step is unrolled in it. A subclass is called as
    ``cls(learner, **options)``, says in ``inner_step`` what one step of adaptation is, and may change what is minimised
    with ``task_loss`` or ``task_gradient``.

    Attributes:
        learner: What is adapted: any ``Learner`` with one objective.
        pure: The learner as functions of its weights.
        steps: Inner steps while training.

    Args:
        learner: What is adapted.
        steps: Inner steps while training; 0 trains on all tasks at once, which is the control without meta-learning.
        transductive: Whether the samples of a held-out query are normalised together. If not, the support's statistics
            normalise each of them by itself. It matters to batch normalisation only.

    Raises:
        UsageError: The learner's objectives cannot be adapted by.
    """

    def __init__(self, learner: Learner, *, steps: int, transductive: bool) -> None:
        self.learner, self.steps = learner, steps
        self.pure = PureLearner(learner)
        self._transductive = transductive

    @property
    def models(self) -> Mapping[str, keras.Model | keras.layers.Layer]:
        """The learner's models; a subclass adds its own."""
        return self.learner.models

    @property
    def meta_variables(self) -> Sequence[keras.Variable]:
        """What meta-training changes; the learner's variables come first."""
        return self.pure.variables

    @property
    def carried(self) -> Sequence[keras.Variable]:
        """Variables that a task leaves changed other than by a gradient; the mean over the tasks is kept."""
        return self.pure.state_variables

    def objectives(self) -> Sequence[Objective]:
        """One: the loss after adaptation."""
        divergence = self._meta_divergence if self.pure.has_divergence else None
        return [Objective("meta", self._meta_loss, self.meta_variables, divergence)]

    def after_update(self, update: tf.Tensor) -> None:
        """Lets the learner do what it does after an update."""
        self.learner.after_update(update)

    @abc.abstractmethod
    def inner_step(self, values: Values, fast: Fast, support: Batch, seed: tf.Tensor, *, step: int) -> Fast:
        """Adapts to one task by one step; traceable.

        Args:
            values: The meta-variables.
            fast: The learner's values before the step.
            support: The task's support, ``[shots, ...]``.
            seed: Stateless seed, int32 of shape [2]; the same for all tasks of a batch.
            step: The step's number, from 0; in an evaluation it may go beyond ``steps``.
        """

    def start(self, values: Values) -> Fast:
        """Returns the learner's values before the first step."""
        return Fast(values[: len(self.pure.variables)], self.pure.start().state)

    def task_loss(self, values: Values, task: Batch, seed: tf.Tensor) -> TaskLoss:
        """Adapts to one task and returns its loss on the query, differentiable in ``values``."""
        fast = self._path(values, task, seed, self.steps)[-1]
        loss, aux, state = self.pure.loss(fast, task["query"], fold(seed, self.steps))
        return TaskLoss(loss, scalars(aux), state)

    def task_divergence(self, values: Values, task: Batch, seed: tf.Tensor) -> tf.Tensor:
        """Adapts to one task and returns how far the learner then is from the one that made the query."""
        fast = self._path(values, task, seed, self.steps)[-1]
        return self.pure.divergence(fast, task["query"], fold(seed, self.steps))

    def task_gradient(self, values: Values, task: Batch, seed: tf.Tensor) -> tuple[TaskLoss, Values]:
        """Returns one task's loss and its gradient in the meta-variables."""
        with tf.GradientTape(watch_accessed_variables=False) as tape:
            watched = [tf.identity(value) for value in values]
            tape.watch(watched)
            result = self.task_loss(watched, task, seed)
        zero = tf.UnconnectedGradients.ZERO
        return result, tape.gradient(result.loss, watched, unconnected_gradients=zero)

    def judged_as(self, values: Values, fast: Fast, task: Batch, seed: tf.Tensor, *, step: int) -> Fast:
        """Returns the values that a task's query is judged with after ``step`` inner steps."""
        del values, step
        return self.pure.with_statistics_of(fast, task["query" if self._transductive else "support"], seed)

    def judge(self, tasks: Batch, seed: tf.Tensor, *, steps: Sequence[int]) -> Mapping[str, tf.Tensor]:
        """Adapts to tasks and measures their queries after some numbers of inner steps; changes no variable.

        Args:
            tasks: What ``Tasks.sample`` gave.
            seed: Stateless seed, int32 of shape [2].
            steps: After how many inner steps to measure, such as ``[0, 1, 5, 10]``.

        Returns:
            Means over a task's query by the name of the figure, each ``[tasks, len(steps)]``.
        """
        values = self._values()

        def judge_task(task: Batch) -> dict[str, tf.Tensor]:
            path = self._path(values, task, seed, max(steps))
            found = [self._measure(values, path[step], task, seed, step=step) for step in steps]
            return {name: tf.stack([figures[name] for figures in found]) for name in found[0]}

        figures: Mapping[str, tf.Tensor] = tf.vectorized_map(judge_task, _plain(tasks))
        return figures

    def predict(self, tasks: Batch, seed: tf.Tensor, *, steps: Sequence[int]) -> tf.Tensor:
        """Adapts to tasks and predicts their queries; for a learner that has a ``predict(x)``.

        Returns:
            ``[tasks, len(steps), queries, ...]``.
        """
        values = self._values()

        def predict_task(task: Batch) -> tf.Tensor:
            path = self._path(values, task, seed, max(steps))
            seen = [self.judged_as(values, path[step], task, seed, step=step) for step in steps]
            return tf.stack([self.pure.predict(fast, task["query"]["x"]) for fast in seen])

        return tf.vectorized_map(predict_task, _plain(tasks))

    def _path(self, values: Values, task: Batch, seed: tf.Tensor, steps: int) -> list[Fast]:
        path = [self.start(values)]
        for step in range(steps):
            path.append(self.inner_step(values, path[-1], task["support"], fold(seed, step), step=step))
        return path

    def _measure(self, values: Values, fast: Fast, task: Batch, seed: tf.Tensor, *, step: int) -> dict[str, tf.Tensor]:
        seen = self.judged_as(values, fast, task, seed, step=step)
        figures = self.pure.measure(seen, task["query"], seed)
        return {name: tf.reduce_mean(tf.cast(figure, tf.float32)) for name, figure in figures.items()}

    def _values(self) -> Values:
        return [tf.convert_to_tensor(variable.value) for variable in self.meta_variables]

    def _meta_loss(self, batch: Batch, seed: tf.Tensor) -> tuple[tf.Tensor, Aux]:
        """Differentiates within the map and hands the mean gradient on.

        XLA would compile a gradient that is taken through the map anew whenever the weights change.
        """
        values = self._values()
        constants = [tf.stop_gradient(value) for value in values]
        results, gradients = tf.vectorized_map(lambda task: self.task_gradient(constants, task, seed), _plain(batch))
        for variable, left in zip(self.carried, results.state, strict=True):
            variable.assign(_settled(left))
        aux = {name: tf.reduce_mean(value) for name, value in results.aux.items()}
        return _with_gradient(
            values, tf.reduce_mean(results.loss), [tf.reduce_mean(each, 0) for each in gradients]
        ), aux

    def _meta_divergence(self, batch: Batch, seed: tf.Tensor) -> tf.Tensor:
        """Returns the mean over the tasks, differentiated in the same way."""
        values = self._values()
        constants = [tf.stop_gradient(value) for value in values]

        def of_task(task: Batch) -> tuple[tf.Tensor, Values]:
            with tf.GradientTape(watch_accessed_variables=False) as tape:
                watched = [tf.identity(value) for value in constants]
                tape.watch(watched)
                divergence = self.task_divergence(watched, task, seed)
            zero = tf.UnconnectedGradients.ZERO
            return divergence, tape.gradient(divergence, watched, unconnected_gradients=zero)

        found, gradients = tf.vectorized_map(of_task, _plain(batch))
        return _with_gradient(values, tf.reduce_mean(found), [tf.reduce_mean(each, 0) for each in gradients])


def _with_gradient(values: Values, loss: tf.Tensor, slopes: Values) -> tf.Tensor:
    """Returns a loss whose gradient in ``values`` is known already."""

    def known(*_: tf.Tensor) -> tuple[tf.Tensor, Any]:
        return tf.stop_gradient(loss), lambda upstream: [upstream * tf.stop_gradient(slope) for slope in slopes]

    found: tf.Tensor = tf.custom_gradient(known)(*values)
    return found


def scalars(aux: Aux) -> dict[str, tf.Tensor]:
    """Keeps what a task can report: scalars."""
    return {name: tf.cast(value, tf.float32) for name, value in aux.items() if value.shape.rank == 0}


def _plain(tasks: Batch) -> dict[str, Any]:
    """A map takes nests of dicts, not of every mapping."""
    return {part: dict(fields) for part, fields in tasks.items()}


def _settled(left: tf.Tensor) -> tf.Tensor:
    """What the tasks of a batch leave of a variable, ``[tasks, ...]``: their mean; counters are the same for all."""
    return tf.reduce_mean(left, 0) if left.dtype.is_floating else left[0]
