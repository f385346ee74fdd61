"""Replicas: one update's batch is shared among devices, here or on several machines.

Every device differentiates its own share; the gradients are averaged over all of them before the trainer looks at
them. So whatever follows (clipping, the optimizer, weight decay, moving averages, checkpoints) is the same code, on the
same variables, as on one device, and gives the same numbers. Variables live on the first device of a process; the
others get their values with each update.
"""

import contextlib
import functools
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import keras
import tensorflow as tf

from advdl.errors import UsageError
from advdl.training.adapter import Adapter
from advdl.training.devices import Devices
from advdl.training.gradients import Measured, Scale, mean, part_seed, split, squared_norm, unscaled
from advdl.training.learner import Aux, Batch, Learner, Objective

_ZERO = tf.UnconnectedGradients.ZERO
_SHARED_BY = "trainer.accumulate and the number of devices"
# Odd, so that no two parts of a batch meet in the same seed of a Keras seed generator.
_SEED_STRIDE = 40_503


class Replicas:
    """Differentiates each share of a batch on a device of its own.

    A loss may read and assign the variables of the learner's models, and no others. Batch normalisation is
    synchronised: its moments are those of the whole batch, or of one of its ``accumulate`` parts. Part p of a batch has
    the same samples and the same seed whichever device computes it, so R devices with A parts each equal one device
    with R * A parts. Keras' seed generators (dropout) give each part masks of its own.

    Args:
        devices: The devices.
        learner: Whose objectives are differentiated.
        accumulate: Parts of a batch that each device works through one after the other.
        jit: Whether XLA compiles each device's work; not with batch normalisation, whose sums XLA cannot exchange.
    """

    def __init__(self, devices: Devices, learner: Learner, *, accumulate: int = 1, jit: bool = True) -> None:
        self.count: int = devices.strategy.num_replicas_in_sync
        self._strategy, self._watch, self._accumulate = devices.strategy, devices.watch, accumulate
        self._variables = _unique(model.variables for model in learner.models.values())
        self._place = {id(variable): index for index, variable in enumerate(self._variables)}
        normalised = _synchronise(learner)
        self._jit = jit and not normalised
        self._programs: dict[str, Any] = {}
        self._changed: dict[str, list[int]] = {}
        self._scalars: dict[str, list[str]] = {}
        self._sum = tf.function(self._summed, autograph=False)

    def guard(self) -> contextlib.AbstractContextManager[None]:
        """Surrounds a call of a program with updates: a lost worker becomes an error."""
        return contextlib.nullcontext() if self._watch is None else self._watch.guard()

    def agreed(self, number: int) -> int:
        """Returns the mean over all workers, rounded down; all of them have to ask for it, and get the same.

        Raises:
            RunError: A worker is gone.
        """
        if self._watch is None:
            return number
        with self.guard():
            return int(self._sum(tf.constant(number, tf.int64))) // self.count

    def __call__(self, objective: Objective, batch: Batch, seed: tf.Tensor, scale: Scale = None) -> Measured:
        """Differentiates an objective on a batch that every worker has alike.

        Raises:
            UsageError: The batch cannot be cut into equal shares.
        """
        parts = split(batch, self.count * self._accumulate, among=_SHARED_BY)
        values = [tf.convert_to_tensor(variable.value) for variable in self._variables]

        def on_replica() -> Mapping[str, Any]:
            context = tf.distribute.get_replica_context()
            index = int(tf.get_static_value(context.replica_id_in_sync_group))
            return self._share(context, objective, parts[index :: self.count], index, seed, scale, values)

        everywhere = self._strategy.run(on_replica)
        first = tf.nest.map_structure(lambda value: self._strategy.experimental_local_results(value)[0], everywhere)
        self._assign(objective, first["changed"])
        names, figures = self._scalars[objective.name], first["figures"]
        scalars = {name: figures[index] for index, name in enumerate(names)}
        loss, square = scalars.pop("loss"), scalars.pop("square")
        return Measured(loss, {**scalars, **first["rows"]}, first["gradients"], len(parts), square)

    def _share(
        self,
        context: Any,
        objective: Objective,
        parts: Sequence[Batch],
        index: int,
        seed: tf.Tensor,
        scale: Scale,
        values: Sequence[tf.Tensor],
    ) -> Mapping[str, Any]:
        """Works through one device's parts, then takes the mean with all the other devices."""
        present = list(values)
        losses: list[tf.Tensor] = []
        auxes: list[Aux] = []
        gradients: list[Sequence[tf.Tensor]] = []
        for place, part in enumerate(parts):
            number = place * self.count + index
            given = [_own_seed(which, value, number) for which, value in zip(self._variables, present, strict=True)]
            loss, aux, gradient, new = self._program(objective)(part, part_seed(seed, number), scale, given)
            for at, value in zip(self._changed[objective.name], new, strict=True):
                present[at] = present[at] + (value - given[at]) if value.dtype.is_integer else value
            losses.append(loss)
            auxes.append(aux)
            gradients.append(gradient)
        return self._reduced(context, objective, present, losses, auxes, gradients)

    def _reduced(
        self,
        context: Any,
        objective: Objective,
        present: Sequence[tf.Tensor],
        losses: Sequence[tf.Tensor],
        auxes: Sequence[Aux],
        gradients: Sequence[Sequence[tf.Tensor]],
    ) -> Mapping[str, Any]:
        scalars = {name: mean([aux[name] for aux in auxes]) for name, value in auxes[0].items() if not value.shape.rank}
        scalars |= {"loss": mean(losses), "square": mean([squared_norm(some) for some in gradients])}
        self._scalars[objective.name] = list(scalars)
        figures = tf.stack([tf.cast(value, tf.float32) for value in scalars.values()])
        own = [mean(same) for same in zip(*gradients, strict=True)]
        changed = [present[at] for at in self._changed[objective.name]]
        floats = [value for value in changed if value.dtype.is_floating]
        reports = {name: [aux[name] for aux in auxes] for name in auxes[0] if name not in scalars}
        figures, *rest = context.all_reduce(tf.distribute.ReduceOp.MEAN, [figures, *own, *floats])
        means = iter(rest[len(own) :])
        return {
            "figures": figures,
            "gradients": rest[: len(own)],
            "changed": [next(means) if value.dtype.is_floating else value for value in changed],
            "rows": {name: _gathered(context, values) for name, values in reports.items()},
        }

    def _summed(self, number: tf.Tensor) -> tf.Tensor:
        def on_replica() -> tf.Tensor:
            here = tf.identity(number)  # on the replica's device
            return tf.distribute.get_replica_context().all_reduce(tf.distribute.ReduceOp.SUM, here)

        return self._strategy.experimental_local_results(self._strategy.run(on_replica))[0]

    def _program(self, objective: Objective) -> Any:
        if objective.name not in self._programs:

            def differentiate(*arguments: Any) -> Any:
                return self._differentiate(objective, *arguments)

            compiled = tf.function(differentiate, jit_compile=True, autograph=False)
            self._programs[objective.name] = compiled if self._jit else differentiate
        return self._programs[objective.name]

    def _differentiate(
        self, objective: Objective, batch: Batch, seed: tf.Tensor, scale: Scale, values: Sequence[tf.Tensor]
    ) -> tuple[tf.Tensor, Aux, Sequence[tf.Tensor], Sequence[tf.Tensor]]:
        """A pure function of everything that it needs: XLA cannot reach another device's variables."""
        watched = [values[self._place[id(variable)]] for variable in objective.variables]
        with tf.GradientTape(watch_accessed_variables=False) as tape:
            for value in watched:
                tape.watch(value)
            scope = keras.StatelessScope(state_mapping=list(zip(self._variables, values, strict=True)))
            before = [scope.get_current_value(variable) for variable in self._variables]
            with scope:
                loss, aux = objective.loss(batch, seed)
            target = loss if scale is None else loss * tf.cast(scale, loss.dtype)
        gradients = unscaled(tape.gradient(target, watched, unconnected_gradients=_ZERO), scale)
        after = [scope.get_current_value(variable) for variable in self._variables]
        changed = [at for at, (old, new) in enumerate(zip(before, after, strict=True)) if old is not new]
        self._changed[objective.name] = changed  # known once the loss has been traced, which is before it is read
        return loss, aux, gradients, [after[at] for at in changed]

    def _assign(self, objective: Objective, new: Sequence[tf.Tensor]) -> None:
        for at, value in zip(self._changed[objective.name], new, strict=True):
            self._variables[at].assign(value)


