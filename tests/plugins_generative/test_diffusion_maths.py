"""The diffusion models' numbers against closed forms: the optimal denoiser of Gaussian data is known."""

from typing import Any

import numpy as np
import pytest
import tensorflow as tf
from gymnasium.spaces import Box, Discrete
from training_steps import normal, seed, traced, train

from advdl.errors import UsageError
from advdl.training import DataSpec
from advdl_generative.ddpm import Ddpm
from advdl_generative.diffusion import Diffusion
from advdl_generative.edm import DATA_DEVIATION, Edm
from advdl_generative.flow import Flow

PLANE = Box(-np.inf, np.inf, (2,), np.float32)
MEAN, DEVIATION = 0.3, 0.8


def gaussian_denoise(noisy: tf.Tensor, sigma: tf.Tensor) -> tf.Tensor:
    """The expected x of data ``N(MEAN, DEVIATION^2)`` with noise of deviation sigma."""
    share = DEVIATION**2 / (DEVIATION**2 + sigma[:, None] ** 2)
    return MEAN + share * (noisy - MEAN)


def gaussian_network(process: Ddpm) -> Any:
    """What a perfect network says of the same data, of epsilon or v."""
    signal = tf.constant(process.signal, tf.float32)

    def network(noisy: tf.Tensor, level: tf.Tensor) -> tf.Tensor:
        a = tf.gather(signal, tf.cast(tf.round(level * process.noise_steps), tf.int32))[:, None]
        gain = tf.sqrt(a) * DEVIATION**2 / (a * DEVIATION**2 + 1.0 - a)
        x = MEAN + gain * (noisy - tf.sqrt(a) * MEAN)
        epsilon = (noisy - tf.sqrt(a) * x) / tf.sqrt(tf.maximum(1.0 - a, 1e-12))
        return epsilon if process.prediction == "epsilon" else tf.sqrt(a) * epsilon - tf.sqrt(1.0 - a) * x

    return network


@pytest.mark.parametrize("schedule", ["linear", "cosine"])
def test_noised_data_have_the_moments_of_step_by_step_noising(schedule: Any) -> None:
    process = Ddpm(schedule=schedule)
    betas = 1.0 - process.signal[1:] / process.signal[:-1]
    assert ((betas > 0) & (betas <= 0.999)).all()
    x, noise = tf.fill([40_000, 1], 1.7), tf.constant(normal(40_000, 1))
    mean, variance = 1.7, 0.0
    for t, beta in enumerate(betas, start=1):
        mean, variance = np.sqrt(1 - beta) * mean, (1 - beta) * variance + beta
        if t in (1, 100, 500, 1000):
            noised = process.noised(x, tf.fill([40_000], t), noise).numpy()
            assert noised.mean() == pytest.approx(mean, abs=0.02)
            assert noised.var() == pytest.approx(variance, rel=0.02, abs=1e-4)
    assert process.signal[-1] < 1e-4


def test_the_linear_schedule_is_that_of_the_paper() -> None:
    betas = 1.0 - Ddpm().signal[1:] / Ddpm().signal[:-1]
    np.testing.assert_allclose(betas, np.linspace(1e-4, 0.02, 1000), rtol=1e-9)


@pytest.mark.parametrize("prediction", ["epsilon", "v"])
def test_ddim_is_deterministic_and_can_be_gone_back(prediction: Any) -> None:
    process = Ddpm(schedule="cosine" if prediction == "v" else "linear", prediction=prediction)
    network, noise = gaussian_network(process), tf.constant(normal(256, 2))
    sample = traced(lambda seed: process.sample(network, noise, seed, steps=1000, eta=0.0))
    x = sample(seed(0))
    np.testing.assert_array_equal(x, sample(seed(1)))
    back = traced(lambda: process.invert(network, x, steps=1000))()
    np.testing.assert_allclose(back, noise, atol=0.03)
    assert float(np.std(x)) == pytest.approx(DEVIATION, rel=0.05)
    assert float(np.mean(x)) == pytest.approx(MEAN, abs=0.1)


def test_the_ancestral_sampler_draws_from_the_data() -> None:
    process = Ddpm(noise_steps=200)
    network, noise = gaussian_network(process), tf.constant(normal(8000, 1))
    x = traced(lambda: process.sample(network, noise, seed(), steps=200, eta=1.0))().numpy()
    assert (x.mean(), x.std()) == (pytest.approx(MEAN, abs=0.03), pytest.approx(DEVIATION, rel=0.03))
    assert abs(np.corrcoef(x.ravel(), noise.numpy().ravel())[0, 1]) < 0.05, "the first noise should be forgotten"


