"""Trainer: turns a learner's objectives into updates. It knows no algorithm.

One update minimises every objective in turn on one batch: gradient (the mean over micro-batches and devices where
asked), clipping by global norm, learning rate from its schedule, optimizer step; then the learner's ``after_update``.
All of it is traceable, so it runs inside whatever compiled loop feeds it.
"""

import contextlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import keras
import tensorflow as tf

from advdl.errors import DivergedError, UsageError
from advdl.training.averages import Averages
from advdl.training.gradients import Gradients, LocalGradients, Measured, batch_size, squared_norm
from advdl.training.learner import Batch, Learner, Objective
from advdl.training.naming import learner_variables, learner_weights, numbered
from advdl.training.noise import NoiseScale
from advdl.training.randomness import fold
from advdl.training.replicas import Replicas
from advdl.training.schedules import Schedule
from advdl.training.trust_region import TrustRegion

__all__ = ["Trainer", "Tuning", "learner_variables", "learner_weights"]

# A loss scale that has been halved down to this is not what makes the gradients overflow.
_SMALLEST_SCALE = 1.0


@dataclass(frozen=True, slots=True)
class Tuning:
    """How one objective is minimised.

    Attributes:
        optimizer: A built Keras optimizer whose learning rate is a plain variable. In a ``LossScaleOptimizer`` it has
            its loss scaled, and an update that overflows is skipped.
        learning_rate: The schedule that sets it, stepped in updates or in env steps, as the trainer is told.
        trust_region: Makes the step instead of the optimizer; None for the optimizer.
    """

    optimizer: keras.optimizers.Optimizer
    learning_rate: Schedule
    trust_region: TrustRegion | None = None

    @property
    def scale(self) -> tf.Tensor | None:
        """The present scale of the loss, float32; None if it is not scaled."""
        scaled = isinstance(self.optimizer, keras.optimizers.LossScaleOptimizer)
        return tf.convert_to_tensor(self.optimizer.dynamic_scale.value) if scaled else None


