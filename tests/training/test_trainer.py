"""The trainer carries two objectives and an inner loop without knowing of either."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from advdl.errors import DivergedError
from advdl.training import FusedLoop, Learner, Objective, Trainer, Tuning, fold

SEED = tf.constant([1, 2], tf.int32)


def dense(units, name, **options):
    layer = keras.layers.Dense(units, name=name, **options)
    layer.build((None, 1))
    return layer


def sgd(variables, rate):
    optimizer = keras.optimizers.SGD(rate)
    optimizer.build(variables)
    return Tuning(optimizer, lambda step, total: rate)


def trainer_of(learner, rate=0.1, **options):
    tunings = {o.name: sgd(o.variables, rate) for o in learner.objectives()}
    return Trainer(learner, tunings, total_updates=100, **options)


def repeat(trainer, batch, updates, jit):
    loop = FusedLoop(lambda index: trainer.update(batch, SEED, jit=jit) and None, healthy=trainer.healthy, jit=jit)
    at = 0
    while at < updates:
        at = loop.advance(at, updates - at)


class Regression(Learner):
    """Fits a line; its loss is a mean over the batch."""

    def __init__(self):
        self.line = dense(1, "line")
        self.after = []

    @property
    def models(self):
        return {"line": self.line}

    def objectives(self):
        return [Objective("fit", self.loss, self.line.trainable_variables)]

    def loss(self, batch, seed):
        error = self.line(batch["x"])[:, 0] - batch["y"]
        return tf.reduce_mean(error**2), {"error": error, "bias": tf.reduce_mean(error)}

    def after_update(self, update):
        self.after.append(update)


class ToyGan(Learner):
    """Two players on one batch: the critic separates real from fake, the generator moves its one number."""

    def __init__(self):
        self.generator = dense(1, "generator", use_bias=False, kernel_initializer="zeros")
        self.critic = dense(1, "critic", use_bias=False, kernel_initializer="zeros")

    @property
    def models(self):
        return {"generator": self.generator, "critic": self.critic}

    def objectives(self):
        return [
            Objective("critic", self.critic_loss, self.critic.trainable_variables),
            Objective("generator", self.generator_loss, self.generator.trainable_variables),
        ]

    def critic_loss(self, batch, seed):
        fake = self.generator(tf.ones_like(batch["x"]))
        slope = self.critic.kernel.value[0, 0]
        return tf.reduce_mean(self.critic(fake) - self.critic(batch["x"])) + 0.5 * slope**2, {}

    def generator_loss(self, batch, seed):
        return -tf.reduce_mean(self.critic(self.generator(tf.ones_like(batch["x"])))), {}


class Maml(Learner):
    """MAML (Finn et al. 2017) around a loss that knows nothing of it, through Keras' stateless scope."""

    def __init__(self, inner, rate=0.1, steps=1):
        self.inner, self.rate, self.steps = inner, rate, steps
        (self.base,) = inner.objectives()

    @property
    def models(self):
        return self.inner.models

    def objectives(self):
        return [Objective("meta", self.loss, self.base.variables)]

    def loss(self, batch, seed):
        """Differentiates within the map and hands the mean gradient on: ``g . w`` has the gradient ``g``.

        XLA would compile a gradient that is taken through the map anew at every call.
        """
        weights = [tf.convert_to_tensor(variable.value) for variable in self.base.variables]

        def value_and_gradient(task):
            with tf.GradientTape() as tape:
                tape.watch(weights)
                loss = self.task_loss(weights, task, seed)
            return loss, tape.gradient(loss, weights)

        losses, gradients = tf.vectorized_map(value_and_gradient, dict(batch))
        slopes = [tf.stop_gradient(tf.reduce_mean(gradient, 0)) for gradient in gradients]
        ways = [weight - tf.stop_gradient(weight) for weight in weights]
        linear = tf.add_n([tf.reduce_sum(g * w) for g, w in zip(slopes, ways, strict=True)])
        return tf.stop_gradient(tf.reduce_mean(losses)) + linear, {}

    def task_loss(self, weights, task, seed):
        fast = list(weights)
        for _ in range(self.steps):
            with tf.GradientTape() as tape:
                tape.watch(fast)
                support = self.at(fast, {"x": task["x"], "y": task["y"]}, seed)
            fast = [w - self.rate * g for w, g in zip(fast, tape.gradient(support, fast), strict=True)]
        return self.at(fast, {"x": task["query_x"], "y": task["query_y"]}, seed)

    def at(self, weights, batch, seed):
        mapping = list(zip(self.base.variables, weights, strict=True))
        with keras.StatelessScope(state_mapping=mapping):
            return self.base.loss(batch, seed)[0]


