import numpy as np
import pytest
import tensorflow as tf

from advdl.rl.normalise import Normalise, RewardScale
from advdl.rl.rollout import RolloutSource
from advdl.training.randomness import permuted

HORIZON, COPIES = 6, 4
NUMBER = tf.TensorSpec((), tf.float32)


class Doubler:
    """Prepares the double of what was stored, and counts."""

    def __init__(self):
        self.prepared, self.finished = tf.Variable(0), tf.Variable(0)

    def prepare(self, rollout):
        self.prepared.assign_add(1)
        return {"double": rollout["number"] * 2.0}

    def finish(self):
        self.finished.assign_add(1)

    def state(self):
        return {"prepared": self.prepared}


def source_of(*, epochs=2, batch_size=8, stop=lambda report: tf.constant(False)):
    doubler = Doubler()
    source = RolloutSource(
        {"number": NUMBER, "secret": NUMBER},
        {"double": NUMBER},
        hidden=frozenset({"secret"}),
        num_envs=COPIES,
        horizon=HORIZON,
        epochs=epochs,
        batch_size=batch_size,
        preparation=doubler,
        stop=stop,
    )
    return source, doubler


def fill(source, first=0):
    """Adds a rollout of the numbers from ``first``; returns how many updates each step was followed by."""
    due = []
    for step in range(HORIZON):
        number = tf.range(COPIES, dtype=tf.float32) + float(first + step * COPIES)
        source.add({"number": number, "secret": number, "more": number})
        due.append(int(source.updates_due(tf.constant(0, tf.int64))))
    return due


def round_of(source, report=None):
    """Makes the round's updates as the engine does; returns its batches."""
    batches, index = [], 0
    while index < int(source.updates_due(tf.constant(0, tf.int64))):
        batch = source.sample(tf.constant([9, index]), tf.constant(index, tf.int64))
        source.feedback(batch, report or {})
        batches.append({name: value.numpy() for name, value in batch.items()})
        index += 1
    return batches


def test_updates_are_due_when_the_rollout_is_full():
    source, doubler = source_of()
    assert fill(source) == [0, 0, 0, 0, 0, 6]
    assert (int(doubler.prepared), int(doubler.finished)) == (1, 0)
    assert len(round_of(source)) == 6
    assert (int(doubler.prepared), int(doubler.finished)) == (1, 1)
    assert [source.updates_in(steps) for steps in (23, 24, 47, 48)] == [0, 6, 6, 12]


def test_an_epoch_gives_every_sample_once_and_in_an_order_of_its_own():
    source, _ = source_of()
    fill(source, first=100)
    batches = round_of(source)
    epochs = [np.concatenate([batch["number"] for batch in batches[i : i + 3]]) for i in (0, 3)]
    for epoch in epochs:
        assert sorted(epoch) == list(range(100, 124))
    assert not np.array_equal(*epochs)
    assert all(np.array_equal(batch["double"], 2 * batch["number"]) for batch in batches)
    assert set(batches[0]) == {"number", "double"}


def test_rollouts_follow_each_other():
    source, doubler = source_of()
    orders = []
    for first in (0, 100):
        assert fill(source, first)[-1] == 6
        orders.append(np.concatenate([batch["number"] for batch in round_of(source)]) - first)
    assert int(doubler.prepared) == int(doubler.finished) == 2
    assert not np.array_equal(*orders)


@pytest.mark.parametrize(("batch_size", "sizes"), [(7, [8, 8, 8]), (5, [6, 6, 6, 6]), (10, [12, 12]), (99, [24])])
def test_batches_are_of_the_size_asked_for_or_slightly_larger(batch_size, sizes):
    source, _ = source_of(epochs=1, batch_size=batch_size)
    fill(source)
    assert [len(batch["number"]) for batch in round_of(source)] == sizes


def test_a_round_can_be_stopped():
    source, doubler = source_of(stop=lambda report: report["kl"] > 0.5)
    fill(source)
    assert len(round_of(source, {"kl": tf.constant(0.4)})) == 6
    fill(source)
    assert len(round_of(source, {"kl": tf.constant(0.6)})) == 1
    assert int(doubler.finished) == 2
    assert fill(source)[-1] == 6


def test_the_state_goes_on_where_it_was_saved():
    source, _ = source_of()
    fill(source)
    other, _ = source_of()
    for name, variable in other.state().items():
        variable.assign(source.state()[name])
    for ours, theirs in zip(round_of(source), round_of(other), strict=True):
        np.testing.assert_array_equal(ours["number"], theirs["number"])


@pytest.mark.parametrize("size", [1, 2, 3, 100, 2048, 4099])
def test_it_is_a_permutation(size):
    order = tf.function(lambda seed: permuted(tf.range(size), size, seed), jit_compile=True)
    first, second = order(tf.constant([1, 2])).numpy(), order(tf.constant([1, 3])).numpy()
    assert sorted(first) == sorted(second) == list(range(size))
    assert size < 64 or np.mean(first == second) < 0.2
    np.testing.assert_array_equal(first, permuted(tf.range(size), size, tf.constant([1, 2])))


def test_permutations_put_everything_everywhere_and_part_neighbours():
    size, count = 30, 3_000
    order = tf.function(lambda seed: permuted(tf.range(size), size, seed), jit_compile=True)
    orders = np.array([order(tf.constant([5, index])) for index in range(count)])
    places = np.array([np.bincount(orders[:, place], minlength=size) for place in range(size)])
    chi_square = ((places - count / size) ** 2 / (count / size)).sum() / (size - 1) ** 2
    assert 0.8 < chi_square < 1.2
    steps = np.bincount(np.diff(orders, axis=1).ravel() % size, minlength=size)[1:]
    assert steps.max() / steps.min() < 1.25


def test_normalisation_takes_effect_with_the_commit_and_equals_the_moments_of_all():
    layer, rng = Normalise((3,), clip=5.0), np.random.default_rng(0)
    samples = rng.normal([1.0, -50.0, 0.0], [1.0, 0.1, 1e-3], size=(6, 7, 4, 3)).astype(np.float32)
    for part in samples:
        before = layer(part[0]).numpy()
        layer.observe(part)
        np.testing.assert_array_equal(layer(part[0]), before)
        layer.commit()
    flat = samples.reshape(-1, 3)
    np.testing.assert_allclose(layer.mean, flat.mean(0), atol=1e-4)
    np.testing.assert_allclose(layer.variance, flat.var(0), rtol=1e-3)
    assert np.abs(layer(np.full((1, 3), 1e6, np.float32)).numpy()).max() == 5.0


def test_what_is_observed_twice_before_a_commit_counts_once():
    layer = Normalise((1,))
    layer.observe(np.array([[5.0]], np.float32))
    layer.observe(np.array([[7.0]], np.float32))
    layer.commit()
    assert float(layer.mean[0]) == pytest.approx(7.0, rel=1e-3)


def test_rewards_are_scaled_but_not_shifted():
    scale = RewardScale(clip=4.0)
    scale.observe(np.random.default_rng(0).normal(30.0, 2.0, 50_000).astype(np.float32))
    scale.commit()
    np.testing.assert_allclose(scale(np.array([0.0, 1.0, -2.0, 99.0], np.float32)), [0.0, 0.5, -1.0, 4.0], atol=0.01)
