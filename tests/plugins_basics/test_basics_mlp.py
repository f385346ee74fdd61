import json
import os
import subprocess
import sys
from pathlib import Path

import gymnasium
import keras
import numpy as np
import pytest
import tensorflow as tf
from gymnasium import spaces
from mlp_cases import SIZES, SPACES, batch, build, outputs

from advdl.errors import UsageError
from advdl.plugin.host import PluginHost
from advdl_basics.mlp import MLP

VECTOR = SPACES["vector"]


@pytest.mark.parametrize("name", SPACES)
def test_observations_of_every_space_become_features(name):
    model = MLP(SPACES[name])
    assert isinstance(model, keras.Model)
    assert model.output_shape == (None, 128)
    assert model.get_layer("flat").output.shape == (None, SIZES[name])
    assert model.get_layer("dense_0").kernel.shape == (SIZES[name], 128)
    features = model(batch(name))
    assert features.shape == (3, 128)
    assert features.dtype == tf.float32
    assert np.isfinite(features).all()


def test_what_the_first_layer_sees():
    def seen(space, observations):
        return MLP(space, units=())(np.array(observations, space.dtype)).numpy().tolist()

    assert seen(spaces.Discrete(3, start=5), [5, 7]) == [[1, 0, 0], [0, 0, 1]]
    assert seen(spaces.MultiDiscrete([2, 3], start=[0, 1]), [[1, 1], [0, 3]]) == [
        [0, 1, 1, 0, 0],
        [1, 0, 0, 0, 1],
    ]
    assert seen(spaces.MultiBinary(3), [[1, 0, 1]]) == [[1, 0, 1]]
    assert seen(spaces.Box(0, 255, (2,), np.uint8), [[0, 255]]) == [[0, 1]]
    assert seen(spaces.Box(-300, 300, (2,), np.int16), [[-300, 7]]) == [[-300, 7]]


def test_bounded_components_are_rescaled_where_that_is_asked_for():
    def seen(space, observations):
        return MLP(space, units=(), rescale=True)(np.array(observations, space.dtype)).numpy()

    car = gymnasium.make("MountainCar-v0").observation_space
    np.testing.assert_allclose(
        seen(car, [[-1.2, -0.07], [-0.3, 0.0], [0.6, 0.07]]), [[-1, -1], [0, 0], [1, 1]], atol=1e-6
    )
    half_open = spaces.Box(np.array([0, -np.inf, 0, -3.4e38], "f"), np.array([4, 5, np.inf, 3.4e38], "f"))
    assert seen(half_open, [[1, 2, 3, 4]]).tolist() == [[-0.5, 2, 3, 4]]
    assert seen(spaces.Box(0, 255, (3,), np.uint8), [[0, 255, 0]]).tolist() == [[-1, 1, -1]]
    assert seen(spaces.Box(2.0, 2.0, (1,)), [[2.0]]).tolist() == [[2.0]]
    assert seen(spaces.Discrete(3), [2]).tolist() == [[0, 0, 1]]


def test_layers_have_stable_names():
    first = MLP(VECTOR, units=(3, 2), layer_norm=True)
    second = MLP(VECTOR, units=(3, 2), layer_norm=True)
    names = ["observation", "flat", "dense_0", "norm_0", "activation_0", "dense_1", "norm_1", "activation_1"]
    assert [layer.name for layer in first.layers] == names
    assert [weight.path for weight in first.weights] == [weight.path for weight in second.weights]
    assert first.name == second.name == "mlp"


def test_the_same_seed_gives_the_same_network():
    weights = []
    for _ in range(2):
        keras.utils.set_random_seed(3)
        weights.append(MLP(VECTOR).get_weights())
    assert all(np.array_equal(one, other) for one, other in zip(*weights, strict=True))


@pytest.mark.parametrize("name", SPACES)
def test_it_compiles_and_learns(name):
    model = build(name)

    @tf.function(jit_compile=True, autograph=False)
    def gradients(observations):
        with tf.GradientTape() as tape:
            loss = tf.reduce_sum(model(observations, training=True) ** 2)
        return tape.gradient(loss, [weight.value for weight in model.trainable_weights])

    computed = gradients(tf.constant(batch(name)))
    assert all(np.isfinite(gradient).all() for gradient in computed)
    assert all(np.any(gradient) for gradient in computed)
    np.testing.assert_allclose(tf.function(model, jit_compile=True)(batch(name)), model(batch(name)), atol=1e-5)


def test_mixed_precision_computes_in_half_and_keeps_weights_whole():
    policy = keras.config.dtype_policy()
    keras.config.set_dtype_policy("mixed_bfloat16")
    try:
        model = MLP(VECTOR)
        assert model(batch("vector")).dtype == tf.bfloat16
        assert {weight.dtype for weight in model.weights} == {"float32"}
    finally:
        keras.config.set_dtype_policy(policy)


@pytest.mark.parametrize("space", [spaces.Dict({"a": VECTOR}), spaces.Tuple([VECTOR]), spaces.Text(3)])
def test_other_spaces_are_refused_in_one_sentence(space):
    with pytest.raises(UsageError, match=rf"cannot see observations of {type(space).__name__} spaces"):
        MLP(space)


@pytest.mark.parametrize(
    ("options", "match"),
    [
        ({"units": [64, 0]}, r"backbone\.units cannot be \[64, 0\]"),
        ({"units": 64}, r"backbone\.units cannot be 64"),
        ({"activation": "rellu"}, r"backbone\.activation cannot be 'rellu'"),
        ({"unit": [64]}, "backbone has no option 'unit'"),
    ],
)
def test_wrong_options_are_one_clear_sentence(options, match):
    with pytest.raises(UsageError, match=match):
        PluginHost.from_environment().build("backbone", {"name": "mlp", **options}, VECTOR)


def test_the_torch_backend_gives_the_same_features():
    script = Path(__file__).with_name("mlp_cases.py")
    env = {**os.environ, "KERAS_BACKEND": "torch"}
    done = subprocess.run([sys.executable, str(script)], env=env, capture_output=True, text=True, check=True)
    theirs = json.loads(done.stdout)
    assert theirs["backend"] == "torch"
    for name, ours in outputs().items():
        np.testing.assert_allclose(theirs["outputs"][name], ours, atol=1e-5, err_msg=name)
