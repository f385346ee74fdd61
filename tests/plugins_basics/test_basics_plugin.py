import subprocess
import sys

import pytest

from advdl.plugin import KINDS
from advdl.plugin.host import PluginHost

HEAVY = ("tensorflow", "keras", "torch", "numpy", "gymnasium", "pydantic")
REQUIRED = {
    "metric": {"share_above": {"threshold": 1.0}},
    "schedule": {
        "linear": {"start": 1.0},
        "cosine": {"start": 1.0},
        "constant": {"value": 1.0},
        "exponential": {"start": 1.0, "rate": 0.5},
        "piecewise": {"values": [1.0]},
    },
}


@pytest.fixture(scope="module")
def host():
    return PluginHost.from_environment()


def components():
    from advdl_basics.plugin import advdl_components

    return list(advdl_components())


def test_the_plugin_module_imports_nothing_heavy():
    script = f"import sys, advdl_basics.plugin; print([name for name in {HEAVY} if name in sys.modules])"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_every_kind_of_basic_part_is_offered():
    names = {}
    for component in components():
        assert component.kind in KINDS
        assert component.summary
        names.setdefault(component.kind, set()).add(component.name)
    assert names["backbone"] == {"mlp"}
    assert names["schedule"] == {"constant", "linear", "cosine", "exponential", "piecewise"}
    assert {"adam", "adamw", "sgd", "rmsprop"} <= names["optimizer"]
    assert {"mse", "mae", "huber"} <= names["loss"]


@pytest.mark.parametrize("component", components(), ids=lambda c: f"{c.kind}-{c.name}")
def test_every_option_is_typed_and_documented(host, component):
    for option in host.options(component.kind, component.name):
        assert option.doc, f"{component.name}.{option.name} has no line in the docstring"
        assert option.type_name
        assert option.name not in ("dtype", "reduction", "kwargs")


@pytest.mark.parametrize(
    "component", [c for c in components() if c.kind != "backbone"], ids=lambda c: f"{c.kind}-{c.name}"
)
def test_every_component_is_built_by_name(host, component):
    needed = REQUIRED.get(component.kind, {}).get(component.name, {})
    assert callable(host.build(component.kind, {"name": component.name, **needed})) or component.kind == "optimizer"
