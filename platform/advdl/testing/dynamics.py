"""Conformance of dynamics: what fitting them, and training in them, rely on."""

from collections.abc import Sequence
from typing import Any

import gymnasium
import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from advdl.errors import UsageError
from advdl.plugin.options import Factory
from advdl.rl.dynamics import Dynamics, Foreseen
from advdl.rl.spaces import Spaces
from advdl.testing.clauses import Clauses
from advdl.testing.learner_parts import changed, check_finite, check_models, tunings, values
from advdl.training.fused import FusedLoop
from advdl.training.randomness import Stream
from advdl.training.trainer import Trainer, learner_variables

_ROWS = 16
_UPDATES = 12
_REFUSAL = "spaces that it cannot handle are refused with a UsageError"


def check_dynamics(factory: Factory, *, spaces: Sequence[Spaces] | None = None, jit: bool = True) -> None:
    """Checks a world model with a memory: it learns from segments, and what it foresees follows from what it was told.

    Args:
        factory: The class, or what ``component`` returns; called with ``Spaces``.
        spaces: Spaces that it must take. When None, usual vectors and images are tried, and it must take one of them.
        jit: Whether it is also compiled by XLA, which takes its time for convolutions.

    Raises:
        ContractError: Names the clause that is broken.
    """
    clauses = Clauses("dynamics", factory)
    tried = spaces or _usual_spaces()
    taken = [each for each in tried if _takes(clauses, factory, each, must=spaces is not None)]
    clauses.require(taken, "it takes vectors or images", f"it refuses {', '.join(map(_text, tried))}")
    strange = Spaces(gymnasium.spaces.Text(3), gymnasium.spaces.Discrete(2))
    clauses.require(not _takes(clauses, factory, strange, must=False), _REFUSAL, "it takes observations of Text")
    for each in taken:
        check = _Check(clauses, factory, each)
        check.trains(jit=jit)
        check.begins()
        check.foresees(jit=jit)
        check.saves()


def _usual_spaces() -> list[Spaces]:
    box, discrete = gymnasium.spaces.Box, gymnasium.spaces.Discrete
    return [
        Spaces(box(-np.inf, np.inf, (3,), np.float32), box(-1.0, 1.0, (2,), np.float32)),
        Spaces(box(0, 255, (6, 5, 1), np.uint8), discrete(3, start=1)),
    ]


def _takes(clauses: Clauses, factory: Factory, spaces: Spaces, *, must: bool) -> bool:
    try:
        with clauses.clause(_REFUSAL):
            dynamics = factory(spaces)
    except UsageError as error:
        if must:
            raise clauses.broken(f"it takes {_text(spaces)}", error.message) from error
        return False
    clauses.require(isinstance(dynamics, Dynamics), "it is an advdl.rl.Dynamics", f"it is {dynamics!r}")
    return True


