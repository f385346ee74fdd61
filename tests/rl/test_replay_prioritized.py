"""Prioritized replay: the tree against NumPy's sums, the samples against the priorities' distribution."""

from itertools import pairwise
from typing import Any

import numpy as np
import pytest
import tensorflow as tf
from gymnasium import spaces
from replay_cases import FIRST, SEED, Stream

from advdl.rl import PrioritizedReplay, Spaces
from advdl.rl.replay_sums import SumTree

SIZES: dict[str, Any] = {"learning_starts": 0, "train_every": 1, "updates": 1}


def replay(stream: Stream, capacity: int, **options: Any) -> PrioritizedReplay:
    box = spaces.Box(0, 255, (*stream.shape, stream.stack), np.uint8)
    where = Spaces(box, spaces.Discrete(3))
    return PrioritizedReplay(where, num_envs=stream.copies, capacity=capacity, **SIZES, **options)


def leaves(source: PrioritizedReplay) -> Any:
    return source.state()["priorities/level 0"].numpy().ravel()


@pytest.mark.parametrize("jit", [False, True])
@pytest.mark.parametrize("size", [1, 32, 33, 5_000])
def test_a_tree_is_its_leaves_and_their_sums(size: int, jit: bool) -> None:
    tree, draws = SumTree(size), np.random.default_rng(0)
    assign = tf.function(tree.assign, jit_compile=jit, autograph=False)
    plain = np.zeros(size, np.float32)
    for _ in range(6):
        chosen = draws.integers(0, size, min(size, 64))
        values = draws.random(size).astype(np.float32)[chosen]  # equal ones get equal values
        plain[chosen] = values
        assign(tf.constant(chosen), tf.constant(values))
    levels = [level.numpy() for level in tree.state().values()]
    np.testing.assert_array_equal(levels[0].ravel()[:size], plain)
    np.testing.assert_array_equal(tree.priorities(tf.range(size, dtype=tf.int64)), plain)
    for below, above in pairwise(levels):
        np.testing.assert_allclose(above.ravel()[: len(below)], below.sum(axis=1), rtol=1e-5)
    assert float(tree.total()) == pytest.approx(plain.sum(), rel=1e-5)


def test_a_place_lies_where_numpy_says() -> None:
    size, draws = 3_000, np.random.default_rng(1)
    tree = SumTree(size)
    plain = np.where(draws.random(size) < 0.5, 0, draws.random(size)).astype(np.float32)
    tree.assign(tf.range(size, dtype=tf.int64), tf.constant(plain))
    places = (draws.random(4_000) * float(tree.total())).astype(np.float32)
    found = np.asarray(tree.find(tf.constant(places)))
    ends = plain.cumsum(dtype=np.float64)
    assert (plain[found] > 0).all()
    assert (ends[found] >= places - 1e-2).all()  # within what float32 can say of a sum of 750
    assert (ends[found] - plain[found] <= places + 1e-2).all()


def test_rounding_never_leads_to_what_has_no_priority() -> None:
    tree = SumTree(1_000)
    tree.assign(tf.constant([3, 700], tf.int64), tf.constant([1.0, 1e-7]))
    found = tree.find(tf.constant([0.0, 0.5, np.nextafter(np.float32(1), np.float32(0)), 1.0, 1.1]))
    np.testing.assert_array_equal(found, [3, 3, 3, 700, 700])


def test_samples_are_in_proportion_to_priorities_and_weights_undo_it() -> None:
    stream = Stream(2)
    source = replay(stream, 50, batch_size=40_000, exponent=0.7)
    for _ in range(25):
        source.add(stream.step())
    error = np.random.default_rng(0).normal(size=50).astype(np.float32)
    source.feedback({"row": tf.range(50, dtype=tf.int64)}, {"q/priority": tf.constant(error)})
    batch = source.sample(SEED, FIRST)
    rows, weight = np.asarray(batch["row"]), np.asarray(batch["weight"])
    powered = (np.abs(error) + 1e-6) ** 0.7
    wanted = powered / powered.sum()
    np.testing.assert_allclose(np.bincount(rows, minlength=50) / 40_000, wanted, atol=1e-3)
    unbiased = (50 * wanted[rows]) ** -0.5  # the stream's importance
    np.testing.assert_allclose(weight, unbiased / unbiased.max(), rtol=1e-3)