def test_one_update_is_gradient_descent():
    learner = Regression()
    trainer = trainer_of(learner, rate=0.1)
    learner.line.set_weights([np.array([[2.0]]), np.array([1.0])])
    report = trainer.update({"x": tf.constant([[1.0], [3.0]]), "y": tf.constant([0.0, 0.0])}, SEED)
    # errors 3 and 7: loss 29; d/dw = 2 * mean(e x) = 24, d/db = 2 * mean(e) = 10
    assert float(report["fit/loss"]) == pytest.approx(29.0)
    assert float(report["fit/gradient_norm"]) == pytest.approx(26.0)
    np.testing.assert_allclose(learner.line.get_weights()[0], [[2.0 - 2.4]], rtol=1e-6)
    np.testing.assert_allclose(learner.line.get_weights()[1], [1.0 - 1.0], atol=1e-6)
    np.testing.assert_allclose(report["fit/error"], [3.0, 7.0])
    assert int(trainer.updates) == 1


def test_clipping_is_by_the_global_norm():
    learner = Regression()
    trainer = trainer_of(learner, rate=1.0, clip_norm=13.0)
    learner.line.set_weights([np.array([[2.0]]), np.array([1.0])])
    trainer.update({"x": tf.constant([[1.0], [3.0]]), "y": tf.constant([0.0, 0.0])}, SEED)
    np.testing.assert_allclose(learner.line.get_weights()[0], [[2.0 - 12.0]], rtol=1e-6)
    np.testing.assert_allclose(learner.line.get_weights()[1], [1.0 - 5.0], rtol=1e-6)


@pytest.mark.parametrize("clip_norm", [0.0, 1.0])
def test_updates_without_xla_are_the_same_whether_or_not_it_may_compile_them(clip_norm):
    batch = {"x": tf.random.stateless_normal([8, 1], SEED), "y": tf.random.stateless_normal([8], SEED)}
    found = []
    for jit in (False, True):
        learner = Regression()
        trainer = trainer_of(learner, clip_norm=clip_norm)
        learner.line.set_weights([np.array([[2.0]]), np.array([1.0])])
        update = tf.function(lambda trainer=trainer, jit=jit: trainer.update(batch, SEED, jit=jit), autograph=False)
        for _ in range(5):
            update()
        found.append(learner.line.get_weights())
    np.testing.assert_array_equal(found[0][0], found[1][0])
    np.testing.assert_array_equal(found[0][1], found[1][1])


@pytest.mark.parametrize("parts", [2, 4])
def test_accumulation_equals_the_whole_batch(parts):
    batch = {"x": tf.random.stateless_normal([8, 1], SEED), "y": tf.random.stateless_normal([8], SEED)}
    whole, cut = Regression(), Regression()
    for learner in (whole, cut):  # drawn ones may end near 0, where rounding is not small beside them
        learner.line.set_weights([np.array([[2.0]]), np.array([1.0])])
    one = trainer_of(whole).update(batch, SEED)
    other = trainer_of(cut, accumulate=parts).update(batch, SEED)
    for ours, theirs in zip(cut.line.get_weights(), whole.line.get_weights(), strict=True):
        np.testing.assert_allclose(ours, theirs, rtol=1e-6)
    np.testing.assert_allclose(one["fit/error"], other["fit/error"], rtol=1e-6)
    np.testing.assert_allclose(one["fit/bias"], other["fit/bias"], rtol=1e-5)


def test_learning_rate_follows_its_schedule():
    learner = Regression()
    optimizer = keras.optimizers.SGD(123.0)
    optimizer.build(learner.line.trainable_variables)
    trainer = Trainer(learner, {"fit": Tuning(optimizer, lambda step, total: 1.0 - step / total)}, total_updates=10)
    batch = {"x": tf.constant([[1.0]]), "y": tf.constant([0.0])}
    rates = [float(trainer.update(batch, SEED)["fit/learning_rate"]) for _ in range(3)]
    np.testing.assert_allclose(rates, [1.0, 0.9, 0.8], rtol=1e-6)


def test_a_learning_rate_can_count_env_steps():
    learner = Regression()
    optimizer = keras.optimizers.SGD(1.0)
    optimizer.build(learner.line.trainable_variables)
    tunings = {"fit": Tuning(optimizer, lambda step, total: 1.0 - step / total)}
    trainer = Trainer(learner, tunings, total_updates=10, total_env_steps=1_000)
    batch = {"x": tf.constant([[1.0]]), "y": tf.constant([0.0])}
    steps = [tf.constant(many, tf.int64) for many in (0, 500, 750)]
    rates = [float(trainer.update(batch, SEED, now)["fit/learning_rate"]) for now in steps]
    np.testing.assert_allclose(rates, [1.0, 0.5, 0.25], rtol=1e-6)


