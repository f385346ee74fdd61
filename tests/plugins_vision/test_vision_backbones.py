import json
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import ClassVar

import keras
import numpy as np
import pytest
import tensorflow as tf
from gymnasium import spaces
from vision_cases import CASES, batch, outputs, randomize

from advdl.errors import UsageError
from advdl.plugin.host import PluginHost
from advdl.testing import check_backbone, component
from advdl.training.compilation import convolves

ATARI = spaces.Box(0, 255, (84, 84, 4), np.uint8)
MINATAR = spaces.Box(0.0, 1.0, (10, 10, 4), bool)
SMALL = {"minatar_cnn": 10, "impala": 10, "resnet": 10, "inception": 10, "densenet": 10, "nature_cnn": 36}
LARGE = {"resnet10": 16}
# A minute and more of compilation each time; the same blocks are in the ones above.
LARGEST = {"resnet18": 32, "resnet34": 32, "resnet50": 32, "inception_v1": 32, "inception_v3": 75}
LARGEST |= {"densenet121": 32, "densenet169": 32, "densenet201": 32}
ALL = "ADVDL_TEST_ALL" in os.environ


@pytest.fixture(scope="module")
def host():
    return PluginHost.from_environment()


def image(side, channels=3):
    return spaces.Box(0, 255, (side, side, channels), np.uint8)


@pytest.mark.parametrize("name", [*SMALL, *LARGE])
def test_every_backbone_keeps_the_contract(name):
    check_backbone(component("backbone", name), spaces=[image({**SMALL, **LARGE}[name])])


@pytest.mark.skipif(not ALL, reason="takes minutes; set ADVDL_TEST_ALL")
@pytest.mark.parametrize("name", LARGEST)
def test_the_largest_backbones_keep_the_contract(name):
    check_backbone(component("backbone", name), spaces=[image(LARGEST[name])])


@pytest.mark.parametrize("name", SMALL)
@pytest.mark.parametrize(
    ("norm", "pooling"),
    [("none", "max"), ("layer", "flatten"), ("group", "average"), ("batch", "average")],
)
def test_norm_and_pooling_are_options(host, name, norm, pooling):
    space = image(SMALL[name])
    model = host.build("backbone", {"name": name, "norm": norm, "pooling": pooling, "units": 7}, space)
    assert model.output_shape == (None, 7)
    kinds = {
        "layer": keras.layers.LayerNormalization,
        "group": keras.layers.GroupNormalization,
        "batch": keras.layers.BatchNormalization,
    }
    layers = list(model._flatten_layers())
    for kind, cls in kinds.items():
        assert any(isinstance(layer, cls) for layer in layers) == (kind == norm)
    assert any(isinstance(layer, keras.layers.Flatten) for layer in layers) == (pooling == "flatten")


@pytest.mark.parametrize(
    ("name", "norm", "pooling"),
    [
        ("nature_cnn", "none", "flatten"),
        ("minatar_cnn", "none", "flatten"),
        ("impala", "none", "average"),
        ("resnet", "layer", "average"),
        ("inception", "layer", "average"),
        ("densenet", "layer", "average"),
        ("resnet18", "batch", "average"),
    ],
)
def test_the_defaults_are_those_of_the_literature(host, name, norm, pooling):
    defaults = host.resolve("backbone", name)
    assert (defaults["norm"], defaults["pooling"]) == (norm, pooling)


def test_the_published_sizes_of_the_small_networks():
    """Counted from the papers' tables: kernels and biases."""
    nature = CASES["nature_cnn"][0](ATARI)
    convolutions = 8 * 8 * 4 * 32 + 32 + 4 * 4 * 32 * 64 + 64 + 3 * 3 * 64 * 64 + 64
    assert nature.count_params() == convolutions + 7 * 7 * 64 * 512 + 512 == 1_684_128
    minatar = CASES["minatar_cnn"][0](MINATAR)
    assert minatar.count_params() == 3 * 3 * 4 * 16 + 16 + 8 * 8 * 16 * 128 + 128
    impala = CASES["impala"][0](spaces.Box(0, 255, (64, 64, 3), np.uint8), pooling="flatten")
    stages = sum(9 * a * b + b + 4 * (9 * b * b + b) for a, b in ((3, 16), (16, 32), (32, 32)))
    assert impala.count_params() == stages + 8 * 8 * 32 * 256 + 256


