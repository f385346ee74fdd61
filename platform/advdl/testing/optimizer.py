"""Conformance of optimizers."""

from typing import Any

import keras
import numpy as np
import tensorflow as tf

from advdl.plugin.options import Factory
from advdl.testing.clauses import Clauses

_STEPS = 5


def check_optimizer(factory: Factory) -> None:
    """Checks an optimizer: it minimises, also under XLA, and its state can be saved and restored.

    Args:
        factory: The class, or what ``component`` returns; called without arguments.

    Raises:
        ContractError: Names the clause that is broken.
    """
    clauses = Clauses("optimizer", factory)
    with clauses.clause("it can be built from its options alone"):
        optimizer = factory()
    is_optimizer = isinstance(optimizer, keras.optimizers.Optimizer)
    clause = "it is a keras.optimizers.Optimizer"
    clauses.require(is_optimizer, clause, f"it is a {type(optimizer).__name__}")
    _check_rate(clauses, optimizer)
    eager = _check_minimises(clauses, factory)
    with clauses.clause("apply can be compiled by XLA"):
        compiled = _Problem(factory()).steps(_STEPS, jit=True)
    off = float(np.abs(compiled - eager).max())
    clauses.require(off <= 1e-5, "XLA does not change what is computed", f"it is off by {off:.2g}")
    _check_restore(clauses, factory)


class _Problem:
    """The square of a matrix, to be minimised."""

    def __init__(self, optimizer: Any) -> None:
        self.optimizer = optimizer
        start = np.random.default_rng(0).normal(size=(4, 3)).astype(np.float32)
        self.weights = keras.Variable(start, name="weights")
        optimizer.build([self.weights])

    def steps(self, count: int, *, jit: bool = False) -> Any:
        def step() -> None:
            self.optimizer.apply([2.0 * self.weights.value], [self.weights])

        run = tf.function(step, jit_compile=True) if jit else step
        for _ in range(count):
            run()
        return self.weights.numpy()

    def state(self) -> list[Any]:
        return [variable.numpy() for variable in (self.weights, *self.optimizer.variables)]

    def restore(self, state: list[Any]) -> None:
        for variable, value in zip((self.weights, *self.optimizer.variables), state, strict=True):
            variable.assign(value)


def _check_rate(clauses: Clauses, optimizer: Any) -> None:
    clause = "its learning rate can be assigned"
    with clauses.clause(clause):
        optimizer.learning_rate = 0.125
        assert float(optimizer.learning_rate) == 0.125, f"it stays {float(optimizer.learning_rate)}"


def _check_minimises(clauses: Clauses, factory: Factory) -> Any:
    problem = _Problem(factory())
    before = float(np.square(problem.weights.numpy()).sum())
    with clauses.clause("apply(gradients, variables) updates the variables"):
        weights = problem.steps(_STEPS)
    after = float(np.square(weights).sum())
    clause = "a few steps make a square smaller"
    clauses.require(np.isfinite(after) and after < before, clause, f"{before:.6g} became {after:.6g}")
    return weights


def _check_restore(clauses: Clauses, factory: Factory) -> None:
    clause = "its variables are its whole state: restored, it goes on as if it had never stopped"
    straight, stopped = _Problem(factory()), _Problem(factory())
    straight.steps(_STEPS)
    stopped.restore(straight.state())
    same = np.array_equal(straight.steps(_STEPS), stopped.steps(_STEPS))
    clauses.require(same, clause, "the next steps differ")
    paths = [variable.path for variable in straight.optimizer.variables]
    unique = len(set(paths)) == len(paths)
    clauses.require(unique, "every variable's path is unique", f"{sorted(paths)} are not")
