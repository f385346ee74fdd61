"""Our backbones under stable-baselines3, on torch: the same features, and weights that cross over both ways."""

import functools
import json
import os
import subprocess
import sys
from pathlib import Path

import keras
import numpy as np
import pytest
from on_torch import SMALL
from pixels import Pixels
from sb3_cases import BACKBONES

from advdl.experiment.agent_work import agent_state
from advdl.plugin.host import PluginHost
from advdl.rl.spaces import Spaces
from advdl.training.checkpoint import CheckpointStore
from advdl.training.transfer import backbone_arrays, positions, signature
from advdl_vision.resnet import ResNet

IMAGES = np.random.default_rng(0).integers(0, 256, (5, 12, 12, 3)).astype(np.uint8)


@pytest.fixture(scope="module")
def native():
    """A native agent with trained-looking weights, moving averages in them."""
    agent = PluginHost.from_environment().build(
        "agent",
        {"name": "dqn", "backbone": {"name": "resnet", **SMALL}},
        Spaces(Pixels.observation_space, Pixels.action_space),
    )
    generator = np.random.default_rng(1)
    for variable in agent.online.variables:
        change = generator.normal(0, 0.02, variable.shape)
        variable.assign(variable.numpy() + (np.abs(change) if "variance" in variable.name else change))
    return agent


@pytest.fixture(scope="module")
def torch_side(native, tmp_path_factory):
    """What the process on torch wrote, with its report."""
    folder = tmp_path_factory.mktemp("torch")
    np.save(folder / "images.npy", IMAGES)
    CheckpointStore(folder / "of_dqn").save(7, agent_state(native), {})
    script = Path(__file__).with_name("on_torch.py")
    process = subprocess.run(
        [sys.executable, "-W", "ignore", str(script), str(folder)], capture_output=True, text=True, env={**os.environ}
    )
    assert process.returncode == 0, process.stderr[-3000:]
    return folder, json.loads((folder / "report.json").read_text())


def backbone_of(arrays):
    """Fills a backbone on TensorFlow from a checkpoint's arrays."""
    backbone = ResNet(Pixels.observation_space, **SMALL)
    for variable, array in zip(backbone.variables, backbone_arrays(arrays, signature(backbone.variables)), strict=True):
        variable.assign(array)
    return backbone


def test_a_native_backbone_sees_the_same_under_stable_baselines3(native, torch_side):
    folder, _ = torch_side
    ours = backbone_of({name: np.asarray(value) for name, value in agent_state(native).items()})
    np.testing.assert_allclose(np.load(folder / "crossed.npy"), ours(IMAGES, training=False), rtol=0, atol=1e-5)


def test_a_backbone_that_stable_baselines3_trained_sees_the_same_here(torch_side):
    folder, report = torch_side
    ours = backbone_of(CheckpointStore(folder / "of_sb3").load().arrays)
    np.testing.assert_allclose(np.load(folder / "trained.npy"), ours(IMAGES, training=False), rtol=0, atol=1e-5)
    assert report["moved"], "batch normalisation was never in training mode"


def test_a_backbone_with_layer_normalisation_is_exported_as_onnx(torch_side):
    import onnxruntime

    folder, _ = torch_side
    session = onnxruntime.InferenceSession(str(folder / "layered.onnx"), providers=["CPUExecutionProvider"])
    assert np.array_equal(session.run(None, {"observation": IMAGES})[0], np.load(folder / "actions.npy"))
    assert b"LayerNormalization" in (folder / "layered.onnx").read_bytes()


def test_a_run_with_a_backbone_of_ours_resumes_exactly_and_without_tensorflow(torch_side):
    _, report = torch_side
    assert (report["lost"], report["unequal"]) == ([], [])
    assert report["without_tensorflow"]
    trainable = ResNet(Pixels.observation_space, **SMALL).trainable_variables
    assert report["parameters"] == len(trainable)


def test_the_names_of_every_layer_are_the_same_in_every_instance(torch_side):
    assert torch_side[1]["names"] == []


@pytest.mark.parametrize("name", BACKBONES)
def test_a_backbone_is_found_in_an_agents_network(name):
    backbone = PluginHost.from_environment().build("backbone", name, BACKBONES[name])
    wanted = signature(backbone.variables)
    model = keras.Model(backbone.input, keras.layers.Dense(3, name="q")(backbone.output))
    (place,) = positions(signature(model.variables), wanted)
    assert [id(v) for v in model.variables[place : place + len(wanted)]] == [id(v) for v in backbone.variables]


def test_the_first_backbone_that_fits_is_taken_and_none_where_none_does():
    kernel, bias = np.ones((2, 3)), np.zeros(3)
    arrays = {
        "learner/critic/000.kernel": kernel,
        "learner/critic/001.bias": bias,
        "learner/actor/000.log_std": bias,
        "learner/actor/001.kernel": 2 * kernel,
        "learner/actor/002.bias": 2 * bias,
        "trainer/optimizer/q/000.kernel": kernel,
        "trainer/optimizer/q/001.bias": bias,
    }
    find = functools.partial(backbone_arrays, arrays)
    assert [array.max() for array in find([("kernel", (2, 3)), ("bias", (3,))])] == [2, 0]
    assert find([("kernel", (3, 2)), ("bias", (3,))]) is None
    assert find([]) is None
