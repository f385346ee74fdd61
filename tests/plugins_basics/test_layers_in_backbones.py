"""A plugin's layer goes into the configuration of every backbone: ``agent.backbone.layer.name=...``."""

from functools import partial
from typing import Any

import gymnasium
import keras
import numpy as np
import pytest

from advdl.plugin.host import PluginHost
from advdl.testing import check_backbone, component
from advdl_basics.mlp import MLP

VECTOR = gymnasium.spaces.Box(-1.0, 1.0, (4,), np.float32)
IMAGE = gymnasium.spaces.Box(0.0, 1.0, (10, 10, 4), np.float32)


class Gate(keras.layers.Layer):
    def __init__(self, *, start: float = 0.5, **options: Any) -> None:
        super().__init__(**options)
        self.start = start

    def build(self, shape: Any) -> None:
        self.gate = self.add_weight(
            shape=(shape[-1],), name="gate", initializer=keras.initializers.Constant(self.start)
        )

    def call(self, x: Any) -> Any:
        return x * self.gate


def test_every_backbone_has_a_place_for_it() -> None:
    host = PluginHost()
    own = [record.components for record in host.plugins if record.distribution == "advdl"]
    names = [each.name for components in own for each in components if each.kind == "backbone"]
    assert {"mlp", "resnet", "attention"} <= set(names)
    without = [name for name in names if ("layer", "layer") not in _parts(host, name)]
    assert without == []


def _parts(host: PluginHost, name: str) -> list[tuple[str, str]]:
    return [(option.name, option.part) for option in host.options("backbone", name)]


def test_it_follows_each_layer_of_the_perceptron() -> None:
    model = MLP(VECTOR, units=(8, 6), layer=Gate)
    paths = [weight.path for weight in model.trainable_weights]
    assert paths == [
        "dense_0/kernel", "dense_0/bias", "layer_0/gate", "dense_1/kernel", "dense_1/bias", "layer_1/gate",
    ]  # fmt: skip
    plain = MLP(VECTOR, units=(8, 6))
    plain.set_weights([weight for weight, path in zip(model.get_weights(), paths, strict=True) if "gate" not in path])
    seen = np.ones((3, 4), np.float32)
    assert np.allclose(model(seen), 0.5 * plain_with_half(plain, seen), atol=1e-6)
    check_backbone(partial(MLP, units=(8,), layer=Gate), spaces=[VECTOR])


def plain_with_half(model: keras.Model, seen: Any) -> Any:
    """The same network, its first features halved."""
    x = keras.ops.relu(model.get_layer("dense_0")(seen)) * 0.5
    return keras.ops.relu(model.get_layer("dense_1")(x))


@pytest.mark.parametrize(
    ("backbone", "layer", "count"),
    [
        ("minatar_cnn", {"name": "multi_head_attention", "heads": 2}, 1),
        ("attention", {"name": "learned_positions"}, 2),
    ],
)
def test_a_component_is_named_and_configured_in_place(backbone: str, layer: dict[str, Any], count: int) -> None:
    built = component("backbone", backbone, layer=layer)(IMAGE)
    names = [each.name for each in built.layers if each.name.startswith("layer")]
    assert len(names) == count
    if layer["name"] == "multi_head_attention":
        assert built.get_layer("layer").options["heads"] == 2
    assert built(np.zeros((2, 10, 10, 4), np.float32)).shape[0] == 2