def test_a_perfect_network_has_the_least_error() -> None:
    process, x = Ddpm(prediction="epsilon"), tf.constant(MEAN + DEVIATION * normal(4000, 1))
    uniform = tf.constant(np.random.default_rng(1).uniform(1e-6, 1, 4000), tf.float32)
    noise, network = tf.constant(normal(4000, 1, seed=2)), gaussian_network(process)
    best = float(tf.reduce_mean(process.errors(network, x, uniform, noise)))
    for change in (0.9, 1.1):
        worse = process.errors(lambda noisy, level, by=change: by * network(noisy, level), x, uniform, noise)
        assert float(tf.reduce_mean(worse)) > best


def test_twice_the_steps_halve_eulers_error_and_quarter_heuns() -> None:
    edm, noise = Edm(), tf.constant(normal(500, 2))
    start = edm.sigma_max
    exact = MEAN + (noise * start - MEAN) * DEVIATION / np.sqrt(DEVIATION**2 + start**2)

    def off(order: Any, steps: int) -> float:
        x = traced(lambda: edm.sample(gaussian_denoise, noise, seed(), steps=steps, order=order))()
        return float(tf.reduce_max(tf.abs(x - exact)))

    assert off(1, 72) / off(1, 36) == pytest.approx(0.5, abs=0.08)
    assert off(2, 72) / off(2, 36) == pytest.approx(0.25, abs=0.08)
    assert off(2, 72) < 0.02


@pytest.mark.parametrize(("steps", "order"), [(1, 1), (3, 1), (5, 2)])
def test_along_the_circle_gaussian_data_are_exact_in_any_number_of_steps(steps: int, order: Any) -> None:
    """Of data with the deviation that x is scaled to; with another, few steps are still near."""
    noise = tf.constant(normal(4000, 1))

    def network(seen: tf.Tensor, level: tf.Tensor) -> tf.Tensor:
        """A perfect one, of data of deviation s: what ``denoise`` must turn into the expected x."""
        sigma = tf.exp(4.0 * level)[:, None]
        total = tf.sqrt(sigma**2 + DATA_DEVIATION**2)
        noisy = seen * total
        expected = noisy * s**2 / (s**2 + sigma**2)
        return (expected - noisy * DATA_DEVIATION**2 / total**2) * total / (sigma * DATA_DEVIATION)

    for s, tolerance in ((DATA_DEVIATION, 1e-3), (0.45, 0.12)):
        x = traced(lambda: Edm().sample_by_angle(network, noise, steps=steps, order=order))().numpy()
        assert np.std(x) == pytest.approx(s * np.std(noise), rel=tolerance)


def test_churn_keeps_the_distribution() -> None:
    edm, noise = Edm(churn=20.0), tf.constant(normal(8000, 1))
    x = traced(lambda: edm.sample(gaussian_denoise, noise, seed(), steps=80, order=2))().numpy()
    assert (x.mean(), x.std()) == (pytest.approx(MEAN, abs=0.03), pytest.approx(DEVIATION, rel=0.03))


def test_an_ignorant_network_has_error_one_a_component_at_every_noise() -> None:
    edm, x = Edm(), tf.constant(DATA_DEVIATION * normal(4000, 4))
    noise = tf.constant(normal(4000, 4, seed=1))
    for quantile in (0.02, 0.5, 0.98):
        errors = edm.errors(lambda noisy, level: tf.zeros_like(noisy), x, tf.fill([4000], quantile), noise)
        assert float(tf.reduce_mean(errors)) / 4 == pytest.approx(1.0, rel=0.05)


def test_the_levels_go_from_the_greatest_to_the_smallest_and_to_zero() -> None:
    levels = Edm().levels(18).numpy()
    assert levels[[0, -2, -1]] == pytest.approx([80.0, 0.002, 0.0], rel=1e-3)
    assert (np.diff(levels) < 0).all()
    assert Edm().levels(1).numpy() == pytest.approx([80.0, 0.0])


def test_the_optimal_denoiser_of_gaussian_data_is_found() -> None:
    mixing = np.array([[1.0, 0.6], [0.0, 0.5]])
    mean = np.array([3.0, -1.0])
    x = (normal(32_000, 2) @ mixing + mean).astype(np.float32)
    model = Diffusion(DataSpec(PLANE), width=16, depth=1, average=0.99)
    # Large batches and a small network: three seeds are at most 1.2 % off, where 512 samples and width 48 gave 2.5 %.
    train(model, {"x": x}, 2000, batch_size=4096, jit=True, rate=5e-3, decay=True)
    stretch = model.scaling.stretch.numpy()
    covariance = np.cov(x.T) / np.outer(stretch, stretch)
    clean = normal(2000, 2, seed=5) @ np.linalg.cholesky(covariance).T
    for sigma in (0.05, 0.3, 1.0, 4.0):
        noisy = (clean + sigma * normal(2000, 2, seed=6)).astype(np.float32)
        best = noisy @ np.linalg.solve(covariance + sigma**2 * np.eye(2), covariance)
        levels = tf.fill([2000], sigma)
        found = model._edm.denoise(
            lambda x, level: model.averaged([x, level]), tf.constant(noisy), tf.cast(levels, tf.float32)
        )
        off = np.sqrt(np.mean((found.numpy() - best) ** 2)) / np.sqrt(np.mean(clean**2))
        assert off < 0.02, f"at noise {sigma} it is off by {off:.1%}"
    drawn = traced(lambda: model.sample(None, 4000, seed()))().numpy()
    np.testing.assert_allclose(drawn.mean(0), mean, atol=0.06)
    np.testing.assert_allclose(np.cov(drawn.T), np.cov(x.T), rtol=0.12)  # 18 steps of Heun's are 9 % off by themselves


