"""Conformance of task families."""

from typing import Any

import numpy as np
import tensorflow as tf

from advdl.plugin.options import Factory
from advdl.rl.env_tasks import EnvTasks, PlayedTasks
from advdl.rl.host_tasks import HostTasks, task_options
from advdl.testing.clauses import Clauses
from advdl.training.data_learner import DataSpec
from advdl.training.tasks import Tasks

_COUNT = 3
_SEED = (3, 5)


def check_tasks(factory: Factory) -> None:
    """Checks a family of tasks: small data sets in two parts, or params of an env, drawn by a seed.

    Params may be those of a compiled env, or options of the ``reset`` of a host env.

    Args:
        factory: The class, or what ``component`` returns; called without arguments.

    Raises:
        ContractError: Names the clause that is broken.
    """
    clauses = Clauses("tasks", factory)
    with clauses.clause("it can be built from its options alone"):
        tasks = factory()
    if isinstance(tasks, PlayedTasks):
        one = _check_params(clauses, tasks)
        if isinstance(tasks, EnvTasks):
            _check_compiled_env(clauses, tasks, one)
        if isinstance(tasks, HostTasks):
            _check_host_env(clauses, tasks, one)
        return
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


def _check_params(clauses: Clauses, tasks: PlayedTasks) -> Any:
    """Tasks that are played: params that the seed decides. Returns some."""
    for held_out in (False, True):
        with clauses.clause("draw(seed, count, held_out=...) draws params"):
            one, again, other = (
                tasks.draw(tf.constant(seed, tf.int32), _COUNT, held_out=held_out)
                for seed in (_SEED, _SEED, (_SEED[0], _SEED[1] + 1))
            )
        sizes = {tuple(np.shape(field)) for field in tf.nest.flatten(one)}
        clauses.require(sizes <= {(), (_COUNT,)}, "params are scalars or [count]", f"they are {sorted(sizes)}")
        clauses.require(_same(one, again), "the same seed draws the same tasks", "it draws others")
        # Three draws of two tasks, as HalfCheetah's directions are, may agree.
        few = all(low == high for low, high in tasks.ranges.values()) and bool(tasks.ranges)
        differ = few or not _same(one, other)
        clauses.require(differ, "another seed draws other tasks", "it draws the same")
    long = tasks.episodes > 0 and tasks.horizon > 0
    clauses.require(long, "episodes and horizon are positive", f"{tasks.episodes} and {tasks.horizon}")
    return one


def _check_compiled_env(clauses: Clauses, tasks: EnvTasks, params: Any) -> None:
    seed = tf.constant(_SEED, tf.int32)
    with clauses.clause("the env takes the params"):
        state = tasks.env.initial(seed, params, batch_size=_COUNT)
        seen = np.asarray(tasks.env.observation(state, seed, params))
    fits = seen.shape == (_COUNT, *(tasks.env.observation_space.shape or ()))
    clauses.require(fits, "the env takes the params", f"it gives observations {list(seen.shape)}")


def _check_host_env(clauses: Clauses, tasks: HostTasks, params: Any) -> None:
    options = task_options(params, 0)
    with clauses.clause("the env's reset takes a task as its options"), tasks.factory()() as env:
        first, again = (env.reset(seed=_SEED[0], options=options)[0] for _ in range(2))
        good = first in env.observation_space and np.array_equal(first, again)
    clause = "the same seed and task begin the same episode"
    clauses.require(good, clause, "they begin with another observation, or one outside of its space")


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
