"""Trainer: turns a learner's objectives into updates. It knows no algorithm.

One update minimises every objective in turn on one batch: gradient (summed over micro-batches where asked), clipping
by global norm, learning rate from its schedule, optimizer step; then the learner's ``after_update``. All of it is
traceable, so it runs inside whatever compiled loop feeds it.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import keras
import numpy.typing as npt
import tensorflow as tf

from advdl.errors import DivergedError
from advdl.training.learner import Aux, Batch, Learner, Objective
from advdl.training.randomness import fold
from advdl.training.schedules import Schedule


@dataclass(frozen=True, slots=True)
class Tuning:
    """How one objective is minimised.

    Attributes:
        optimizer: A built Keras optimizer whose learning rate is a plain variable.
        learning_rate: The schedule that sets it, stepped in updates.
    """

    optimizer: keras.optimizers.Optimizer
    learning_rate: Schedule


class Trainer:
    """Makes updates.

    Args:
        learner: What is trained.
        tunings: One tuning for each objective, by the objective's name.
        total_updates: The length of the run in updates: what schedules call the whole.
        clip_norm: Gradients are scaled down to this global norm; 0 leaves them as they are.
        accumulate: A batch's gradient is averaged over this many micro-batches; the batch must divide by it.
    """

    def __init__(
        self,
        learner: Learner,
        tunings: Mapping[str, Tuning],
        *,
        total_updates: int,
        clip_norm: float = 0.0,
        accumulate: int = 1,
    ) -> None:
        self.learner = learner
        self.objectives: Sequence[Objective] = learner.objectives()
        self.updates = tf.Variable(0, dtype=tf.int64, trainable=False)
        self.healthy = tf.Variable(True, trainable=False)
        self._tunings = tunings
        self._total = float(max(total_updates, 1))
        self._clip_norm = clip_norm
        self._accumulate = accumulate

    def update(self, batch: Batch, seed: tf.Tensor) -> dict[str, tf.Tensor]:
        """Minimises every objective once; traceable.

        A NaN or an infinity in a loss or a gradient leaves that objective's variables as they were and clears
        ``healthy``, which ends the loop around; ``diagnose`` then says where it came from.

        Args:
            batch: Named tensors ``[batch, ...]``.
            seed: Stateless seed, int32 of shape [2].

        Returns:
            Metrics and per-sample reports; names are prefixed with the objective's name where it has company.
        """
        report: dict[str, tf.Tensor] = {}
        for index, objective in enumerate(self.objectives):
            report |= self._minimise(objective, batch, fold(seed, index))
        self.updates.assign_add(1)
        self.learner.after_update(self.updates.read_value())
        return report

    def state(self) -> dict[str, tf.Variable]:
        """Returns every variable of learner and trainer by a stable name, for the checkpoint."""
        state = {"updates": self.updates, **learner_variables(self.learner)}
        for name, tuning in self._tunings.items():
            state |= _numbered(f"optimizer/{name}", tuning.optimizer.variables)
        return state

    def diagnose(self, batch: Batch, seed: tf.Tensor) -> DivergedError:
        """Finds what made an update on this batch not finite: a field of the batch, a loss or a gradient."""
        fields = [name for name, field in batch.items() if not all(map(_finite, tf.nest.flatten(field)))]
        if fields:
            return DivergedError(f"update {int(self.updates)}: the batch's {fields[0]!r} holds a NaN or an infinity")
        for index, objective in enumerate(self.objectives):
            loss, _, gradients = self._gradients(objective, batch, fold(seed, index))
            where = f"update {int(self.updates)}, objective {objective.name!r}"
            if not _finite(loss):
                return DivergedError(f"{where}: the loss is {float(loss)}", hint=_SMALLER_STEPS)
            for variable, gradient in zip(objective.variables, gradients, strict=True):
                if not _finite(gradient):
                    what = f"the gradient of {variable.path!r} is not finite"
                    return DivergedError(f"{where}: {what}", hint=_SMALLER_STEPS)
        return DivergedError(f"update {int(self.updates)}: a value was not finite", hint=_SMALLER_STEPS)

    def _minimise(self, objective: Objective, batch: Batch, seed: tf.Tensor) -> dict[str, tf.Tensor]:
        tuning = self._tunings[objective.name]
        loss, aux, gradients = self._gradients(objective, batch, seed)
        norm = tf.linalg.global_norm(gradients)
        finite = tf.math.is_finite(loss) & tf.math.is_finite(norm)
        rate = tf.cast(tuning.learning_rate(tf.cast(self.updates, tf.float32), self._total), tf.float32)
        self.healthy.assign(self.healthy & finite)

        def apply() -> tf.Tensor:
            tuning.optimizer.learning_rate.assign(rate)
            tuning.optimizer.apply(self._clip(gradients, norm), objective.variables)
            return finite

        tf.cond(finite, apply, lambda: finite)
        report = {"loss": loss, "gradient_norm": norm, "learning_rate": rate, **aux}
        prefix = f"{objective.name}/"
        return {f"{prefix}{name}": value for name, value in report.items()}

    def _clip(self, gradients: Sequence[tf.Tensor], norm: tf.Tensor) -> list[tf.Tensor]:
        if not self._clip_norm:
            return list(gradients)
        scale = self._clip_norm / tf.maximum(norm, self._clip_norm)
        return [gradient * scale for gradient in gradients]

    def _gradients(
        self, objective: Objective, batch: Batch, seed: tf.Tensor
    ) -> tuple[tf.Tensor, Aux, Sequence[tf.Tensor]]:
        if self._accumulate == 1:
            return self._gradients_of(objective, batch, seed)
        parts = [
            self._gradients_of(objective, part, fold(seed, 1000 + index))
            for index, part in enumerate(_split(batch, self._accumulate))
        ]
        losses, auxes, gradients = zip(*parts, strict=True)
        mean = [tf.add_n(same) / self._accumulate for same in zip(*gradients, strict=True)]
        return tf.add_n(losses) / self._accumulate, _join(auxes), mean

    def _gradients_of(
        self, objective: Objective, batch: Batch, seed: tf.Tensor
    ) -> tuple[tf.Tensor, Aux, Sequence[tf.Tensor]]:
        values = [variable.value for variable in objective.variables]
        with tf.GradientTape(watch_accessed_variables=False) as tape:
            for value in values:
                tape.watch(value)
            loss, aux = objective.loss(batch, seed)
        gradients = tape.gradient(loss, values, unconnected_gradients=tf.UnconnectedGradients.ZERO)
        return loss, aux, gradients


def learner_variables(learner: Learner) -> dict[str, tf.Variable]:
    """Returns a learner's variables by a stable name."""
    variables: dict[str, tf.Variable] = {}
    for name, model in learner.models.items():
        variables |= _numbered(f"learner/{name}", model.variables)
    return variables


