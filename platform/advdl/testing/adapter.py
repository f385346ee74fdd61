"""Conformance of adapters."""

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar, Literal

import gymnasium
import keras
import numpy as np
import tensorflow as tf

from advdl.errors import UsageError
from advdl.plugin.options import Factory
from advdl.testing.clauses import Clauses
from advdl.training.adapter import Adapter
from advdl.training.data_learner import DataLearner, DataSpec
from advdl.training.learner import Aux, Batch, Learner, Objective
from advdl.training.schedules import as_schedule
from advdl.training.state import Array
from advdl.training.trainer import Trainer, Tuning, learner_variables

_TASKS, _SHOTS, _UPDATES = 4, 5, 60
_RATE = 0.02
_STEPS = (0, 1, 2)


def check_adapter(factory: Factory) -> None:
    """Checks an adapter: what it makes of a learner that knows nothing of it.

    Args:
        factory: The class, or what ``component`` returns; called with a ``Learner``.

    Raises:
        ContractError: Names the clause that is broken.
    """
    clauses = Clauses("adapter", factory)
    with clauses.clause("it takes any learner with one objective"):
        adapter, twin = factory(_Slopes()), factory(_Slopes())
    clauses.require(
        isinstance(adapter, Adapter), "it is an advdl.training.Adapter", f"it is a {type(adapter).__name__}"
    )
    _check_variables(clauses, adapter, twin)
    _check_refusal(clauses, factory)
    _check_judging(clauses, adapter)
    _check_learning(clauses, adapter)


def _check_variables(clauses: Clauses, adapter: Adapter, twin: Adapter) -> None:
    ours, theirs = (list(learner_variables(one)) for one in (adapter, twin))
    clauses.require(ours == theirs, "the same options give the same variables", f"{ours} became {theirs}")
    known = {id(variable) for model in adapter.models.values() for variable in model.variables}
    lost = [variable.path for variable in adapter.meta_variables if id(variable) not in known]
    clauses.require(not lost, "the meta-variables are among the models' variables", f"{lost[:1]} is not")
    first = [id(variable) for variable in adapter.meta_variables[: len(adapter.pure.variables)]]
    same = first == [id(variable) for variable in adapter.pure.variables]
    clauses.require(same, "the learner's variables come first among the meta-variables", "they do not")


def _check_refusal(clauses: Clauses, factory: Factory) -> None:
    clause = "a learner whose objectives move different variables is refused with a UsageError"
    refused = False
    try:
        with clauses.clause(clause):
            factory(_TwoPlayers())
    except UsageError:
        refused = True
    clauses.require(refused, clause, "it is taken")


def _check_judging(clauses: Clauses, adapter: Adapter) -> None:
    batch, before = _tasks(), _values(adapter)
    program = tf.function(lambda tasks: adapter.judge(tasks, tf.constant((3, 5), tf.int32), steps=_STEPS))
    with clauses.clause("judge(tasks, seed, steps=...) measures the queries"):
        figures = _arrays(program(batch))
    clause = "judge gives [tasks, len(steps)] by the name of the figure"
    shapes = {name: figure.shape for name, figure in figures.items()}
    clauses.require(shapes == {"error": (_TASKS, len(_STEPS))}, clause, f"it gives {shapes}")
    clauses.require(_unchanged(adapter, before), "judging changes no variable", "it changes some")
    others = tf.nest.map_structure(lambda field: tf.concat([field[:1], 2.0 * field[1:]], 0), batch)
    clause = "tasks of a batch do not see each other"
    same = np.allclose(_arrays(program(others))["error"][0], figures["error"][0], rtol=1e-3)
    clauses.require(same, clause, "among others, a task is judged differently")
    errors = _arrays(program({"support": batch["support"], "query": batch["support"]}))["error"].mean(0)
    falls = errors[0] > errors[1] > errors[2]
    clauses.require(falls, "inner steps lower the loss on the support", f"it goes {errors.round(4).tolist()}")


