"""Targets of several steps and frames stored once, against plain Python that kept everything."""

from typing import Any

import numpy as np
import pytest
import tensorflow as tf
from gymnasium import spaces
from replay_cases import FIRST, SEED, Stream

from advdl.errors import UsageError
from advdl.rl import Spaces, UniformReplay
from advdl.rl.replay_ring import Ring, n_step_return

GAMMA = 0.9


def where(stream: Stream, dtype: Any = np.uint8) -> Spaces:
    shape = (stream.stack, *stream.shape) if stream.first else (*stream.shape, stream.stack)
    box = spaces.Box(0, 255, shape, dtype)
    return Spaces(box, spaces.Discrete(3))


def ring(stream: Stream, capacity: int, n_step: int = 1, frame_stack: int = 0) -> Ring:
    sizes = {"num_envs": stream.copies, "capacity": capacity}
    return Ring(where(stream), **sizes, n_step=n_step, gamma=GAMMA, frame_stack=frame_stack)


def differences(memory: Ring, stream: Stream, rows: dict[int, tuple[int, int]], n_step: int) -> list[Any]:
    """Names what the ring gives otherwise than the stream had it."""
    batch = {name: value.numpy() for name, value in memory.batch(tf.constant([*rows], tf.int64)).items()}
    found = []
    for place, (copy, start) in enumerate(rows.values()):
        wanted = stream.target(copy, start, n_step, GAMMA)
        wanted = wanted if n_step > 1 else {name: value for name, value in wanted.items() if name != "discount"}
        assert batch.keys() == wanted.keys()
        found += [(copy, start, name) for name in wanted if not np.allclose(batch[name][place], wanted[name])]
    return found


@pytest.mark.parametrize("frame_stack", [0, 1])
@pytest.mark.parametrize("n_step", [1, 3, 7])
@pytest.mark.parametrize("copies", [1, 3])
def test_every_row_is_right_at_every_step(copies: int, n_step: int, frame_stack: int) -> None:
    """Terminations, truncations, the seam of the ring, and rings shorter than the steps, all of them are met."""
    stream = Stream(copies)
    memory = ring(stream, 5 * copies, n_step, frame_stack)
    add = tf.function(memory.add, autograph=False)
    for _ in range(40):
        add(stream.step())
        rows = stream.rows(memory.capacity)
        if frame_stack:
            readable = np.asarray(memory.draw(SEED, 200)).tolist()
            rows = {row: rows[row] for row in {*readable}}
        assert not differences(memory, stream, rows, n_step)
    steps = [step for copy in stream.seen for step in copy]
    assert {(bool(step["terminated"]), bool(step["truncated"])) for step in steps} >= {(True, False), (False, True)}


@pytest.mark.parametrize(("jit", "first"), [(False, True), (True, False)])
def test_stacks_are_rebuilt_bit_for_bit(jit: bool, first: bool) -> None:
    stream = Stream(2, stack=4, length=30.0, shape=(3, 2), first=first)
    memory = ring(stream, 80, n_step=2, frame_stack=4)
    add = tf.function(memory.add, jit_compile=jit, autograph=False)
    for number in range(150):
        add(stream.step())
        if number % 7 == 0:
            rows = stream.rows(memory.capacity)
            readable = {row: rows[row] for row in {*np.asarray(memory.draw(SEED, 500)).tolist()}}
            assert not differences(memory, stream, readable, 2)
            assert len(readable) == int(memory.count())
    assert int(memory.count()) > 0.9 * memory.capacity


def test_short_episodes_cost_the_oldest_transitions_and_nothing_else() -> None:
    """Episodes of two steps take six frames, so a third of the transitions fit."""
    stream = Stream(3, stack=4, length=2.0)
    memory = ring(stream, 120, frame_stack=4)
    add = tf.function(memory.add, autograph=False)
    for _ in range(200):
        _, lost = add(stream.step())
    rows = stream.rows(memory.capacity)
    drawn = np.asarray(memory.draw(SEED, 20_000))
    assert not differences(memory, stream, {row: rows[row] for row in {*drawn.tolist()}}, 1)
    count = int(memory.count())
    assert 120 / 4 < count < 120 / 2
    shares = np.bincount(drawn, minlength=120)[np.unique(drawn)] / 20_000
    assert len(shares) == count
    np.testing.assert_allclose(shares, 1 / count, atol=0.012)  # each as often
    assert lost.shape == (3 * 6,)
    for copy in range(3):  # those that are left are each copy's last ones
        held = sorted(number for row, (owner, number) in rows.items() if owner == copy and row in {*drawn.tolist()})
        assert held == [*range(200 - len(held), 200)]