@pytest.mark.parametrize("jit", [False, True])
def test_two_objectives_play_against_each_other(jit):
    """The generator's number settles at the mean of the data, which neither objective alone would find."""
    learner = ToyGan()
    trainer = trainer_of(learner, rate=0.1)
    batch = {"x": tf.constant([[2.0], [4.0]])}
    repeat(trainer, batch, 400, jit)
    assert learner.generator.kernel.numpy()[0, 0] == pytest.approx(3.0, abs=0.05)
    assert learner.critic.kernel.numpy()[0, 0] == pytest.approx(0.0, abs=0.05)


def test_each_objective_moves_its_own_variables_only():
    learner = ToyGan()
    learner.critic.set_weights([np.array([[1.0]])])
    rates = {"critic": 0.0, "generator": 0.5}
    tunings = {o.name: sgd(o.variables, rates[o.name]) for o in learner.objectives()}
    Trainer(learner, tunings, total_updates=1).update({"x": tf.constant([[2.0]])}, SEED)
    assert learner.critic.kernel.numpy()[0, 0] == 1.0
    assert learner.generator.kernel.numpy()[0, 0] == pytest.approx(0.5)


def maml_batch(tasks=5):
    draw = [tf.random.stateless_normal([tasks, 4], fold(SEED, i)) for i in range(4)]
    return {"x": draw[0][..., None], "y": draw[1], "query_x": draw[2][..., None], "query_y": draw[3]}


def test_maml_gradient_matches_central_differences():
    keras.utils.set_random_seed(0)
    learner = Maml(Regression(), rate=0.1, steps=2)
    line, batch = learner.inner.line, maml_batch()
    trainer = trainer_of(learner, rate=1.0)
    before = [w.copy() for w in line.get_weights()]

    def meta_loss(index, shift):
        line.set_weights([w + shift * (i == index) for i, w in enumerate(before)])
        return float(learner.loss(batch, SEED)[0])

    numeric = [(meta_loss(i, 1e-2) - meta_loss(i, -1e-2)) / 2e-2 for i in range(2)]
    line.set_weights(before)
    trainer.update(batch, SEED)
    moved = [float((b - a).item()) for b, a in zip(before, line.get_weights(), strict=True)]
    np.testing.assert_allclose(moved, numeric, rtol=1e-3)


@pytest.mark.parametrize("jit", [False, True])
def test_maml_learns_to_adapt(jit):
    """Meta-training halves the error after one inner step; the trainer is the one that every learner has."""
    keras.utils.set_random_seed(0)
    learner = Maml(Regression(), rate=0.1)
    trainer = trainer_of(learner, rate=0.05)
    slopes = tf.constant([1.0, 2.0, 3.0, 4.0])
    x = tf.tile(tf.constant([[[-1.0], [0.5], [1.0]]]), [4, 1, 1])
    y = slopes[:, None] * x[..., 0] + 3.0
    batch = {"x": x, "y": y, "query_x": x, "query_y": y}
    first = float(learner.loss(batch, SEED)[0])
    repeat(trainer, batch, 300, jit)
    assert float(learner.loss(batch, SEED)[0]) < 0.5 * first


class Cusp(Regression):
    """Its loss is finite where its gradient is not: the root of an error of zero."""

    def loss(self, batch, seed):
        return tf.reduce_mean(tf.sqrt(tf.abs(self.line(batch["x"])[:, 0] * 0.0))), {}


@pytest.mark.parametrize("jit", [False, True])
@pytest.mark.parametrize(
    ("kind", "x", "named"),
    [(Regression, float("nan"), "'x'"), (Regression, 1e30, "the loss is inf"), (Cusp, 1.0, "gradient of")],
)
def test_what_is_not_finite_is_named_and_changes_nothing(kind, x, named, jit):
    learner = kind()
    trainer = trainer_of(learner)
    learner.line.set_weights([np.array([[1e5]]), np.array([0.0])])
    batch = {"x": tf.constant([[x]]), "y": tf.constant([0.0])}
    before = learner.line.get_weights()
    trainer.update(batch, SEED, jit=jit)
    assert not bool(trainer.healthy)
    error = trainer.diagnose(batch, SEED)
    assert isinstance(error, DivergedError)
    assert named in error.message
    for ours, theirs in zip(learner.line.get_weights(), before, strict=True):
        np.testing.assert_array_equal(ours, theirs)


def test_state_names_are_stable_and_unique():
    first, second = trainer_of(ToyGan()).state(), trainer_of(ToyGan()).state()
    assert list(first) == list(second)
    assert "learner/critic/000.kernel" in first
    assert len({id(variable) for variable in first.values()}) == len(first)
