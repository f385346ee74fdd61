"""Meta-SGD: a learnt rate for each weight."""

from collections.abc import Mapping, Sequence

import keras
import tensorflow as tf

from advdl.training import Adapter, Batch, Fast, Learner, Values
from advdl_meta.maml import Rate, Steps


class MetaSGD(Adapter):
    """MAML with an inner rate for each weight, learnt with it (Li et al. 2017); a rate may become negative.

    Args:
        learner: What is adapted.
        learning_rate: Where the rates begin.
        steps: Inner steps while training; 0 trains on all tasks at once, which is the control without meta-learning.
        transductive: Whether the samples of a held-out query are normalised together. If not, the support's statistics
            normalise each of them by itself. It matters to batch normalisation only.
    """

    def __init__(
        self, learner: Learner, *, learning_rate: Rate = 0.01, steps: Steps = 1, transductive: bool = False
    ) -> None:
        super().__init__(learner, steps=steps, transductive=transductive)
        self._rates = _Rates([tuple(variable.shape) for variable in self.pure.variables], learning_rate)

    @property
    def models(self) -> Mapping[str, keras.Model | keras.layers.Layer]:
        """The learner's models and the rates."""
        return {**self.learner.models, "rates": self._rates}

    @property
    def meta_variables(self) -> Sequence[keras.Variable]:
        """The learner's variables and their rates."""
        return [*self.pure.variables, *self._rates.trainable_variables]

    def inner_step(self, values: Values, fast: Fast, support: Batch, seed: tf.Tensor, *, step: int) -> Fast:
        """Makes one step of gradient descent, each weight at its own rate."""
        del step
        rates = values[len(self.pure.variables) :]
        gradients, after = self.pure.adaptation_gradient(fast, support, seed)
        steps = zip(fast.weights, gradients, rates, strict=True)
        return Fast([weight - rate * gradient for weight, gradient, rate in steps], after.state)


class _Rates(keras.layers.Layer):
    """A rate for each weight."""

    def __init__(self, shapes: Sequence[tuple[int, ...]], start: float) -> None:
        super().__init__(name="rates")
        for index, shape in enumerate(shapes):
            self.add_weight(shape=shape, initializer=keras.initializers.Constant(start), name=f"rate_{index:03d}")
        self.built = True