class _Check:
    """One model of one env under check; every method is a clause or two."""

    def __init__(self, clauses: Clauses, factory: Factory, spaces: Spaces) -> None:
        self._clauses, self._factory, self._spaces = clauses, factory, spaces
        self._dynamics: Dynamics = factory(spaces)
        good = self._dynamics.length >= 1 and self._dynamics.context >= 1
        self._require(good, "length and context are 1 or more", "one is not")
        self._segments = _segments(spaces, self._dynamics.length)
        self._past = _segments(spaces, self._dynamics.context)
        with clauses.clause("adapt(segments) reads scales off the data"):
            self._dynamics.adapt(self._segments)

    def trains(self, *, jit: bool) -> None:
        check_models(self._clauses, self._dynamics, self._factory(self._spaces))
        before = values(self._dynamics)
        for mode in (False, True) if jit else (False,):
            where = "under XLA" if mode else "in a graph"
            with self._clauses.clause(f"it learns {where}"):
                healthy = _train(self._dynamics, self._segments, jit=mode)
            self._require(healthy, "losses and gradients are finite", f"{where}, one is not")
        check_finite(self._clauses, self._dynamics, _UPDATES)
        moved = {*changed(before, values(self._dynamics))}
        for objective in self._dynamics.objectives():
            ids = {id(variable.value) for variable in objective.variables}
            names = {name for name, value in learner_variables(self._dynamics).items() if id(value) in ids}
            clause = "training changes every objective's variables"
            self._require(names & moved, clause, f"{objective.name!r} changed nothing")

    def begins(self) -> None:
        carry = self._begun(self._past)
        clause = "begin(segments) returns a nest of tensors [batch, ...]"
        self._require(all(value.shape[0] == _ROWS for value in carry), clause, f"{[value.shape for value in carry]}")
        other = {name: np.array(value) for name, value in self._past.items()}
        for name, value in _segments(self._spaces, self._dynamics.context, seed=1).items():
            if name != "observation":
                other[name][:, -1] = value[:, -1]
        clause = "what a segment's last step did and brought does not count in begin(segments)"
        self._require(_same(carry, self._begun(other)), clause, "another last action or reward changes the memory")
        self._forgets()

    def _forgets(self) -> None:
        """What was seen in another episode must not be remembered."""
        if self._dynamics.context == 1:
            return
        first, second = (
            {
                name: np.array(value)
                for name, value in _segments(self._spaces, self._dynamics.context, seed=seed).items()
            }
            for seed in (0, 2)
        )
        for segments in (first, second):
            segments["terminated"][:] = False
            segments["truncated"][:] = False
            segments["truncated"][:, -2] = True
            segments["observation"][:, -1] = first["observation"][:, -1]
        same = _same(self._begun(first), self._begun(second))
        self._require(same, "what was seen before an episode began is forgotten", "it changes the memory")

    def foresees(self, *, jit: bool) -> None:
        carry = self._dynamics.begin(self._tensors(self._past))
        action = self._past["action"][:, -1]
        before, one = values(self._dynamics), self._foreseen(carry, action, 0, jit=jit)
        found = changed(before, values(self._dynamics))
        self._require(not found, "foreseeing changes no variable", f"it changes {found[:1]}")
        layouts = [[(value.shape, value.dtype) for value in tf.nest.flatten(nest)] for nest in (carry, one.carry)]
        self._require(layouts[0] == layouts[1], "a step keeps the memory's structure, shapes and dtypes", f"{layouts}")
        space = self._spaces.observation
        shapes = [(_ROWS, *(space.shape or ())), (_ROWS,), (_ROWS,)]
        said = [tuple(value.shape) for value in one[1:]]
        self._require(said == shapes, "it says [batch, ...] of each", f"{said} instead of {shapes}")
        dtypes = [value.dtype.as_numpy_dtype for value in one[1:]]
        good = dtypes == [np.dtype(space.dtype).type, np.float32, np.bool_]
        self._require(good, "observations have the space's dtype, rewards are float32, terminations bool", f"{dtypes}")
        outside = [row for row in one.observation.numpy() if row not in space]
        self._require(not outside, "observations are in observation_space", f"{outside[:1]} is not")
        self._require(np.isfinite(one.reward).all(), "rewards are finite", "one is not")
        same = _same(_flat(one), _flat(self._foreseen(carry, action, 0, jit=jit)))
        self._require(same, "the same seed gives the same step", "it gives another")
        other = self._foreseen(carry, np.roll(action, 1, axis=0), 0, jit=jit)
        clause = "what it foresees depends on the action"  # by what is seen and said, not by what is remembered of it
        self._require(not _same(_flat(one[1:]), _flat(other[1:])), clause, "it does not")

    def saves(self) -> None:
        other, carry = self._factory(self._spaces), self._dynamics.begin(self._tensors(self._past))
        theirs = learner_variables(other)
        for name, value in values(self._dynamics).items():
            theirs[name].assign(value)
        action, seed = tf.constant(self._past["action"][:, -1]), _seed(0)
        one, two = (model.foresee(carry, action, seed) for model in (self._dynamics, other))
        clause = "its variables are its whole state: restored, it foresees the same"
        self._require(_same(_flat(one), _flat(two)), clause, "it foresees something else")

    def _foreseen(self, carry: Any, action: Any, step: int, *, jit: bool) -> Foreseen:
        if not hasattr(self, "_program"):
            self._program = tf.function(self._dynamics.foresee, jit_compile=jit, autograph=False)
        with self._clauses.clause("foresee(carry, action, seed) can be traced"):
            said: Foreseen = self._program(carry, tf.constant(action), _seed(step))
        return said

    def _begun(self, segments: dict[str, NDArray[Any]]) -> list[NDArray[Any]]:
        with self._clauses.clause("begin(segments) returns a nest of tensors [batch, ...]"):
            return _flat(self._dynamics.begin(self._tensors(segments)))

    @staticmethod
    def _tensors(segments: dict[str, NDArray[Any]]) -> dict[str, tf.Tensor]:
        return {name: tf.constant(value) for name, value in segments.items()}

    def _require(self, holds: Any, clause: str, detail: str) -> None:
        self._clauses.require(holds, clause, f"{detail} (on {_text(self._spaces)})")


def _train(dynamics: Dynamics, segments: dict[str, NDArray[Any]], *, jit: bool) -> bool:
    """Makes a few updates on one batch; returns whether all was finite."""
    trainer, stream = Trainer(dynamics, tunings(dynamics), total_updates=_UPDATES), Stream(0, "update")
    batch = {name: tf.constant(value) for name, value in segments.items()}

    def step(index: tf.Tensor) -> None:
        trainer.update(batch, stream.at(index))

    loop, at = FusedLoop(step, healthy=trainer.healthy, jit=jit), 0
    while at < _UPDATES and bool(trainer.healthy):
        at = loop.advance(at, _UPDATES - at)
    return bool(trainer.healthy)


def _segments(spaces: Spaces, length: int, seed: int = 0) -> dict[str, NDArray[Any]]:
    """Makes segments in which episodes end now and then."""
    rng = np.random.default_rng(seed)
    for index, space in enumerate((spaces.observation, spaces.action)):
        space.seed(2 * seed + index)

    def drawn(space: gymnasium.Space[Any]) -> NDArray[Any]:
        rows = [[space.sample() for _ in range(length)] for _ in range(_ROWS)]
        return np.asarray(rows).astype(np.float32 if space.dtype == np.float64 else space.dtype)

    seen = drawn(spaces.observation)
    return {
        "observation": seen,
        "next_observation": np.concatenate([seen[:, 1:], drawn(spaces.observation)[:, :1]], axis=1),
        "action": drawn(spaces.action),
        "reward": rng.normal(size=(_ROWS, length)).astype(np.float32),
        "terminated": rng.random((_ROWS, length)) < 0.2,
        "truncated": rng.random((_ROWS, length)) < 0.1,
    }


def _flat(nest: Any) -> list[NDArray[Any]]:
    return [np.asarray(value) for value in tf.nest.flatten(nest)]


def _same(one: Sequence[NDArray[Any]], two: Sequence[NDArray[Any]]) -> bool:
    return all(np.allclose(mine, yours, rtol=1e-4, atol=1e-4) for mine, yours in zip(one, two, strict=True))


def _seed(step: int) -> tf.Tensor:
    return tf.constant((17, 23 + step), tf.int32)


def _text(spaces: Spaces) -> str:
    return f"{spaces.observation}, {spaces.action}"
