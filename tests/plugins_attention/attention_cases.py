"""Small attention backbones; as a script, prints their outputs on the backend of KERAS_BACKEND."""

import json
import sys

import keras
import numpy as np
from gymnasium import spaces

from advdl_attention.attention_net import Attention
from advdl_attention.vit import ViT

PHOTO = spaces.Box(0, 255, (36, 40, 3), np.uint8)
MINATAR = spaces.Box(0, 1, (10, 10, 4), bool)
HISTORY = spaces.Box(-1.0, 1.0, (6, 5), np.float32)
CASES = {
    "vit": (ViT, PHOTO, {"depth": 2, "width": 24}),
    "vit-average": (ViT, PHOTO, {"depth": 1, "width": 24, "positions": "sinusoidal", "readout": "average"}),
    "image": (Attention, MINATAR, {}),
    "set": (Attention, HISTORY, {"positions": "none", "readout": "class"}),
    "history": (Attention, HISTORY, {"causal": True, "readout": "last", "units": 0}),
}


def batch(space, count=2):
    space.seed(0)
    return np.stack([space.sample() for _ in range(count)])


def randomize(model):
    """Sets weights that are the same on every backend."""
    rng = np.random.default_rng(0)
    for variable in model.variables:
        fan = np.prod(variable.shape[:-1]) if len(variable.shape) > 1 else 4
        variable.assign(rng.normal(size=variable.shape) / np.sqrt(fan))


def outputs():
    found = {}
    for name, (backbone, space, options) in CASES.items():
        model = backbone(space, **options)
        randomize(model)
        found[name] = keras.ops.convert_to_numpy(model(batch(space), training=False)).tolist()
    return found


if __name__ == "__main__":
    json.dump({"backend": keras.backend.backend(), "outputs": outputs()}, sys.stdout)
