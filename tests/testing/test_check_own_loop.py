"""The check of agents with their own loop: one that keeps the contract, and one for each clause that can break."""

import gymnasium
import numpy as np
import pytest

from advdl.errors import UsageError
from advdl.rl.own_loop import OwnLoopAgent
from advdl.testing import ContractError, check_own_loop_agent


class Searching(OwnLoopAgent):
    """Random search: a direction of the observation, kept where an episode brought more than the best before."""

    def __init__(self, assignment):
        super().__init__(assignment)
        if not isinstance(assignment.spaces.action, gymnasium.spaces.Discrete):
            raise UsageError("it needs Discrete actions")
        self._generator = np.random.default_rng(assignment.seed)
        self._best, self._score, self._steps = np.zeros(4), np.zeros(()), 0

    @property
    def env_steps(self):
        return self._steps

    def learn(self, until, report):
        while self._steps < until:
            tried = self._generator.normal(size=4)
            with gymnasium.make(self.assignment.env_id) as env:
                observation, _ = env.reset(seed=self._steps)
                score, done = 0.0, False
                while not done:
                    observation, reward, terminated, truncated, _ = env.step(int(observation @ tried > 0))
                    score, done, self._steps = score + reward, terminated or truncated, self._steps + 1
            report("rollout/return", score)
            if score > self._score:
                self._best, self._score = tried, np.array(score)

    def act(self, observations):
        return (observations @ self._best > 0).astype(np.int64)

    def state(self):
        return {"learner/direction": self._best, "score": self._score}

    def facts(self):
        return {"steps": self._steps, "generator": self._generator.bit_generator.state}

    def restore(self, arrays, facts):
        self.restore_policy(arrays)
        self._score, self._steps = np.array(arrays["score"]), facts["steps"]
        self._generator.bit_generator.state = facts["generator"]
        return []

    def restore_policy(self, arrays):
        self._best = np.array(arrays["learner/direction"])

    def close(self):
        pass


class TakesNothing(Searching):
    def __init__(self, assignment):
        super().__init__(assignment)
        raise UsageError("never")


class Crashes(Searching):
    def __init__(self, assignment):
        raise IndexError("spaces")


class StopsEarly(Searching):
    def learn(self, until, report):
        super().learn(1, report)


class Explores(Searching):
    def act(self, observations):
        self._asked = 1 - getattr(self, "_asked", 0)
        return np.full(len(observations), self._asked)


class ActsOutside(Searching):
    def act(self, observations):
        return super().act(observations) + 2


class OneAtATime(Searching):
    def act(self, observations):
        return super().act(observations)[:1]


class Nameless(Searching):
    def state(self):
        return {"direction": self._best}


class Unspeakable(Searching):
    def facts(self):
        return {**super().facts(), "self": self}


class Forgets(Searching):
    def restore(self, arrays, facts):
        super().restore(arrays, facts)
        self._generator = np.random.default_rng(0)
        return []


class Loses(Searching):
    def restore(self, arrays, facts):
        super().restore(arrays, facts)
        return ["the env was lost"]


class DependsOnTheCut(Searching):
    def learn(self, until, report):
        self._generator = np.random.default_rng(self._steps)
        super().learn(until, report)


def test_an_agent_that_keeps_the_contract():
    check_own_loop_agent(Searching)


@pytest.mark.parametrize(
    ("broken", "clause"),
    [
        (TakesNothing, "it takes discrete actions or a Box of them"),
        (Crashes, "spaces that it cannot handle are refused with a UsageError"),
        (StopsEarly, "it learns until the steps that it is told"),
        (Explores, "it acts without exploring"),
        (ActsOutside, "its actions are in the action space"),
        (OneAtATime, "its actions are in the action space"),
        (Nameless, "the names of the policy's arrays begin with 'learner/'"),
        (Unspeakable, "its state is arrays of numbers, and facts that JSON can hold"),
        (Forgets, "however a run is cut, it ends the same, bit for bit"),
        (Loses, "a saved state is taken back whole where the env allows it"),
        (DependsOnTheCut, "however a run is cut, it ends the same, bit for bit"),
    ],
)
def test_a_broken_clause_is_named(broken, clause):
    with pytest.raises(ContractError) as failure:
        check_own_loop_agent(broken)
    assert failure.value.clause == clause
