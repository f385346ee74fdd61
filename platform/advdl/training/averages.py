"""Averages: exponential moving averages of the weights, which are what is judged and kept in use."""

import contextlib
from collections.abc import Iterator, Mapping, Sequence

import tensorflow as tf

from advdl.training.learner import Learner, Objective
from advdl.training.naming import learner_variables


class Averages:
    """Averages the variables of all objectives (Polyak & Juditsky 1992).

    ``average += (1 - d) * (weight - average)`` after every update, with ``d = min(decay, (1 + n) / (10 + n))`` after n
    updates, so that the first weights are soon forgotten. What no gradient changes, such as the statistics of a batch
    normalisation, is used as it is.

    Args:
        learner: Whose variables they are.
        objectives: Say which variables are trained.
        decay: How much of the average is kept at each update, below 1.
    """

    def __init__(self, learner: Learner, objectives: Sequence[Objective], decay: float) -> None:
        self._decay = decay
        self._live = trained_variables(learner, objectives)
        self.variables: Mapping[str, tf.Variable] = {
            _average_name(name): tf.Variable(variable, trainable=False) for name, variable in self._live.items()
        }

    def update(self, updates: tf.Tensor) -> None:
        """Takes the present weights in; traceable.

        Args:
            updates: Updates made so far, this one included; int64 scalar.
        """
        made = tf.cast(updates, tf.float32)
        decay = tf.minimum(tf.constant(self._decay, tf.float32), (1.0 + made) / (10.0 + made))
        for average, live in zip(self.variables.values(), self._live.values(), strict=True):
            average.assign_add(tf.cast(1.0 - decay, average.dtype) * (live - average))

    @contextlib.contextmanager
    def in_place(self) -> Iterator[None]:
        """Puts the averages where the weights are, and the weights back afterwards."""
        weights = {name: tf.identity(live) for name, live in self._live.items()}
        for average, live in zip(self.variables.values(), self._live.values(), strict=True):
            live.assign(average)
        try:
            yield
        finally:
            for name, live in self._live.items():
                live.assign(weights[name])


def trained_variables(learner: Learner, objectives: Sequence[Objective]) -> dict[str, tf.Variable]:
    """Returns those of a learner's variables that an objective trains, by their names in a checkpoint."""
    trained = {id(variable.value) for objective in objectives for variable in objective.variables}
    return {name: variable for name, variable in learner_variables(learner).items() if id(variable) in trained}


def used_variables(learner: Learner, *, averaged: bool) -> dict[str, tf.Variable]:
    """Returns a learner's variables by the names of the values that are to be used: averages where there are any.

    Args:
        learner: The learner.
        averaged: Whether its trainer kept averages.
    """
    trained = trained_variables(learner, learner.objectives()) if averaged else {}
    variables = learner_variables(learner)
    return {_average_name(name) if name in trained else name: variable for name, variable in variables.items()}


def _average_name(name: str) -> str:
    return name.replace("learner/", "average/", 1)
