"""Conformance of agents with their own learning loop."""

import json
from collections.abc import Mapping
from typing import Any

import gymnasium
import numpy as np

from advdl.errors import UsageError
from advdl.plugin.options import Factory
from advdl.rl.own_loop import POLICY, Assignment, OwnLoopAgent
from advdl.rl.spaces import Spaces
from advdl.testing.clauses import Clauses
from advdl.training.tensors import Array

_ENVS = ("CartPole-v1", "Pendulum-v1")
_STEPS = 400


def check_own_loop_agent(factory: Factory) -> None:
    """Checks an agent with its own loop in short runs: it stops, acts, and goes on from a saved state exactly.

    Args:
        factory: The class, or what ``component`` returns; called with an ``Assignment``. CartPole (discrete actions)
            and Pendulum (a Box) are tried, and it must take one of them; it refuses the other with a ``UsageError``.

    Raises:
        ContractError: Names the clause that is broken.
    """
    clauses = Clauses("agent", factory)
    taken = [env_id for env_id in _ENVS if _takes(clauses, factory, env_id)]
    clauses.require(taken, "it takes discrete actions or a Box of them", f"it refuses {' and '.join(_ENVS)}")
    for env_id in taken:
        _check_in(clauses, factory, env_id)


def _takes(clauses: Clauses, factory: Factory, env_id: str) -> bool:
    try:
        with clauses.clause("spaces that it cannot handle are refused with a UsageError"):
            _build(factory, env_id).close()
    except UsageError:
        return False
    return True


def _check_in(clauses: Clauses, factory: Factory, env_id: str) -> None:
    straight, stopped, resumed = (_build(factory, env_id) for _ in range(3))
    with clauses.clause("it learns until the steps that it is told"):
        _learn(straight, _STEPS)
        _learn(stopped, _STEPS // 3)
    for agent, until in ((straight, _STEPS), (stopped, _STEPS // 3)):
        clauses.require(agent.env_steps >= until, "it learns until the steps that it is told", f"{agent.env_steps}")
    _check_actions(clauses, stopped)
    arrays, facts = _saved(clauses, stopped)
    with clauses.clause("a saved state is taken back"):
        lost = resumed.restore(arrays, facts)
    clauses.require(not lost, "a saved state is taken back whole where the env allows it", "; ".join(lost))
    _learn(resumed, _STEPS)
    _learn(stopped, _STEPS)
    for agent, how in ((stopped, "in two calls"), (resumed, "from a saved state")):
        unequal = _unequal(straight.state(), agent.state())
        clauses.require(
            not unequal, "however a run is cut, it ends the same, bit for bit", f"{how}, {unequal[:3]} differ"
        )
    for agent in (straight, stopped, resumed):
        agent.close()


def _build(factory: Factory, env_id: str) -> OwnLoopAgent:
    with gymnasium.make(env_id) as env:
        spaces = Spaces(env.observation_space, env.action_space)
    agent: OwnLoopAgent = factory(Assignment(spaces, env_id, num_envs=2, seed=5, total_steps=_STEPS))
    return agent


def _learn(agent: OwnLoopAgent, until: int) -> None:
    if agent.env_steps < until:
        agent.learn(until, lambda name, value: None)


def _check_actions(clauses: Clauses, agent: OwnLoopAgent) -> None:
    spaces = agent.assignment.spaces
    spaces.observation.seed(0)
    for size in (1, 3):
        observations = np.stack([spaces.observation.sample() for _ in range(size)])
        with clauses.clause("it acts on batches of any size"):
            actions = np.asarray(agent.act(observations)).astype(spaces.action.dtype, casting="same_kind")
        fits = len(actions) == size and all(spaces.action.contains(action) for action in actions)
        clauses.require(fits, "its actions are in the action space", f"{actions!r} are not in {spaces.action}")
        again = np.asarray(agent.act(observations))
        clauses.require(
            np.array_equal(actions, again), "it acts without exploring", "asked twice, it answers differently"
        )


def _saved(clauses: Clauses, agent: OwnLoopAgent) -> tuple[dict[str, Array], Mapping[str, Any]]:
    clause = "its state is arrays of numbers, and facts that JSON can hold"
    with clauses.clause(clause):
        arrays = {name: np.array(array) for name, array in agent.state().items()}
        facts = json.loads(json.dumps(dict(agent.facts())))
    odd = [name for name, array in arrays.items() if array.dtype.kind not in "biufc"]
    clauses.require(not odd, clause, f"{odd} are none")
    named = [name for name in arrays if name.startswith(POLICY)]
    clauses.require(named, f"the names of the policy's arrays begin with {POLICY!r}", "none does")
    return arrays, facts


def _unequal(first: Mapping[str, Array], second: Mapping[str, Array]) -> list[str]:
    names = sorted(first.keys() | second.keys())
    return [
        name
        for name in names
        if name not in first or name not in second or not np.array_equal(first[name], second[name])
    ]