def learner_weights(learner: Learner) -> dict[str, npt.NDArray[Any]]:
    """Returns the values of a learner's trainable variables by model and path, for histograms."""
    return {
        f"{name}/{variable.path}": variable.numpy()
        for name, model in learner.models.items()
        for variable in model.trainable_variables
    }


_SMALLER_STEPS = "a smaller optimizer.learning_rate or trainer.clip_norm often helps; the last checkpoint is intact"


def _numbered(prefix: str, variables: Sequence[keras.Variable]) -> dict[str, tf.Variable]:
    """Names by position: Keras' automatic layer names depend on what else the process has built."""
    return {f"{prefix}/{index:03d}.{variable.name}": variable.value for index, variable in enumerate(variables)}


def _finite(value: tf.Tensor) -> bool:
    return not value.dtype.is_floating or bool(tf.reduce_all(tf.math.is_finite(value)))


def _split(batch: Batch, parts: int) -> list[Batch]:
    def part(index: int) -> Batch:
        cut: Batch = tf.nest.map_structure(lambda value: tf.split(value, parts)[index], dict(batch))
        return cut

    return [part(index) for index in range(parts)]


def _join(auxes: Sequence[Aux]) -> Aux:
    """Means of scalars, concatenations of per-sample reports."""
    joined = {name: [aux[name] for aux in auxes] for name in auxes[0]}
    return {
        name: tf.concat(values, 0) if values[0].shape.rank else tf.add_n(values) / len(values)
        for name, values in joined.items()
    }