def test_an_env_that_was_put_elsewhere_is_noticed() -> None:
    """As an env is that had to be begun anew when a run was resumed: no transition says that an episode ended."""
    stream = Stream(2, stack=3, length=1e9)
    memory = ring(stream, 60, frame_stack=3)
    add = tf.function(memory.add, autograph=False)
    for number in range(20):
        add(stream.step())
        if number in (4, 11):
            stream.now[0] = stream._begin()
    rows = stream.rows(memory.capacity)
    assert int(memory.count()) == 40
    assert not differences(memory, stream, rows, 1)


def test_pixels_take_about_one_frame_a_transition() -> None:
    pixels = Spaces(spaces.Box(0, 255, (84, 84, 4), np.uint8), spaces.Discrete(6))
    memory = Ring(pixels, num_envs=8, capacity=2_000, n_step=3, gamma=0.99, frame_stack=4)
    size = sum(value.numpy().nbytes for value in memory.state().values())
    assert size < 1.06 * 2_000 * 84 * 84
    whole = Ring(pixels, num_envs=8, capacity=80, n_step=1, gamma=0.99, frame_stack=0)
    assert sum(value.numpy().nbytes for value in whole.state().values()) > 8 * 80 * 84 * 84


def test_what_is_no_stack_is_refused() -> None:
    with pytest.raises(UsageError, match="into 3 frames"):
        ring(Stream(1, stack=4), 8, frame_stack=3)
    nested = Spaces(spaces.Dict({"a": spaces.Discrete(2)}), spaces.Discrete(2))
    with pytest.raises(UsageError, match="into 4 frames"):
        Ring(nested, num_envs=1, capacity=8, n_step=1, gamma=0.9, frame_stack=4)


def test_nested_observations_are_stored_leaf_by_leaf() -> None:
    nested = spaces.Dict({"a": spaces.Discrete(9), "b": spaces.Tuple([spaces.Box(-9.0, 9.0, (2,), np.float64)])})
    memory = Ring(Spaces(nested, spaces.Discrete(3)), num_envs=2, capacity=4, n_step=2, gamma=0.9, frame_stack=0)

    def seen(number: int) -> Any:
        return {"a": tf.constant([number, number + 1]), "b": (tf.fill([2, 2], float(number)),)}

    for number in range(3):
        flags = {"terminated": tf.zeros([2], tf.bool), "truncated": tf.zeros([2], tf.bool)}
        step = {"action": tf.zeros([2], tf.int64), "reward": tf.ones([2]), **flags}
        memory.add({"observation": seen(number), "next_observation": seen(number + 1), **step})
    batch = memory.batch(tf.constant([3, 0], tf.int64))  # the second copy's of step 1, the first copy's of step 2
    np.testing.assert_array_equal(batch["observation"]["a"], [2, 2])
    np.testing.assert_array_equal(batch["next_observation"]["a"], [4, 3])
    np.testing.assert_array_equal(batch["next_observation"]["b"][0], [[3, 3], [3, 3]])
    assert {"observation/000", "observation/001", "next_observation/001"} <= memory.state().keys()


def test_returns_are_those_of_numpy() -> None:
    draws = np.random.default_rng(0)
    reward, last = draws.normal(size=(50, 6)).astype(np.float32), draws.random((50, 6)) < 0.3
    total, length = n_step_return(tf.constant(reward), tf.constant(last), GAMMA)
    for row in range(50):
        count = (*np.flatnonzero(last[row]), 5)[0] + 1
        assert length[row] == count
        np.testing.assert_allclose(
            total[row], (reward[row, :count] * GAMMA ** np.arange(count)).sum(), rtol=1e-4, atol=1e-6
        )


def test_a_replay_that_was_restored_goes_on_as_if_it_had_never_stopped() -> None:
    def replay() -> UniformReplay:
        sizes = {"batch_size": 16, "learning_starts": 0, "train_every": 1, "updates": 1}
        return UniformReplay(where(stream), num_envs=2, capacity=40, n_step=3, gamma=GAMMA, frame_stack=2, **sizes)

    stream = Stream(2, stack=2, length=5.0)
    kept, fresh = replay(), replay()
    add_kept, add_fresh = (tf.function(source.add, autograph=False) for source in (kept, fresh))
    steps = [stream.step() for _ in range(43)]
    for step in steps[:33]:
        add_kept(step)
    for name, variable in fresh.state().items():
        variable.assign(kept.state()[name])
    for step in steps[33:]:
        add_kept(step)
        add_fresh(step)
        for one, other in zip(kept.sample(SEED, FIRST).values(), fresh.sample(SEED, FIRST).values(), strict=True):
            np.testing.assert_array_equal(one, other)
