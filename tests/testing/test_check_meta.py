"""Tasks that break one clause each: the check names it."""

import gymnasium
import numpy as np
import pytest
import tensorflow as tf

from advdl.rl import CompiledEnv, EnvTasks
from advdl.testing import ContractError, check_tasks
from advdl.training import DataSpec, Tasks


class Lines(Tasks):
    """Kept, but for what a test changes."""

    dtype, parts, fixed, low = tf.float32, ("support", "query"), False, -1.0

    @property
    def spec(self):
        return DataSpec(gymnasium.spaces.Box(-1.0, 1.0, (2,), np.float32))

    def sample(self, seed, count, *, held_out=False):
        seed = tf.constant([1, 1]) if self.fixed else seed
        x = tf.random.stateless_uniform([count, 4, 2], seed, self.low, 1.0, alg="philox")
        return {part: {"x": tf.cast(x, self.dtype)} for part in self.parts}


def clause(check, factory):
    with pytest.raises(ContractError) as caught:
        check(factory)
    return caught.value.clause


def changed(**attributes):
    return type("Changed", (Lines,), attributes)


@pytest.mark.parametrize(
    ("factory", "expected"),
    [
        (lambda: object(), "it is an advdl.training.Tasks"),
        (changed(spec=None), "spec says what a sample is"),
        (changed(parts=("support",)), 'a sample is {"support": {...}, "query": {...}}'),
        (changed(dtype=tf.float64), "fields have the shape and the dtype of spec"),
        (changed(low=-9.0), "samples lie in the spaces of spec"),
        (changed(fixed=True), "another seed draws other tasks"),
    ],
)
def test_tasks_that_break_a_clause(factory, expected):
    assert clause(check_tasks, factory) == expected


class Still(CompiledEnv):
    """An env whose task is a number."""

    observation_space = gymnasium.spaces.Box(-1.0, 1.0, (1,), np.float32)
    action_space = gymnasium.spaces.Discrete(2)

    def initial(self, rng, params=None, *, batch_size=1):
        return tf.zeros([batch_size, 1])

    def observation(self, state, rng, params=None):
        return state


class Played(EnvTasks):
    episodes, horizon, gamma, trace, ranges = 2, 3, 0.9, 1.0, {}
    size = 1

    def __init__(self):
        self.env = Still()

    def draw(self, seed, count, *, held_out=False):
        return {"goal": tf.random.stateless_uniform([count * self.size], seed)}


def test_played_tasks_that_break_a_clause():
    check_tasks(Played)
    assert clause(check_tasks, type("Wide", (Played,), {"size": 2})) == "params are scalars or [count]"
    assert clause(check_tasks, type("Empty", (Played,), {"horizon": 0})) == "episodes and horizon are positive"
