"""The VAE's numbers against closed forms."""

import math

import keras
import numpy as np
import pytest
import tensorflow as tf
from gymnasium.spaces import Box, MultiBinary
from scipy import stats
from training_steps import normal, seed, traced, train

from advdl.training import DataSpec
from advdl_generative.likelihoods import Bernoulli, Categorical, Gaussian
from advdl_generative.scaling import Scaling
from advdl_generative.spaces import Layout
from advdl_generative.vae import VAE, divergence_from_normal

LINE = Box(-np.inf, np.inf, (3,), np.float32)
DEVIATION = math.exp(-1.5)  # the middle of what the Gaussian likelihood can say


@pytest.mark.parametrize(("mean", "deviation"), [(0.0, 1.0), (1.5, 0.3), (-2.0, 2.5)])
def test_the_divergence_is_the_integral(mean: float, deviation: float) -> None:
    z, step = np.linspace(-40.0, 40.0, 400_001, retstep=True)
    q, p = stats.norm(mean, deviation), stats.norm()
    integral = float(np.sum(q.pdf(z) * (q.logpdf(z) - p.logpdf(z))) * step)
    found = divergence_from_normal(tf.constant(mean), tf.constant(2.0 * math.log(deviation)))
    assert float(found) == pytest.approx(integral, abs=1e-5)


class Linear:
    """A VAE of ``x = W z + noise`` with z of two dimensions: likelihood and posterior are known."""

    def __init__(self, *, off: float = 0.0) -> None:
        self.weights = normal(3, 2, seed=1)
        variance = DEVIATION**2
        covariance = np.linalg.inv(np.eye(2) + self.weights.T @ self.weights / variance)
        gain = covariance @ self.weights.T / variance
        # The posterior of z is correlated and the VAE's is not: an orthogonal W makes them equal.
        left, singular, _ = np.linalg.svd(self.weights, full_matrices=False)
        self.weights = (left * singular).astype(np.float32)
        covariance = np.diag(1.0 / (1.0 + singular**2 / variance))
        gain = covariance @ self.weights.T / variance
        self.vae = VAE(DataSpec(LINE), latent=2, units=(4,))
        self.vae.decoder = _affine(2, np.hstack([self.weights.T, np.zeros((2, 3))]), np.zeros(6))
        deviation, log_variance = np.sqrt(np.diag(covariance)), np.log(np.diag(covariance)) + off
        self.vae.encoder = _affine(3, np.hstack([gain.T, np.zeros((3, 2))]), [*(off * deviation), *log_variance])

    def log_likelihood(self, x: np.ndarray) -> np.ndarray:
        covariance = self.weights @ self.weights.T + DEVIATION**2 * np.eye(3)
        return np.asarray(stats.multivariate_normal(np.zeros(3), covariance).logpdf(x))


def _affine(size: int, kernel: np.ndarray, bias: object) -> keras.Model:
    inputs = keras.Input((size,))
    layer = keras.layers.Dense(len(np.asarray(bias)))
    model = keras.Model([inputs], layer(inputs))
    layer.set_weights([kernel, np.asarray(bias)])
    return model


def test_with_the_true_posterior_the_bound_is_the_likelihood() -> None:
    linear, x = Linear(), normal(400, 3)
    exact = linear.log_likelihood(x)
    found = -linear.vae.importance_bound({"x": x}, seed(), 3).numpy()
    np.testing.assert_allclose(-found, exact, atol=2e-3)


def test_with_another_posterior_it_lies_below_and_rises_with_the_draws() -> None:
    linear = Linear(off=0.4)
    x = normal(1000, 2) @ linear.weights.T + DEVIATION * normal(1000, 3, seed=2)
    batch = {"x": x}
    exact = float(linear.log_likelihood(x).mean())
    elbo = -float(tf.reduce_mean(linear.vae.measure(batch, seed())["negative_elbo"]))
    bound = traced(lambda draws: linear.vae.importance_bound(batch, seed(1), draws))
    bounds = [float(tf.reduce_mean(bound(draws))) for draws in (1, 5, 50, 500)]
    assert elbo < exact - 0.05
    assert bounds[0] == pytest.approx(elbo, abs=0.2)
    assert bounds == sorted(bounds)
    assert exact - 0.05 < bounds[-1] < exact + 0.01


