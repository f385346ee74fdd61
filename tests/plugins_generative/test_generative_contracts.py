"""Every family keeps a sampler's contract, on vectors and on images; wrong data and options are one sentence."""

from typing import Any

import numpy as np
import pytest
import tensorflow as tf
from gymnasium.spaces import Box, Dict, Discrete, MultiBinary, Text
from training_steps import normal, seed, traced

from advdl.errors import UsageError
from advdl.rl import Spaces, TransitionCodec, WorldModel
from advdl.testing import check_sampler, component
from advdl.training import DataSpec
from advdl_generative.denoisers import unet
from advdl_generative.diffusion import Diffusion
from advdl_generative.gan import GAN
from advdl_generative.scaling import Condition, Scaling
from advdl_generative.spaces import Layout
from advdl_generative.vae import VAE

VECTOR = DataSpec(Box(-1.0, 1.0, (3,), np.float32), Box(-np.inf, np.inf, (2,), np.float32))
IMAGE = DataSpec(Box(0, 255, (8, 8, 1), np.uint8), Discrete(3))
SMALL: dict[str, dict[str, Any]] = {
    "vae": {"units": (16,)},
    "gan": {"units": (16,), "noise": 4, "draws": 3},
    "diffusion": {"width": 16, "depth": 1, "steps": 2},
}


@pytest.mark.parametrize("name", SMALL)
def test_it_keeps_its_contract_on_vectors(name: str) -> None:
    check_sampler(component("sampler", name, **SMALL[name]), specs=[VECTOR])


@pytest.mark.parametrize("name", ["vae", "gan"])
def test_it_keeps_its_contract_on_images(name: str) -> None:
    options = {**SMALL[name], **({"filters": (4, 8)} if name == "vae" else {"filters": 16})}
    check_sampler(component("sampler", name, **options), specs=[IMAGE], jit=False)


@pytest.mark.parametrize("further", [{"formulation": "ddpm", "eta": 0.5}, {"formulation": "flow"}])
def test_other_formulations_keep_the_contract(further: dict[str, Any]) -> None:
    options = {**SMALL["diffusion"], **further}
    check_sampler(component("sampler", "diffusion", **options), specs=[VECTOR], jit=False)


def test_a_unet_sees_level_and_condition_and_says_nothing_at_first() -> None:
    network = unet((8, 8, 2), 8, 2, 1, 3, "unet")
    x, levels, c = tf.constant(normal(2, 8, 8, 2)), tf.constant([0.1, 0.9]), tf.one_hot([0, 2], 3)
    assert not np.any(network([x, levels, c]))
    weights = [normal(*value.shape, seed=index) * 0.2 for index, value in enumerate(network.get_weights())]
    network.set_weights(weights)
    first = network([x, levels, c]).numpy()
    assert first.shape == (2, 8, 8, 2)
    for changed in ([x, levels + 0.2, c], [x, levels, c[::-1]], [x[::-1], levels, c]):
        assert np.abs(network(changed) - first).max() > 1e-3
    names = [layer.name for layer in network.layers]
    assert len(set(names)) == len(names)
    assert any("attention" in name for name in names)


def test_scales_come_from_the_data_and_are_undone() -> None:
    layout = Layout.of(Box(-np.inf, np.inf, (3,), np.float32), "vae")
    scaling = Scaling(layout, "standard", spread=0.5)
    x = (normal(1000, 3) * [1.0, 10.0, 0.0] + [0.0, 5.0, 7.0]).astype(np.float32)
    scaling.adapt(tf.constant(x))
    scaled = scaling(x).numpy()
    np.testing.assert_allclose(scaled.std(0), [0.5, 0.5, 0.0], atol=1e-3)
    np.testing.assert_allclose(scaling.undo(scaled), x, atol=1e-4)
    image = Layout.of(Box(0, 16, (2, 2, 1), np.uint8), "vae")
    pixels = tf.constant(np.arange(16, dtype=np.uint8).reshape(4, 2, 2, 1))
    bounds = Scaling(image, "bounds")
    bounds.adapt(pixels)
    assert (float(tf.reduce_min(bounds(0 * pixels))), float(tf.reduce_max(bounds(0 * pixels + 16)))) == (-1.0, 1.0)
    np.testing.assert_array_equal(bounds.undo(bounds(pixels)), pixels)
    assert bounds.undo(tf.fill([1, 2, 2, 1], 9.0)).numpy().max() == 16
    condition = Condition(Discrete(3, start=5), 3)
    assert condition(tf.constant([5, 7])).numpy().tolist() == [[1, 0, 0], [0, 0, 1]]


@pytest.mark.parametrize("family", [VAE, GAN, Diffusion])
@pytest.mark.parametrize(
    ("spec", "sentence"),
    [
        (DataSpec(Text(3)), "cannot draw samples of Text"),
        (DataSpec(VECTOR.x, Dict({})), "cannot be conditioned on Dict"),
        (DataSpec(Box(0, 255, (7, 9, 1), np.uint8)), "height and width are multiples of"),
    ],
)
def test_data_that_no_family_takes(family: Any, spec: DataSpec, sentence: str) -> None:
    with pytest.raises(UsageError, match=sentence):
        family(spec)


@pytest.mark.parametrize(
    ("spec", "likelihood", "sentence"),
    [
        (DataSpec(Box(-np.inf, np.inf, (3,), np.float32)), "bernoulli", "needs samples with bounds"),
        (DataSpec(Box(0.0, 1.0, (3,), np.float32)), "categorical", "needs whole numbers of 2 to 256 values"),
    ],
)
def test_likelihoods_that_do_not_fit(spec: DataSpec, likelihood: Any, sentence: str) -> None:
    with pytest.raises(UsageError, match=sentence):
        VAE(spec, likelihood=likelihood)


def test_zeros_and_ones_are_drawn_as_such() -> None:
    vae = VAE(DataSpec(MultiBinary((4,))), units=(8,))
    drawn = vae.sample(None, 50, seed()).numpy()
    assert drawn.dtype == np.int8
    assert set(np.unique(drawn)) == {0, 1}
    assert vae.reconstruct({"x": tf.constant(drawn)}).shape == (50, 4)


@pytest.mark.parametrize("name", SMALL)
def test_each_family_becomes_a_world_model(name: str) -> None:
    spaces = Spaces(Box(-5.0, 5.0, (2,), np.float32), Discrete(2))
    codec, rng = TransitionCodec(spaces), np.random.default_rng(0)
    transitions = {
        "observation": normal(20, 2),
        "action": rng.integers(0, 2, 20),
        "reward": normal(20),
        "next_observation": normal(20, 2, seed=1),
        "terminated": rng.random(20) < 0.5,
    }
    sampler = component("sampler", name, **SMALL[name])(codec.outcome_spec)
    sampler.adapt(codec.encode(transitions))
    env = WorldModel([sampler], spaces, transitions)
    state = env.initial(seed(), batch_size=3)
    following = traced(lambda: env.transition(state, tf.constant([0, 1, 0]), seed(1)))()
    assert following.observation.shape == (3, 2)
    assert np.isfinite(following.reward).all()
    assert following.terminated.dtype == tf.bool
