"""Conformance of learners of data."""

from collections.abc import Sequence
from typing import Any

import gymnasium
import keras
import numpy as np
import tensorflow as tf

from advdl.errors import UsageError
from advdl.plugin.options import Factory
from advdl.testing.clauses import Clauses
from advdl.testing.contract import ContractError
from advdl.training.data_learner import DataLearner, DataSpec
from advdl.training.schedules import as_schedule
from advdl.training.trainer import Trainer, Tuning, learner_variables

_BATCH, _UPDATES = 8, 30
_REFUSAL = "data that it cannot handle are refused with a UsageError"


def check_learner(factory: Factory, *, specs: Sequence[DataSpec] | None = None) -> None:
    """Checks a learner of data: it learns a batch by heart, and judges data without changing.

    Args:
        factory: The class, or what ``component`` returns; called with a ``DataSpec``.
        specs: Data that it must take. When None, usual ones are tried, and it must take one of them; it refuses the
            others with a ``UsageError``.

    Raises:
        ContractError: Names the clause that is broken.
    """
    clauses = Clauses("learner", factory)
    taken = [spec for spec in specs or _usual_specs() if _takes(clauses, factory, spec, must=specs is not None)]
    clauses.require(taken, "it takes one of the usual kinds of data", f"it refuses {_usual_specs()}")
    for spec in taken:
        learner = factory(spec)
        _check_variables(clauses, learner, factory(spec))
        _check_measuring(clauses, learner)
        _check_learning(clauses, learner)


def _usual_specs() -> list[DataSpec]:
    box, discrete = gymnasium.spaces.Box, gymnasium.spaces.Discrete
    vector, image = box(-1.0, 1.0, (4,), np.float32), box(0, 255, (8, 8, 1), np.uint8)
    number = box(-1.0, 1.0, (1,), np.float32)
    return [DataSpec(vector, number), DataSpec(vector, discrete(3)), DataSpec(image, discrete(3)), DataSpec(image)]


def _takes(clauses: Clauses, factory: Factory, spec: DataSpec, *, must: bool) -> bool:
    try:
        with clauses.clause(_REFUSAL):
            learner = factory(spec)
    except UsageError as error:
        if must:
            raise ContractError(clauses.what, f"it takes {spec}", error.message) from error
        return False
    is_learner = isinstance(learner, DataLearner)
    clauses.require(is_learner, "it is an advdl.training.DataLearner", f"it is a {type(learner).__name__}")
    return True


def _check_variables(clauses: Clauses, learner: DataLearner, twin: DataLearner) -> None:
    ours, theirs = (list(learner_variables(one)) for one in (learner, twin))
    clauses.require(ours == theirs, "the same options give the same variables", f"{ours} became {theirs}")
    objectives = learner.objectives()
    clauses.require(objectives, "it has an objective", "objectives() is empty")
    known = {id(variable) for model in learner.models.values() for variable in model.variables}
    lost = [v.path for objective in objectives for v in objective.variables if id(v) not in known]
    clause = "the objectives' variables are among the models' variables"
    clauses.require(not lost, clause, f"{lost[:1]} is in none of {[*learner.models]}")


def _check_measuring(clauses: Clauses, learner: DataLearner) -> None:
    batch, seed = _batch(learner.spec), tf.constant((3, 5), tf.int32)
    before = _values(learner)
    with clauses.clause("measure(batch, seed) judges data"):
        figures = learner.measure(batch, seed)
    wrong = {name: list(figure.shape) for name, figure in figures.items() if tuple(figure.shape) != (_BATCH,)}
    clauses.require(not wrong, "figures are one a sample, [batch]", f"they are {wrong}")
    clauses.require(learner.score in figures, "score is among the figures", f"{learner.score!r} is not in {[*figures]}")
    known = learner.better in ("higher", "lower")
    clauses.require(known, "better is 'higher' or 'lower'", f"it is {learner.better!r}")
    same = all(np.array_equal(value, before[name]) for name, value in _values(learner).items())
    clauses.require(same, "measuring changes no variable", "it changes some")


def _check_learning(clauses: Clauses, learner: DataLearner) -> None:
    batch, seed = _batch(learner.spec), tf.constant((3, 5), tf.int32)
    tunings = {}
    for objective in learner.objectives():
        optimizer = keras.optimizers.Adam(1e-2)
        optimizer.build(list(objective.variables))
        tunings[objective.name] = Tuning(optimizer, as_schedule(1e-2))
    trainer = Trainer(learner, tunings, total_updates=_UPDATES)
    before = _score(learner, batch)
    with clauses.clause("its objectives can be traced and compiled by XLA"):
        update = tf.function(lambda: trainer.update(batch, seed) and None, jit_compile=True)
        for _ in range(_UPDATES):
            update()
    clauses.require(trainer.healthy, "loss and gradient stay finite", f"after {_UPDATES} updates they are not")
    after = _score(learner, batch)
    no_worse = after >= before if learner.better == "higher" else after <= before
    clauses.require(no_worse, "training on a batch does not worsen its score", f"{before:.4g} became {after:.4g}")


def _score(learner: DataLearner, batch: Any) -> float:
    return float(tf.reduce_mean(learner.measure(batch, tf.constant((3, 5), tf.int32))[learner.score]))


def _batch(spec: DataSpec) -> dict[str, tf.Tensor]:
    spaces = {"x": spec.x} | ({} if spec.c is None else {"c": spec.c})
    for space in spaces.values():
        space.seed(0)
    return {name: tf.constant(np.stack([s.sample() for _ in range(_BATCH)])) for name, s in spaces.items()}


def _values(learner: DataLearner) -> dict[str, Any]:
    return {name: variable.numpy() for name, variable in learner_variables(learner).items()}
