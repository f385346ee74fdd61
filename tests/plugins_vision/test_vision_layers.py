import keras
import numpy as np
import pytest
import tensorflow as tf

from advdl.testing import check_layer, component
from advdl_vision.dense_block import DenseBlock, Transition
from advdl_vision.inception_module import InceptionModule, LocalResponseNormalization
from advdl_vision.patches import PatchConvolution
from advdl_vision.residual import BottleneckBlock, PreActivationBlock, ResidualBlock
from advdl_vision.units import Unit

LAYERS = [
    "residual",
    "bottleneck",
    "preactivation_residual",
    "inception_module",
    "local_response_norm",
    "dense_block",
    "transition",
]


def maps(*shape):
    return np.random.default_rng(0).normal(size=shape).astype(np.float32)


@pytest.mark.parametrize("name", LAYERS)
def test_every_layer_keeps_the_contract(name):
    check_layer(component("layer", name))


def test_groups_keep_the_contract():
    check_layer(component("layer", "dense_block", norm="group", layers=2, growth=4), shapes=[(5, 5, 6)])


def test_a_block_whose_main_path_is_silent_is_its_shortcut():
    x = maps(2, 6, 6, 8)
    for block in (ResidualBlock(filters=8, norm="none"), PreActivationBlock(), BottleneckBlock(filters=2)):
        block(x)
        for variable in block.variables:
            if variable.path.endswith(("kernel", "bias")):
                variable.assign(tf.zeros(variable.shape))
        expected = x if isinstance(block, PreActivationBlock) else np.maximum(x, 0)
        np.testing.assert_allclose(block(x), expected, atol=1e-6)


def test_the_residual_block_computes_what_the_paper_says():
    x, block = maps(2, 6, 6, 3), ResidualBlock(filters=4, strides=2, norm="none")
    found = np.asarray(block(x))
    shortcut, *main = [block.get_weights()[start : start + 2] for start in (0, 2, 4)]
    assert [kernel.shape for kernel, _ in (shortcut, *main)] == [(1, 1, 3, 4), (3, 3, 3, 4), (3, 3, 4, 4)]
    padded = np.pad(x, ((0, 0), (1, 1), (1, 1), (0, 0)))
    hidden = tf.nn.relu(tf.nn.conv2d(padded, main[0][0], 2, "VALID") + main[0][1])
    hidden = tf.nn.conv2d(hidden, main[1][0], 1, "SAME") + main[1][1]
    expected = tf.nn.relu(hidden + tf.nn.conv2d(x, shortcut[0], 2, "VALID") + shortcut[1])
    np.testing.assert_allclose(found, expected, atol=1e-5)


@pytest.mark.parametrize(
    ("options", "projected"),
    [
        ({"filters": 8}, False),
        ({"filters": 8, "projection": "always"}, True),
        ({"filters": 4}, True),
        ({"filters": 8, "strides": 2}, True),
    ],
)
def test_the_shortcut_is_projected_where_shapes_differ(options, projected):
    block = ResidualBlock(**options)
    block(maps(1, 4, 4, 8))
    assert any("shortcut" in variable.path for variable in block.variables) == projected


@pytest.mark.parametrize(("at", "steps"), [("first", (2, 1, 1)), ("3x3", (1, 2, 1))])
def test_the_bottleneck_steps_where_it_is_told(at, steps):
    block = BottleneckBlock(filters=2, strides=2, strides_at=at)
    assert block(maps(1, 8, 8, 3)).shape == (1, 4, 4, 8)
    convolutions = [layer for layer in block._flatten_layers() if isinstance(layer, keras.layers.Conv2D)]
    main = [layer for layer in convolutions if "shortcut" not in layer.path]
    assert [layer.kernel_size[0] for layer in main] == [1, 3, 1]
    assert tuple(layer.strides[0] for layer in main) == steps


def test_a_dense_block_concatenates():
    x, block = maps(2, 5, 5, 6), DenseBlock(layers=3, growth=4, bottleneck=0, norm="none")
    found = np.asarray(block(x))
    assert found.shape == (2, 5, 5, 6 + 3 * 4)
    np.testing.assert_array_equal(found[..., :6], x)
    kernels, biases = block.get_weights()[::2], block.get_weights()[1::2]
    assert [kernel.shape[2] for kernel in kernels] == [6, 10, 14]
    expected = x
    for kernel, bias in zip(kernels, biases, strict=True):
        new = tf.nn.conv2d(np.maximum(expected, 0), kernel, 1, "SAME") + bias
        expected = np.concatenate([expected, new], axis=-1)
    np.testing.assert_allclose(found, expected, atol=1e-5)


