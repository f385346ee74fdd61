"""Conformance of task families."""

from typing import Any

import numpy as np
import tensorflow as tf

from advdl.plugin.options import Factory
from advdl.testing.clauses import Clauses
from advdl.training.data_learner import DataSpec
from advdl.training.tasks import Tasks

_COUNT = 3
_SEED = (3, 5)


def check_tasks(factory: Factory) -> None:
    """Checks a family of tasks: small data sets in two parts, drawn by a seed.

    Args:
        factory: The class, or what ``component`` returns; called without arguments.

    Raises:
        ContractError: Names the clause that is broken.
    """
    clauses = Clauses("tasks", factory)
    with clauses.clause("it can be built from its options alone"):
        tasks = factory()
    clauses.require(isinstance(tasks, Tasks), "it is an advdl.training.Tasks", f"it is a {type(tasks).__name__}")
    with clauses.clause("spec says what a sample is"):
        spec = tasks.spec
    clauses.require(isinstance(spec, DataSpec), "spec says what a sample is", f"it is a {type(spec).__name__}")
    for held_out in (False, True):
        with clauses.clause("sample(seed, count, held_out=...) draws tasks"):
            drawn = _draw(tasks, _SEED, held_out)
        _check_parts(clauses, drawn, spec)
        _check_draws(clauses, tasks, drawn, held_out)
    _check_compiled(clauses, tasks)


def _draw(tasks: Tasks, seed: tuple[int, int], held_out: bool) -> Any:
    return tasks.sample(tf.constant(seed, tf.int32), _COUNT, held_out=held_out)


def _check_parts(clauses: Clauses, drawn: Any, spec: DataSpec) -> None:
    clause = 'a sample is {"support": {...}, "query": {...}}'
    clauses.require({*drawn} == {"support", "query"}, clause, f"it holds {[*drawn]}")
    spaces = {"x": spec.x} | ({} if spec.c is None else {"c": spec.c})
    for part, fields in drawn.items():
        clause = "each part has the fields of spec"
        clauses.require({*fields} == {*spaces}, clause, f"{part!r} has {[*fields]}")
        sizes = {name: tuple(field.shape[:2]) for name, field in fields.items()}
        good = len({*sizes.values()}) == 1 and all(size[0] == _COUNT for size in sizes.values())
        clauses.require(good, "fields are [count, samples, ...]", f"those of {part!r} begin with {sizes}")
        for name, space in spaces.items():
            _check_field(clauses, fields[name], space, f"{part}.{name}")


def _check_field(clauses: Clauses, field: tf.Tensor, space: Any, where: str) -> None:
    values = np.asarray(field)
    fits = values.shape[2:] == tuple(space.shape) and values.dtype == space.dtype
    clause = "fields have the shape and the dtype of spec"
    clauses.require(fits, clause, f"{where} is {values.dtype} of shape {list(values.shape)} for {space}")
    rows = values.reshape((-1, *space.shape))
    outside = [row for row in rows if row not in space]
    clauses.require(not outside, "samples lie in the spaces of spec", f"{where}: {outside[:1]} is not in {space}")


def _check_draws(clauses: Clauses, tasks: Tasks, drawn: Any, held_out: bool) -> None:
    again, other = (_draw(tasks, seed, held_out) for seed in (_SEED, (_SEED[0], _SEED[1] + 1)))
    clauses.require(_same(drawn, again), "the same seed draws the same tasks", "it draws others")
    clauses.require(not _same(drawn, other), "another seed draws other tasks", "it draws the same")


def _check_compiled(clauses: Clauses, tasks: Tasks) -> None:
    clause = "sample can be compiled by XLA, and then draws what it draws eagerly"
    with clauses.clause(clause):
        compiled = tf.function(lambda: _draw(tasks, _SEED, False), jit_compile=True)()
    clauses.require(_same(compiled, _draw(tasks, _SEED, False), 1e-5), clause, "it draws others")


def _same(one: Any, other: Any, tolerance: float = 0.0) -> bool:
    pairs = zip(tf.nest.flatten(one), tf.nest.flatten(other), strict=True)
    return all(np.allclose(a, b, rtol=0.0, atol=tolerance) for a, b in pairs)