def _gathered(context: Any, values: Sequence[tf.Tensor]) -> tf.Tensor:
    """Puts a report per sample together, in the order of the whole batch."""
    stacked = tf.stack(list(values))
    everywhere = context.all_gather(stacked, axis=1)
    return tf.reshape(everywhere, (-1, *stacked.shape[2:]))


def _unique(groups: Iterable[Sequence[keras.Variable]]) -> list[keras.Variable]:
    """Models may share layers."""
    return list({id(variable): variable for group in groups for variable in group}.values())


def _own_seed(variable: keras.Variable, value: tf.Tensor, part: int) -> tf.Tensor:
    """Gives a part of the batch draws of its own from a Keras seed generator; other values stay as they are."""
    if variable.name != "seed_generator_state":
        return value
    return value + tf.cast(tf.constant([part * _SEED_STRIDE, 0], tf.int64), value.dtype)


def _synchronise(learner: Learner) -> bool:
    """Makes every batch normalisation take the moments of all devices; says whether there is any.

    An adapter's are those of one task's data, and a task is on one device.
    """
    if isinstance(learner, Adapter):
        return False
    layers = [layer for model in learner.models.values() for layer in model._flatten_layers()]
    norms = [layer for layer in layers if isinstance(layer, keras.layers.BatchNormalization)]
    for norm in norms:
        norm._moments = functools.partial(_moments_of_all, norm)
    return bool(norms)


def _moments_of_all(norm: keras.layers.BatchNormalization, inputs: tf.Tensor, mask: Any) -> tuple[tf.Tensor, tf.Tensor]:
    """Takes the moments of all devices' shares, which are equally large.

    Keras' own takes the variance as a difference, E[x^2] - E[x]^2, which loses digits where the mean is large; here it
    is the mean of squared differences, as on one device.

    Raises:
        UsageError: The layer sees a part of its input only.
    """
    if mask is not None:
        raise UsageError(
            f"the batch normalisation {norm.name!r} has a mask, which devices cannot share",
            hint="set devices to 1, or take another normalisation",
        )

    def mean_of_all(value: tf.Tensor) -> tf.Tensor:
        context, here = tf.distribute.get_replica_context(), tf.reduce_mean(value, norm._reduction_axes)
        return context.all_reduce(tf.distribute.ReduceOp.MEAN, here)

    mean = mean_of_all(inputs)
    place = [1 if axis in norm._reduction_axes else -1 for axis in range(inputs.shape.rank)]
    centred = inputs - tf.reshape(tf.stop_gradient(mean), place)
    return mean, mean_of_all(tf.square(centred))
