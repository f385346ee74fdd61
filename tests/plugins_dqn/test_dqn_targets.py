"""The papers' equations against NumPy, written as plain loops."""

from typing import Any

import numpy as np
import pytest
import tensorflow as tf

from advdl_dqn.noisy import NoisyDense, scaled_noise
from advdl_dqn.targets import discounts, moved, project, quantile_huber

DRAWS = np.random.default_rng(0)
SEED = tf.constant((1, 2), tf.int32)


def projected(support: Any, atoms: Any, probabilities: Any) -> Any:
    """Algorithm 1 of Bellemare et al. 2017, with a step for each atom."""
    result = np.zeros((len(atoms), len(support)))
    spacing = support[1] - support[0]
    for row, (places, shares) in enumerate(zip(atoms, probabilities, strict=True)):
        for place, share in zip(places, shares, strict=True):
            position = (np.clip(place, support[0], support[-1]) - support[0]) / spacing
            lower, upper = int(np.floor(position)), int(np.ceil(position))
            if lower == upper:
                result[row, lower] += share
            else:
                result[row, lower] += share * (upper - position)
                result[row, upper] += share * (position - lower)
    return result


def test_c51_projects_as_the_paper_does() -> None:
    support = np.linspace(-2, 3, 11).astype(np.float32)
    probabilities = DRAWS.dirichlet(np.ones(11), 40).astype(np.float32)
    reward, discount = DRAWS.normal(0, 3, 40).astype(np.float32), DRAWS.choice([0, 0.5, 0.9], 40).astype(np.float32)
    atoms = np.asarray(moved(tf.constant(reward), tf.constant(discount), tf.constant(support)))
    np.testing.assert_allclose(atoms, reward[:, None] + discount[:, None] * support, rtol=1e-6)
    found = np.asarray(project(tf.constant(support), tf.constant(atoms), tf.constant(probabilities)))
    np.testing.assert_allclose(found, projected(support, atoms, probabilities), atol=1e-5)
    np.testing.assert_allclose(found.sum(axis=1), 1, rtol=1e-5)
    inside = (np.abs(atoms - 0.5) <= 2.5).all(axis=1)
    assert inside.any()
    means = (found * support).sum(axis=1), (probabilities * atoms).sum(axis=1)
    np.testing.assert_allclose(means[0][inside], means[1][inside], atol=1e-4)


@pytest.mark.parametrize("kappa", [1.0, 0.3])
def test_the_quantile_huber_loss_is_that_of_the_paper(kappa: float) -> None:
    quantiles, targets = DRAWS.normal(size=(2, 20, 7)).astype(np.float32)
    expected = np.zeros(20)
    for row in range(20):
        for index, quantile in enumerate(quantiles[row]):
            for target in targets[row]:
                error = target - quantile
                huber = 0.5 * error**2 if abs(error) <= kappa else kappa * (abs(error) - 0.5 * kappa)
                expected[row] += abs((index + 0.5) / 7 - (error < 0)) * huber / kappa / 7
    np.testing.assert_allclose(quantile_huber(tf.constant(quantiles), tf.constant(targets), kappa), expected, rtol=1e-4)


def test_the_quantile_loss_is_least_at_the_quantiles() -> None:
    samples = np.sort(DRAWS.exponential(size=2_000)).astype(np.float32)
    best = np.quantile(samples, [0.125, 0.375, 0.625, 0.875]).astype(np.float32)

    def slope(quantiles: Any) -> Any:
        point = tf.constant(quantiles[None])
        with tf.GradientTape() as tape:
            tape.watch(point)
            loss = tf.reduce_sum(quantile_huber(point, tf.constant(samples[None]), 1e-3))
        return np.asarray(tape.gradient(loss, point))[0]

    np.testing.assert_allclose(slope(best), 0, atol=4e-3)
    assert (slope(best + 0.1) > 8e-3).all()
    assert (slope(best - 0.1) < -8e-3).all()


def test_nothing_follows_a_termination_and_something_follows_every_other_step() -> None:
    batch = {"reward": tf.zeros(4), "terminated": tf.constant([False, True, False, True])}
    np.testing.assert_allclose(discounts(batch, 0.9), [0.9, 0, 0.9, 0])
    batch["discount"] = tf.constant([0.9, 0.9, 0.81, 0.729])
    np.testing.assert_allclose(discounts(batch, 0.9), [0.9, 0, 0.81, 0])


class TestNoisyLayer:
    inputs, units = 6, 4

    def layer(self) -> Any:
        layer = NoisyDense(self.units, sigma=0.5, name="noisy")
        layer.build((None, self.inputs))
        return layer

    def test_noise_is_the_signed_root_of_a_normal_number(self) -> None:
        noise = np.asarray(scaled_noise(200_000, SEED))
        assert noise.mean() == pytest.approx(0, abs=0.01)
        assert (noise**2).mean() == pytest.approx(np.sqrt(2 / np.pi), abs=0.01)  # E|x|
        assert (noise**4).mean() == pytest.approx(1, abs=0.02)  # E x**2
        np.testing.assert_array_equal(noise, scaled_noise(200_000, SEED))
        assert not np.array_equal(noise, scaled_noise(200_000, SEED + 1))

    def test_it_starts_as_the_paper_says(self) -> None:
        layer, bound = self.layer(), 1 / np.sqrt(self.inputs)
        assert np.abs(layer.kernel.numpy()).max() <= bound
        np.testing.assert_allclose(layer.kernel_deviation.numpy(), 0.5 * bound, rtol=1e-6)
        np.testing.assert_allclose(layer.bias_deviation.numpy(), 0.5 * bound, rtol=1e-6)
        assert layer.noise_size == self.inputs + self.units

    def test_noise_is_an_outer_product(self) -> None:
        layer, features = self.layer(), DRAWS.normal(size=(3, self.inputs)).astype(np.float32)
        noise = np.asarray(scaled_noise(layer.noise_size, SEED))
        before, after = noise[: self.inputs], noise[self.inputs :]
        kernel = layer.kernel.numpy() + layer.kernel_deviation.numpy() * np.outer(before, after)
        bias = layer.bias.numpy() + layer.bias_deviation.numpy() * after
        np.testing.assert_allclose(layer(features, noise=tf.constant(noise)), features @ kernel + bias, atol=1e-5)
        np.testing.assert_allclose(layer(features), features @ layer.kernel.numpy() + layer.bias.numpy(), atol=1e-5)