def test_the_network_of_minatar_needs_no_program_of_its_own_for_an_update():
    """Its convolution is a product, which XLA computes as fast in the body of a loop."""

    class Sees:
        models: ClassVar = {"eye": CASES["minatar_cnn"][0](MINATAR)}

    assert not convolves(Sees())


def test_bytes_are_divided_by_255_and_bits_are_not():
    pixels = batch(image(10), 2)
    for name in ("minatar_cnn", "impala"):
        backbone = CASES[name][0]
        of_bytes, of_floats = backbone(image(10)), backbone(spaces.Box(0.0, 1.0, (10, 10, 3), np.float32))
        of_floats.set_weights(of_bytes.get_weights())
        np.testing.assert_allclose(of_bytes(pixels), of_floats((pixels / 255).astype(np.float32)), atol=1e-5)
    bits = CASES["minatar_cnn"][0](MINATAR)
    assert np.asarray(bits.get_layer("pixels")(np.array([[[[True, False]]]]))).tolist() == [[[[1.0, 0.0]]]]


@pytest.mark.parametrize("name", ["nature_cnn", "minatar_cnn", "impala", "resnet", "inception", "densenet"])
def test_images_with_their_channels_first_are_turned(host, name):
    side = SMALL[name]
    last = host.build("backbone", name, image(side))
    turned = {"name": name, "channels_first": True}
    first = host.build("backbone", turned, spaces.Box(0, 255, (3, side, side), np.uint8))
    first.set_weights(last.get_weights())
    pixels = batch(image(side))
    np.testing.assert_allclose(first(np.moveaxis(pixels, -1, 1)), last(pixels), atol=1e-5)


@pytest.mark.parametrize(
    ("name", "turns"), [("nature_cnn", "nature_cnn"), ("resnet", "resnet"), ("resnet18", "impala")]
)
def test_channels_first_are_refused_with_the_option_that_turns_them(host, name, turns):
    frames = spaces.Box(0, 255, (4, 84, 84), np.uint8)
    with pytest.raises(UsageError, match=r"here \[84, 84, 4\]") as caught:
        host.build("backbone", name, frames)
    assert "--set agent.backbone.channels_first=true" in caught.value.hint
    assert (f"'{turns}'" in caught.value.hint) == (turns != name)
    assert host.build("backbone", {"name": turns, "channels_first": True}, frames).input_shape == (None, 4, 84, 84)


@pytest.mark.parametrize("name", CASES)
def test_layers_have_stable_names(name):
    backbone, space, options = CASES[name]
    first, second = backbone(space, **options), backbone(space, **options)
    assert first.name == second.name == name
    assert [v.path for v in first.variables] == [v.path for v in second.variables]
    assert not [layer.name for layer in first.layers if re.fullmatch(r".*(conv2d|dense)_\d+", layer.name)]


@pytest.mark.parametrize("name", ["impala", "densenet"])
@pytest.mark.parametrize("policy", ["mixed_bfloat16", "mixed_float16"])
def test_mixed_precision_computes_in_half_and_keeps_weights_whole(name, policy):
    backbone, space, options = CASES[name]
    whole = backbone(space, **options)
    randomize(whole)
    before = keras.config.dtype_policy()
    keras.config.set_dtype_policy(policy)
    try:
        model = backbone(space, **options)
    finally:
        keras.config.set_dtype_policy(before)
    model.set_weights(whole.get_weights())
    found = model(batch(space))
    assert found.dtype == policy.removeprefix("mixed_")
    assert {weight.dtype for weight in model.weights} == {"float32"}
    expected = np.asarray(whole(batch(space)))
    off = np.abs(np.asarray(tf.cast(found, tf.float32)) - expected).max()
    assert off < 0.1 * np.abs(expected).max()


