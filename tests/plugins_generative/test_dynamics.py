"""World models with a memory: they keep the contract, learn a game of pixels, and listen to what they are told."""

from typing import Any

import keras
import numpy as np
import pytest
import tensorflow as tf
from gymnasium.spaces import Box, Discrete
from training_steps import run, seed, trainer_of

from advdl.errors import UsageError
from advdl.rl import Dynamics, Spaces
from advdl.testing import check_dynamics, component
from advdl_generative.denoisers import unet
from advdl_generative.frames import DiffusedFrames
from advdl_generative.recurrent import RecurrentLatents

IMAGES = Spaces(Box(0, 255, (5, 3, 1), np.uint8), Discrete(2))
VECTORS = Spaces(Box(-np.inf, np.inf, (3,), np.float32), Box(-1.0, 1.0, (2,), np.float32))
LATENTS = {"latent": 3, "units": (16,), "memory": 8, "mixtures": 2, "length": 3, "context": 2}
FRAMES = {"history": 2, "width": 8, "units": 8, "steps": 2}


@pytest.mark.parametrize("spaces", [IMAGES, VECTORS], ids=["images", "vectors"])
def test_recurrent_latents_keep_the_contract(spaces: Spaces) -> None:
    check_dynamics(component("dynamics", "vae", **LATENTS), spaces=[spaces], jit=spaces is VECTORS)


def test_diffused_frames_keep_the_contract() -> None:
    check_dynamics(component("dynamics", "diffusion", **FRAMES), spaces=[IMAGES], jit=False)


def runner(count: int, length: int, rng: Any) -> dict[str, Any]:
    """A dot on a ring of five: action 1 steps on, 0 back, by as much as it has just moved and 1 more, up to 2."""
    place, speed = rng.integers(0, 5, count), np.zeros(count, int)
    fields: dict[str, list[Any]] = {name: [] for name in ("observation", "next_observation", "action", "reward")}
    for _ in range(length):
        action = rng.integers(0, 2, count)
        speed = np.clip(speed + 2 * action - 1, -2, 2)
        fields["observation"].append(seen(place))
        place = (place + speed) % 5
        fields["next_observation"].append(seen(place))
        fields["action"].append(action)
        fields["reward"].append((place == 0).astype(np.float32))
    segments = {name: np.stack(value, axis=1) for name, value in fields.items()}
    never = np.zeros((count, length), bool)
    return {**segments, "terminated": segments["reward"] > 0, "truncated": never}


def seen(place: Any) -> Any:
    frames = np.zeros((len(place), 5, 3, 1), np.uint8)
    frames[np.arange(len(place)), place, 1] = 255
    return frames


def no_ends(segments: dict[str, Any]) -> dict[str, Any]:
    return {**segments, "terminated": np.zeros_like(segments["terminated"])}


def fit(dynamics: Dynamics, segments: dict[str, Any], updates: int) -> None:
    dynamics.adapt(segments)
    tensors = {name: tf.constant(value) for name, value in segments.items()}
    run(trainer_of(dynamics, rate=3e-3, updates=updates, decay=True), {**tensors, "x": tensors["reward"]}, 0, updates)


def shares(dynamics: Dynamics, rng: Any) -> tuple[float, float]:
    """Returns how many next frames are right, and how many rewards, of new segments of which the past is given."""
    segments = no_ends(runner(300, dynamics.context, rng))
    told = {name: tf.constant(value) for name, value in segments.items()}
    said = dynamics.foresee(dynamics.begin(told), told["action"][:, -1], seed())
    truth = segments["next_observation"][:, -1]
    right = np.abs(said.observation.numpy().astype(int) - truth).max((1, 2, 3)) < 64
    reward = np.abs(said.reward.numpy() - segments["reward"][:, -1]) < 0.3
    return float(right.mean()), float(reward.mean())


def test_diffused_frames_learn_what_only_their_history_shows() -> None:
    """How fast the dot was is in no frame: one that sees the last frame alone cannot know."""
    keras.utils.set_random_seed(0)
    rng, found = np.random.default_rng(0), {}
    for history in (1, 4):
        model = DiffusedFrames(IMAGES, history=history, width=8, units=32)
        segments = runner(1500, 4, rng)
        fit(model, no_ends({name: value[:, -history:] for name, value in segments.items()}), 350)
        found[history] = shares(model, rng)[0]
    assert found[4] > 0.8
    assert found[1] < 0.6


