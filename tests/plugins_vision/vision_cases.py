"""Small image backbones; as a script, prints their outputs on the backend of KERAS_BACKEND."""

import json
import sys

import keras
import numpy as np
from gymnasium import spaces

from advdl_vision.densenet import DenseNet
from advdl_vision.impala import Impala
from advdl_vision.inception import Inception
from advdl_vision.minatar_cnn import MinAtarCNN
from advdl_vision.nature_cnn import NatureCNN
from advdl_vision.resnet import ResNet, ResNet10

PHOTO = spaces.Box(0, 255, (40, 37, 3), np.uint8)
MINATAR = spaces.Box(0, 1, (10, 10, 4), bool)
CASES = {
    "nature_cnn": (NatureCNN, PHOTO, {}),
    "minatar_cnn": (MinAtarCNN, MINATAR, {"norm": "layer"}),
    "impala": (Impala, MINATAR, {"norm": "batch"}),
    "resnet": (ResNet, PHOTO, {"block": "bottleneck", "norm": "group", "widths": (8, 16), "strides": (1, 2)}),
    "resnet10": (ResNet10, PHOTO, {"pooling": "max"}),
    "inception": (Inception, PHOTO, {"norm": "layer"}),
    "densenet": (DenseNet, PHOTO, {"norm": "batch", "pooling": "flatten", "bottleneck": 2}),
}


def batch(space, count=2):
    space.seed(0)
    return np.stack([space.sample() for _ in range(count)])


def randomize(model, gain=2.0):
    """Sets weights that are the same on every backend, those of normalisation too."""
    rng = np.random.default_rng(0)
    for variable in model.variables:
        if variable.path.endswith("kernel"):
            deviation = np.sqrt(gain / np.prod(variable.shape[:-1]))
            variable.assign(rng.normal(size=variable.shape) * deviation)
        elif variable.path.endswith(("gamma", "moving_variance")):
            variable.assign(rng.uniform(0.8, 1.2, size=variable.shape))
        else:
            variable.assign(rng.normal(size=variable.shape) * 0.1)


def outputs():
    found = {}
    for name, (backbone, space, options) in CASES.items():
        model = backbone(space, **options)
        randomize(model)
        found[name] = keras.ops.convert_to_numpy(model(batch(space), training=False)).tolist()
    return found


if __name__ == "__main__":
    json.dump({"backend": keras.backend.backend(), "outputs": outputs()}, sys.stdout)
