import keras
import numpy as np
import pytest
import tensorflow as tf

from advdl_vision.strided import StridedConvolution

# The two of Nature's network, one whose steps leave pixels over at the edges, and two that are computed as they are.
CASES = [
    ((2, 36, 36, 4), 8, {"strides": 4}),
    ((2, 20, 20, 6), 4, {"strides": 2, "use_bias": False}),
    ((2, 11, 13, 3), (4, 2), {"strides": (2, 1), "activation": "relu"}),
    ((2, 11, 13, 3), 3, {"strides": 2}),
    ((2, 11, 13, 3), 4, {"strides": 2, "padding": "same"}),
]


def drawn(*shape):
    return np.random.default_rng(0).normal(size=shape).astype(np.float32)


@pytest.mark.parametrize("jit", [True, False])
@pytest.mark.parametrize(("shape", "kernel", "options"), CASES)
def test_it_equals_keras_convolution_forward_and_backward(shape, kernel, options, jit):
    layers = [
        kind(5, kernel, data_format="channels_last", **options) for kind in (StridedConvolution, keras.layers.Conv2D)
    ]
    image = tf.constant(drawn(*shape))
    for layer in layers:
        layer.build(shape)
        layer.set_weights([drawn(*variable.shape) / 8 for variable in layer.variables])

    @tf.function(jit_compile=jit)
    def values_and_gradients(layer):
        with tf.GradientTape() as tape:
            tape.watch(image)
            values = layer(image)
            loss = tf.reduce_mean(tf.square(values - 1.0))
        return values, *tape.gradient(loss, [image, *(variable.value for variable in layer.variables)])

    for found, expected in zip(*map(values_and_gradients, layers), strict=True):
        scale = np.abs(expected).max()
        np.testing.assert_allclose(found / scale, expected / scale, atol=1e-5)


def test_its_config_and_weights_are_those_of_a_convolution():
    layer = StridedConvolution(5, 8, strides=4, name="conv")
    again = StridedConvolution.from_config(layer.get_config())
    again.build((None, 84, 84, 4))
    assert [tuple(variable.shape) for variable in again.variables] == [(8, 8, 4, 5), (5,)]
    assert again.compute_output_shape((None, 84, 84, 4)) == (None, 20, 20, 5)


def test_an_image_of_any_size_is_convolved_as_it_is():
    model = keras.Sequential([keras.Input((None, None, 3)), StridedConvolution(2, 4, strides=2)])
    assert model(drawn(1, 9, 12, 3)).shape == (1, 3, 5, 2)
