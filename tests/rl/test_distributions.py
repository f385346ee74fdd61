import itertools
import math

import numpy as np
import pytest
import tensorflow as tf
from gymnasium import spaces

from advdl.errors import UsageError
from advdl.rl.distributions import Bernoulli, Categorical, Gaussian, Independent, SquashedGaussian, action_model

SEED = tf.constant([1, 2], tf.int32)
LOGITS = np.array([[0.5, -1.0, 2.0]], np.float32)


def shares(draws, count):
    return np.bincount(np.asarray(draws), minlength=count) / len(draws)


def test_a_categorical_equals_its_closed_form():
    p = np.exp(LOGITS[0]) / np.exp(LOGITS[0]).sum()
    many = Categorical(np.repeat(LOGITS, 20_000, 0))
    for choice in range(3):
        assert Categorical(LOGITS).log_prob([choice]).numpy() == pytest.approx([math.log(p[choice])], rel=1e-5)
    assert Categorical(LOGITS).entropy().numpy() == pytest.approx([-(p * np.log(p)).sum()], rel=1e-5)
    assert Categorical(LOGITS).mode().numpy().tolist() == [2]
    np.testing.assert_allclose(shares(many.sample(SEED), 3), p, atol=0.012)


def test_several_choices_are_independent():
    parts = [Categorical(np.repeat(LOGITS, 20_000, 0)), Categorical(np.repeat(LOGITS[:, :2], 20_000, 0))]
    both = Independent(parts)
    raw = both.sample(SEED)
    np.testing.assert_allclose(both.log_prob(raw), parts[0].log_prob(raw[:, 0]) + parts[1].log_prob(raw[:, 1]))
    np.testing.assert_allclose(both.entropy()[0], parts[0].entropy()[0] + parts[1].entropy()[0])
    correlation = np.corrcoef(raw.numpy().T)[0, 1]
    assert abs(correlation) < 0.02


def test_bits_equal_their_closed_form():
    logits = np.array([[0.3, -2.0]], np.float32)
    p = 1 / (1 + np.exp(-logits[0]))
    bits = Bernoulli(logits)
    total = 0.0
    for raw in itertools.product((0, 1), repeat=2):
        log_prob = bits.log_prob([raw]).numpy()[0]
        assert log_prob == pytest.approx(sum(math.log(q if bit else 1 - q) for q, bit in zip(p, raw, strict=True)))
        total += math.exp(log_prob)
    assert total == pytest.approx(1.0)
    entropy = -(p * np.log(p) + (1 - p) * np.log(1 - p)).sum()
    assert bits.entropy().numpy() == pytest.approx([entropy], rel=1e-5)
    drawn = Bernoulli(np.repeat(logits, 20_000, 0)).sample(SEED)
    np.testing.assert_allclose(drawn.numpy().mean(0), p, atol=0.012)


def test_a_gaussian_equals_its_closed_form():
    mean, std = np.array([[0.5, -2.0]], np.float32), np.array([[0.3, 2.0]], np.float32)
    gaussian = Gaussian(mean, np.log(std))
    raw = np.array([[0.1, 1.0]], np.float32)
    density = np.prod(np.exp(-0.5 * ((raw - mean) / std) ** 2) / (std * math.sqrt(2 * math.pi)))
    assert gaussian.log_prob(raw).numpy() == pytest.approx([math.log(density)], rel=1e-5)
    entropy = (0.5 * np.log(2 * math.pi * math.e * std**2)).sum()
    assert gaussian.entropy().numpy() == pytest.approx([entropy], rel=1e-5)
    many = Gaussian(np.repeat(mean, 20_000, 0), np.repeat(np.log(std), 20_000, 0)).sample(SEED).numpy()
    np.testing.assert_allclose(many.mean(0), mean[0], atol=0.05)
    np.testing.assert_allclose(many.std(0), std[0], rtol=0.03)


@pytest.mark.parametrize(("mean", "std"), [(0.0, 0.5), (1.0, 1.0), (-2.0, 0.2), (0.3, 2.0)])
def test_a_squashed_density_is_one_and_its_entropy_the_integral(mean, std):
    squashed = SquashedGaussian(Gaussian(np.array([[mean]], np.float32), np.array([[math.log(std)]], np.float32)))
    raw = np.linspace(mean - 9 * std, mean + 9 * std, 40_001).astype(np.float32)
    log_density = squashed.log_prob(raw[:, None]).numpy().astype(np.float64)
    slope = 1 / np.cosh(raw.astype(np.float64)) ** 2  # d tanh(raw) / d raw
    weight = np.exp(log_density) * slope
    assert np.trapezoid(weight, raw) == pytest.approx(1.0, abs=1e-3)
    assert squashed.entropy().numpy()[0] == pytest.approx(-np.trapezoid(weight * log_density, raw), abs=5e-3)


def test_a_squashed_density_is_finite_far_out():
    squashed = SquashedGaussian(Gaussian(tf.zeros([1, 1]), tf.zeros([1, 1])))
    assert np.isfinite(squashed.log_prob(tf.constant([[40.0], [-40.0]])).numpy()).all()


@pytest.mark.parametrize("bounds", ["clip", "squash"])
def test_actions_stay_in_a_box_and_reach_its_bounds(bounds):
    box = spaces.Box(np.array([-2.0, 0.0], np.float32), np.array([0.5, 10.0], np.float32))
    model = action_model(box, bounds=bounds)
    assert (model.outputs, model.free, model.raw.shape) == (2, 2, (2,))
    policy = model.distribution(tf.repeat(tf.constant([[0.0, 0.0, 2.0, 2.0]]), 500, axis=0))
    actions = model.to_env(policy.sample(SEED)).numpy()
    assert all(action in box for action in actions)
    np.testing.assert_allclose(actions.min(0), box.low, atol=0.01)
    np.testing.assert_allclose(actions.max(0), box.high, atol=0.01)
    np.testing.assert_allclose(model.to_env(policy.mode())[0], [-0.75, 5.0], atol=1e-6)


def test_a_box_without_bounds_gets_the_raw_action():
    box = spaces.Box(-np.inf, np.inf, (2, 2), np.float32)
    model = action_model(box)
    raw = tf.constant([[1.0, 2.0, 3.0, 400.0]])
    np.testing.assert_allclose(model.to_env(raw), [[[1.0, 2.0], [3.0, 400.0]]])
    with pytest.raises(UsageError, match="no bounds"):
        action_model(box, bounds="squash")


@pytest.mark.parametrize(
    ("space", "outputs"),
    [(spaces.Discrete(3, start=5), 3), (spaces.MultiDiscrete([2, 4]), 6), (spaces.MultiBinary(3), 3)],
)
def test_drawn_actions_are_in_the_space(space, outputs):
    model = action_model(space)
    assert (model.outputs, model.free) == (outputs, 0)
    policy = model.distribution(tf.zeros([200, outputs]))
    raw = policy.sample(SEED)
    assert (raw.shape[1:], raw.dtype) == (model.raw.shape, model.raw.dtype)
    actions = model.to_env(raw).numpy()
    assert all(action in space for action in actions)
    assert len({str(action) for action in actions}) > 2


@pytest.mark.parametrize("space", [spaces.Text(3), spaces.Box(0, 5, (1,), np.int32), spaces.MultiBinary((2, 2))])
def test_other_spaces_are_refused_by_name(space):
    with pytest.raises(UsageError, match="ppo cannot act in"):
        action_model(space, agent="ppo")
