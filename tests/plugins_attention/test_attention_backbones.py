import json
import os
import re
import subprocess
import sys
from pathlib import Path

import keras
import numpy as np
import pytest
import tensorflow as tf
from attention_cases import CASES, HISTORY, MINATAR, batch, outputs, randomize
from gymnasium import spaces

from advdl.errors import UsageError
from advdl.plugin.host import PluginHost
from advdl.testing import check_backbone, component
from advdl_attention.attention_net import Attention
from advdl_attention.plugin import advdl_components
from advdl_attention.vit import ViT

LONG = pytest.mark.skipif("ADVDL_TEST_ALL" not in os.environ, reason="takes long; set ADVDL_TEST_ALL")
COMPONENTS = list(advdl_components())


@pytest.fixture(scope="module")
def host():
    return PluginHost.from_environment()


def image(side):
    return spaces.Box(0, 255, (side, side, 3), np.uint8)


@pytest.mark.parametrize("depth", [1, pytest.param(12, marks=LONG)])
def test_vit_keeps_the_contract(depth):
    check_backbone(component("backbone", "vit", depth=depth), spaces=[image(32)])


@pytest.mark.parametrize("space", [MINATAR, pytest.param(HISTORY, marks=LONG)], ids=["image", "history"])
def test_attention_keeps_the_contract(space):
    check_backbone(component("backbone", "attention", readout="class", depth=1), spaces=[space])


@pytest.mark.parametrize(("options", "count"), [({}, 5_717_416), ({"width": 384, "heads": 6}, 22_050_664)])
def test_vit_has_the_published_number_of_parameters(options, count):
    """DeiT-Ti and DeiT-S, which are ViT-Ti/16 and ViT-S/16 without a layer before the classifier."""
    model = ViT(image(224), **options)
    assert model.get_layer("positions").output.shape[1] == 14 * 14 + 1
    assert model.count_params() + model.output_shape[-1] * 1000 + 1000 == count


@pytest.mark.parametrize(
    ("shape", "count"), [((10, 10, 4), 25), ((8, 8, 4), 64), ((84, 84, 4), 64), ((210, 160, 3), 63)]
)
def test_an_image_becomes_at_most_64_tokens(shape, count):
    model = Attention(spaces.Box(0, 255, shape, np.uint8))
    assert model.get_layer("positions").output.shape[1] == count


def test_a_patch_of_given_size_and_no_stem():
    model = Attention(MINATAR, patch=5, stem=0, units=0)
    assert model.get_layer("positions").output.shape[1:] == (4, 64)
    assert model.output_shape == (None, 64)
    assert "stem" not in [layer.name for layer in model.layers]


@pytest.mark.parametrize("readout", ["class", "average", "max", "last"])
@pytest.mark.parametrize("positions", ["learned", "sinusoidal", "none"])
def test_positions_and_readout_are_options(host, positions, readout):
    options = {"positions": positions, "readout": readout, "units": 7, "depth": 1}
    model = host.build("backbone", {"name": "attention", **options}, HISTORY)
    assert model(batch(HISTORY)).shape == (2, 7)


def test_a_set_has_no_order_and_a_history_has():
    x = batch(HISTORY)
    for positions, same in (("none", True), ("learned", False), ("sinusoidal", False)):
        model = Attention(HISTORY, positions=positions)
        randomize(model)
        off = np.abs(model(x) - model(x[:, ::-1])).max()
        assert (off < 1e-4) == same


def test_images_with_their_channels_first_are_turned(host):
    last = Attention(MINATAR)
    first = host.build(
        "backbone", {"name": "attention", "channels_first": True}, spaces.Box(0.0, 1.0, (4, 10, 10), bool)
    )
    first.set_weights(last.get_weights())
    pixels = batch(MINATAR)
    np.testing.assert_allclose(first(np.moveaxis(pixels, -1, 1)), last(pixels), atol=1e-5)


def test_a_causal_history_read_out_at_its_last_sees_all_of_it():
    model = Attention(HISTORY, causal=True, readout="last")
    x = batch(HISTORY)
    for step in (0, 3, 5):
        changed = x.copy()
        changed[:, step] += 1.0
        assert np.abs(model(x) - model(changed)).max() > 1e-4


