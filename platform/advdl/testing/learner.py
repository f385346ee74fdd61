"""Conformance of learners of data: what the trainer, the held-out measure and the checkpoints rely on."""

from collections.abc import Sequence
from typing import Any

import gymnasium
import numpy as np
import tensorflow as tf

from advdl.errors import UsageError
from advdl.plugin.options import Factory
from advdl.testing import learner_parts
from advdl.testing.clauses import Clauses
from advdl.training.data_learner import DataLearner, DataSpec
from advdl.training.learner import Batch
from advdl.training.trainer import Trainer, learner_variables

_BATCH = 8
_UPDATES = 3
_REFUSAL = "data that it cannot learn from are refused with a UsageError"
_FIGURES = "measure(batch, seed) returns figures by name, each a float a sample, [batch]"


def check_learner(factory: Factory, *, specs: Sequence[DataSpec] | None = None, jit: bool = True) -> None:
    """Checks a learner of data: it judges data, learns from them, and its variables are its whole state.

    Args:
        factory: The class, or what ``component`` returns; called with a ``DataSpec``.
        specs: Data that it must take. When None, usual ones are tried (small images and vectors, with classes, with
            vectors and alone), and it must take one of them; it refuses the others with a ``UsageError``.
        jit: Whether to try that its update and its measure can be compiled by XLA, as a run does.

    Raises:
        ContractError: Names the clause that is broken.
    """
    clauses = Clauses("learner", factory)
    tried = specs or _usual_specs()
    taken = [spec for spec in tried if _takes(clauses, factory, spec, must=specs is not None)]
    clauses.require(taken, "it takes some usual data", f"it refuses {', '.join(map(str, tried))}")
    impossible = DataSpec(gymnasium.spaces.Text(3))
    clauses.require(not _takes(clauses, factory, impossible, must=False), _REFUSAL, f"it takes {impossible}")
    for spec in taken:
        learner = factory(spec)
        learner_parts.check_models(clauses, learner, factory(spec))
        _check_measure(clauses, learner, _data(spec))
    _check_learning(clauses, factory, taken[0], jit=jit)


def _usual_specs() -> list[DataSpec]:
    box, discrete = gymnasium.spaces.Box, gymnasium.spaces.Discrete
    image, vector = box(0, 255, (16, 16, 1), np.uint8), box(-1.0, 1.0, (4,), np.float32)
    target = box(-1.0, 1.0, (2,), np.float32)
    return [
        DataSpec(image, discrete(3)),
        DataSpec(vector, discrete(3)),
        DataSpec(vector, target),
        DataSpec(image),
        DataSpec(vector),
    ]


def _takes(clauses: Clauses, factory: Factory, spec: DataSpec, *, must: bool) -> bool:
    try:
        with clauses.clause(_REFUSAL):
            learner = factory(spec)
    except UsageError as error:
        if must:
            raise clauses.broken(f"it takes {spec}", error.message) from error
        return False
    is_learner = isinstance(learner, DataLearner)
    clauses.require(is_learner, "it is an advdl.training.DataLearner", f"it is a {type(learner).__name__}")
    clause = "better says whether a 'higher' or a 'lower' score is better"
    better = getattr(learner, "better", None)
    clauses.require(better in ("higher", "lower"), clause, f"it is {better!r}")
    return True


