"""Averaged weights, the gradient noise scale, norms, early stopping and the stopwatch."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from advdl.errors import UsageError
from advdl.training import Learner, Objective, Trainer, Tuning
from advdl.training.averages import used_variables
from advdl.training.early_stopping import EarlyStopping
from advdl.training.noise import estimates
from advdl.training.stopwatch import Stopwatch

SEED = tf.constant([1, 2], tf.int32)


class Mean(Learner):
    """Fits one vector to noisy samples: the gradient's mean and covariance are known."""

    def __init__(self, size=3):
        self.layer = keras.layers.Dense(size, use_bias=False, kernel_initializer="zeros", name="mean")
        self.layer.build((None, 1))

    @property
    def models(self):
        return {"mean": self.layer}

    def objectives(self):
        return [Objective("fit", self.loss, self.layer.trainable_variables)]

    def loss(self, batch, seed):
        return tf.reduce_mean(tf.reduce_sum((self.layer.kernel.value[0] - batch["x"]) ** 2, -1)) / 2, {}


def trainer_of(learner, rate=0.1, **options):
    optimizer = keras.optimizers.SGD(rate)
    optimizer.build(learner.layer.trainable_variables)
    return Trainer(learner, {"fit": Tuning(optimizer, lambda step, total: rate)}, total_updates=100, **options)


def batch(index, size=16):
    return {"x": 1.0 + 2.0 * tf.random.stateless_normal([size, 3], [5, index])}


def test_averages_follow_the_formula_and_are_used_by_name():
    learner = Mean()
    trainer = trainer_of(learner, ema=0.5)
    expected = np.zeros((1, 3))
    for index in range(6):
        trainer.update(batch(index), SEED)
        decay = min(0.5, (2 + index) / (11 + index))
        expected = decay * expected + (1 - decay) * learner.layer.kernel.numpy()
    state = trainer.state()
    np.testing.assert_allclose(state["average/mean/000.kernel"], expected, rtol=1e-5)
    weights = learner.layer.kernel.numpy()
    with trainer.averaged():
        np.testing.assert_array_equal(learner.layer.kernel.numpy(), state["average/mean/000.kernel"])
    np.testing.assert_array_equal(learner.layer.kernel.numpy(), weights)
    assert trainer.learnt().keys() == {"learner/mean/000.kernel", "average/mean/000.kernel"}
    assert used_variables(learner, averaged=True).keys() == {"average/mean/000.kernel"}
    assert used_variables(learner, averaged=False).keys() == {"learner/mean/000.kernel"}


def test_without_averages_nothing_is_swapped():
    learner = Mean()
    trainer = trainer_of(learner)
    trainer.update(batch(0), SEED)
    weights = learner.layer.kernel.numpy()
    with trainer.averaged():
        np.testing.assert_array_equal(learner.layer.kernel.numpy(), weights)
    assert not [name for name in trainer.state() if name.startswith("average")]


def test_the_noise_scale_is_that_of_a_known_gradient():
    """Samples have variance 4 in each of 3 directions, and the gradient is (1, 1, 1): the scale is 12 / 3."""
    trainer = trainer_of(Mean(), rate=0.0, accumulate=4, noise_scale=True)
    update = tf.function(lambda index: trainer.update(batch(index), SEED)["fit/noise_scale"], autograph=False)
    found = [float(update(tf.constant(index))) for index in range(500)]
    assert np.mean(found[300:]) == pytest.approx(4.0, rel=0.2)


def test_two_batch_sizes_give_both_terms_exactly():
    """Squared norms are signal + noise / size."""
    noise, signal = estimates(
        tf.constant(2.0 + 6.0 / 4), tf.constant(2.0 + 6.0 / 16), tf.constant(4.0), tf.constant(16.0)
    )
    assert (float(noise), float(signal)) == (pytest.approx(6.0), pytest.approx(2.0))


def test_the_noise_of_one_part_cannot_be_measured():
    with pytest.raises(UsageError, match="in one part"):
        trainer_of(Mean(), noise_scale=True)


def test_norms_of_weights_and_of_their_change():
    trainer = trainer_of(Mean(), log_norms=True)
    first = trainer.update(batch(0), SEED)
    assert float(first["fit/weight_norm"]) == pytest.approx(float(first["fit/change_norm"]))
    second = trainer.update(batch(1), SEED)
    assert float(second["fit/change_norm"]) == pytest.approx(0.1 * float(second["fit/gradient_norm"]), rel=1e-5)


class TestEarlyStopping:
    def test_it_stops_after_so_many_without_improvement(self):
        policy = EarlyStopping(patience=2, min_change=0.5)
        assert [policy.update(score) for score in (1.0, 2.0, 2.4, 2.6, 2.7, float("nan"))] == [False] * 5 + [True]
        assert policy.best == 2.6

    def test_lower_can_be_better_and_no_patience_never_stops(self):
        falling = EarlyStopping(patience=1, better="lower")
        assert [falling.update(score) for score in (3.0, 2.0, 2.0)] == [False, False, True]
        assert not any(EarlyStopping(patience=0).update(1.0) for _ in range(9))

    def test_it_goes_on_where_it_was(self):
        first, second = EarlyStopping(patience=2), EarlyStopping(patience=2)
        for score in (5.0, 4.0):
            first.update(score)
        second.restore(first.as_meta())
        assert second.update(4.0)


def test_the_stopwatch_counts_a_moment_once():
    times = iter([0.0, 1.0, 4.0, 6.0])
    watch = Stopwatch(lambda: next(times))
    with watch.span("save"), watch.span("log"):
        pass
    assert watch.read() == {"log": 3.0, "save": 3.0}
    assert watch.describe() == "log 50%, save 50%"
    assert Stopwatch().describe() == ""
