import gymnasium
import numpy as np
import pytest
import tensorflow as tf
from advdl.rl import Spaces
from advdl.testing import check_agent, component

SPACES = Spaces(gymnasium.spaces.Box(-1.0, 1.0, (4,), np.float32), gymnasium.spaces.Discrete(2))


def test_it_keeps_its_contract() -> None:
    check_agent(component("agent", "sarsa"))


@pytest.mark.parametrize(("cautious", "expected"), [(0.0, [3.0, 5.0]), (1.0, [2.0, 5.0]), (0.5, [2.5, 5.0])])
def test_the_expectation_is_that_of_an_epsilon_greedy_policy(cautious: float, expected: list[float]) -> None:
    agent = component("agent", "sarsa", cautious=cautious)(SPACES)
    found = agent.expected(tf.constant([[1.0, 3.0], [5.0, 5.0]]))
    np.testing.assert_allclose(found, expected)
