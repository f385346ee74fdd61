"""The GAN's penalties against finite differences; its losses and its networks."""

import keras
import numpy as np
import pytest
import tensorflow as tf
from gymnasium.spaces import Box, Discrete
from training_steps import normal, run, seed, train, trainer_of

from advdl.training import DataSpec
from advdl_generative.adversaries import dcgan_discriminator, dcgan_generator, gradient_norms
from advdl_generative.gan import GAN
from advdl_generative.layers import SeededDropout

SPEC = DataSpec(Box(-1.0, 1.0, (3,), np.float32), Discrete(2))


def finite_difference_norms(critic: object, x: np.ndarray, step: float = 1e-2) -> np.ndarray:
    slopes = []
    for index in range(x.shape[1]):
        there, back = x.copy(), x.copy()
        there[:, index] += step
        back[:, index] -= step
        slopes.append((critic(there) - critic(back)) / (2 * step))  # type: ignore[operator]
    return np.sqrt(np.sum(np.square(slopes), axis=0))


def test_gradient_norms_are_those_of_finite_differences() -> None:
    weights, mixing = normal(3, 5, seed=1), normal(5, seed=2)

    def critic(x: tf.Tensor) -> tf.Tensor:
        return tf.linalg.matvec(tf.tanh(tf.matmul(tf.cast(x, tf.float32), weights)), mixing)

    x = normal(20, 3)
    found = gradient_norms(critic, tf.constant(x)).numpy()
    np.testing.assert_allclose(found, finite_difference_norms(lambda v: critic(v).numpy(), x), rtol=1e-2)


@pytest.mark.parametrize("loss", ["non-saturating", "wasserstein"])
def test_the_penalties_are_those_of_the_papers(loss: str) -> None:
    gan = GAN(SPEC, loss=loss, units=(16,), noise=4, dropout=0.0, penalty=7.0)
    batch = {"x": tf.constant(np.clip(normal(32, 3), -1, 1)), "c": tf.constant(np.arange(32) % 2)}
    condition = gan.condition_of(batch)
    _, aux = gan.objectives()[0].loss(batch, seed())
    assert float(aux["penalty"]) >= 0.0
    real = gan.scaling(batch["x"])

    def critic(x: np.ndarray) -> np.ndarray:
        return np.asarray(gan._judge(tf.constant(x), condition, seed()), np.float64)

    if loss == "non-saturating":
        # Piecewise linear: small steps, and rows next to a kink apart.
        expected = 0.5 * np.mean(finite_difference_norms(critic, real.numpy(), 1e-3) ** 2)
        assert float(aux["penalty"]) == pytest.approx(expected, rel=0.05)
    else:
        fake = gan._fake(batch, seed())
        found = float(gan._gradient_penalty(real, fake, condition, seed(9)))
        share = tf.random.stateless_uniform([32, 1], seed(9))
        between = (fake + share * (real - fake)).numpy()
        expected = np.mean((finite_difference_norms(critic, between, 1e-3) - 1.0) ** 2)
        assert found == pytest.approx(expected, rel=0.05)


def test_the_discriminators_loss_leaves_the_generator_alone() -> None:
    gan = GAN(SPEC, units=(8,), noise=4)
    batch = {"x": tf.constant(normal(8, 3)), "c": tf.constant(np.arange(8) % 2)}
    before = [value.copy() for value in gan.generator.get_weights()]
    trainer = trainer_of(gan)
    (discriminator, generator) = gan.objectives()
    trainer.objectives = [discriminator]
    trainer.update(batch, seed())
    assert all(np.array_equal(a, b) for a, b in zip(before, gan.generator.get_weights(), strict=True))
    trainer.objectives = [generator]
    trainer.update(batch, seed())
    assert not all(np.array_equal(a, b) for a, b in zip(before, gan.generator.get_weights(), strict=True))


def test_dcgan_is_the_documented_one() -> None:
    generator = dcgan_generator((28, 28, 1), 100, 256, 0, "tanh", "generator")
    assert generator.get_layer("shaped").output.shape == (None, 7, 7, 256)
    kernels = [layer.kernel_size for layer in generator.layers if hasattr(layer, "kernel_size")]
    assert kernels == [(5, 5)] * 3
    assert [layer.filters for layer in generator.layers if hasattr(layer, "filters")] == [128, 64, 1]
    assert generator.output.shape == (None, 28, 28, 1)
    discriminator = dcgan_discriminator((28, 28, 1), 64, 0.3, 0, "discriminator")
    assert [layer.filters for layer in discriminator.layers if hasattr(layer, "filters")] == [64, 128]
    slopes = [layer.negative_slope for layer in discriminator.layers if hasattr(layer, "negative_slope")]
    assert slopes == pytest.approx([0.2, 0.2])
    dropouts = [layer for layer in discriminator.layers if isinstance(layer, SeededDropout)]
    assert [layer._rate for layer in dropouts] == [0.3, 0.3]


def test_dropout_is_a_function_of_its_seed() -> None:
    first, second = SeededDropout(0.3, 0, name="first"), SeededDropout(0.3, 1, name="second")
    x = tf.ones([400, 50])
    dropped = first([x, seed(1)]).numpy()
    assert dropped.mean() == pytest.approx(1.0, abs=0.02)
    assert (dropped == 0).mean() == pytest.approx(0.3, abs=0.02)
    np.testing.assert_array_equal(dropped, first([x, seed(1)]))
    assert not np.array_equal(dropped, first([x, seed(2)]))
    assert not np.array_equal(dropped, second([x, seed(1)]))


def test_training_that_is_cut_equals_training_that_is_not() -> None:
    """Dropout included: nothing is random but by seed and step."""
    data = {"x": tf.constant(normal(64, 3)), "c": tf.constant(np.arange(64) % 2)}
    options = {"units": (16,), "noise": 4}
    whole = GAN(SPEC, **options)
    start = {name: model.get_weights() for name, model in whole.models.items()}
    trainer = trainer_of(whole)
    run(trainer, data, 0, 6)
    cut = GAN(SPEC, **options)
    for name, model in cut.models.items():
        model.set_weights(start[name])
    first = trainer_of(cut)
    run(first, data, 0, 3)
    resumed = GAN(SPEC, **options)
    second = trainer_of(resumed)
    state = first.state()
    for name, variable in second.state().items():
        variable.assign(state[name])
    run(second, data, 3, 6)
    for name, value in trainer.state().items():
        np.testing.assert_array_equal(value, second.state()[name], err_msg=name)


def test_it_learns_two_classes_apart() -> None:
    c = np.arange(512) % 2
    x = (np.where(c[:, None] == 0, -0.6, 0.6) + 0.1 * normal(512, 3)).clip(-1, 1).astype(np.float32)
    keras.utils.set_random_seed(0)
    gan = GAN(SPEC, units=(32,), noise=8, average=0.98, dropout=0.0)
    train(gan, {"x": x, "c": c}, 600, rate=2e-3, beta_1=0.5)
    means = [gan.sample(tf.fill([400], tf.constant(k, tf.int64)), 400, seed()).numpy().mean() for k in (0, 1)]
    assert means == [pytest.approx(-0.6, abs=0.4), pytest.approx(0.6, abs=0.4)]
