"""Conformance of sources: what the engine and the checkpoints rely on."""

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import tensorflow as tf

from advdl.rl.source import Source
from advdl.rl.spaces import Spaces
from advdl.testing.clauses import Clauses
from advdl.training.learner import Batch

_COPIES = 8
_LONGEST = 200_000
_METHODS = ("updates_in", "add", "updates_due", "sample", "feedback", "state")

Report = Callable[[Batch], Mapping[str, tf.Tensor]]


def check_source(
    factory: Callable[[], Source],
    spaces: Spaces,
    *,
    num_envs: int = _COPIES,
    extras: Mapping[str, tf.Tensor] | None = None,
    report: Report | None = None,
) -> None:
    """Checks a source: it counts its updates, hands out batches, and its variables are its whole state.

    Args:
        factory: Builds the source for ``num_envs`` env copies; called without arguments, twice.
        spaces: What is observed and done.
        num_envs: Env copies that are stepped together.
        extras: What the agent's ``act`` adds to a transition, each ``[num_envs, ...]``.
        report: Returns what an update makes of a batch; nothing to report when None.

    Raises:
        ContractError: Names the clause that is broken.
    """
    clauses = Clauses("source", factory)
    with clauses.clause("it can be built"):
        first, second = factory(), factory()
    missing = [name for name in _METHODS if not callable(getattr(first, name, None))]
    clauses.require(not missing, "it has a source's methods", f"{', '.join(missing)} is missing")
    _check_state(clauses, first, second)
    steps = first_updates(clauses, first, num_envs)
    feed = _Feed(spaces, num_envs, extras or {})
    with clauses.clause("add(transition) takes one step of every env copy, and can be traced"):
        feed.fill(first, steps // num_envs)
    _check_due(clauses, first, steps)
    batch = _check_batch(clauses, first, spaces)
    _check_restored(clauses, first, second, steps)
    with clauses.clause("feedback(batch, report) takes what the update made of a batch"):
        tf.function(first.feedback, autograph=False)(batch, report(batch) if report else {})


def first_updates(clauses: Clauses, source: Source, num_envs: int = _COPIES) -> int:
    """Returns how many env steps the first updates take; checks ``updates_in`` on the way."""
    clause = "updates_in(env_steps) is a whole number that never falls"
    before = 0
    for steps in range(0, _LONGEST, num_envs):
        with clauses.clause(clause):
            count = source.updates_in(steps)
        clauses.require(isinstance(count, int), clause, f"it is {count!r}")
        clauses.require(count >= before, clause, f"at {steps:,} env steps it falls from {before} to {count}")
        if count:
            clauses.require(steps, "no update is due before the first step", f"{count} are")
            return steps
        before = count
    raise clauses.broken("it makes updates", f"none is due in {_LONGEST:,} env steps")


class _Feed:
    """Transitions of no particular env, in the dtypes that TensorFlow holds them in."""

    def __init__(self, spaces: Spaces, num_envs: int, extras: Mapping[str, tf.Tensor]) -> None:
        seen = [_samples(spaces.observation, num_envs, seed) for seed in (0, 1)]
        self._step: dict[str, Any] = {
            "observation": seen[0],
            "next_observation": seen[1],
            "action": _samples(spaces.action, num_envs, 2),
            "reward": tf.range(num_envs, dtype=tf.float32) - num_envs / 2.0,
            "terminated": tf.range(num_envs) % 3 == 0,
            "truncated": tf.range(num_envs) % 3 == 1,
            **extras,
        }

    def fill(self, source: Source, count: int) -> None:
        """Adds so many steps, in one traced program."""

        def many(step: dict[str, Any]) -> None:
            def one(index: tf.Tensor) -> tuple[tf.Tensor]:
                source.add(step)
                return (index + 1,)

            tf.while_loop(lambda index: index < count, one, (tf.constant(0),), parallel_iterations=1)

        tf.function(many, autograph=False)(self._step)


def _check_state(clauses: Clauses, first: Source, second: Source) -> None:
    clause = "state() returns its variables by name"
    with clauses.clause(clause):
        ours, theirs = (dict(source.state()) for source in (first, second))
    wrong = [name for name, value in ours.items() if not isinstance(value, tf.Variable)]
    clauses.require(not wrong, clause, f"{wrong[:1]} is no tf.Variable")
    layouts = [{name: (tuple(v.shape), v.dtype.name) for name, v in state.items()} for state in (ours, theirs)]
    clause = "built again, it has the same variables by the same names"
    clauses.require(layouts[0] == layouts[1], clause, f"{layouts[0]} became {layouts[1]}")


def _check_due(clauses: Clauses, source: Source, steps: int) -> None:
    clause = "updates_due(env_steps) is an int64 scalar"
    with clauses.clause(clause):
        due = tf.convert_to_tensor(_due(source, steps))
    scalar = due.shape.rank == 0 and due.dtype == tf.int64
    clauses.require(scalar, clause, f"it is {due.dtype.name} of shape {list(due.shape)}")
    planned = source.updates_in(steps)
    # Fewer is right: what feedback tells a source may end a round early.
    clause = "updates_in counts the updates that are due"
    clauses.require(0 < int(due) <= planned, clause, f"{int(due)} are due after {steps} env steps, not {planned}")


def _check_batch(clauses: Clauses, source: Source, spaces: Spaces) -> Batch:
    clause = "sample(seed, index) returns named tensors [batch, ...] of one batch size, and can be traced"
    with clauses.clause(clause):
        batch, again = _sample(source), _sample(source)
    leaves = tf.nest.flatten(dict(batch))
    sizes = {tuple(leaf.shape)[:1] for leaf in leaves}
    clauses.require(len(sizes) == 1 and sizes != {()}, clause, f"the batch axes are {sorted(sizes)}")
    same = all(map(np.array_equal, leaves, tf.nest.flatten(dict(again))))
    clauses.require(same, "the same seed and index give the same batch", "they give another")
    if "observation" in batch:
        found, wanted = batch["observation"], _samples(spaces.observation, 1, 0)
        fits = found.dtype == wanted.dtype and found.shape[1:] == wanted.shape[1:]
        clause = "observations keep their shape and dtype"
        detail = f"{wanted.dtype.name} {list(wanted.shape[1:])} became {found.dtype.name} {list(found.shape[1:])}"
        clauses.require(fits, clause, detail)
    return batch


def _check_restored(clauses: Clauses, source: Source, fresh: Source, steps: int) -> None:
    state = source.state()
    for name, variable in fresh.state().items():
        variable.assign(state[name])
    clause = "its variables are its whole state: restored, it goes on as if it had never stopped"
    due = int(_due(fresh, steps))
    clauses.require(due == int(_due(source, steps)), clause, f"then {due} updates are due")
    pairs = zip(*(tf.nest.flatten(dict(_sample(each))) for each in (source, fresh)), strict=True)
    clauses.require(all(np.array_equal(*pair) for pair in pairs), clause, "it hands out another batch")


def _due(source: Source, steps: int) -> Any:
    return tf.function(source.updates_due, autograph=False)(tf.constant(steps, tf.int64))


def _sample(source: Source) -> Batch:
    traced = tf.function(source.sample, autograph=False)
    batch: Batch = traced(tf.constant((3, 5), tf.int32), tf.constant(0, tf.int64))
    return batch


def _samples(space: Any, count: int, seed: int) -> tf.Tensor:
    space.seed(seed)
    drawn = np.stack([space.sample() for _ in range(count)])
    return tf.constant(drawn.astype(np.float32) if drawn.dtype == np.float64 else drawn)