def test_a_new_transition_has_the_greatest_priority_that_there_was() -> None:
    stream = Stream(2)
    source = replay(stream, 8, batch_size=4, exponent=0.5)
    source.add(stream.step())
    np.testing.assert_array_equal(leaves(source)[:4], [1, 1, 0, 0])
    source.feedback({"row": tf.constant([0, 1], tf.int64)}, {"q/priority": tf.constant([-9.0, 4.0])})
    np.testing.assert_allclose(leaves(source)[:2], [3, 2], rtol=1e-5)
    source.add(stream.step())
    np.testing.assert_allclose(leaves(source)[:5], [3, 2, 3, 3, 0], rtol=1e-5)
    source.feedback({"row": tf.constant([0], tf.int64)}, {"q/priority": tf.constant([1.0])})
    source.add(stream.step())
    np.testing.assert_allclose(leaves(source)[:6], [1, 2, 3, 3, 3, 3], rtol=1e-5)


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_what_is_not_finite_changes_no_priority(bad: float) -> None:
    stream = Stream(2)
    source = replay(stream, 8, batch_size=4)
    source.add(stream.step())
    before = {name: value.numpy() for name, value in source.state().items()}
    source.feedback({"row": tf.constant([0, 1], tf.int64)}, {"q/priority": tf.constant([3.0, bad])})
    for name, value in source.state().items():
        np.testing.assert_array_equal(value, before[name])


def test_what_lost_its_frames_is_never_drawn() -> None:
    stream = Stream(3, stack=4, length=2.0)
    source = replay(stream, 60, batch_size=2_000, frame_stack=4, n_step=2, gamma=0.9)
    add = tf.function(source.add, autograph=False)
    for number in range(100):
        add(stream.step())
        if number % 20 == 19:
            batch = source.sample(SEED, FIRST)
            readable = {*np.asarray(source._ring.draw(SEED, 4_000)).tolist()}
            assert {*np.asarray(batch["row"]).tolist()} == readable
            assert np.flatnonzero(leaves(source)).tolist() == sorted(readable)
            rows = stream.rows(60)
            wanted = [stream.target(*rows[row], 2, 0.9)["observation"] for row in np.asarray(batch["row"])]
            np.testing.assert_array_equal(batch["observation"], wanted)


def test_it_is_one_compiled_loop_and_restored_exactly() -> None:
    stream = Stream(2)
    source = replay(stream, 40, batch_size=8, n_step=3, gamma=0.9)
    for _ in range(30):
        step = stream.step()
        source.add(step)

    def body(index: tf.Tensor, total: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        batch = source.sample(SEED + tf.cast(index, tf.int32), index)
        source.feedback(batch, {"q/priority": batch["reward"]})
        source.add(step)
        return index + 1, total + tf.reduce_sum(batch["weight"] * batch["reward"])

    @tf.function(jit_compile=True, autograph=False)
    def loop() -> tf.Tensor:
        return tf.while_loop(lambda index, _: index < 20, body, (FIRST, tf.constant(0.0)), parallel_iterations=1)[1]

    def values() -> dict[str, Any]:
        return {name: variable.numpy() for name, variable in source.state().items()}

    start, total, end = values(), float(loop()), values()
    assert not np.array_equal(start["priorities/level 0"], end["priorities/level 0"])
    for name, variable in source.state().items():
        variable.assign(start[name])
    assert float(loop()) == total
    for name, value in values().items():
        np.testing.assert_array_equal(value, end[name])