@pytest.mark.parametrize(
    ("name", "space", "needs"),
    [
        ("nature_cnn", spaces.Box(0, 255, (35, 84, 3), np.uint8), "36 x 36"),
        ("nature_cnn", spaces.Box(0, 1, (10, 10, 4), np.float32), "36 x 36"),
        ("minatar_cnn", spaces.Box(0, 1, (2, 2, 4), np.float32), "3 x 3"),
        ("impala", spaces.Box(0, 1, (7, 9, 3), np.float32), "8 x 8"),
        ("resnet", spaces.Box(0, 1, (7, 9, 3), np.float32), "8 x 8"),
        ("inception", spaces.Box(0, 1, (3, 9, 9), np.float32), "channels"),
        ("densenet", spaces.Box(0, 1, (3, 3, 2), np.float32), "4 x 4"),
        ("resnet18", spaces.Box(0, 1, (31, 40, 3), np.float32), "32 x 32"),
        ("inception_v3", spaces.Box(0, 1, (74, 80, 3), np.float32), "75 x 75"),
        ("densenet121", spaces.Box(0, 1, (28, 28, 1), np.float32), "32 x 32"),
        ("impala", spaces.Box(-1, 1, (4,), np.float32), r"\[height, width, channels\]"),
        ("impala", spaces.Box(0, 255, (84, 84), np.uint8), r"\[height, width, channels\]"),
        ("impala", spaces.Box(0, 255, (4, 84, 84, 3), np.uint8), r"\[height, width, channels\]"),
        ("nature_cnn", spaces.Box(0, 255, (4, 84, 84), np.uint8), r"here \[84, 84, 4\]"),
        ("nature_cnn", spaces.Box(0, 255, (3, 210, 160), np.uint8), r"here \[210, 160, 3\]"),
        ("minatar_cnn", spaces.Box(0, 1, (7, 10, 10), bool), r"here \[10, 10, 7\]"),
    ],
)
def test_a_refusal_says_what_it_got_what_it_needs_and_what_fits(host, name, space, needs):
    with pytest.raises(UsageError, match=needs) as caught:
        host.build("backbone", name, space)
    assert str(list(space.shape)) in caught.value.message
    assert repr(name) in caught.value.message
    fitting = re.findall(r"the backbone '(\w+)'", caught.value.hint)
    assert fitting
    for other in fitting:
        assert host.build("backbone", other, space)(batch(space)).shape[0] == 2


def test_a_backbone_that_its_options_make_too_large_is_not_the_one_that_fits(host):
    with pytest.raises(UsageError, match="16 x 16") as caught:
        host.build("backbone", {"name": "impala", "widths": [8, 8, 8, 8]}, MINATAR)
    assert caught.value.hint == "the backbone 'minatar_cnn' takes it"


@pytest.mark.parametrize("space", [spaces.Discrete(3), spaces.Dict({"image": image(8)})])
def test_other_spaces_are_refused(host, space):
    with pytest.raises(UsageError, match=rf"cannot see observations of {type(space).__name__} spaces"):
        host.build("backbone", "impala", space)


@pytest.mark.parametrize("shape", [(10, 10, 4), (10, 10, 10), (7, 7, 3), (8, 9, 40), (210, 160, 3), (9, 8, 1)])
def test_images_with_their_channels_last_are_taken(shape):
    space = spaces.Box(0, 255, shape, np.uint8)
    assert CASES["minatar_cnn"][0](space)(batch(space)).shape == (2, 128)


@pytest.mark.parametrize(("name", "side"), [("impala", 8), ("resnet", 8), ("inception", 4), ("densenet", 4)])
def test_the_smallest_size_that_is_claimed_is_taken(host, name, side):
    for shape in ((side, side, 3), (side + 1, side + 5, 5)):
        space = spaces.Box(0, 255, shape, np.uint8)
        model = host.build("backbone", name, space)
        assert min(model.get_layer("pool").input.shape[1:3]) >= 1
        assert np.isfinite(model(batch(space))).all()


@pytest.mark.parametrize(
    ("raw", "match"),
    [
        ({"name": "resnet", "norm": "bach"}, r"backbone\.norm cannot be 'bach'"),
        ({"name": "resnet", "widths": []}, r"backbone\.widths cannot be \[\]"),
        ({"name": "resnet", "widths": [8, 8]}, "2 widths and 3 strides"),
        ({"name": "inception", "widths": [24]}, r"backbone\.widths cannot be \[24\]"),
        ({"name": "impala", "depth": 2}, "backbone has no option 'depth'"),
    ],
)
def test_wrong_options_are_one_clear_sentence(host, raw, match):
    with pytest.raises(UsageError, match=match):
        host.build("backbone", raw, ATARI)


def test_the_torch_backend_gives_the_same_features():
    script = Path(__file__).with_name("vision_cases.py")
    env = {**os.environ, "KERAS_BACKEND": "torch"}
    done = subprocess.run([sys.executable, str(script)], env=env, capture_output=True, text=True, check=True)
    theirs = json.loads(done.stdout)
    assert theirs["backend"] == "torch"
    for name, ours in outputs().items():
        scale = np.abs(ours).max()
        np.testing.assert_allclose(theirs["outputs"][name], ours, atol=1e-4 * scale, err_msg=name)
