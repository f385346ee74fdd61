"""Conformance of samplers: what evaluation, the world model and the data model rely on."""

import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import gymnasium
import keras
import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from advdl.errors import UsageError
from advdl.plugin.options import Factory
from advdl.testing.clauses import Clauses
from advdl.training.data_learner import DataSpec
from advdl.training.fused import FusedLoop
from advdl.training.randomness import Stream
from advdl.training.sampler import Sampler
from advdl.training.schedules import as_schedule
from advdl.training.trainer import Trainer, Tuning, learner_variables

_ROWS = 32
_COUNT = 6
_UPDATES = 24
_SEEDS = 20  # of a sampler that has hardly learnt, most samples lie on the bounds whatever c is
_REFUSAL = "data that it cannot handle are refused with a UsageError"


def check_sampler(factory: Factory, *, specs: Sequence[DataSpec] | None = None, jit: bool = True) -> None:
    """Checks a sampler: it draws within its space, really given c, reproducibly, and learns in a graph and under XLA.

    Args:
        factory: The class, or what ``component`` returns; called with a ``DataSpec``.
        specs: Data that it must take. When None, usual vectors and images are tried, and it must take one of
            them; it refuses the others with a ``UsageError``.
        jit: Whether it is also compiled by XLA, which takes its time for convolutions.

    Raises:
        ContractError: Names the clause that is broken.
    """
    clauses = Clauses("sampler", factory)
    tried = specs or _usual_specs()
    taken = [spec for spec in tried if _takes(clauses, factory, spec, must=specs is not None)]
    clauses.require(taken, "it takes vectors or images", f"it refuses {', '.join(map(_text, tried))}")
    refused = not _takes(clauses, factory, DataSpec(gymnasium.spaces.Text(3)), must=False)
    clauses.require(refused, _REFUSAL, "it takes samples of Text")
    for index, spec in enumerate(taken):
        check = _Check(clauses, factory, spec)
        check.models()
        check.conditions()
        check.trains(jit=jit and index == 0)
        check.samples()
        check.depends_on_c()
        check.figures()
        check.saves()


def _usual_specs() -> list[DataSpec]:
    box = gymnasium.spaces.Box
    return [
        DataSpec(box(-1.0, 1.0, (3,), np.float32), box(-np.inf, np.inf, (2,), np.float32)),
        DataSpec(box(-np.inf, np.inf, (4,), np.float32)),
        DataSpec(box(0, 255, (8, 8, 1), np.uint8), gymnasium.spaces.Discrete(3)),
    ]


def _takes(clauses: Clauses, factory: Factory, spec: DataSpec, *, must: bool) -> bool:
    try:
        with clauses.clause(_REFUSAL):
            sampler = factory(spec)
    except UsageError as error:
        if must:
            raise clauses.broken(f"it takes {_text(spec)}", error.message) from error
        return False
    clauses.require(isinstance(sampler, Sampler), "it is an advdl.training.Sampler", f"it is {sampler!r}")
    return True


