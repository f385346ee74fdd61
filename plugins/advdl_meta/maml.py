"""MAML: weights from which a few gradient steps reach every task; and its first-order form."""

from typing import Annotated

import tensorflow as tf
from annotated_types import Ge, Gt

from advdl.training import Adapter, Batch, Fast, Learner, Values

Rate = Annotated[float, Gt(0)]
Steps = Annotated[int, Ge(0)]


class MAML(Adapter):
    """Model-agnostic meta-learning (Finn et al. 2017), differentiated through the inner steps.

    Args:
        learner: What is adapted.
        learning_rate: Rate of the inner gradient descent.
        steps: Inner steps while training; 0 trains on all tasks at once, which is the control without meta-learning.
        later: Share of the rate that an evaluation takes after its first steps, as many as training makes (one at
            least).
        transductive: Whether the samples of a held-out query are normalised together. If not, the support's statistics
            normalise each of them by itself. It matters to batch normalisation only.
    """

    def __init__(
        self,
        learner: Learner,
        *,
        learning_rate: Rate = 0.01,
        steps: Steps = 1,
        later: Rate = 1.0,
        transductive: bool = False,
    ) -> None:
        super().__init__(learner, steps=steps, transductive=transductive)
        self._rate, self._later = learning_rate, later

    def inner_step(self, values: Values, fast: Fast, support: Batch, seed: tf.Tensor, *, step: int) -> Fast:
        """Makes one step of gradient descent."""
        del values
        gradients, after = self.pure.adaptation_gradient(fast, support, seed)
        return Fast(descend(fast.weights, gradients, self.rate_at(step)), after.state)

    def rate_at(self, step: int) -> float:
        """Returns the rate of an inner step."""
        return self._rate if step < max(self.steps, 1) else self._rate * self._later


class FOMAML(MAML):
    """First-order MAML (Finn et al. 2017): the inner gradients are taken for constants.

    Args:
        learner: What is adapted.
        learning_rate: Rate of the inner gradient descent.
        steps: Inner steps while training; 0 trains on all tasks at once, which is the control without meta-learning.
        later: Share of the rate that an evaluation takes after its first steps, as many as training makes (one at
            least).
        transductive: Whether the samples of a held-out query are normalised together. If not, the support's statistics
            normalise each of them by itself. It matters to batch normalisation only.
    """

    def inner_step(self, values: Values, fast: Fast, support: Batch, seed: tf.Tensor, *, step: int) -> Fast:
        """Makes one step of gradient descent by a constant."""
        del values
        constant = Fast([tf.stop_gradient(weight) for weight in fast.weights], fast.state)
        gradients, after = self.pure.adaptation_gradient(constant, support, seed)
        return Fast(descend(fast.weights, [tf.stop_gradient(g) for g in gradients], self.rate_at(step)), after.state)


def descend(weights: Values, gradients: Values, rate: float) -> list[tf.Tensor]:
    """Makes one step of gradient descent."""
    return [weight - rate * gradient for weight, gradient in zip(weights, gradients, strict=True)]
