import pytest

from advdl.plugin.host import PluginHost
from advdl_vision.plugin import advdl_components

COMPONENTS = list(advdl_components())


@pytest.fixture(scope="module")
def host():
    return PluginHost.from_environment()


def test_every_family_is_offered():
    names = {kind: {c.name for c in COMPONENTS if c.kind == kind} for kind in ("backbone", "layer")}
    assert {"resnet18", "resnet34", "resnet50", "inception_v1", "inception_v3"} <= names["backbone"]
    assert {"densenet121", "densenet169", "densenet201", "resnet10"} <= names["backbone"]
    assert {"nature_cnn", "minatar_cnn", "impala", "resnet", "inception", "densenet"} <= names["backbone"]
    assert {"residual", "bottleneck", "inception_module", "dense_block", "transition"} <= names["layer"]


@pytest.mark.parametrize("component", COMPONENTS, ids=lambda c: f"{c.kind}-{c.name}")
def test_every_option_is_typed_and_documented(host, component):
    options = host.options(component.kind, component.name)
    assert options
    assert component.summary
    for option in options:
        assert option.doc, f"{component.name}.{option.name} has no line in the docstring"
        assert option.type_name
        assert option.name not in ("dtype", "kwargs")
