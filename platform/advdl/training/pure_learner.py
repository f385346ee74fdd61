"""PureLearner: a learner's losses as functions of its weights, so that they can be differentiated through updates."""

import contextlib
from collections.abc import Iterator, Mapping, Sequence
from typing import NamedTuple

import keras
import tensorflow as tf

from advdl.errors import UsageError
from advdl.training.batch_norm import BatchNorm
from advdl.training.data_learner import DataLearner
from advdl.training.learner import Aux, Batch, Learner, Objective


class Fast(NamedTuple):
    """The variables of a learner as values: those that adapt, and the rest.

    Attributes:
        weights: A tensor for each of ``PureLearner.variables``.
        state: A tensor for each of ``PureLearner.state_variables``.
    """

    weights: Sequence[tf.Tensor]
    state: Sequence[tf.Tensor]


class PureLearner:
    """Reads a learner's weights through Keras' stateless scope; the learner needs not a line for it.

    A learner with one objective adapts by it and is judged by it. One with two objectives over the same variables
    adapts by the first and is judged by the second, as a policy that adapts by a plain policy gradient and is judged by
    a clipped one.

    Attributes:
        learner: The learner.
        variables: What adapts: the objectives' variables.
        state_variables: Every other variable: moving statistics, random generators' counters, target networks.

    Args:
        learner: The learner.

    Raises:
        UsageError: Its objectives are not of this form.
    """

    def __init__(self, learner: Learner) -> None:
        self.learner = learner
        objectives = list(learner.objectives())
        self._inner, self._outer = _inner_and_outer(learner, objectives)
        self.variables = list(self._inner.variables)
        adapting = {id(variable) for variable in self.variables}
        every = [variable for model in learner.models.values() for variable in model.variables]
        self.state_variables = [variable for variable in every if id(variable) not in adapting]
        self._norms = [layer for model in learner.models.values() for layer in _batch_norms(model)]
        for norm in self._norms:
            if isinstance(norm, BatchNorm):
                norm.fused = False  # the kernel is not batched over tasks

    @property
    def has_statistics(self) -> bool:
        """Whether the learner normalises by statistics of batches."""
        return bool(self._norms)

    @property
    def statistics(self) -> list[int]:
        """The indices in ``state_variables`` of the moving statistics of batch normalisations."""
        moving = {id(variable) for layer in self._norms for variable in (layer.moving_mean, layer.moving_variance)}
        return [index for index, variable in enumerate(self.state_variables) if id(variable) in moving]

    def start(self) -> Fast:
        """Returns the present values."""
        return Fast(_values(self.variables), _values(self.state_variables))

    def adaptation_gradient(self, fast: Fast, batch: Batch, seed: tf.Tensor) -> tuple[list[tf.Tensor], Fast]:
        """Takes the gradient of the loss by which the learner adapts.

        Returns:
            A gradient for each weight, itself differentiable, and the values with the state that the loss left.
        """
        with tf.GradientTape(watch_accessed_variables=False) as tape:
            weights = [tf.identity(weight) for weight in fast.weights]
            tape.watch(weights)
            loss, _, state = self._loss(self._inner, Fast(weights, fast.state), batch, seed)
        gradients = tape.gradient(loss, weights, unconnected_gradients=tf.UnconnectedGradients.ZERO)
        return gradients, Fast(fast.weights, state)

    def adaptation_loss(self, fast: Fast, batch: Batch, seed: tf.Tensor) -> tf.Tensor:
        """Returns the loss by which the learner adapts."""
        return self._loss(self._inner, fast, batch, seed)[0]

    def loss(self, fast: Fast, batch: Batch, seed: tf.Tensor) -> tuple[tf.Tensor, Aux, Sequence[tf.Tensor]]:
        """Returns the loss by which the learner is judged, what it reports, and the state that it left."""
        return self._loss(self._outer, fast, batch, seed)

    @property
    def has_divergence(self) -> bool:
        """Whether the learner says how far it is from the one that made a batch."""
        return self._outer.divergence is not None

    def divergence(self, fast: Fast, batch: Batch, seed: tf.Tensor) -> tf.Tensor:
        """Returns how far the learner is from the one that made the batch, in its own measure.

        Raises:
            UsageError: It has none.
        """
        if self._outer.divergence is None:
            raise UsageError(f"{type(self.learner).__name__} has no divergence, and a trust region needs one")
        with keras.StatelessScope(state_mapping=self._mapping(fast)):
            return self._outer.divergence(self.learner.prepare(batch), seed)

    def measure(self, fast: Fast, batch: Batch, seed: tf.Tensor) -> Mapping[str, tf.Tensor]:
        """Judges data as ``DataLearner.measure`` does; a learner of another kind reports its loss."""
        if not isinstance(self.learner, DataLearner):
            return {"loss": self.loss(fast, batch, seed)[0][None]}
        with keras.StatelessScope(state_mapping=self._mapping(fast)):
            return self.learner.measure(batch, seed)

    def with_statistics_of(self, fast: Fast, batch: Batch, seed: tf.Tensor) -> Fast:
        """Returns the values with the normalisations' statistics taken from one batch alone."""
        if not self._norms:
            return fast
        with _forgetful(self._norms):
            state = self._loss(self._inner, fast, batch, seed)[2]
        return Fast(fast.weights, state)

    def predict(self, fast: Fast, x: tf.Tensor) -> tf.Tensor:
        """Returns the predictions of a learner that has a ``predict(x)``."""
        with keras.StatelessScope(state_mapping=self._mapping(fast)):
            return self.learner.predict(x)  # type: ignore[attr-defined]

    def _loss(
        self, objective: Objective, fast: Fast, batch: Batch, seed: tf.Tensor
    ) -> tuple[tf.Tensor, Aux, Sequence[tf.Tensor]]:
        with keras.StatelessScope(state_mapping=self._mapping(fast)) as scope:
            loss, aux = objective.loss(self.learner.prepare(batch), seed)
        left = [scope.get_current_value(variable) for variable in self.state_variables]
        return loss, aux, [tf.convert_to_tensor(value) for value in left]

    def _mapping(self, fast: Fast) -> list[tuple[keras.Variable, tf.Tensor]]:
        weights = zip(self.variables, fast.weights, strict=True)
        return [*weights, *zip(self.state_variables, fast.state, strict=True)]