def test_the_likelihoods_are_distributions() -> None:
    whole = Layout.of(Box(2, 5, (1,), np.int32), "vae")
    scaling = Scaling(whole, "bounds")
    logits = tf.constant([[0.3, -1.0, 2.0, 0.0]])
    each = [float(Categorical(whole).log_prob(logits, tf.constant([[value]]))[0]) for value in range(2, 6)]
    assert sum(map(math.exp, each)) == pytest.approx(1.0, abs=1e-5)
    binary = Layout.of(MultiBinary(1), "vae")
    bernoulli = Bernoulli(Scaling(binary, "bounds"), binary)
    each = [float(bernoulli.log_prob(tf.constant([[0.7]]), tf.constant([[value]]))[0]) for value in (0, 1)]
    assert sum(map(math.exp, each)) == pytest.approx(1.0, abs=1e-5)
    line = Layout.of(Box(-np.inf, np.inf, (1,), np.float32), "vae")
    scaling = Scaling(line, "standard")
    scaling.adapt(tf.constant([[1.0], [5.0]]))
    x = np.linspace(-60, 60, 20_001, dtype=np.float32)
    parameters = tf.repeat(tf.constant([[0.4, -0.3]]), len(x), axis=0)
    density = np.exp(Gaussian(scaling).log_prob(parameters, tf.constant(x[:, None])).numpy())
    assert float(density.sum() * (x[1] - x[0])) == pytest.approx(1.0, abs=1e-3)


def test_draws_follow_the_categorical_likelihood() -> None:
    layout = Layout.of(Box(0, 2, (1,), np.uint8), "vae")
    logits = tf.repeat(tf.math.log(tf.constant([[0.2, 0.5, 0.3]])), 20_000, axis=0)
    drawn = Categorical(layout).draw(logits, seed()).numpy().ravel()
    np.testing.assert_allclose(np.bincount(drawn, minlength=3) / len(drawn), [0.2, 0.5, 0.3], atol=0.02)


def test_free_bits_cost_nothing_and_beta_weighs_the_divergence() -> None:
    spec, x = DataSpec(LINE), tf.constant(normal(64, 3))
    plain = VAE(spec, units=(8,))
    (objective,) = plain.objectives()
    loss, aux = objective.loss({"x": x}, seed())
    assert float(loss) == pytest.approx(float(aux["kl"] + aux["reconstruction"]), abs=1e-4)
    for options, expected in (({"beta": 3.0}, 3.0 * aux["kl"]), ({"free_bits": 50.0}, 100.0)):
        other = VAE(spec, units=(8,), **options)
        for ours, theirs in zip(plain.models.values(), other.models.values(), strict=True):
            theirs.set_weights(ours.get_weights())
        changed, _ = other.objectives()[0].loss({"x": x}, seed())
        assert float(changed - aux["reconstruction"]) == pytest.approx(float(expected), abs=1e-3)


def test_it_learns_a_correlation() -> None:
    keras.utils.set_random_seed(0)
    t = normal(512, 1)
    x = np.hstack([t, 2.0 * t]) + 0.1 * normal(512, 2, seed=1) + [10.0, -5.0]
    vae = VAE(DataSpec(Box(-np.inf, np.inf, (2,), np.float32)), units=(32,))
    train(vae, {"x": x.astype(np.float32)}, 1500, rate=1e-2, decay=True, jit=True)
    drawn = vae.sample(None, 2000, seed()).numpy()
    np.testing.assert_allclose(drawn.mean(0), [10.0, -5.0], atol=0.5)
    np.testing.assert_allclose(np.corrcoef(drawn.T)[0, 1], 1.0, atol=0.15)
