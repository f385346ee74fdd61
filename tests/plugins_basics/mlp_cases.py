"""MLPs on every space that they take; as a script, prints their outputs on the backend of KERAS_BACKEND."""

import json
import sys

import keras
import numpy as np
from gymnasium import spaces

from advdl_basics.mlp import MLP

SPACES = {
    "vector": spaces.Box(-np.inf, np.inf, (4,), np.float32),
    "double": spaces.Box(-1.0, 1.0, (3,), np.float64),
    "image": spaces.Box(0, 255, (5, 4, 3), np.uint8),
    "scalar": spaces.Box(0.0, 1.0, (), np.float32),
    "integers": spaces.Box(-5, 5, (2, 2), np.int32),
    "discrete": spaces.Discrete(4, start=-1),
    "multi-discrete": spaces.MultiDiscrete([[2, 3], [4, 2]]),
    "multi-binary": spaces.MultiBinary((2, 3)),
}
SIZES = {
    "vector": 4,
    "double": 3,
    "image": 60,
    "scalar": 1,
    "integers": 4,
    "discrete": 4,
    "multi-discrete": 11,
    "multi-binary": 6,
}


def batch(name, count=3):
    space = SPACES[name]
    space.seed(0)
    return np.stack([space.sample() for _ in range(count)])


def build(name):
    """An MLP whose weights are the same on every backend."""
    model = MLP(SPACES[name], units=(8, 5), activation="tanh", layer_norm=True)
    rng = np.random.default_rng(0)
    model.set_weights([rng.normal(size=weight.shape) for weight in model.get_weights()])
    return model


def outputs():
    return {name: keras.ops.convert_to_numpy(build(name)(batch(name))).tolist() for name in SPACES}


if __name__ == "__main__":
    json.dump({"backend": keras.backend.backend(), "outputs": outputs()}, sys.stdout)
