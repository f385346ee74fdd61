"""MAML++: how to train your MAML."""

from collections.abc import Mapping, Sequence
from typing import Annotated

import keras
import tensorflow as tf
from annotated_types import Ge

from advdl.training import Adapter, Batch, Fast, Learner, TaskLoss, Values, fold, scalars
from advdl_meta.layers import layer_numbers
from advdl_meta.maml import Rate


class MAMLPlusPlus(Adapter):
    """MAML with the remedies of Antoniou et al. 2019, "How to train your MAML".

    - The loss after every inner step counts, at first all alike, in the end the last alone.
    - First-order gradients at first, second-order ones from then on.
    - A learnt rate for each layer and each inner step.
    - Batch normalisation keeps moving statistics for each inner step.
    - Its cosine meta-rate is the optimizer's schedule: ``optimizer.learning_rate.name=cosine``.

    Args:
        learner: What is adapted.
        learning_rate: Where the rates of layers and steps begin.
        steps: Inner steps while training; an evaluation that goes on uses the last step's rates.
        multi_step_updates: Meta-updates until the loss after the last step counts alone; 0 counts it alone always.
        first_order_updates: Meta-updates that are made with first-order gradients.
        per_step_statistics: Whether queries are normalised by the moving statistics of their step. If not, what
            ``transductive`` says.
        transductive: Whether the samples of a held-out query are normalised together. If not, the support's statistics
            normalise each of them by itself. It matters to batch normalisation only.
    """

    def __init__(
        self,
        learner: Learner,
        *,
        learning_rate: Rate = 0.01,
        steps: Annotated[int, Ge(1)] = 5,
        multi_step_updates: Annotated[int, Ge(0)] = 5_000,
        first_order_updates: Annotated[int, Ge(0)] = 0,
        per_step_statistics: bool = True,
        transductive: bool = False,
    ) -> None:
        super().__init__(learner, steps=steps, transductive=transductive)
        self._numbers = layer_numbers(self.pure.variables)
        self._rate, self._multi_step, self._first_order = learning_rate, multi_step_updates, first_order_updates
        self._rows = self.pure.statistics if per_step_statistics else []
        state = [self.pure.state_variables[index] for index in self._rows]
        self._recipe = _Recipe(steps, max(self._numbers) + 1, state)

    @property
    def models(self) -> Mapping[str, keras.Model | keras.layers.Layer]:
        """The learner's models, and the rates, statistics and counter of the recipe."""
        return {**self.learner.models, "recipe": self._recipe}

    @property
    def meta_variables(self) -> Sequence[keras.Variable]:
        """The learner's variables and the rates."""
        return [*self.pure.variables, self._recipe.rates]

    @property
    def carried(self) -> Sequence[keras.Variable]:
        """The learner's other variables and the statistics of each step."""
        return [*self.pure.state_variables, *self._recipe.statistics]

    def after_update(self, update: tf.Tensor) -> None:
        """Counts the update."""
        super().after_update(update)
        self._recipe.updates.assign(tf.cast(update, self._recipe.updates.dtype))

    def inner_step(self, values: Values, fast: Fast, support: Batch, seed: tf.Tensor, *, step: int) -> Fast:
        """Makes one step of gradient descent, each layer at this step's rate."""
        rates = self._rate * values[-1][min(step, self.steps - 1)]
        gradients, after = self.pure.adaptation_gradient(self._at_step(fast, step), support, seed)
        order = tf.cast(self._updates() >= self._first_order, rates.dtype)
        annealed = [_with_order(gradient, order) for gradient in gradients]
        steps = zip(fast.weights, annealed, self._numbers, strict=True)
        return Fast([weight - rates[number] * gradient for weight, gradient, number in steps], after.state)

    def task_loss(self, values: Values, task: Batch, seed: tf.Tensor) -> TaskLoss:
        """Weighs the losses on the query after each inner step."""
        fast = self.start(values)
        weights = self._step_weights()
        losses, left = [], []
        for step in range(self.steps):
            fast = self.inner_step(values, fast, task["support"], fold(seed, step), step=step)
            left.append(fast.state)
            loss, aux, state = self.pure.loss(
                self._at_step(fast, step + 1), task["query"], fold(seed, self.steps + step)
            )
            losses.append(loss)
        left.append(state)
        total = tf.add_n([loss * tf.cast(weights[step], loss.dtype) for step, loss in enumerate(losses)])
        rows = [tf.stack([at[index] for at in left]) for index in self._rows]
        return TaskLoss(total, {**scalars(aux), "last_loss": losses[-1]}, [*state, *rows])

    def judged_as(self, values: Values, fast: Fast, task: Batch, seed: tf.Tensor, *, step: int) -> Fast:
        """Normalises a query by the moving statistics of the step."""
        if self._rows:
            return self._at_step(fast, step)
        return super().judged_as(values, fast, task, seed, step=step)

    def _at_step(self, fast: Fast, step: int) -> Fast:
        state = list(fast.state)
        for index, statistics in zip(self._rows, self._recipe.statistics, strict=True):
            state[index] = tf.convert_to_tensor(statistics.value)[min(step, self.steps)]
        return Fast(fast.weights, state)

    def _step_weights(self) -> tf.Tensor:
        """Uniform at first; the last step's grows to 1 over ``multi_step_updates``, ``[steps]``."""
        last = tf.one_hot(self.steps - 1, self.steps)
        if not self._multi_step:
            return last
        progress = tf.minimum(tf.cast(self._updates(), tf.float32) / self._multi_step, 1.0)
        return progress * last + (1.0 - progress) / self.steps

    def _updates(self) -> tf.Tensor:
        return tf.convert_to_tensor(self._recipe.updates.value)


class _Recipe(keras.layers.Layer):
    """What MAML++ learns and counts beside the learner's weights."""

    def __init__(self, steps: int, layers: int, statistics: Sequence[keras.Variable]) -> None:
        super().__init__(name="recipe")
        # In units of the inner rate: an optimizer such as Adam moves all numbers alike, by its own rate, and 0.001 is
        # a tenth of an inner rate of 0.01. Rates that move so fast throw the inner steps out before they settle.
        self.rates = self.add_weight(shape=(steps, layers), initializer="ones", name="rates")
        self.updates = self.add_weight(shape=(), initializer="zeros", dtype="int32", trainable=False, name="updates")
        self.statistics = [
            self.add_weight(
                shape=(steps + 1, *variable.shape),
                initializer=keras.initializers.Constant(1.0 if "variance" in variable.name else 0.0),
                trainable=False,
                name=f"statistics_{index:03d}",
            )
            for index, variable in enumerate(statistics)
        ]
        self.built = True


def _with_order(gradient: tf.Tensor, order: tf.Tensor) -> tf.Tensor:
    """Leaves the gradient as it is and scales its own derivative: 0 makes it first-order, 1 second-order."""
    constant = tf.stop_gradient(gradient)
    return constant + order * (gradient - constant)
