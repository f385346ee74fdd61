"""A step in a trust region: where it goes and how far, on quadratics whose natural gradient is known."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from advdl.errors import UsageError
from advdl.training.learner import Objective
from advdl.training.trust_region import TrustRegion, assign, conjugate_gradients, flatten

SEED = tf.constant([0, 0], tf.int32)
CURVED = np.array([[3.0, 0.4, 0.0], [0.4, 1.0, 0.2], [0.0, 0.2, 0.5]], np.float32)
SLOPE = np.array([1.0, -2.0, 0.5], np.float32)
START = np.array([0.3, -0.1, 0.2], np.float32)


def variables() -> list[keras.Variable]:
    made = [keras.Variable(np.zeros((1, 2), np.float32)), keras.Variable(np.zeros(1, np.float32))]
    assign(made, tf.constant(START))
    return made


def objective_of(made: list[keras.Variable], loss: object = None) -> Objective:
    def at() -> tf.Tensor:
        return flatten([tf.convert_to_tensor(variable.value) for variable in made])

    def divergence(batch: object, seed: tf.Tensor) -> tf.Tensor:
        way = at() - START
        return 0.5 * tf.reduce_sum(way * tf.linalg.matvec(CURVED, way))

    falling = loss or (lambda point: tf.reduce_sum(SLOPE * point))
    return Objective("slope", lambda batch, seed: (falling(at()), {}), made, divergence)


def stepped(objective: Objective, region: TrustRegion, finite: bool = True) -> dict[str, float]:
    before = objective.loss({}, SEED)[0]
    gradients = [tf.constant(SLOPE[None, :2]), tf.constant(SLOPE[2:])]

    @tf.function(jit_compile=True, autograph=False)
    def step() -> dict[str, tf.Tensor]:
        return region(objective, {}, SEED, loss=before, gradients=gradients, finite=tf.constant(finite))

    return {name: float(value) for name, value in step().items()}


def test_conjugate_gradients_solve() -> None:
    found = conjugate_gradients(lambda vector: tf.linalg.matvec(CURVED, vector), tf.constant(SLOPE), 10)
    assert np.allclose(found, np.linalg.solve(CURVED, SLOPE), rtol=1e-4)


def test_a_step_is_the_natural_gradients_and_as_long_as_the_bound_allows() -> None:
    made = variables()
    report = stepped(objective_of(made), TrustRegion(0.02, damping=0.0))
    way = np.linalg.solve(CURVED, SLOPE)
    expected = START - way * np.sqrt(2 * 0.02 / (SLOPE @ way))
    # The longest step is at the bound itself; rounding decides whether it is shortened once.
    assert report["step"] in (1.0, pytest.approx(0.8))
    found = flatten([variable.value for variable in made]).numpy()
    assert np.allclose(found - START, report["step"] * (expected - START), rtol=1e-3)
    assert report["divergence"] == pytest.approx(0.02 * report["step"] ** 2, rel=1e-2)


@pytest.mark.parametrize("finite", [True, False])
def test_nothing_changes_where_no_step_is_good(finite: bool) -> None:
    made = variables()

    def walled(point: tf.Tensor) -> tf.Tensor:
        return tf.reduce_sum(tf.square(point - START)) + (0.0 if finite else float("nan"))

    assert stepped(objective_of(made, walled), TrustRegion(), finite) == {"divergence": 0.0, "step": 0.0}
    assert np.array_equal(flatten([variable.value for variable in made]), START)


def test_it_shortens_a_step_that_goes_too_far() -> None:
    made = variables()
    report = stepped(
        objective_of(made, lambda point: tf.reduce_sum(SLOPE * point) + 40.0 * tf.norm(point - START) ** 2),
        TrustRegion(0.1),
    )
    assert 0 < report["step"] < 1


def test_an_objective_without_divergence_is_refused() -> None:
    with pytest.raises(UsageError, match="'slope' has no divergence"):
        stepped(Objective("slope", lambda batch, seed: (tf.constant(0.0), {}), variables()), TrustRegion())
