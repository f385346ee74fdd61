"""The canonical networks are those of keras.applications and of the papers."""

import os
import re

import keras
import numpy as np
import pytest
from gymnasium import spaces
from vision_cases import randomize

from advdl_vision.densenet import DenseNet121, DenseNet169, DenseNet201
from advdl_vision.inception import InceptionV1
from advdl_vision.inception_v3 import InceptionV3
from advdl_vision.resnet import ResNet10, ResNet18, ResNet34, ResNet50

CLASSES = 1000
LONG = pytest.mark.skipif("ADVDL_TEST_ALL" not in os.environ, reason="takes long; set ADVDL_TEST_ALL")


def image(side):
    return spaces.Box(0.0, 1.0, (side, side, 3), np.float32)


def with_classifier(model, *, trainable=False):
    """Counts the parameters that the network has with its classifier on top."""
    variables = model.trainable_variables if trainable else model.variables
    own = sum(int(np.prod(variable.shape)) for variable in variables)
    return own + model.output_shape[-1] * CLASSES + CLASSES


def as_in_resnet50(path):
    path = re.sub(r"^stem/", "conv1_", path)
    path = re.sub(r"^stage_(\d+)_block_(\d+)/", lambda m: f"conv{int(m[1]) + 1}_block{m[2]}_", path)
    path = re.sub(r"shortcut/|unit_(\d)/", lambda m: f"{m[1] or 0}_", path)
    return path.replace("norm/", "bn/")


def as_in_densenet121(path):
    path = re.sub(r"^stem/", "conv1_", path)
    path = re.sub(r"^transition_(\d+)/unit/", lambda m: f"pool{int(m[1]) + 1}_", path)
    path = re.sub(r"^block_(\d+)/layer_(\d+)", lambda m: f"conv{int(m[1]) + 1}_block{m[2]}", path)
    path = path.replace("_narrow/norm", "_0_norm").replace("_narrow/conv", "_1_conv")
    path = re.sub(r"(_block\d+)/norm", r"\1_1_norm", path)
    path = re.sub(r"(_block\d+)/conv", r"\1_2_conv", path)
    return path.replace("last_norm", "bn").replace("norm/", "bn/")


def natural(path):
    """Sorts numbers by size, and the stem first."""
    parts = re.split(r"(\d+)", path.replace("stem", "a"))
    return [int(part) if part.isdigit() else part for part in parts]


def values_by_path(model, translate, reference):
    """Yields our variables with those of keras.applications, found by name."""
    found = {variable.path: variable for variable in reference.variables}
    assert len(found) == len(model.variables)
    for variable in model.variables:
        yield variable, found.pop(translate(variable.path))


def values_in_order(model, reference):
    """The same for Inception v3, whose layers have no names but numbers, in the order of the branches."""
    for kind in ("kernel", "beta", "moving_mean", "moving_variance"):
        both = [
            sorted((v for v in one.variables if v.path.endswith(kind)), key=lambda v: natural(v.path))
            for one in (model, reference)
        ]
        yield from zip(*both, strict=True)


@pytest.mark.parametrize(
    ("backbone", "application", "translate", "side", "count"),
    [
        (ResNet50, keras.applications.ResNet50, as_in_resnet50, 64, 25_636_712),
        (DenseNet121, keras.applications.DenseNet121, as_in_densenet121, 64, 8_062_504),
        (InceptionV3, keras.applications.InceptionV3, None, 75, 23_851_784),
    ],
)
def test_it_is_the_network_of_keras_applications(backbone, application, translate, side, count):
    space = image(side)
    reference = application(include_top=False, weights=None, input_shape=space.shape, pooling="avg")
    model = backbone(space)
    assert with_classifier(model) == count
    assert model.count_params() == reference.count_params()
    assert len(model.trainable_variables) == len(reference.trainable_variables)
    randomize(reference, gain=0.7 if backbone is ResNet50 else 2.0)  # keeps features about one
    pairs = values_by_path(model, translate, reference) if translate else values_in_order(model, reference)
    copied = [mine.assign(other) for mine, other in pairs]
    assert len(copied) == len(model.variables)
    images = np.random.default_rng(1).uniform(size=(2, *space.shape)).astype(np.float32)
    expected = np.asarray(reference(images, training=False))
    found = np.asarray(model(images, training=False))
    assert 0.1 < np.abs(expected).max() < 20
    assert np.abs(expected[0] - expected[1]).max() > 1e-3
    np.testing.assert_allclose(found, expected, atol=1e-4, rtol=0)


@pytest.mark.parametrize(("backbone", "count"), [(ResNet18, 11_689_512), (ResNet34, 21_797_672)])
def test_resnets_of_basic_blocks_have_the_published_number_of_parameters(backbone, count):
    """Without biases of convolutions; moving averages are no parameters."""
    model = backbone(image(32))
    assert with_classifier(model, trainable=True) == count
    assert not [v.path for v in model.variables if "conv/bias" in v.path]


@pytest.mark.parametrize(
    ("backbone", "count"),
    [
        (InceptionV1, 6_998_552),
        pytest.param(DenseNet169, 14_307_880, marks=LONG),
        pytest.param(DenseNet201, 20_242_984, marks=LONG),
    ],
)
def test_the_others_have_the_published_number_of_parameters(backbone, count):
    assert with_classifier(backbone(image(32))) == count


def test_the_networks_reduce_as_in_the_papers():
    sizes = {
        ResNet18: (7, 512),
        InceptionV1: (7, 1024),
        ResNet10: (28, 128),
    }
    for backbone, (side, channels) in sizes.items():
        assert backbone(image(224)).get_layer("pool").input.shape == (None, side, side, channels)
    blocks = [layer for layer in ResNet10(image(224)).layers if "_block_" in layer.name]
    assert [block.output.shape[1:] for block in blocks] == [(56, 56, 64)] * 2 + [(28, 28, 128)] * 2
