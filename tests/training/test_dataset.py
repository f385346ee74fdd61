"""Data in memory: splits, batches, held-out measures, one engine."""

import numpy as np
import pytest
import tensorflow as tf
from gymnasium import spaces

from advdl.errors import UsageError
from advdl.training import Dataset, DataSpec
from advdl.training.batches import DataBatches
from advdl.training.dataset import checked, split
from advdl.training.held_out import HeldOut

COUNT = 50


def numbers(count=COUNT, classes=5):
    x = np.arange(count, dtype=np.float32)[:, None]
    spec = DataSpec(spaces.Box(0, count, (1,), np.float32), spaces.Discrete(classes))
    return Dataset(x, np.arange(count) % classes, spec, tuple("abcde"[:classes]))


class Squares:
    """Measures x squared; no learner of data need be more than this to be measured."""

    def measure(self, batch, seed):
        return {"square": batch["x"][:, 0] ** 2, "class": tf.cast(batch["c"], tf.float32)}


class TestSplit:
    def test_every_class_gives_its_share_and_no_sample_is_on_both_sides(self):
        training, held_out = split(numbers(), 0.2, seed=0)
        assert np.bincount(held_out.c).tolist() == [2] * 5
        assert sorted([*training.x[:, 0], *held_out.x[:, 0]]) == list(range(COUNT))
        assert np.array_equal(training.c, training.x[:, 0] % 5)

    def test_the_seed_chooses(self):
        one, same, other = (split(numbers(), 0.2, seed=seed)[1].x for seed in (0, 0, 1))
        assert np.array_equal(one, same)
        assert not np.array_equal(one, other)

    def test_vectors_are_split_as_a_whole(self):
        spec = DataSpec(spaces.Box(0, 9, (1,), np.float32), spaces.Box(0, 1, (2,), np.float32))
        data = Dataset(np.zeros((10, 1), np.float32), np.zeros((10, 2), np.float32), spec)
        assert [len(part) for part in split(data, 0.3, seed=0)] == [7, 3]

    @pytest.mark.parametrize("count", [1, 2])
    def test_too_few_samples(self, count):
        with pytest.raises(UsageError, match=f"{count} samples are too few to hold a share of 0.1"):
            split(numbers(count), 0.1, seed=0)


class TestChecked:
    def test_what_is_within_its_range_is_given_back(self):
        data = numbers()
        assert checked(data) is data

    @pytest.mark.parametrize(
        ("x", "c", "message"),
        [
            ([[0.0], [51.0]], [0, 1], "sample 1 of x has the value 51, outside of its stated range 0 to 50"),
            ([[np.nan], [0.0]], [0, 1], "sample 0 of x has the value nan"),
            ([[0.0], [1.0]], [0, 5], "sample 1 of c has the value 5, outside of its stated range 0 to 4"),
            ([[0.0, 1.0]], [0], r"samples of x have the shape \[2\], not that of Box"),
        ],
    )
    def test_what_is_not_is_refused(self, x, c, message):
        data = Dataset(np.array(x, np.float32), np.array(c), numbers().spec)
        with pytest.raises(UsageError, match=message):
            checked(data)


class TestBatches:
    def test_an_epoch_has_every_sample_once_in_an_order_of_its_own(self):
        batches = DataBatches(numbers(), batch_size=10, seed=0)
        epochs = [[batches(tf.constant(5 * epoch + index, tf.int64)) for index in range(5)] for epoch in range(2)]
        orders = [np.concatenate([batch["x"][:, 0] for batch in epoch]) for epoch in epochs]
        assert all(sorted(order) == list(range(COUNT)) for order in orders)
        assert not np.array_equal(*orders)
        assert all(np.array_equal(batch["c"], batch["x"][:, 0] % 5) for epoch in epochs for batch in epoch)

    def test_what_fills_no_batch_is_left_out_of_its_epoch(self):
        batches = DataBatches(numbers(), batch_size=20, seed=3)
        order = np.concatenate([batches(tf.constant(index, tf.int64))["x"][:, 0] for index in range(2)])
        assert len(set(order)) == 40

    def test_more_than_there_is(self):
        with pytest.raises(UsageError, match="a batch of 64 is more than the 50 samples") as caught:
            DataBatches(numbers(), batch_size=64, seed=0)
        assert caught.value.hint == "--set model.batch_size=12"


def test_every_held_out_sample_is_measured_once_whatever_the_batch():
    for size in (7, 50, 256):
        figures = HeldOut(Squares(), numbers(), batch_size=size, jit=False)(seed=0)
        assert np.array_equal(figures["square"], np.arange(COUNT) ** 2)
        assert np.array_equal(figures["class"], np.arange(COUNT) % 5)
