"""Conformance of agents: what the engine, the evaluation and the checkpoints rely on."""

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

import gymnasium
import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from advdl.errors import UsageError
from advdl.plugin.options import Factory
from advdl.rl.agent import Acted, Agent, Progress
from advdl.rl.compiled import CompiledEngine
from advdl.rl.functional import CompiledEnv
from advdl.rl.source import Source
from advdl.rl.spaces import Spaces
from advdl.testing import learner_parts
from advdl.testing.clauses import Clauses
from advdl.testing.contract import ContractError
from advdl.testing.learner_parts import values
from advdl.testing.source import check_source, first_updates
from advdl.training.learner import Batch
from advdl.training.trainer import Trainer

_COPIES = 8
_POOL = 32
_REFUSAL = "spaces that it cannot handle are refused with a UsageError"


def check_agent(factory: Factory, *, spaces: Sequence[Spaces] | None = None) -> None:
    """Checks an agent: it acts within its space, is one program, and learns in the compiled engine.

    Args:
        factory: The class, or what ``component`` returns; called with ``Spaces``.
        spaces: Spaces that it must take. When None, usual ones are tried, and it must take one of them; it
            refuses the others with a ``UsageError``.

    Raises:
        ContractError: Names the clause that is broken.
    """
    clauses = Clauses("agent", factory)
    tried = spaces or _usual_spaces()
    taken = [given for given in tried if _takes(clauses, factory, given, must=spaces is not None)]
    clauses.require(taken, "it takes one of the usual spaces", f"it refuses {', '.join(map(_text, tried))}")
    impossible = Spaces(taken[0].observation, gymnasium.spaces.Text(3))
    refused = not _takes(clauses, factory, impossible, must=False)
    clauses.require(refused, _REFUSAL, f"it takes {_text(impossible)}")
    for given in taken:
        agent = factory(given)
        learner_parts.check_models(clauses, agent, factory(given))
        _check_acting(clauses, agent)
    agent = factory(taken[0])
    _check_compiled(clauses, agent)
    _check_learning(clauses, agent)


def _usual_spaces() -> list[Spaces]:
    box, discrete = gymnasium.spaces.Box, gymnasium.spaces.Discrete
    vector = box(-1.0, 1.0, (4,), np.float32)
    return [
        Spaces(vector, discrete(3)),
        Spaces(vector, discrete(2, start=5)),
        Spaces(vector, box(-2.0, 0.5, (2,), np.float32)),
        Spaces(box(0, 255, (84, 84, 4), np.uint8), discrete(3)),
        Spaces(box(0.0, 1.0, (10, 10, 4), np.float32), discrete(3)),
    ]


def _takes(clauses: Clauses, factory: Factory, spaces: Spaces, *, must: bool) -> bool:
    try:
        with clauses.clause(_REFUSAL):
            agent = factory(spaces)
    except UsageError as error:
        if must:
            raise clauses.broken(f"it takes {_text(spaces)}", error.message) from error
        return False
    is_agent = isinstance(agent, Agent)
    clauses.require(is_agent, "it is an advdl.rl.Agent", f"it is a {type(agent).__name__}")
    return True


def _check_acting(clauses: Clauses, agent: Agent) -> None:
    batch, before = _Batch(agent), values(agent)
    for how, progress in (("greedily", None), ("while training", _progress(0.0))):
        with clauses.clause(f"it acts {how}"):
            acted, again = batch.act(progress), batch.act(progress)
        _check_actions(clauses, acted.action, agent.spaces.action, how)
        same = np.array_equal(acted.action, again.action)
        clauses.require(same, "the same seed and observation give the same action", f"{how}, they do not")
        _check_rest(clauses, acted, batch.carry)
    greedy = batch.act(None).action
    close = _close(batch.act(None, rows=1).action, greedy[:1])
    clause = "the action for an observation does not depend on the rest of the batch"
    clauses.require(close, clause, "alone, it is another")
    changed = learner_parts.changed(before, values(agent))
    clauses.require(not changed, "acting changes no variable", f"it changes {changed[:1]}")


def _check_compiled(clauses: Clauses, agent: Agent) -> None:
    batch = _Batch(agent)
    clause = "act can be compiled by XLA, and then acts greedily as it does eagerly"
    with clauses.clause(clause):
        compiled = tf.function(lambda: batch.act(None).action, jit_compile=True)()
    clauses.require(_close(compiled, batch.act(None).action), clause, "compiled, it does not")


def _check_actions(clauses: Clauses, action: Any, space: gymnasium.Space[Any], how: str) -> None:
    found = np.asarray(action)
    clause = "actions are [num_envs, ...] in the action space's dtype"
    fits = found.shape == (_COPIES, *(space.shape or ())) and found.dtype == space.dtype
    clauses.require(fits, clause, f"{how}, they are {found.dtype} of shape {list(found.shape)}")
    outside = [row for row in found if row not in space]
    clauses.require(not outside, "actions are in the action space", f"{how}, {outside[:1]} is not in {space}")


