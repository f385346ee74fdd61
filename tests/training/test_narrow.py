"""NarrowDense computes what Dense does, another way."""

import keras
import numpy as np
import pytest
import tensorflow as tf
from dense_gradients import gradients

from advdl.training import NarrowDense


@pytest.mark.parametrize(("units", "shape"), [(1, (5, 7)), (2, (5, 7)), (3, (3, 4, 7)), (4, (5, 7))])
@pytest.mark.parametrize("options", [{}, {"use_bias": False}, {"activation": "tanh"}])
def test_narrow_dense_and_its_gradient_equal_dense(units, shape, options):
    x = tf.random.stateless_normal(shape, [0, units])
    narrow, dense = NarrowDense(units, **options), keras.layers.Dense(units, **options)
    narrow.build(shape), dense.build(shape)
    dense.set_weights(narrow.get_weights())
    for ours, theirs in zip(gradients(narrow, x), gradients(dense, x), strict=True):
        np.testing.assert_allclose(ours, theirs, rtol=1e-5, atol=1e-6)


def test_a_policy_is_computed_as_by_dense_to_the_bit():
    x = tf.random.stateless_normal([5, 7], [0, 0])
    narrow, dense = NarrowDense(2), keras.layers.Dense(2)
    narrow.build(x.shape), dense.build(x.shape)
    dense.set_weights(narrow.get_weights())
    assert np.array_equal(narrow(x).numpy(), dense(x).numpy())