def test_a_transition_halves_channels_and_sides():
    assert Transition()(maps(1, 7, 8, 6)).shape == (1, 3, 4, 3)
    assert Transition(compression=1.0)(maps(1, 7, 8, 6)).shape == (1, 3, 4, 6)


def test_the_inception_module_has_its_four_branches_in_order():
    x = maps(2, 6, 6, 5)
    module = InceptionModule(one=2, three_reduce=3, three=4, five_reduce=1, five=6, pool=7)
    found = module(x)
    weights = {v.path.split("/", 1)[1]: v.numpy() for v in module.variables}
    assert weights["three/conv/kernel"].shape == (3, 3, 3, 4)
    assert weights["five/conv/kernel"].shape == (5, 5, 1, 6)

    def convolve(tensor, name):
        kernel, bias = weights[f"{name}/conv/kernel"], weights[f"{name}/conv/bias"]
        return tf.nn.relu(tf.nn.conv2d(tensor, kernel, 1, "SAME") + bias)

    three = convolve(convolve(x, "three_reduce"), "three")
    five = convolve(convolve(x, "five_reduce"), "five")
    pooled = convolve(tf.nn.max_pool2d(x, 3, 1, "SAME"), "pool")
    expected = np.concatenate([convolve(x, "one"), three, five, pooled], axis=-1)
    np.testing.assert_allclose(found, expected, atol=1e-5)


def test_local_response_normalisation_is_that_of_tensorflow():
    x = 3 * maps(2, 3, 3, 11)
    found = LocalResponseNormalization(size=5, alpha=0.5, beta=0.6, bias=2.0)(x)
    expected = tf.nn.local_response_normalization(x, depth_radius=2, alpha=0.1, beta=0.6, bias=2.0)
    np.testing.assert_allclose(found, expected, rtol=1e-5)


def test_even_padding_is_alike_on_both_sides():
    unit = Unit(1, 3, strides=2, padding="even", activation="linear")
    ones = np.ones((1, 6, 6, 1), np.float32)
    unit(ones)
    unit.set_weights([np.ones((3, 3, 1, 1)), np.zeros(1)])
    assert np.asarray(unit(ones))[0, :, :, 0].tolist() == [[4, 6, 6], [6, 9, 9], [6, 9, 9]]


@pytest.mark.parametrize(("channels", "groups"), [(64, 32), (48, 16), (6, 2), (7, 1)])
def test_groups_divide_the_channels(channels, groups):
    unit = Unit(channels, norm="group")
    unit(maps(1, 3, 3, 2))
    assert unit._norm.groups == groups


def test_a_normalised_convolution_has_no_bias_unless_told():
    for options, biased in (({"norm": "batch"}, False), ({"norm": "batch", "bias": True}, True), ({}, True)):
        unit = Unit(2, **options)
        unit(maps(1, 3, 3, 2))
        assert any(v.path.endswith("conv/bias") for v in unit.variables) == biased


@pytest.mark.parametrize(("padding", "kernel"), [("valid", (3, 3)), ("same", (2, 3))])
def test_a_convolution_as_a_product_equals_keras_s_in_values_and_gradients(padding, kernel):
    options = {"padding": padding, "name": "conv"}
    product = PatchConvolution(5, kernel, **options)
    convolution = keras.layers.Conv2D(5, kernel, data_format="channels_last", **options)
    image = tf.constant(maps(3, 7, 6, 4))
    shape = convolution.compute_output_shape(image.shape)
    assert product.compute_output_shape(image.shape) == shape == product(image).shape == convolution(image).shape
    convolution.set_weights([maps(*variable.shape) for variable in convolution.variables])
    product.set_weights(convolution.get_weights())
    towards = tf.constant(maps(*shape))

    @tf.function(jit_compile=True)
    def values_and_gradients(layer):
        with tf.GradientTape() as tape:
            tape.watch(image)
            values = layer(image)
            loss = tf.reduce_sum(tf.square(values - towards))
        return values, *tape.gradient(loss, [image, *(variable.value for variable in layer.variables)])

    for found, expected in zip(values_and_gradients(product), values_and_gradients(convolution), strict=True):
        np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-4)
