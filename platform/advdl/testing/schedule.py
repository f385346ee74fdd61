"""Conformance of schedules."""

import math

import tensorflow as tf

from advdl.plugin.options import Factory
from advdl.testing.clauses import Clauses

_TOTAL = 1000
_STEPS = (0, 1, 333, 500, 999, 1000, 1500)


def check_schedule(factory: Factory) -> None:
    """Checks a schedule: ``schedule(step, total)`` for numbers and, traced, for tensors.

    Args:
        factory: The class, or what ``component`` returns; called without arguments.

    Raises:
        ContractError: Names the clause that is broken.
    """
    clauses = Clauses("schedule", factory)
    with clauses.clause("it can be built from its options alone"):
        schedule = factory()
    with clauses.clause("schedule(step, total) takes numbers and returns a number"):
        numbers = [float(schedule(step, _TOTAL)) for step in _STEPS]
    for step, value in zip(_STEPS, numbers, strict=True):
        clause = "values are finite, after the end too"
        clauses.require(math.isfinite(value), clause, f"at step {step} of {_TOTAL} it is {value}")
    _check_traced(clauses, factory, numbers)


def _check_traced(clauses: Clauses, factory: Factory, numbers: list[float]) -> None:
    total = tf.constant(_TOTAL, tf.float32)
    for jit in (False, True):
        with clauses.clause("schedule(step, total) takes tensors, in a graph and under XLA"):
            traced = tf.function(factory(), jit_compile=jit)
            values = [tf.convert_to_tensor(traced(tf.constant(s, tf.float32), total)) for s in _STEPS]
        for step, value, number in zip(_STEPS, values, numbers, strict=True):
            scalar = value.shape.rank == 0 and value.dtype.is_floating
            clauses.require(scalar, "for tensors it returns a float scalar", f"it returns {value}")
            close = math.isclose(float(value), number, rel_tol=1e-4, abs_tol=1e-6)
            clause = "tensors and numbers give the same values"
            clauses.require(close, clause, f"at step {step} of {_TOTAL}: {float(value):.6g}, not {number:.6g}")