class _Check:
    """One sampler of one kind of data under check; every method is a clause or two."""

    def __init__(self, clauses: Clauses, factory: Factory, spec: DataSpec) -> None:
        self._clauses, self._factory, self._spec = clauses, factory, spec
        self._sampler: Sampler = factory(spec)
        self._batch = _data(spec)
        self._c = None if spec.c is None else self._batch["c"][:_COUNT]
        with clauses.clause("adapt(batch) reads scales off the data"):
            self._sampler.adapt(self._batch)

    def models(self) -> None:
        sampler, again = self._sampler, self._factory(self._spec)
        good = all(isinstance(model, keras.Model | keras.layers.Layer) for model in sampler.models.values())
        self._require(sampler.models and good, "models holds every Keras model by name", f"{[*sampler.models]}")
        ours, theirs = _layout(sampler), _layout(again)
        clause = "the same options give the same variables by the same names"
        different = [name for name in {**ours, **theirs} if ours.get(name) != theirs.get(name)]
        self._require(not different, clause, f"built a second time, {different[:1]} is another")
        names = [objective.name for objective in sampler.objectives()]
        self._require(names, "it has an objective", "objectives() is empty")
        self._require(len({*names}) == len(names), "each objective has a name of its own", f"they are {names}")
        known = {id(variable) for model in sampler.models.values() for variable in model.variables}
        clause = "an objective has variables, and they are among the models'"
        for objective in sampler.objectives():
            lost = [variable.path for variable in objective.variables if id(variable) not in known]
            self._require(objective.variables and not lost, clause, f"{objective.name!r}: {lost[:1]}")

    def conditions(self) -> None:
        clause = "a condition that is missing, or not wanted, is refused with a UsageError"
        wrong = None if self._spec.c is not None else tf.zeros([_COUNT, 1])
        try:
            self._sampler.sample(wrong, _COUNT, _seed(0))
        except UsageError:
            return
        except Exception as error:
            raise self._clauses.broken(clause, f"it raised {type(error).__name__}: {error}") from error
        self._require(False, clause, "it drew samples")

    def trains(self, *, jit: bool) -> None:
        before = _values(self._sampler)
        clause = "variables stay finite"
        for mode in (False, True) if jit else (False,):
            where = "under XLA" if mode else "in a graph"
            with self._clauses.clause(f"it learns {where}"):
                healthy = _train(self._sampler, self._batch, jit=mode)
            self._require(healthy, "losses and gradients are finite", f"{where}, one is not")
            broken = [name for name, value in _values(self._sampler).items() if not np.isfinite(value).all()]
            self._require(not broken, clause, f"{where}, {broken[:1]} is not")
        after = _values(self._sampler)
        for objective in self._sampler.objectives():
            ids = {id(variable.value) for variable in objective.variables}
            names = [name for name, value in learner_variables(self._sampler).items() if id(value) in ids]
            moved = any(not np.array_equal(before[name], after[name]) for name in names)
            self._require(moved, "training changes every objective's variables", f"{objective.name!r} changed nothing")

    def samples(self) -> None:
        before, space = _values(self._sampler), self._spec.x
        drawn = self._draw(self._c, _seed(0))
        clause = "samples are [count, ...] in the dtype of spec.x"
        fits = drawn.shape == (_COUNT, *(space.shape or ())) and drawn.dtype == space.dtype
        self._require(fits, clause, f"they are {drawn.dtype} of shape {list(drawn.shape)}")
        outside = [row for row in drawn if row not in space]
        self._require(not outside, "samples are finite and within the bounds of spec.x", f"{outside[:1]} is not")
        same = np.array_equal(drawn, self._draw(self._c, _seed(0)))
        self._require(same, "the same seed gives the same samples", "it gives others")
        other = not np.array_equal(drawn, self._draw(self._c, _seed(1)))
        self._require(other, "another seed gives other samples", "it gives the same")
        varied = any(not np.array_equal(drawn[0], row) for row in drawn[1:])
        self._require(varied, "the samples of a call differ from each other", "they are all the same")
        after = _values(self._sampler)
        changed = [name for name, value in before.items() if not np.array_equal(value, after[name])]
        self._require(not changed, "sampling changes no variable", f"it changes {changed[:1]}")

    def depends_on_c(self) -> None:
        if self._spec.c is None:
            return
        order = np.argsort(np.asarray(self._batch["s"]))
        low, high = (tf.repeat(self._batch["c"][row : row + 1], _COUNT, axis=0) for row in (order[0], order[-1]))
        seeds = map(_seed, range(_SEEDS))
        differ = any(not np.array_equal(self._draw(low, seed), self._draw(high, seed)) for seed in seeds)
        self._require(differ, "samples depend on c", "another c with the same seeds gives the same samples")

    def figures(self) -> None:
        sampler, before = self._sampler, _values(self._sampler)
        with self._clauses.clause("measure(batch, seed) judges held-out data, in a graph"):
            figures = tf.function(sampler.measure, autograph=False)(self._given(), _seed(0))
        wrong = [name for name, value in figures.items() if tuple(value.shape) != (_ROWS,)]
        self._require(not wrong, "figures are one a sample, [batch]", f"{wrong[:1]} is not")
        broken = [name for name, value in figures.items() if not np.isfinite(value).all()]
        self._require(not broken, "figures are finite", f"{broken[:1]} is not")
        known = getattr(sampler, "score", None) in figures
        self._require(known, "score is one of the figures", f"it is {getattr(sampler, 'score', None)!r}")
        better = getattr(sampler, "better", None)
        self._require(better in ("higher", "lower"), "better is 'higher' or 'lower'", f"it is {better!r}")
        after = _values(sampler)
        changed = [name for name, value in before.items() if not np.array_equal(value, after[name])]
        self._require(not changed, "measuring changes no variable", f"it changes {changed[:1]}")

    def saves(self) -> None:
        clause = "a sampler that is saved and loaded draws the same samples"
        expected = self._draw(self._c, _seed(0))
        again: Sampler = self._factory(self._spec)
        with self._clauses.clause(clause), tempfile.TemporaryDirectory() as folder:
            file = str(Path(folder) / "state")
            tf.train.Checkpoint(**_tracked(self._sampler)).write(file)
            tf.train.Checkpoint(**_tracked(again)).read(file).assert_consumed()
            program = tf.function(lambda: again.sample(self._c, _COUNT, _seed(0)), autograph=False)
            self._require(_close(program().numpy(), expected), clause, "it draws others")

    def _draw(self, c: tf.Tensor | None, seed: tf.Tensor) -> NDArray[Any]:
        with self._clauses.clause("sample(c, count, seed) can be traced"):
            drawn: NDArray[Any] = self._program(c, seed).numpy()
        return drawn

    @property
    def _program(self) -> Any:
        if not hasattr(self, "_traced"):
            self._traced = tf.function(lambda c, seed: self._sampler.sample(c, _COUNT, seed), autograph=False)
        return self._traced

    def _given(self) -> dict[str, tf.Tensor]:
        return {name: value for name, value in self._batch.items() if name != "s"}

    def _require(self, holds: Any, clause: str, detail: str) -> None:
        self._clauses.require(holds, clause, f"{detail} (on {_text(self._spec)})")