def _check_learning(clauses: Clauses, adapter: Adapter) -> None:
    batch, seed = _tasks(), tf.constant((3, 5), tf.int32)
    trainer = _trainer(adapter)
    with clauses.clause("its objective can be traced and compiled by XLA"):
        update = tf.function(lambda: trainer.update(batch, seed)["meta/loss"], jit_compile=True)
        losses = [float(update()) for _ in range(_UPDATES)]
    finite = bool(np.isfinite(losses).all()) and bool(trainer.healthy)
    clauses.require(finite, "loss and gradient stay finite", f"after {_UPDATES} updates they are not")
    clause = "meta-training lowers the loss after adaptation"
    clauses.require(losses[-1] < 0.9 * losses[0], clause, f"{losses[0]:.4g} became {losses[-1]:.4g}")


class _Slopes(DataLearner):
    """Predicts a number by a small network."""

    score: ClassVar[str] = "error"
    better: ClassVar[Literal["higher", "lower"]] = "lower"

    def __init__(self) -> None:
        box = gymnasium.spaces.Box(-np.inf, np.inf, (1,), np.float32)
        super().__init__(DataSpec(box, box))
        x = inputs = keras.Input((1,), name="x")
        for index, (units, activation) in enumerate(((16, "tanh"), (1, "linear"))):
            start = keras.initializers.GlorotUniform(seed=index)
            x = keras.layers.Dense(units, activation, kernel_initializer=start, name=f"dense_{index}")(x)
        self._network = keras.Model(inputs, x, name="slopes")

    @property
    def models(self) -> Mapping[str, keras.Model]:
        return {"network": self._network}

    def objectives(self) -> Sequence[Objective]:
        return [Objective("fit", self._fit, self._network.trainable_variables)]

    def measure(self, batch: Batch, seed: tf.Tensor) -> Mapping[str, tf.Tensor]:
        return {"error": tf.reduce_mean((self._network(batch["x"]) - batch["c"]) ** 2, -1)}

    def _fit(self, batch: Batch, seed: tf.Tensor) -> tuple[tf.Tensor, Aux]:
        return tf.reduce_mean(self.measure(batch, seed)["error"]), {}


class _TwoPlayers(Learner):
    """Two objectives, each over a layer of its own."""

    def __init__(self) -> None:
        self._layers = {name: keras.layers.Dense(1, name=name) for name in ("one", "other")}
        for layer in self._layers.values():
            layer.build((None, 1))

    @property
    def models(self) -> Mapping[str, keras.layers.Layer]:
        return self._layers

    def objectives(self) -> Sequence[Objective]:
        return [
            Objective(name, lambda batch, seed: (tf.constant(0.0), {}), layer.trainable_variables)
            for name, layer in self._layers.items()
        ]


def _tasks() -> dict[str, dict[str, tf.Tensor]]:
    """Lines of various slopes, one above zero on average."""
    slopes = tf.linspace(0.5, 2.0, _TASKS)[:, None, None]

    def part(shift: float) -> dict[str, tf.Tensor]:
        x = tf.tile(tf.linspace(-1.0 + shift, 1.0, _SHOTS)[None, :, None], [_TASKS, 1, 1])
        return {"x": x, "c": slopes * x + 1.0}

    return {"support": part(0.0), "query": part(0.2)}


def _arrays(figures: Mapping[str, tf.Tensor]) -> dict[str, Array]:
    return {name: figure.numpy() for name, figure in figures.items()}


def _trainer(adapter: Adapter) -> Trainer:
    optimizer = keras.optimizers.Adam(_RATE)
    optimizer.build(list(adapter.meta_variables))
    tunings = {"meta": Tuning(optimizer, as_schedule(_RATE))}
    return Trainer(adapter, tunings, total_updates=_UPDATES)


def _values(adapter: Adapter) -> dict[str, Any]:
    return {name: variable.numpy() for name, variable in learner_variables(adapter).items()}


def _unchanged(adapter: Adapter, before: Mapping[str, Any]) -> bool:
    return all(np.array_equal(value, before[name]) for name, value in _values(adapter).items())
