"""Clauses that every learner's contract has: models, objectives, variables."""

from collections.abc import Mapping
from typing import Any

import keras
import numpy as np
from numpy.typing import NDArray

from advdl.testing.clauses import Clauses
from advdl.training.learner import Learner
from advdl.training.schedules import as_schedule
from advdl.training.trainer import Tuning, learner_variables


def check_models(clauses: Clauses, first: Learner, second: Learner) -> None:
    """Checkpoints find variables by name; the trainer changes only what is in them.

    Args:
        clauses: The contract.
        first: A learner.
        second: The same, built again.
    """
    clause = "models holds every Keras model by name"
    found = {name: type(model).__name__ for name, model in first.models.items()}
    good = all(isinstance(model, keras.Model | keras.layers.Layer) for model in first.models.values())
    clauses.require(found and good, clause, f"it holds {found}")
    ours, theirs = _layout(first), _layout(second)
    clause = "the same options give the same variables by the same names"
    different = [name for name in {**ours, **theirs} if ours.get(name) != theirs.get(name)]
    clauses.require(not different, clause, f"built a second time, {different[:1]} is another")
    _check_objectives(clauses, first)


def values(learner: Learner) -> dict[str, NDArray[Any]]:
    """Returns a copy of every variable by its name in a checkpoint."""
    return {name: variable.numpy() for name, variable in learner_variables(learner).items()}


def changed(before: Mapping[str, NDArray[Any]], after: Mapping[str, NDArray[Any]]) -> list[str]:
    """Returns the names of the variables whose values differ."""
    return [name for name, value in before.items() if not np.array_equal(value, after[name])]


def check_finite(clauses: Clauses, learner: Learner, made: int) -> None:
    """Updates leave every variable finite."""
    broken = [name for name, value in values(learner).items() if not np.isfinite(value).all()]
    clauses.require(not broken, "variables stay finite", f"after {made} updates {broken[:1]} is not")


def check_changed(clauses: Clauses, before: Mapping[str, NDArray[Any]], learner: Learner, made: int) -> None:
    """Updates change something."""
    found = changed(before, values(learner))
    clauses.require(found, "an update changes something", f"{made} updates changed nothing")


def tunings(learner: Learner) -> dict[str, Tuning]:
    """Gives every objective an optimizer of its own."""
    found = {}
    for objective in learner.objectives():
        optimizer = keras.optimizers.Adam(1e-3)
        optimizer.build(list(objective.variables))
        found[objective.name] = Tuning(optimizer, as_schedule(1e-3))
    return found


def _check_objectives(clauses: Clauses, learner: Learner) -> None:
    objectives = learner.objectives()
    names = [objective.name for objective in objectives]
    clauses.require(names, "it has an objective", "objectives() is empty")
    clauses.require(len({*names}) == len(names), "each objective has a name of its own", f"they are {names}")
    known = {id(variable) for model in learner.models.values() for variable in model.variables}
    for objective in objectives:
        clauses.require(objective.variables, "an objective has variables", f"{objective.name!r} has none")
        lost = [variable.path for variable in objective.variables if id(variable) not in known]
        clause = "the objectives' variables are among the models' variables"
        clauses.require(not lost, clause, f"{lost[:1]} of {objective.name!r} is in none of {[*learner.models]}")


def _layout(learner: Learner) -> dict[str, Any]:
    return {name: (tuple(each.shape), each.dtype.name) for name, each in learner_variables(learner).items()}