def _check_rest(clauses: Clauses, acted: Acted, carry: Any) -> None:
    shapes = [tf.nest.map_structure(lambda value: value.shape, nest) for nest in (carry, acted.carry)]
    clause = "the carry keeps its structure and shapes"
    clauses.require(shapes[0] == shapes[1], clause, f"{shapes[0]} became {shapes[1]}")
    wrong = [name for name, value in acted.extras.items() if value.shape[:1] != (_COPIES,)]
    clauses.require(not wrong, "extras are [num_envs, ...]", f"{wrong[:1]} is not")
    wrong = [name for name, value in acted.metrics.items() if value.shape.rank != 0]
    clauses.require(not wrong, "metrics of act are scalars", f"{wrong[:1]} is not")


def _check_learning(clauses: Clauses, agent: Agent) -> None:
    """Runs the compiled engine until updates are due, in an env of arbitrary observations."""
    clause = "source(num_envs=n) builds what it learns from"
    with clauses.clause(clause):
        source = agent.source(num_envs=_COPIES)
    steps = first_updates(clauses, source)
    trainer = Trainer(agent, learner_parts.tunings(agent), total_updates=source.updates_in(steps))
    engine = CompiledEngine(_Shuffle(agent.spaces), agent, trainer, source, num_envs=_COPIES, total_steps=steps, seed=0)
    before = values(agent)
    with clauses.clause("it learns in the compiled engine, from transitions that its source accepts"):
        while engine.env_steps < steps:
            engine.advance(steps)
    made, planned = int(trainer.updates), source.updates_in(steps)
    clause = "updates_in counts the updates that are due"
    # Fewer is right: what feedback tells a source may end a round early.
    clauses.require(0 < made <= planned, clause, f"{made} were due in {steps} env steps, not {planned}")
    learner_parts.check_finite(clauses, agent, made)
    learner_parts.check_changed(clauses, before, agent, made)
    _check_source(clauses, agent, trainer)


def _check_source(clauses: Clauses, agent: Agent, trainer: Trainer) -> None:
    """The source alone; whatever clause it breaks is the agent's."""
    extras = _Batch(agent).act(_progress(0.0)).extras

    def report(batch: Batch) -> Mapping[str, tf.Tensor]:
        found: Mapping[str, tf.Tensor] = tf.function(trainer.update, autograph=False)(batch, tf.constant((3, 5)))
        return found

    def build() -> Source:
        return agent.source(num_envs=_COPIES)

    try:
        check_source(build, agent.spaces, num_envs=_COPIES, extras=extras, report=report)
    except ContractError as error:
        raise clauses.broken(f"its source keeps its contract: {error.clause}", error.detail) from error


class _Batch:
    """An agent, and the observations that it is asked about."""

    def __init__(self, agent: Agent) -> None:
        self._agent = agent
        self._observations = _samples(agent.spaces.observation, _COPIES)
        self.carry = agent.initial_carry(_COPIES)

    def act(self, progress: Progress | None, rows: int = _COPIES) -> Acted:
        carry = self._agent.initial_carry(rows)
        observations = tf.constant(self._observations[:rows])
        return self._agent.act(observations, carry, tf.constant((3, 5), tf.int32), progress=progress)


class _Shuffle(CompiledEnv):
    """Observations out of order and rewards of both signs; episodes of various lengths, seven steps at most.

    The state is the row of the observation. No random numbers: XLA takes a second to compile each of them.
    """

    max_episode_steps: ClassVar[int | None] = 7

    def __init__(self, spaces: Spaces) -> None:
        self.observation_space, self.action_space = spaces.observation, spaces.action
        self._pool = _samples(spaces.observation, _POOL)
        super().__init__()

    def initial(self, rng: tf.Tensor, params: Any = None, *, batch_size: int = 1) -> tf.Tensor:
        return tf.math.floormod(tf.range(batch_size) + rng[1], _POOL)

    def transition(self, state: tf.Tensor, action: Any, rng: tf.Tensor, params: Any = None) -> tf.Tensor:
        return tf.math.floormod(5 * state + 7, _POOL)

    def observation(self, state: tf.Tensor, rng: tf.Tensor, params: Any = None) -> tf.Tensor:
        return tf.gather(tf.constant(self._pool), state)

    def reward(
        self, state: tf.Tensor, action: Any, next_state: tf.Tensor, rng: tf.Tensor, params: Any = None
    ) -> tf.Tensor:
        return tf.cast(state, tf.float32) / _POOL - 0.5

    def terminal(self, state: tf.Tensor, rng: tf.Tensor, params: Any = None) -> tf.Tensor:
        return tf.equal(state % 6, 0)


def _samples(space: gymnasium.Space[Any], count: int) -> NDArray[Any]:
    space.seed(0)
    return np.stack([space.sample() for _ in range(count)])


def _progress(env_steps: float) -> Progress:
    return Progress(tf.constant(env_steps), 1000.0)


def _close(one: Any, two: Any) -> bool:
    return np.allclose(np.asarray(one), np.asarray(two), rtol=1e-3, atol=1e-4)


def _text(spaces: Spaces) -> str:
    return f"{spaces.observation} with {spaces.action}"