def test_recurrent_latents_remember() -> None:
    """Of the last frame alone, at most two frames of five can be told: there are five speeds."""
    keras.utils.set_random_seed(1)
    rng = np.random.default_rng(0)
    options = {"latent": 4, "beta": 0.1, "temperature": 0.2, "units": (64,), "memory": 64, "mixtures": 3}
    model = RecurrentLatents(IMAGES, length=6, context=5, **options)
    fit(model, no_ends(runner(1500, 6, rng)), 2500)
    frames, rewards = shares(model, rng)
    assert frames > 0.8
    assert rewards > 0.9
    assert dynamics_memory(model, rng)


def dynamics_memory(model: RecurrentLatents, rng: Any) -> bool:
    """The same last frame after another past is another memory, unless an episode began there."""
    one, two = (no_ends(runner(50, model.context, rng)) for _ in range(2))
    two["observation"][:, -1] = one["observation"][:, -1]
    differs = not np.allclose(*(begun(model, segments).output for segments in (one, two)))
    for segments in (one, two):
        segments["truncated"][:, -2] = True
    forgotten = all(np.allclose(a, b, atol=1e-6) for a, b in zip(begun(model, one), begun(model, two), strict=True))
    return differs and forgotten and not np.any(begun(model, one).cell)


def begun(model: Dynamics, segments: dict[str, Any]) -> Any:
    return model.begin({name: tf.constant(value) for name, value in segments.items()})


def test_what_begins_and_goes_on_is_what_was_learnt_from() -> None:
    """The LSTM's state after a segment equals that of stepping through it, which training does."""
    model = RecurrentLatents(IMAGES, **LATENTS)
    segments = no_ends(runner(6, 2, np.random.default_rng(1)))
    carry = begun(model, {name: value[:, :1] for name, value in segments.items()})
    after = model.foresee(carry, tf.constant(segments["action"][:, 0]), seed()).carry
    np.testing.assert_allclose(after.output, begun(model, segments).output, atol=1e-6)
    np.testing.assert_allclose(after.cell, begun(model, segments).cell, atol=1e-6)


def test_frames_of_an_earlier_episode_are_no_history() -> None:
    model = DiffusedFrames(IMAGES, history=3, width=8, units=8)
    segments = no_ends(runner(1, 3, np.random.default_rng(1)))
    segments["truncated"][0, 0] = True
    frames, actions = begun(model, segments)
    shown = segments["observation"][0]
    np.testing.assert_array_equal(frames[0], shown[[1, 1, 2]])
    assert actions.numpy()[0].sum(-1).tolist() == [0.0, 1.0]


def test_a_unet_takes_images_of_any_size_and_what_stands_beside() -> None:
    network = unet((5, 7, 2), 8, 3, 1, 3, "unet", beside=4)
    rng = np.random.default_rng(0)
    network.set_weights([0.2 * rng.normal(size=value.shape) for value in network.get_weights()])
    inputs = [rng.normal(size=(2, *part.shape[1:])).astype(np.float32) for part in network.inputs]
    first = network(inputs).numpy()
    assert first.shape == (2, 5, 7, 2)
    for index in range(4):
        changed = [part[::-1] if index == place else part for place, part in enumerate(inputs)]
        assert np.abs(network(changed) - first).max() > 1e-3


def test_vectors_have_no_frames() -> None:
    with pytest.raises(UsageError, match="needs images"):
        DiffusedFrames(VECTORS)


@pytest.mark.parametrize(("family", "options"), [(RecurrentLatents, LATENTS), (DiffusedFrames, FRAMES)])
def test_frames_can_be_of_bools_as_minatars_are(family: Any, options: dict[str, Any]) -> None:
    model = family(Spaces(Box(0, 1, (5, 3, 1), np.bool_), Discrete(2)), **options)
    segments = no_ends(runner(4, model.context, np.random.default_rng(0)))
    for name in ("observation", "next_observation"):
        segments[name] = segments[name] > 0
    model.adapt(segments)
    said = model.foresee(begun(model, segments), tf.constant(segments["action"][:, -1]), seed())
    assert said.observation.dtype == tf.bool
    assert said.observation.shape == (4, 5, 3, 1)