@pytest.mark.parametrize("name", CASES)
def test_layers_have_stable_names(name):
    backbone, space, options = CASES[name]
    first, second = backbone(space, **options), backbone(space, **options)
    assert [v.path for v in first.variables] == [v.path for v in second.variables]
    assert len({v.path for v in first.variables}) == len(first.variables)


@pytest.mark.parametrize("policy", ["mixed_bfloat16", "mixed_float16"])
def test_mixed_precision_computes_in_half_and_keeps_weights_whole(policy):
    whole = Attention(MINATAR, readout="class")
    before = keras.config.dtype_policy()
    keras.config.set_dtype_policy(policy)
    try:
        model = Attention(MINATAR, readout="class")
    finally:
        keras.config.set_dtype_policy(before)
    model.set_weights(whole.get_weights())
    found = model(batch(MINATAR))
    assert found.dtype == policy.removeprefix("mixed_")
    assert {weight.dtype for weight in model.weights} == {"float32"}
    expected = np.asarray(whole(batch(MINATAR)))
    assert np.abs(np.asarray(tf.cast(found, tf.float32)) - expected).max() < 0.1 * np.abs(expected).max()


@pytest.mark.parametrize(
    ("name", "shape", "needs"),
    [
        ("vit", (10, 10, 4), "16 x 16"),
        ("vit", (84, 84), r"\[height, width, channels\]"),
        ("vit", (4, 84, 84), r"here \[84, 84, 4\]"),
        ("vit", (4,), r"\[height, width, channels\]"),
        ("vit", (4, 84, 84, 3), r"\[height, width, channels\]"),
        ("attention", (4,), r"\[time, features\]"),
        ("attention", (4, 84, 84), r"here \[84, 84, 4\]"),
        ("attention", (4, 84, 84, 3), r"\[time, features\]"),
    ],
)
def test_a_refusal_says_what_it_got_what_it_needs_and_what_fits(host, name, shape, needs):
    space = spaces.Box(0, 255, shape, np.uint8)
    with pytest.raises(UsageError, match=needs) as caught:
        host.build("backbone", name, space)
    assert str(list(shape)) in caught.value.message
    fitting = re.findall(r"the backbone '(\w+)'", caught.value.hint)
    assert fitting
    for other in fitting:
        assert host.build("backbone", other, space)(batch(space)).shape[0] == 2


@pytest.mark.parametrize("name", ["vit", "attention"])
def test_other_spaces_and_options_are_refused(host, name):
    with pytest.raises(UsageError, match="cannot see observations of Discrete spaces"):
        host.build("backbone", name, spaces.Discrete(3))
    with pytest.raises(UsageError, match="a width of 30 cannot be divided among 4 heads"):
        host.build("backbone", {"name": name, "width": 30, "heads": 4}, image(32))
    with pytest.raises(UsageError, match=r"backbone\.readout cannot be 'first'"):
        host.build("backbone", {"name": name, "readout": "first"}, image(32))


def test_a_side_that_is_no_multiple_of_the_patch_is_padded():
    model = ViT(spaces.Box(0, 255, (33, 40, 3), np.uint8), depth=1)
    assert model.get_layer("positions").output.shape[1] == 3 * 3 + 1


@pytest.mark.parametrize("component", COMPONENTS, ids=lambda c: f"{c.kind}-{c.name}")
def test_every_option_is_typed_and_documented(host, component):
    assert component.summary
    for option in host.options(component.kind, component.name):
        assert option.doc, f"{component.name}.{option.name} has no line in the docstring"
        assert option.type_name
        assert option.name not in ("dtype", "kwargs")


def test_the_torch_backend_gives_the_same_features():
    script = Path(__file__).with_name("attention_cases.py")
    env = {**os.environ, "KERAS_BACKEND": "torch"}
    done = subprocess.run([sys.executable, str(script)], env=env, capture_output=True, text=True, check=True)
    theirs = json.loads(done.stdout)
    assert theirs["backend"] == "torch"
    for name, ours in outputs().items():
        scale = np.abs(ours).max()
        np.testing.assert_allclose(theirs["outputs"][name], ours, atol=1e-4 * scale, err_msg=name)