def _check_measure(clauses: Clauses, learner: DataLearner, batch: Batch) -> None:
    before = learner_parts.values(learner)
    measure = tf.function(learner.measure, autograph=False)  # one trace: a draw of its own is another at the next call
    figures = _measured(clauses, measure, batch)
    lost = learner_parts.changed(before, learner_parts.values(learner))
    clauses.require(not lost, "measuring changes no variable", f"it changes {lost[:1]}")
    clause = "score is the name of one of measure's figures"
    score = getattr(learner, "score", None)
    clauses.require(score in figures, clause, f"it is {score!r}, and the figures are {', '.join(figures)}")
    finite = [name for name, value in figures.items() if not np.isfinite(value).all()]
    clauses.require(not finite, "figures are finite", f"{finite[:1]} is not")
    again = _measured(clauses, measure, batch)
    other = [name for name, value in figures.items() if not np.array_equal(value, again[name])]
    clauses.require(not other, "the same batch and seed give the same figures", f"{other[:1]} differs")
    swapped = _measured(clauses, measure, {name: _first_replaced(value) for name, value in batch.items()})
    moved = [name for name, value in figures.items() if not _close(value[1:], swapped[name][1:])]
    clause = "a sample's figures do not depend on the rest of the batch"
    clauses.require(not moved, clause, f"another first sample changes {moved[:1]} of the others")


def _measured(clauses: Clauses, measure: Any, batch: Batch, *, clause: str = _FIGURES) -> dict[str, Any]:
    with clauses.clause(clause):
        found = measure(batch, tf.constant((3, 5), tf.int32))
        figures = {str(name): tf.convert_to_tensor(value) for name, value in found.items()}
    clauses.require(figures, _FIGURES, "there are none")
    for name, value in figures.items():
        fits = tuple(value.shape) == (_BATCH,) and value.dtype.is_floating
        clauses.require(fits, _FIGURES, f"{name!r} is {value.dtype.name} of shape {list(value.shape)}")
    return {name: value.numpy() for name, value in figures.items()}


def _check_learning(clauses: Clauses, factory: Factory, spec: DataSpec, *, jit: bool) -> None:
    batch, straight = _data(spec), factory(spec)
    if jit:
        compiled = tf.function(straight.measure, jit_compile=True, autograph=False)
        _measured(clauses, compiled, batch, clause="measure can be compiled by XLA")
    before, trainer = learner_parts.values(straight), _trainer(straight)
    clause = "its losses can be minimised: loss(batch, seed) returns a float scalar and what else there is to report"
    with clauses.clause(clause):
        update = tf.function(trainer.update, jit_compile=jit, autograph=False)
        for index in range(_UPDATES):
            update(batch, _seed(index))
    learner_parts.check_finite(clauses, straight, _UPDATES)
    clauses.require(bool(trainer.healthy), "losses and gradients are finite", "one is not")
    learner_parts.check_changed(clauses, before, straight, _UPDATES)
    _check_restored(clauses, factory(spec), trainer, update, batch, jit=jit)


def _check_restored(
    clauses: Clauses, restored: DataLearner, trainer: Trainer, update: Any, batch: Batch, *, jit: bool
) -> None:
    copy = _trainer(restored)
    state = trainer.state()
    for name, variable in copy.state().items():
        variable.assign(state[name])
    update(batch, _seed(_UPDATES))
    tf.function(copy.update, jit_compile=jit, autograph=False)(batch, _seed(_UPDATES))
    ours, theirs = learner_variables(trainer.learner), learner_variables(restored)
    different = [name for name, value in ours.items() if not _close(value, theirs[name])]
    clause = "its models' variables are its whole state: restored, it goes on as if it had never stopped"
    clauses.require(not different, clause, f"after the next update {different[:1]} differs")


def _trainer(learner: DataLearner) -> Trainer:
    return Trainer(learner, learner_parts.tunings(learner), total_updates=10)


def _data(spec: DataSpec) -> Batch:
    spaces = {"x": spec.x} if spec.c is None else {"x": spec.x, "c": spec.c}
    for space in spaces.values():
        space.seed(0)
    return {name: tf.constant(np.stack([space.sample() for _ in range(_BATCH)])) for name, space in spaces.items()}


def _first_replaced(value: tf.Tensor) -> tf.Tensor:
    return tf.concat([value[1:2], value[1:]], 0)


def _close(one: Any, two: Any) -> bool:
    return np.allclose(one, two, rtol=1e-3, atol=1e-4)


def _seed(index: int) -> tf.Tensor:
    return tf.constant((7, index), tf.int32)