def _inner_and_outer(learner: Learner, objectives: Sequence[Objective]) -> tuple[Objective, Objective]:
    same = {tuple(id(variable) for variable in objective.variables) for objective in objectives}
    if len(objectives) in (1, 2) and len(same) == 1:
        return objectives[0], objectives[-1]
    names = ", ".join(objective.name for objective in objectives)
    raise UsageError(
        f"{type(learner).__name__} cannot be meta-trained: its objectives ({names}) move different variables",
        hint="an adapter needs one objective, or two over the same variables",
    )


def _values(variables: Sequence[keras.Variable]) -> list[tf.Tensor]:
    return [tf.convert_to_tensor(variable.value) for variable in variables]


def _batch_norms(model: keras.Model | keras.layers.Layer) -> list[keras.layers.BatchNormalization]:
    inner = model._flatten_layers(include_self=True)
    return [layer for layer in inner if isinstance(layer, keras.layers.BatchNormalization)]


@contextlib.contextmanager
def _forgetful(layers: Sequence[keras.layers.BatchNormalization]) -> Iterator[None]:
    """While a loss is traced inside, the statistics that it leaves are those of its own batch."""
    momenta = [layer.momentum for layer in layers]
    try:
        for layer in layers:
            layer.momentum = 0.0
        yield
    finally:
        for layer, momentum in zip(layers, momenta, strict=True):
            layer.momentum = momentum
