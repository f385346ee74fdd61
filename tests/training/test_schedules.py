import itertools

import keras
import numpy as np
import pytest
import tensorflow as tf

from advdl.errors import UsageError
from advdl.training.schedules import (
    Constant,
    Cosine,
    Exponential,
    Linear,
    Piecewise,
    Schedule,
    as_schedule,
)

EVERY_KIND = {
    "constant": Constant(value=0.3),
    "linear": Linear(start=1.0, end=0.05, over=0.4),
    "linear by steps": Linear(start=1.0, end=0.05, over=30),
    "linear up": Linear(start=0.4, end=1.0),
    "cosine": Cosine(start=3e-4, alpha=0.1),
    "cosine with warm-up": Cosine(start=3e-4, warmup=0.1, over=80),
    "cosine with restarts": Cosine(start=1.0, alpha=0.05, warmup=10, restarts=3, growth=2.0, shrink=0.5),
    "exponential": Exponential(start=1.0, rate=0.5, every=10, end=0.01),
    "staircase": Exponential(start=1.0, rate=0.5, every=0.1, staircase=True),
    "piecewise": Piecewise(values=(1.0, 0.5, 0.1), boundaries=(0.29, 0.57)),
    "piecewise by steps": Piecewise(values=(1.0, 0.5, 0.1), boundaries=(29, 57)),
}
STEPS = range(0, 131)
TOTAL = 100


@pytest.mark.parametrize("jit", [False, True], ids=["graph", "xla"])
@pytest.mark.parametrize("dtype", [tf.int64, tf.float32])
@pytest.mark.parametrize("schedule", EVERY_KIND.values(), ids=EVERY_KIND)
def test_traced_and_plain_values_are_the_same(schedule, dtype, jit):
    @tf.function(jit_compile=jit, autograph=False)
    def traced(steps):
        def one(step):
            value = schedule(step, TOTAL)
            assert value.dtype == tf.float32
            assert value.shape == ()
            return value

        return tf.map_fn(one, steps, fn_output_signature=tf.float32)

    plain = [schedule(step, TOTAL) for step in STEPS]
    assert all(isinstance(value, float) for value in plain)
    np.testing.assert_allclose(traced(tf.cast(tf.range(len(plain)), dtype)), plain, rtol=1e-5, atol=1e-7)


@pytest.mark.parametrize("schedule", EVERY_KIND.values(), ids=EVERY_KIND)
def test_every_schedule_fulfils_the_protocol_at_the_edges(schedule):
    assert isinstance(schedule, Schedule)
    for step, total in itertools.product((0, 1, 10**9), (0, 1, 10**9)):
        assert np.isfinite(schedule(step, total))
    traced_total = schedule(tf.constant(7, tf.int64), tf.constant(100, tf.int64))
    assert float(traced_total) == pytest.approx(schedule(7, 100), rel=1e-5)


def test_linear():
    schedule = Linear(start=1.0, end=0.05, over=0.2)
    assert [schedule(step, 1000) for step in (0, 100, 200, 999)] == pytest.approx([1.0, 0.525, 0.05, 0.05])
    assert Linear(start=1.0, over=50)(25, 1000) == 0.5


@pytest.mark.parametrize("warmup", [0, 20])
def test_cosine_equals_keras(warmup):
    ours = Cosine(start=0.5, alpha=0.1, warmup=warmup, over=100)
    theirs = keras.optimizers.schedules.CosineDecay(
        0.0 if warmup else 0.5,
        100 - warmup,
        alpha=0.1,
        warmup_target=0.5 if warmup else None,
        warmup_steps=warmup,
    )
    np.testing.assert_allclose(
        [ours(step, 1000) for step in range(130)], [float(theirs(step)) for step in range(130)], rtol=1e-5
    )


def test_cosine_restarts_equal_keras():
    ours = Cosine(start=0.5, alpha=0.1, over=70, restarts=2, growth=2.0, shrink=0.5)  # periods of 10, 20, 40
    theirs = keras.optimizers.schedules.CosineDecayRestarts(0.5, 10, t_mul=2.0, m_mul=0.5, alpha=0.1)
    steps = [step for step in range(70) if step not in (10, 30)]  # where float32 may fall on either side
    np.testing.assert_allclose([ours(step, 1000) for step in steps], [float(theirs(step)) for step in steps], rtol=1e-4)
    assert [ours(step, 1000) for step in (0, 10, 30, 70)] == pytest.approx([0.5, 0.275, 0.1625, 0.05])


@pytest.mark.parametrize("staircase", [False, True])
def test_exponential_equals_keras(staircase):
    ours = Exponential(start=0.5, rate=0.9, every=7, staircase=staircase)
    theirs = keras.optimizers.schedules.ExponentialDecay(0.5, 7, 0.9, staircase=staircase)
    np.testing.assert_allclose(
        [ours(step, 1000) for step in range(100)], [float(theirs(step)) for step in range(100)], rtol=1e-4
    )
    assert Exponential(start=1.0, rate=0.1, every=1, end=0.2)(1000, 1000) == 0.2


@pytest.mark.parametrize("total", [10, 100, 1000, 10_000_000])
def test_piecewise_changes_at_the_very_step(total):
    schedule = Piecewise(values=(1.0, 0.5, 0.1), boundaries=(0.3, 0.7))
    first, second = 3 * total // 10, 7 * total // 10
    for convert in (float, lambda step: tf.constant(step, tf.int64)):
        values = [float(schedule(convert(step), total)) for step in (0, first, second - total // 5, second)]
        assert values == pytest.approx([1.0, 0.5, 0.5, 0.1])
    assert schedule(first - 1, total) == 1.0 or total > 1e6


def test_piecewise_refuses_what_does_not_match():
    with pytest.raises(UsageError, match="3 values and 1 boundaries"):
        Piecewise(values=(1.0, 2.0, 3.0), boundaries=(0.5,))
    with pytest.raises(UsageError, match="must rise"):
        Piecewise(values=(1.0, 2.0, 3.0), boundaries=(0.5, 0.5))


def test_a_number_is_a_constant_schedule():
    assert as_schedule(3)(0.0, 1.0) == 3.0
    schedule = Linear(start=1.0)
    assert as_schedule(schedule) is schedule
