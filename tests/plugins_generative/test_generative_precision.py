"""Samplers learn in float16 and bfloat16: their networks compute in it, what is measured and lost is float32."""

from typing import Any

import gymnasium
import keras
import numpy as np
import pytest
import tensorflow as tf
from training_steps import seed, train

from advdl.training import DataSpec
from advdl.training.precision import built_with, precision_of
from advdl_generative.diffusion import Diffusion
from advdl_generative.gan import GAN
from advdl_generative.vae import VAE

IMAGES = gymnasium.spaces.Box(0, 255, (8, 8, 1), np.uint8)
SPEC = DataSpec(IMAGES, gymnasium.spaces.Discrete(3))
SMALL = {
    "vae, dense": (VAE, {"network": "dense", "units": (8,)}),
    "vae, images": (VAE, {"network": "convolutional", "filters": (4, 4), "units": (8,), "likelihood": "categorical"}),
    "gan, dense": (GAN, {"network": "dense", "units": (8,), "noise": 4}),
    "gan, images": (GAN, {"network": "convolutional", "filters": 8, "noise": 4}),
    "diffusion, dense": (Diffusion, {"network": "dense", "width": 8, "depth": 1, "steps": 3}),
}


@pytest.fixture(autouse=True)
def policy() -> Any:
    before = keras.config.dtype_policy()
    yield
    keras.config.set_dtype_policy(before)


@pytest.mark.parametrize(
    ("name", "precision"), [*((name, "mixed_float16") for name in SMALL), ("vae, dense", "mixed_bfloat16")]
)
def test_it_learns_in_a_mixed_precision(name: str, precision: str) -> None:
    kind, options = SMALL[name]
    numbers = np.random.default_rng(0)
    data = {"x": numbers.integers(0, 256, (32, 8, 8, 1)).astype(np.uint8), "c": numbers.integers(0, 3, 32)}
    with built_with(precision_of(precision)):
        sampler = kind(SPEC, **options)
        computing = {
            layer.compute_dtype
            for model in sampler.models.values()
            if isinstance(model, keras.Model)
            for layer in model.layers
            if layer.weights
        }
        assert precision.removeprefix("mixed_") in computing
        train(sampler, data, 2, batch_size=8)
        batch = {key: tf.constant(value[:8]) for key, value in data.items()}
        for objective in sampler.objectives():
            loss, _ = objective.loss(batch, seed())
            assert loss.dtype == tf.float32
            assert np.isfinite(float(loss))
        figures = sampler.measure(batch, seed())
        assert all(value.dtype == tf.float32 and np.isfinite(value).all() for value in figures.values())
        assert sampler.sample(batch["c"][:2], 2, seed()).dtype == tf.uint8
    assert all(variable.dtype == "float32" for model in sampler.models.values() for variable in model.weights)
