"""Mixtures of Gaussians against closed forms."""

import math

import numpy as np
import tensorflow as tf
from training_steps import normal, seed

from advdl_generative.mixture import Mixture


def two() -> Mixture:
    """0.25 N(-1, 0.5^2) + 0.75 N(2, 1.5^2), of one number."""
    return Mixture(tf.math.log([[0.25, 0.75]]), tf.constant([[-1.0, 2.0]]), tf.math.log(tf.constant([[0.5, 1.5]])))


def density(x: np.ndarray) -> np.ndarray:
    parts = [(0.25, -1.0, 0.5), (0.75, 2.0, 1.5)]
    return sum(w * np.exp(-0.5 * ((x - m) / s) ** 2) / (s * math.sqrt(2 * math.pi)) for w, m, s in parts)


def test_the_density_is_the_closed_form() -> None:
    x = np.linspace(-9.0, 13.0, 2201, dtype=np.float32)
    found = np.exp(two().log_density(x[:, None])[:, 0])
    np.testing.assert_allclose(found, density(x), rtol=1e-4, atol=1e-7)
    assert abs(np.trapezoid(found, x) - 1.0) < 1e-4


def test_draws_have_its_moments_and_temperature_widens_them() -> None:
    count = 40_000
    many = Mixture(*(tf.repeat(part, count, axis=0) for part in two()))
    drawn = many.draw(seed()).numpy()
    mean = 0.25 * -1.0 + 0.75 * 2.0
    variance = 0.25 * (0.25 + 1.0) + 0.75 * (2.25 + 4.0) - mean**2
    assert abs(drawn.mean() - mean) < 5 * math.sqrt(variance / count)
    assert abs(drawn.var() / variance - 1.0) < 0.05
    below = np.mean(drawn < -1.0)
    assert abs(below - (0.125 + 0.75 * 0.5 * math.erfc(2.0 / math.sqrt(2.0)))) < 0.01
    hot = many.draw(seed(), 4.0).numpy()
    assert hot.var() > 2.0 * drawn.var()
    cold = many.draw(seed(), 1e-3).numpy()
    np.testing.assert_allclose(cold, 2.0, atol=0.3)
    np.testing.assert_array_equal(drawn, many.draw(seed()))


def test_any_numbers_are_a_mixture() -> None:
    read = Mixture.read(tf.constant(100.0 * normal(2, 7, 4 * 3 * 5)), 5)
    assert [tuple(part.shape) for part in read] == [(2, 7, 4, 5)] * 3
    np.testing.assert_allclose(tf.reduce_sum(tf.exp(read.log_weights), axis=-1), 1.0, atol=1e-5)
    assert np.isfinite(read.log_density(tf.constant(normal(2, 7, 4)))).all()
    assert read.draw(seed()).shape == (2, 7, 4)
