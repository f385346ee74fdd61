"""SlicedDense computes what Dense does, in slices."""

import keras
import numpy as np
import pytest
import tensorflow as tf
from dense_gradients import gradients

from advdl.training import SlicedDense
from advdl.training.sliced import _slices


@pytest.mark.parametrize("shape", [(256, 32), (64, 32), (100, 32), (128, 4)])
@pytest.mark.parametrize("options", [{}, {"use_bias": False}, {"activation": "tanh"}])
def test_sliced_dense_and_its_gradient_equal_dense(shape, options):
    x = tf.random.stateless_normal(shape, [0, 1])
    sliced, dense = SlicedDense(24, **options), keras.layers.Dense(24, **options)
    sliced.build(shape), dense.build(shape)
    dense.set_weights(sliced.get_weights())
    for ours, theirs in zip(gradients(sliced, x), gradients(dense, x), strict=True):
        np.testing.assert_allclose(ours, theirs, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize(
    ("shape", "units", "slices"),
    [((256, 64), 64, 4), ((64, 64), 64, 1), ((256, 4), 64, 1), ((256, 256), 256, 1), ((None, 64), 64, 1)],
)
def test_only_small_layers_of_whole_slices_are_sliced(shape, units, slices):
    assert _slices(shape, units) == slices
