import numpy as np
import pytest
import tensorflow as tf
from gymnasium import spaces

from advdl.errors import UsageError
from advdl.rl import Spaces, UniformReplay

VECTOR = Spaces(spaces.Box(-1.0, 1.0, (2,), np.float32), spaces.Discrete(3))
PIXELS = Spaces(spaces.Box(0, 255, (4, 4, 1), np.uint8), spaces.Box(-1.0, 1.0, (2,), np.float32))
SEED = tf.constant((1, 2), tf.int32)
FIRST = tf.constant(0, tf.int64)


def replay(where=VECTOR, **options):
    sizes = {"num_envs": 4, "capacity": 12, "batch_size": 8, "learning_starts": 0, "train_every": 4, "updates": 1}
    return UniformReplay(where, **{**sizes, **options})


def step(number, copies=4):
    """Every value of a transition says which one it is."""
    which = np.arange(copies) + number * copies
    return {
        "observation": tf.constant(np.stack([which, -which], 1), tf.float32),
        "next_observation": tf.constant(np.stack([which + 0.5, which], 1), tf.float32),
        "action": tf.constant(which % 3),
        "reward": tf.constant(which, tf.float32) * 10,
        "terminated": tf.constant(which % 2 == 0),
        "truncated": tf.constant(which % 5 == 0),
        "extra": tf.constant(which),
    }


def stored(source):
    return {name: variable.numpy() for name, variable in source.state().items()}


@pytest.mark.parametrize("jit", [False, True])
def test_the_oldest_are_overwritten(jit):
    source = replay()
    add = tf.function(source.add, jit_compile=jit, autograph=False)
    for number in range(4):
        add(step(number))
    state = stored(source)
    assert state["added"] == 16
    np.testing.assert_array_equal(state["reward"] / 10, [12, 13, 14, 15, 4, 5, 6, 7, 8, 9, 10, 11])
    which = state["reward"] / 10
    np.testing.assert_array_equal(state["observation"], np.stack([which, -which], 1))
    np.testing.assert_array_equal(state["next_observation"], np.stack([which + 0.5, which], 1))
    np.testing.assert_array_equal(state["action"], which % 3)
    np.testing.assert_array_equal(state["terminated"], which % 2 == 0)


@pytest.mark.parametrize(("capacity", "copies", "rounded"), [(12, 4, 12), (13, 4, 16), (1, 4, 4), (10, 1, 10)])
def test_the_capacity_is_rounded_up_to_whole_steps(capacity, copies, rounded):
    source = replay(capacity=capacity, num_envs=copies)
    assert source.capacity == rounded
    assert stored(source)["reward"].shape == (rounded,)


def test_only_what_is_there_is_drawn_each_as_often_and_whole():
    source = replay(capacity=400, batch_size=20_000)
    for number in range(3):
        source.add(step(number))
    batch = {name: value.numpy() for name, value in source.sample(SEED, FIRST).items()}
    which = batch["reward"] / 10
    np.testing.assert_allclose(np.bincount(which.astype(int)) / 20_000, np.full(12, 1 / 12), atol=0.01)
    np.testing.assert_array_equal(batch["observation"][:, 0], which)
    np.testing.assert_array_equal(batch["next_observation"][:, 0], which + 0.5)
    np.testing.assert_array_equal(batch["terminated"], which % 2 == 0)
    for number in range(3, 110):  # beyond the capacity, the first are gone
        source.add(step(number))
    which = source.sample(SEED, FIRST)["reward"].numpy() / 10
    assert which.min() >= 40
    assert which.max() == 439


def test_a_batch_is_a_function_of_the_seed():
    source = replay(capacity=400)
    for number in range(50):
        source.add(step(number))
    one, again, other = (source.sample(SEED + seed, FIRST)["reward"].numpy() for seed in (0, 0, 1))
    np.testing.assert_array_equal(one, again)
    assert not np.array_equal(one, other)


@pytest.mark.parametrize("where", [VECTOR, PIXELS])
def test_memory_is_the_arithmetic_of_its_docstring(where):
    source = replay(where, capacity=1000)
    size = sum(value.nbytes for name, value in stored(source).items() if name != "added")
    observation, action = (np.zeros(space.shape, space.dtype).nbytes for space in (where.observation, where.action))
    assert size == source.capacity * (2 * observation + action + 4 + 1)


def test_dtypes_are_those_of_the_spaces_but_never_float64():
    doubles = Spaces(spaces.Box(-1.0, 1.0, (2,), np.float64), spaces.Discrete(3))
    assert stored(replay(PIXELS))["observation"].dtype == np.uint8
    assert stored(replay(PIXELS))["action"].dtype == np.float32
    assert stored(replay(doubles))["observation"].dtype == np.float32
    assert stored(replay())["action"].dtype == np.int64


def test_a_space_without_a_shape_is_refused():
    words = Spaces(spaces.Dict({"a": spaces.Text(5)}), spaces.Discrete(2))
    with pytest.raises(UsageError, match="the replay cannot store Text"):
        replay(words)


@pytest.mark.parametrize("updates", [1, 3])
@pytest.mark.parametrize("starts", [0, 1, 7, 16, 50])
@pytest.mark.parametrize("every", [1, 4, 6, 10, 32])
@pytest.mark.parametrize("copies", [1, 4, 16])
def test_updates_in_counts_what_is_due(copies, every, starts, updates):
    source = replay(num_envs=copies, capacity=64, train_every=every, learning_starts=starts, updates=updates)
    made = 0
    for env_steps in range(copies, 130, copies):
        due = int(source.updates_due(tf.constant(env_steps, tf.int64)))
        assert due in (0, updates)
        assert not due or env_steps >= starts
        made += due
        assert source.updates_in(env_steps) == made
    rounds = 129 // (-(-every // copies) * copies)
    assert made <= rounds * updates
    assert made >= (rounds - -(-starts // every) - 1) * updates


def many(count):
    steps = [step(number) for number in range(count)]
    return {name: tf.stack([one[name] for one in steps]) for name in steps[0]}


@pytest.mark.parametrize("options", [{}, {"capacity": 8}, {"n_step": 2}], ids=["at once", "in turn", "several steps"])
@pytest.mark.parametrize("count", [1, 2, 3])
def test_a_round_is_what_its_steps_are(options, count):
    at_once, in_turn = replay(**options), replay(**options)
    for source in (at_once, in_turn):
        source.add(step(7))
    tf.function(at_once.add_round, autograph=False)(many(3), tf.constant(count, tf.int64))
    for number in range(count):
        in_turn.add(step(number))
    for name, value in stored(in_turn).items():
        np.testing.assert_array_equal(stored(at_once)[name], value)
