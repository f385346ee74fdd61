import itertools

import pytest
import tensorflow as tf

from advdl.training import FusedLoop, RunningMeans, Stream
from advdl.training.state import read


def counter(jit=True, chunk_seconds=1.0, sick_at=None):
    total, healthy = tf.Variable(0, dtype=tf.int64), tf.Variable(True)
    means = RunningMeans()

    def step(index):
        total.assign_add(index)
        means.add("index", tf.cast(index, tf.float32))
        if sick_at is not None:
            healthy.assign(index < sick_at)

    return FusedLoop(step, healthy=healthy, jit=jit, chunk_seconds=chunk_seconds), total, means


@pytest.mark.parametrize("jit", [False, True])
def test_steps_are_counted_and_the_limit_is_kept(jit):
    loop, total, means = counter(jit)
    loop.build()
    at = 0
    while at < 100:
        at = loop.advance(at, 100 - at)
    assert (at, int(total)) == (100, sum(range(100)))
    assert means.read() == {"index": pytest.approx(49.5)}


def test_the_first_call_is_one_step_and_calls_grow():
    loop, *_ = counter()
    sizes, at = [], 0
    for _ in range(4):
        end = loop.advance(at, 10**9)
        sizes.append(end - at)
        at = end
    assert sizes[0] == 1
    assert all(before < after <= 8 * before for before, after in itertools.pairwise(sizes))


def test_a_call_ends_when_the_trainer_is_no_longer_healthy():
    loop, *_ = counter(sick_at=3)
    at = loop.advance(0, 100)
    assert loop.advance(at, 100) == 4


def test_how_a_run_is_cut_does_not_matter():
    def run(cuts):
        value = tf.Variable(0.5)
        stream = Stream(3, "noise")

        def step(index):
            value.assign(value * 0.9 + tf.random.stateless_normal([], stream.at(index)))

        loop, at = FusedLoop(step, healthy=tf.Variable(True)), 0
        for cut in cuts:
            while at < cut:
                at = loop.advance(at, cut - at)
        return float(value)

    assert run([50]) == run([1, 2, 17, 50])


def test_means_survive_a_round_trip_through_their_state():
    means = RunningMeans()
    means.add("a", tf.constant(3.0), 1.0)
    means.add("b", tf.constant(0.0), 0.0)
    assert means.read() == {"a": 3.0}
    assert means.peek("a") == 3.0
    assert means.peek("b") is None
    assert set(means.state()) == {"a/sum", "a/count", "b/sum", "b/count"}
    means.reset()
    assert means.read() == {}


def test_means_of_many_names_are_kept_apart_whatever_they_are_added_with():
    means, names = RunningMeans(), [f"n{index}" for index in range(150)]
    means.add_all({name: tf.constant(float(index)) for index, name in enumerate(names)})
    means.add_all({"n149": tf.constant(1.0), "n3": tf.constant(float("nan")), "n1": tf.constant(5.0)}, 2.0)
    assert means.read() == {**{f"n{index}": float(index) for index in range(150)}, "n1": 2.0, "n149": 50.0}


def test_what_is_assigned_to_the_state_of_means_is_what_they_go_on_from():
    one, other = RunningMeans(), RunningMeans()
    one.add_all({"a": tf.constant(3.0), "b": tf.constant(4.0)})
    other.add_all({"b": tf.constant(9.0), "a": tf.constant(9.0)})
    for name, value in read(one.state()).items():
        other.state()[name].assign(value)
    assert other.read() == one.read() == {"a": 3.0, "b": 4.0}


def test_streams_differ_by_seed_purpose_and_step():
    seeds = [Stream(s, p).at(i).numpy().tolist() for s in (0, 1) for p in ("act", "env") for i in (0, 1)]
    assert len({tuple(seed) for seed in seeds}) == 8
