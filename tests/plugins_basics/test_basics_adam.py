"""Adam with TensorFlow's kernel equals Keras' own, with XLA and without, and is Keras' where there is no kernel."""

from typing import Any

import keras
import numpy as np
import pytest
import tensorflow as tf

from advdl_basics.optimizers import Adam, AdamW

STEPS, ROWS, RATE = 20, 7, 0.01
PAIRS = {
    "adam": (Adam, keras.optimizers.Adam, {}),
    "its options": (Adam, keras.optimizers.Adam, {"beta_1": 0.5, "beta_2": 0.9, "epsilon": 1e-3}),
    "decay": (Adam, keras.optimizers.Adam, {"weight_decay": 0.01}),
    "adamw": (AdamW, keras.optimizers.AdamW, {"weight_decay": 0.01}),
}


def trained(optimizer: Any, *, jit: bool, sparse: bool = False, scaled: bool = False) -> list[np.ndarray]:
    """Returns the weights after steps whose gradients and rates differ, and everything that the optimizer keeps."""
    rng = np.random.default_rng(0)
    matrix = keras.Variable(rng.normal(size=(ROWS, 5)).astype(np.float32))
    bias = keras.Variable(rng.normal(size=5).astype(np.float32))
    outer = keras.optimizers.LossScaleOptimizer(optimizer, initial_scale=1.0) if scaled else optimizer
    outer.build([matrix, bias])

    def step(wide: tf.Tensor, narrow: tf.Tensor, rate: tf.Tensor) -> None:
        optimizer.learning_rate.assign(rate)
        gradient = tf.IndexedSlices(wide[:2], tf.constant([1, 4]), tf.constant([ROWS, 5])) if sparse else wide
        outer.apply([gradient, narrow], [matrix, bias])

    run = tf.function(step, jit_compile=jit)
    for number in range(STEPS):
        wide, narrow = rng.normal(size=(ROWS, 5)), rng.normal(size=5)
        run(tf.constant(wide, tf.float32), tf.constant(narrow, tf.float32), tf.constant(0.1 / (1 + number)))
    return [variable.numpy() for variable in (matrix, bias, *optimizer.variables)]


def same(found: list[np.ndarray], expected: list[np.ndarray]) -> None:
    """Keras rounds 1 - beta_2 as 0.001, the kernel as 1 less a float32: they differ by up to 6e-5 of it."""
    assert len(found) == len(expected)
    for ours, keras_own in zip(found, expected, strict=True):
        np.testing.assert_allclose(ours, keras_own, rtol=6e-5, atol=1e-5)


@pytest.mark.parametrize("jit", [False, True])
@pytest.mark.parametrize("name", PAIRS)
def test_it_steps_as_keras_own_does(name: str, jit: bool) -> None:
    ours, keras_own, options = PAIRS[name]
    same(trained(ours(learning_rate=0.1, **options), jit=jit), trained(keras_own(0.1, **options), jit=jit))


@pytest.mark.parametrize("jit", [False, True])
def test_it_is_nearer_to_the_formula_than_keras_own(jit: bool) -> None:
    gradients = np.random.default_rng(0).normal(size=(100, 1000)).astype(np.float32)
    expected = formula(gradients)
    ours = np.abs(stepped(Adam(learning_rate=RATE), gradients, jit=jit) - expected)
    keras_own = np.abs(stepped(keras.optimizers.Adam(RATE), gradients, jit=jit) - expected)
    assert ours.mean() < keras_own.mean() / 4
    assert ours.max() < 5e-5 * RATE


def stepped(optimizer: Any, gradients: np.ndarray, *, jit: bool) -> np.ndarray:
    weights = keras.Variable(np.zeros(gradients.shape[1:], np.float32))
    optimizer.build([weights])
    step = tf.function(lambda gradient: optimizer.apply([gradient], [weights]), jit_compile=jit)
    for gradient in gradients:
        step(tf.constant(gradient))
    return weights.numpy()


def formula(gradients: np.ndarray, beta_1: float = 0.9, beta_2: float = 0.999, epsilon: float = 1e-7) -> np.ndarray:
    """Returns zeros after Adam's steps in double precision (Kingma & Ba 2015, section 2, in its efficient order)."""
    weights = m = v = np.zeros(gradients.shape[1:])
    for step, gradient in enumerate(gradients.astype(np.float64), 1):
        m = beta_1 * m + (1 - beta_1) * gradient
        v = beta_2 * v + (1 - beta_2) * gradient**2
        weights = weights - RATE * np.sqrt(1 - beta_2**step) / (1 - beta_1**step) * m / (np.sqrt(v) + epsilon)
    return weights


@pytest.mark.parametrize("jit", [False, True])
def test_amsgrad_is_keras_work(jit: bool) -> None:
    found = trained(Adam(learning_rate=0.1, amsgrad=True), jit=jit)
    for ours, keras_own in zip(found, trained(keras.optimizers.Adam(0.1, amsgrad=True), jit=jit), strict=True):
        np.testing.assert_array_equal(ours, keras_own)


def test_a_sparse_gradient_is_keras_work() -> None:
    found = trained(Adam(learning_rate=0.1), jit=False, sparse=True)
    same(found, trained(keras.optimizers.Adam(0.1), jit=False, sparse=True))


def test_it_steps_within_a_scaled_loss() -> None:
    found = trained(Adam(learning_rate=0.1), jit=False, scaled=True)
    same(found, trained(keras.optimizers.Adam(0.1), jit=False, scaled=True))


@pytest.mark.parametrize("kernel", [Adam, AdamW])
def test_the_program_has_one_kernel_a_variable(kernel: Any) -> None:
    optimizer, weights = kernel(learning_rate=0.1), [keras.Variable(np.ones(size, np.float32)) for size in (2, 3)]
    optimizer.build(weights)
    gradients = [tf.ones(2), tf.ones(3)]
    graph = tf.function(lambda: optimizer.apply(gradients, weights)).get_concrete_function().graph
    kinds = [operation.type for operation in graph.get_operations()]
    assert kinds.count("ResourceApplyAdam") == len(weights)
    assert "Sqrt" not in kinds