class Trainer:
    """Makes updates.

    Args:
        learner: What is trained.
        tunings: One tuning for each objective, by the objective's name.
        total_updates: The length of the run in updates: what schedules call the whole.
        total_env_steps: The length of the run in env steps, where schedules count these; None for updates.
        clip_norm: Gradients are scaled down to this global norm; 0 leaves them as they are.
        accumulate: A batch's gradient is averaged over this many micro-batches; the batch must divide by it. With
            replicas, theirs counts.
        ema: Decay of the weights' moving averages, which are used instead of the weights for evaluation; 0 for none.
        noise_scale: Whether the gradient noise scale is measured, between the parts of each batch.
        log_norms: Whether the norms of weights and of their change are reported.
        replicas: Shares each batch among devices; None for one device.

    Raises:
        UsageError: The noise scale is asked for, and batches are not cut.
    """

    def __init__(
        self,
        learner: Learner,
        tunings: Mapping[str, Tuning],
        *,
        total_updates: int,
        total_env_steps: int | None = None,
        clip_norm: float = 0.0,
        accumulate: int = 1,
        ema: float = 0.0,
        noise_scale: bool = False,
        log_norms: bool = False,
        replicas: Replicas | None = None,
    ) -> None:
        self.learner = learner
        self.objectives: Sequence[Objective] = learner.objectives()
        self.updates = tf.Variable(0, dtype=tf.int64, trainable=False)
        self.healthy = tf.Variable(True, trainable=False)
        self.replicas = replicas
        self._tunings = tunings
        self.counts_env_steps = total_env_steps is not None
        self._total = float(max(total_updates if total_env_steps is None else total_env_steps, 1))
        self._clip_norm = clip_norm
        self._local = LocalGradients(accumulate)
        self._gradients: Gradients = replicas or self._local
        self._averages = Averages(learner, self.objectives, ema) if ema else None
        self._log_norms = log_norms
        self._noise = self._noise_scales(accumulate) if noise_scale else {}
        scaled = [name for name, tuning in tunings.items() if tuning.scale is not None]
        self._overflows = {name: tf.Variable(0, dtype=tf.int64, trainable=False) for name in scaled}

    def update(
        self, batch: Batch, seed: tf.Tensor, env_steps: tf.Tensor | None = None, *, jit: bool = True
    ) -> dict[str, tf.Tensor]:
        """Minimises every objective once; traceable.

        A NaN or an infinity in a loss or a gradient leaves that objective's variables as they were. Where the loss is
        scaled it is skipped and counted, and the scale is halved; else, or once the scale is down to 1, it clears
        ``healthy``, which ends the loop around; ``diagnose`` then says where it came from.

        Args:
            batch: Named tensors ``[batch, ...]``.
            seed: Stateless seed, int32 of shape [2].
            env_steps: Env steps made so far, a scalar; needed where schedules count them.
            jit: Whether XLA may compile what is traced here. Without it the same numbers take a little less time.

        Returns:
            Metrics and per-sample reports; names are prefixed with the objective's name where it has company.
        """
        batch = self.learner.prepare(batch)
        now = tf.cast(self.updates if env_steps is None else env_steps, tf.float32)
        report: dict[str, tf.Tensor] = {}
        for index, objective in enumerate(self.objectives):
            report |= self._minimise(objective, batch, fold(seed, index), now, jit=self.jits(jit))
        self.updates.assign_add(1)
        self.learner.after_update(self.updates.read_value())
        if self._averages is not None:
            self._averages.update(self.updates.read_value())
        return report

    def jits(self, jit: bool) -> bool:
        """Says whether XLA can compile a program with updates in it: not with what devices exchange."""
        return jit and self.replicas is None

    def guard(self) -> contextlib.AbstractContextManager[None]:
        """Surrounds a call of a program with updates: a lost worker becomes a ``RunError``."""
        return contextlib.nullcontext() if self.replicas is None else self.replicas.guard()

    def agreed(self, number: int) -> int:
        """Returns the mean over all workers of a whole number; the number itself where there is one worker."""
        return number if self.replicas is None else self.replicas.agreed(number)

    def averaged(self) -> contextlib.AbstractContextManager[None]:
        """Gives the learner its averaged weights for as long as the context lasts; nothing changes without averages."""
        return contextlib.nullcontext() if self._averages is None else self._averages.in_place()

    def learnt(self) -> dict[str, tf.Variable]:
        """Returns the part of the state that is evaluated: the learner's variables and their averages."""
        averages = {} if self._averages is None else self._averages.variables
        return {**learner_variables(self.learner), **averages}

    def state(self) -> dict[str, tf.Variable]:
        """Returns every variable of learner and trainer by a stable name, for the checkpoint."""
        state = {"updates": self.updates, **self.learnt()}
        for name, tuning in self._tunings.items():
            state |= numbered(f"optimizer/{name}", _own_variables(tuning.optimizer))
        for name, noise in self._noise.items():
            state |= {f"noise/{name}/{what}": variable for what, variable in noise.state().items()}
        return state | {f"overflows/{name}": count for name, count in self._overflows.items()}

    def diagnose(self, batch: Batch, seed: tf.Tensor) -> DivergedError:
        """Finds what made an update on this batch not finite: a field of the batch, a loss or a gradient."""
        fields = [name for name, field in batch.items() if not all(map(_finite, tf.nest.flatten(field)))]
        if fields:
            return DivergedError(f"update {int(self.updates)}: the batch's {fields[0]!r} holds a NaN or an infinity")
        batch = self.learner.prepare(batch)
        for index, objective in enumerate(self.objectives):
            measured = self._local(objective, batch, fold(seed, index))
            where = f"update {int(self.updates)}, objective {objective.name!r}"
            if not _finite(measured.loss):
                return DivergedError(f"{where}: the loss is {float(measured.loss)}", hint=_SMALLER_STEPS)
            for variable, gradient in zip(objective.variables, measured.gradients, strict=True):
                if not _finite(gradient):
                    what = f"the gradient of {variable.path!r} is not finite"
                    return DivergedError(f"{where}: {what}", hint=_SMALLER_STEPS)
        return DivergedError(f"update {int(self.updates)}: a value was not finite", hint=_SMALLER_STEPS)

    def _minimise(
        self, objective: Objective, batch: Batch, seed: tf.Tensor, now: tf.Tensor, *, jit: bool
    ) -> dict[str, tf.Tensor]:
        tuning = self._tunings[objective.name]
        scale = tuning.scale
        measured = self._gradients(objective, batch, seed, scale)
        norm = tf.linalg.global_norm(measured.gradients)
        finite = tf.math.is_finite(measured.loss) & tf.math.is_finite(norm)
        rate = tf.cast(tuning.learning_rate(now, self._total), tf.float32)
        report = {"loss": measured.loss, "gradient_norm": norm, "learning_rate": rate, **measured.aux}
        before = self._weights(objective)
        if tuning.trust_region is not None:
            self.healthy.assign(self.healthy & finite)
            report |= tuning.trust_region(
                objective, batch, seed, loss=measured.loss, gradients=measured.gradients, finite=finite
            )
        elif scale is None:
            self.healthy.assign(self.healthy & finite)
            self._apply(tuning, objective, measured.gradients, norm, rate, finite, jit=jit)
        else:
            report |= self._apply_scaled(tuning, objective, self._clip(measured.gradients, norm), rate, finite, scale)
        report |= self._norms(objective, before) | self._noise_of(objective, measured, norm, batch)
        prefix = f"{objective.name}/"
        return {f"{prefix}{name}": value for name, value in report.items()}

    def _apply(
        self,
        tuning: Tuning,
        objective: Objective,
        gradients: Sequence[tf.Tensor],
        norm: tf.Tensor,
        rate: tf.Tensor,
        finite: tf.Tensor,
        *,
        jit: bool,
    ) -> None:
        def apply(share: tf.Tensor | None = None) -> tf.Tensor:
            clipped = self._clip(gradients, norm, share)
            tuning.optimizer.learning_rate.assign(rate)
            tuning.optimizer.apply(clipped, objective.variables)
            return tf.constant(False)

        def once(due: tf.Tensor) -> tuple[tf.Tensor]:
            # What did not depend on the loop's variable would be computed before the loop, in passes of its own.
            return (apply(tf.cast(due, tf.float32)),)

        if jit:  # A loop gone through once or never: XLA copies whatever a branch of a conditional changes.
            tf.while_loop(lambda due: due, once, (finite,), parallel_iterations=1)
        else:
            tf.cond(finite, apply, lambda: tf.constant(False))

    def _apply_scaled(
        self,
        tuning: Tuning,
        objective: Objective,
        gradients: list[tf.Tensor],
        rate: tf.Tensor,
        finite: tf.Tensor,
        scale: tf.Tensor,
    ) -> dict[str, tf.Tensor]:
        """Lets Keras decide by the scaled gradients; a loss that is not finite must not pass by a zero gradient."""
        poison = tf.where(finite, scale, float("nan"))
        tuning.optimizer.learning_rate.assign(rate)
        scaled = [gradient * tf.cast(poison, gradient.dtype) for gradient in gradients]
        tuning.optimizer.apply(scaled, objective.variables)
        self.healthy.assign(self.healthy & (finite | (scale > _SMALLEST_SCALE)))
        count = self._overflows[objective.name]
        count.assign_add(tf.cast(~finite, tf.int64))
        skipped = tf.cast(~finite, tf.float32)
        return {"loss_scale": scale, "skipped": skipped, "overflows": tf.cast(count.read_value(), tf.float32)}

    def _clip(self, gradients: Sequence[tf.Tensor], norm: tf.Tensor, share: tf.Tensor | None = None) -> list[tf.Tensor]:
        """Returns a share of the gradients, clipped to the largest norm."""
        scale = self._clip_norm / tf.maximum(norm, self._clip_norm) if self._clip_norm else None
        if share is not None:
            scale = share if scale is None else scale * share
        return list(gradients) if scale is None else [gradient * scale for gradient in gradients]

    def _weights(self, objective: Objective) -> list[tf.Tensor]:
        return [tf.identity(variable.value) for variable in objective.variables] if self._log_norms else []

    def _norms(self, objective: Objective, before: list[tf.Tensor]) -> dict[str, tf.Tensor]:
        if not self._log_norms:
            return {}
        after = [tf.convert_to_tensor(variable.value) for variable in objective.variables]
        change = [new - old for new, old in zip(after, before, strict=True)]
        return {"weight_norm": tf.sqrt(squared_norm(after)), "change_norm": tf.sqrt(squared_norm(change))}

    def _noise_scales(self, accumulate: int) -> dict[str, NoiseScale]:
        if self.replicas is None and accumulate < 2:
            raise UsageError(
                "trainer.noise_scale is measured between the parts of a batch, and batches are in one part",
                hint="cut them: --set trainer.accumulate=2",
            )
        return {objective.name: NoiseScale() for objective in self.objectives}

    def _noise_of(
        self, objective: Objective, measured: Measured, norm: tf.Tensor, batch: Batch
    ) -> dict[str, tf.Tensor]:
        noise = self._noise.get(objective.name)
        return {} if noise is None else {"noise_scale": noise.update(measured, norm, batch_size(batch))}


_SMALLER_STEPS = "a smaller optimizer.learning_rate or trainer.clip_norm often helps; the last checkpoint is intact"


def _own_variables(optimizer: keras.optimizers.Optimizer) -> list[keras.Variable]:
    """Drops the second mention of a variable, which Keras makes where one optimizer wraps another."""
    return list({id(variable): variable for variable in optimizer.variables}.values())


def _finite(value: tf.Tensor) -> bool:
    return not value.dtype.is_floating or bool(tf.reduce_all(tf.math.is_finite(value)))
