"""ANIL: almost no inner loop; only the head adapts."""

from typing import Annotated

import tensorflow as tf
from annotated_types import Ge

from advdl.training import Adapter, Batch, Fast, Learner, Values
from advdl_meta.layers import layer_numbers
from advdl_meta.maml import Rate, Steps


class ANIL(Adapter):
    """MAML that adapts the last layers only (Raghu et al. 2020); all layers are meta-trained.

    Args:
        learner: What is adapted.
        learning_rate: Rate of the inner gradient descent.
        steps: Inner steps while training; 0 trains on all tasks at once, which is the control without meta-learning.
        layers: How many layers adapt, counted from the output.
        transductive: Whether the samples of a held-out query are normalised together. If not, the support's statistics
            normalise each of them by itself. It matters to batch normalisation only.
    """

    def __init__(
        self,
        learner: Learner,
        *,
        learning_rate: Rate = 0.01,
        steps: Steps = 1,
        layers: Annotated[int, Ge(1)] = 1,
        transductive: bool = False,
    ) -> None:
        super().__init__(learner, steps=steps, transductive=transductive)
        numbers = layer_numbers(self.pure.variables)
        first = max(numbers) + 1 - layers
        self._rates = [learning_rate if number >= first else 0.0 for number in numbers]

    def inner_step(self, values: Values, fast: Fast, support: Batch, seed: tf.Tensor, *, step: int) -> Fast:
        """Makes one step of gradient descent in the last layers."""
        del values, step
        gradients, after = self.pure.adaptation_gradient(fast, support, seed)
        steps = zip(fast.weights, gradients, self._rates, strict=True)
        # Not multiplied by zero: what does not adapt must not cost a derivative either.
        return Fast([w - rate * g if rate else w for w, g, rate in steps], after.state)