def _train(sampler: Sampler, data: dict[str, tf.Tensor], *, jit: bool) -> bool:
    """Makes a few updates on one batch; returns whether all was finite."""
    trainer = Trainer(sampler, _tunings(sampler), total_updates=_UPDATES)
    batch, stream = {name: value for name, value in data.items() if name != "s"}, Stream(0, "update")

    def step(index: tf.Tensor) -> None:
        trainer.update(batch, stream.at(index))

    loop, at = FusedLoop(step, healthy=trainer.healthy, jit=jit), 0
    while at < _UPDATES and bool(trainer.healthy):
        at = loop.advance(at, _UPDATES - at)
    return bool(trainer.healthy)


def _tunings(sampler: Sampler) -> dict[str, Tuning]:
    tunings = {}
    for objective in sampler.objectives():
        optimizer = keras.optimizers.Adam(1e-3)
        optimizer.build(list(objective.variables))
        tunings[objective.name] = Tuning(optimizer, as_schedule(1e-3))
    return tunings


def _data(spec: DataSpec) -> dict[str, tf.Tensor]:
    """Makes data in which x follows c: ``s`` is where between two samples x is."""
    rng = np.random.default_rng(0)
    data = {}
    if spec.c is None:
        s = rng.random(_ROWS)
    else:
        spec.c.seed(0)
        c = np.stack([spec.c.sample() for _ in range(_ROWS)])
        data["c"] = tf.constant(c)
        flat = c.reshape(_ROWS, -1)[:, 0].astype(np.float64)
        s = (flat - flat.min()) / max(float(np.ptp(flat)), 1e-9)
    low, high = (_ends(spec.x, share) for share in (0.25, 0.75))
    x = low + s.reshape(-1, *[1] * low.ndim) * (high - low) + 0.05 * (high - low) * rng.normal(size=(_ROWS, *low.shape))
    return {**data, "x": tf.constant(x.astype(spec.x.dtype)), "s": tf.constant(s)}


def _ends(space: gymnasium.Space[Any], share: float) -> NDArray[np.float64]:
    low = np.asarray(getattr(space, "low", np.zeros(space.shape or ())), np.float64)
    high = np.asarray(getattr(space, "high", np.ones(space.shape or ())), np.float64)
    low, high = np.where(np.isfinite(low), low, -2.0), np.where(np.isfinite(high), high, 2.0)
    ends: NDArray[np.float64] = low + share * (high - low)
    return ends


def _tracked(sampler: Sampler) -> dict[str, Any]:
    return {name.replace("/", "_").replace(".", "_"): value for name, value in learner_variables(sampler).items()}


def _values(sampler: Sampler) -> dict[str, NDArray[Any]]:
    return {name: variable.numpy() for name, variable in learner_variables(sampler).items()}


def _layout(sampler: Sampler) -> dict[str, Any]:
    return {name: (tuple(value.shape), value.dtype.name) for name, value in learner_variables(sampler).items()}


def _seed(step: int) -> tf.Tensor:
    return tf.constant((17, 23 + step), tf.int32)


def _close(one: NDArray[Any], two: NDArray[Any]) -> bool:
    return bool(np.allclose(one, two, rtol=1e-4, atol=1e-4))


def _text(spec: DataSpec) -> str:
    return f"{spec.x}" if spec.c is None else f"{spec.x} given {spec.c}"
