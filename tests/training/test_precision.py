"""Half precision: variables stay whole, losses are scaled, and an update that overflows is skipped and counted."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from advdl.training import FusedLoop, Learner, Objective, RunningMeans, Trainer, Tuning
from advdl.training.precision import Precision, built_with, precision_of

SEED = tf.constant([1, 2], tf.int32)


class Line(Learner):
    """Fits a line, and multiplies its loss by what the batch says."""

    def __init__(self):
        self.net = keras.Sequential(
            [keras.Input((1,)), keras.layers.Dense(4, name="hidden"), keras.layers.Dense(1, dtype="float32", name="y")]
        )

    @property
    def models(self):
        return {"net": self.net}

    def objectives(self):
        return [Objective("fit", self.loss, self.net.trainable_variables)]

    def loss(self, batch, seed):
        error = self.net(batch["x"])[:, 0] - batch["y"]
        return tf.reduce_mean(error**2 * batch["weight"]), {"error": error}


def trainer_of(learner, **options):
    optimizer = keras.optimizers.LossScaleOptimizer(keras.optimizers.Adam(0.01), initial_scale=2.0**10)
    optimizer.build(learner.net.trainable_variables)
    return Trainer(learner, {"fit": Tuning(optimizer, lambda step, total: 0.01)}, total_updates=100, **options)


def batch(weight=1.0):
    x = tf.linspace(-1.0, 1.0, 8)
    return {"x": x[:, None], "y": 2.0 * x, "weight": tf.fill([8], weight)}


@pytest.fixture
def half():
    with built_with(Precision("mixed_float16")):
        return Line()


def test_what_an_overflow_would_change_stays_and_training_goes_on(half):
    trainer, means = trainer_of(half, clip_norm=1.0), RunningMeans()
    weights = tf.constant([1.0] * 10 + [float("inf")] + [1.0] * 10)

    def step(index):
        for name, value in trainer.update(batch(weights[index]), SEED).items():
            if value.shape.rank == 0:
                means.add(name, value)

    loop = FusedLoop(step, healthy=trainer.healthy, jit=True)
    at = 0
    while at < 10:
        at = loop.advance(at, 10 - at)
    before = {name: variable.numpy() for name, variable in trainer.state().items()}
    at = loop.advance(10, 1)
    assert at == 11
    after = {name: variable.numpy() for name, variable in trainer.state().items()}
    changed = {name for name in before if not np.array_equal(before[name], after[name])}
    assert len(changed) == 4, changed
    assert {"updates", "overflows/fit"} < changed
    assert sum("dynamic_scale" in name or "step_counter" in name for name in changed) == 2
    while at < 21:
        at = loop.advance(at, 21 - at)
    assert bool(trainer.healthy)
    found = means.read()
    assert found["fit/skipped"] == pytest.approx(1 / 21)
    assert int(trainer.state()["overflows/fit"]) == 1
    assert np.isfinite(found["fit/loss"])
    assert not np.array_equal(trainer.state()["learner/net/000.kernel"], after["learner/net/000.kernel"])


def test_what_never_gets_finite_ends_training(half):
    trainer = trainer_of(half)
    update = tf.function(lambda: trainer.update(batch(float("nan")), SEED) and None, autograph=False)
    made = 0
    while bool(trainer.healthy):
        update()
        made += 1
    assert made == 11  # from 2**10 down to 1
    assert "'weight'" in trainer.diagnose(batch(float("nan")), SEED).message


def test_the_scale_changes_no_gradient():
    first, second = Line(), Line()
    second.net.set_weights(first.net.get_weights())
    plain = keras.optimizers.Adam(0.01)
    plain.build(first.net.trainable_variables)
    one = Trainer(first, {"fit": Tuning(plain, lambda step, total: 0.01)}, total_updates=9, clip_norm=0.1)
    other = trainer_of(second, clip_norm=0.1)
    for _ in range(3):
        ours, theirs = (trainer.update(batch(), SEED) for trainer in (one, other))
    np.testing.assert_allclose(ours["fit/gradient_norm"], theirs["fit/gradient_norm"], rtol=1e-6)
    for mine, yours in zip(first.net.get_weights(), second.net.get_weights(), strict=True):
        np.testing.assert_allclose(mine, yours, rtol=1e-6)


@pytest.mark.parametrize("policy", ["mixed_float16", "mixed_bfloat16"])
def test_the_policy_is_for_what_is_built_inside_alone(policy):
    before = keras.config.dtype_policy().name
    with built_with(Precision(policy)):
        learner = Line()
    assert keras.config.dtype_policy().name == before
    assert learner.net.get_layer("hidden").compute_dtype == policy.removeprefix("mixed_")
    assert all(variable.dtype == "float32" for variable in learner.net.variables)
    loss, aux = learner.loss(batch(), SEED)
    assert loss.dtype == aux["error"].dtype == tf.float32


def test_auto_says_what_it_took():
    found = precision_of("auto")
    assert found.policy in found.reason
    if not tf.config.list_physical_devices("GPU"):
        assert found == Precision("float32", "float32, since mixed precision is no faster on a CPU")
    assert [precision_of(name).scales_loss for name in ("float32", "mixed_bfloat16", "mixed_float16")] == [
        False,
        False,
        True,
    ]