def gaussian_direction(noisy: tf.Tensor, t: tf.Tensor) -> tf.Tensor:
    """What a perfect network says of the direction from data ``N(MEAN, DEVIATION^2)`` to noise."""
    t = t[:, None]
    off = (noisy - (1.0 - t) * MEAN) / ((1.0 - t) ** 2 * DEVIATION**2 + t**2)
    return t * off - MEAN - (1.0 - t) * DEVIATION**2 * off


def test_a_flow_ends_where_it_must_and_faster_by_the_midpoints() -> None:
    noise = tf.constant(normal(500, 2))

    def off(order: Any, steps: int) -> float:
        x = traced(lambda: Flow().sample(gaussian_direction, noise, steps=steps, order=order))()
        return float(tf.reduce_max(tf.abs(x - (MEAN + DEVIATION * noise))))

    assert off(1, 64) / off(1, 32) == pytest.approx(0.5, abs=0.1)
    assert off(2, 16) / off(2, 8) == pytest.approx(0.25, abs=0.1)
    assert off(2, 16) < 0.02


def test_a_flows_perfect_network_has_the_least_error() -> None:
    x = MEAN + DEVIATION * tf.constant(normal(4000, 2))
    uniform, noise = tf.constant((np.arange(4000, dtype="f4") + 0.5) / 4000), tf.constant(normal(4000, 2, seed=1))

    def error(change: float) -> float:
        changed = lambda noisy, t: gaussian_direction(noisy, t) + change  # noqa: E731
        return float(tf.reduce_mean(Flow().errors(changed, x, uniform, noise)))

    assert error(0.0) < min(error(0.2), error(-0.2))
    ignorant = Flow().errors(lambda noisy, t: 0.0 * noisy, tf.constant(normal(4000, 2, seed=2)), uniform, noise)
    assert float(tf.reduce_mean(ignorant)) / 2 == pytest.approx(1.0, rel=0.1)


def test_guidance_goes_beyond_the_condition() -> None:
    spec = DataSpec(PLANE, Discrete(2))
    noise, level, c = tf.constant(normal(8, 2)), tf.fill([8], 0.1), tf.one_hot([0, 1] * 4, 2)
    models = [Diffusion(spec, width=8, depth=1, condition_dropout=0.2, guidance=weight) for weight in (0.0, 1.0, 3.0)]
    weights = [normal(*value.shape, seed=index) * 0.3 for index, value in enumerate(models[0].averaged.get_weights())]
    for model in models:
        model.averaged.set_weights(weights)
    without, plain, guided = (model._guided(noise, level, [c]) for model in models)
    assert float(tf.reduce_max(tf.abs(plain - without))) > 1e-3
    np.testing.assert_allclose(guided, without + 3.0 * (plain - without), atol=1e-4)
    hidden = models[0]._guided(noise, level, [1.0 - c])
    np.testing.assert_allclose(hidden, without, atol=1e-6)


@pytest.mark.parametrize(
    ("spec", "options", "sentence"),
    [
        (DataSpec(PLANE), {"guidance": 2.0}, "guidance needs data with a condition c"),
        (DataSpec(PLANE, Discrete(2)), {"guidance": 2.0}, "guidance needs a condition_dropout above 0"),
        (DataSpec(PLANE), {"solver": "ddim"}, "the formulation 'edm' has no solver 'ddim'"),
        (DataSpec(PLANE), {"formulation": "flow", "solver": "heun"}, "the formulation 'flow' has no solver 'heun'"),
        (DataSpec(PLANE), {"formulation": "ddpm", "noise_steps": 10, "steps": 11}, "11 steps of ddim are more than"),
        (DataSpec(PLANE), {"network": "unet"}, "convolutions need images"),
        (DataSpec(Box(0, 1, (9, 8, 1), np.float32)), {}, r"multiples of 2, not 9 x 8"),
    ],
)
def test_options_that_do_not_go_together_are_refused(spec: DataSpec, options: dict[str, Any], sentence: str) -> None:
    with pytest.raises(UsageError, match=sentence):
        Diffusion(spec, **options)
