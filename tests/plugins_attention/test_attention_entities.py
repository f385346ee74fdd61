"""Attention over the parts of a Dict: each an entity, or a set of them."""

import keras
import numpy as np
import pytest
import tensorflow as tf
from attention_cases import MINATAR
from gymnasium import spaces

from advdl.errors import UsageError
from advdl.plugin.host import PluginHost
from advdl.rl.backbones import build_backbone
from advdl.testing import check_backbone, component
from advdl_attention.attention_net import Attention

VECTOR = spaces.Box(-1.0, 1.0, (3,), np.float32)
ENEMIES = spaces.Box(-1.0, 1.0, (5, 4), np.float32)
ENTITIES = spaces.Dict({"me": VECTOR, "enemies": ENEMIES, "mode": spaces.Tuple([spaces.Discrete(4, start=2)])})


@pytest.fixture(scope="module")
def host():
    return PluginHost.from_environment()


def factory(host, **options):
    return lambda space: host.build("backbone", {"name": "attention", **options}, space)


def observations(count):
    rng = np.random.default_rng(0)
    enemies = rng.uniform(-1, 1, (count, 5, 4)).astype(np.float32)
    me = rng.uniform(-1, 1, (count, 3)).astype(np.float32)
    return {"me": me, "enemies": enemies, "mode": (rng.integers(2, 6, count),)}


def test_a_dict_of_entities_keeps_the_contract():
    check_backbone(component("backbone", "attention", depth=1, stem=0, width=16), spaces=[ENTITIES])


def test_every_entity_is_a_token_in_the_order_of_the_leaves():
    seen = spaces.Dict({"board": MINATAR, **ENTITIES.spaces})
    model = Attention(seen, width=16, patch=5)
    assert model.get_layer("tokens").output.shape[1:] == (4 + 5 + 1 + 1, 16)
    parts = ["tokens_board", "tokens_enemies", "tokens_me", "tokens_mode_0"]
    assert [model.get_layer(part).output.shape[1] for part in parts] == [4, 5, 1, 1]
    joined = [tensor for node in model.get_layer("tokens")._inbound_nodes for tensor in node.input_tensors]
    assert [tensor._keras_history.operation.name for tensor in joined] == parts


def test_a_set_of_entities_has_no_order_without_positions():
    x = observations(4)
    turned = {**x, "enemies": x["enemies"][:, ::-1]}
    for positions, same in (("none", True), ("learned", False)):
        model = Attention(ENTITIES, width=16, positions=positions)
        for variable in model.variables:
            variable.assign(np.random.default_rng(0).normal(size=variable.shape) / 4)
        assert (np.abs(model(x) - model(turned)).max() < 1e-4) == same


def test_an_agent_sees_a_dict_as_a_whole_with_attention_and_leaf_by_leaf_with_mlp(host):
    assert build_backbone(factory(host), ENTITIES).name == "attention"
    assert (
        build_backbone(lambda space: host.build("backbone", "mlp", space), spaces.Dict({"a": VECTOR})).name == "leaves"
    )


def test_it_learns_what_depends_on_two_entities(host):
    """Which enemy counts is said by another leaf; nothing but a comparison of the two finds it."""
    x = observations(512)
    chosen = x["mode"][0] - 2
    target = np.take_along_axis(x["enemies"][:, :, 0], chosen[:, None], 1)[:, 0] > 0
    keras.utils.set_random_seed(0)
    model = build_backbone(factory(host, width=32, depth=1, units=64), ENTITIES)
    whole = keras.Sequential([model, keras.layers.Dense(1, name="head")], name="whole")
    whole.compile(keras.optimizers.Adam(3e-3), keras.losses.BinaryCrossentropy(from_logits=True), jit_compile=False)
    whole.fit(x, target.astype(np.float32), batch_size=64, epochs=60, verbose=0)
    right = (whole.predict(x, verbose=0)[:, 0] > 0) == target
    assert right.mean() > 0.95


def test_a_dict_that_a_backbone_cannot_see_is_refused_for_its_image(host):
    seen = spaces.Dict({"direction": spaces.Discrete(4), "image": spaces.Box(0, 255, (7, 7, 3), np.uint8)})
    with pytest.raises(UsageError, match=r"\[7, 7, 3\].*8 x 8 pixels or more"):
        build_backbone(lambda space: host.build("backbone", "impala", space), seen)


def test_an_image_beside_a_camera_does_not_go_in_flat(host):
    parts = {"camera": spaces.Box(0, 255, (64, 64, 3), np.uint8), "me": VECTOR}
    small, stack = "8 x 8 pixels or more", "it needs an image"
    for shape, words in (((5, 5, 3), small), ((3, 64, 64), "channels seem to come first"), ((4, 64, 64, 3), stack)):
        seen = spaces.Dict({**parts, "map": spaces.Box(0, 255, shape, np.uint8)})
        with pytest.raises(UsageError, match=f"observation 'map'.*{words}"):
            build_backbone(lambda space: host.build("backbone", "impala", space), seen)
    assert build_backbone(lambda space: host.build("backbone", "impala", space), spaces.Dict(parts)).name == "leaves"


@pytest.mark.parametrize(
    ("part", "words"),
    [(spaces.Text(5), "Text spaces"), (spaces.Box(0, 255, (4, 84, 84), np.uint8), "channels seem to come first")],
)
def test_a_part_that_it_cannot_see_is_refused(host, part, words):
    with pytest.raises(UsageError, match=words):
        host.build("backbone", "attention", spaces.Dict({"me": VECTOR, "other": part}))


def test_images_in_a_dict_can_have_their_channels_first(host):
    camera = spaces.Box(0, 255, (4, 84, 84), np.uint8)
    seen = spaces.Dict({"camera": camera, "me": VECTOR})
    model = host.build("backbone", {"name": "attention", "channels_first": True}, seen)
    batch = {"camera": tf.zeros((2, 4, 84, 84), tf.uint8), "me": tf.zeros((2, 3))}
    assert model(batch).shape == (2, 256)
    assert model.get_layer("tokens_camera").output.shape[1:] == (64, 64)
