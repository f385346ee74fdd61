"""Meta-reinforcement learning in small: played tasks change how a policy adapts. XLA is off: it compiles for long."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from advdl.errors import UsageError
from advdl.rl.acting_meta import ActingMetaEngine
from advdl.rl.task_player import TaskPlayer
from advdl.testing import component
from advdl.training import Adapter, Trainer, Tuning
from advdl.training.trust_region import TrustRegion


def adapter_of(name: str = "maml", learner: str = "policy", **options: object) -> tuple[object, Adapter]:
    keras.utils.set_random_seed(1)
    tasks = component("tasks", "navigation", episodes=4, horizon=6)()
    backbone = {"name": "mlp", "units": [8], "activation": "tanh"}
    built = component("learner", learner, backbone=backbone)(tasks.spec)
    return tasks, component("adapter", name, **options)(built)


def engine_of(region: TrustRegion | None = None, **options: object) -> tuple[ActingMetaEngine, Adapter]:
    tasks, adapter = adapter_of(learning_rate=0.1, **options)
    optimizer = keras.optimizers.Adam(1e-2)
    optimizer.build(list(adapter.meta_variables))
    trainer = Trainer(adapter, {"meta": Tuning(optimizer, lambda step, total: 1e-2, region)}, total_updates=100)
    return ActingMetaEngine(tasks, adapter, trainer, meta_batch=3, epochs=2, seed=0, jit=False), adapter


def test_an_iteration_plays_twice_and_updates_on_both() -> None:
    engine, adapter = engine_of()
    before = [variable.numpy() for variable in adapter.meta_variables]
    engine.build()
    while engine.updates < 2:
        engine.advance(2)
    figures = engine.metrics.read()
    assert figures["rollout/return_before"] < 0
    assert figures["rollout/return_after"] < 0
    assert np.isfinite(figures["learn/meta/loss"])
    assert int(engine.state()["trainer/updates"]) == 4
    assert all(not np.array_equal(a, b.numpy()) for a, b in zip(before, adapter.meta_variables, strict=True))
    found = engine.judge(count=5, steps=[0, 2], seed=3)["return"]
    assert found.shape == (5, 2)
    assert np.array_equal(found, engine.judge(count=5, steps=[0, 2], seed=3)["return"])


def test_a_step_in_a_trust_region_takes_the_adapted_policies_no_further_than_its_bound() -> None:
    engine, adapter = engine_of(TrustRegion(0.02))
    before = [variable.numpy() for variable in adapter.meta_variables]
    engine.build()
    engine.advance(1)
    figures = engine.metrics.read()
    assert 0 < figures["learn/meta/step"] <= 1
    assert 0.002 < figures["learn/meta/divergence"] <= 0.02
    assert any(not np.array_equal(a, b.numpy()) for a, b in zip(before, adapter.meta_variables, strict=True))


def test_a_step_of_adaptation_makes_good_actions_likelier() -> None:
    tasks, adapter = adapter_of(learning_rate=0.5)
    player = TaskPlayer(tasks, adapter)
    seed = tf.constant([1, 2], tf.int32)
    fast = player.start(2)
    x = tf.zeros([2, 10, 2])
    raw = tf.random.stateless_normal([2, 10, 2], seed)
    policy = [
        adapter.learner.actions.distribution(adapter.learner.predict(x[0])).log_prob(raw[task]) for task in (0, 1)
    ]
    sign = tf.constant([[1.0], [-1.0]])
    batch = {
        "x": x,
        "c": raw,
        "log_prob": tf.stack(policy),
        "advantage": sign * tf.one_hot(3, 10) * 10.0,
        "weight": tf.ones([2, 10]),
    }
    after = player.adapt(fast, batch, seed, step=0)
    moved = [
        float(
            adapter.learner.actions.distribution(
                adapter.pure.predict(tf.nest.map_structure(lambda value, task=task: value[task], after), x[task])
            ).log_prob(raw[task])[3]
            - policy[task][3]
        )
        for task in (0, 1)
    ]
    assert moved[0] > 0 > moved[1]


def test_what_cannot_play_is_refused() -> None:
    with pytest.raises(UsageError, match="Regressor does not act"):
        TaskPlayer(*adapter_of(learner="regressor"))
    with pytest.raises(UsageError, match=r"adapter.steps cannot be 2"):
        TaskPlayer(*adapter_of(steps=2))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"ranges": {"gravty": [1.0, 2.0]}}, "there is no param of CartPole 'gravty'"),
        ({"ranges": {"gravity": [2.0, 2.0]}}, "the first number must be the smaller one"),
        ({"env": "advdl/Acrobot-v1"}, "physics has no ranges for Acrobot of its own"),
        ({"mirrored": ["gravty"]}, "tasks.mirrored cannot have 'gravty': it has no range"),
    ],
)
def test_ranges_that_make_no_tasks_are_refused(options: dict[str, object], message: str) -> None:
    with pytest.raises(UsageError, match=message):
        component("tasks", "physics", **options)()


def test_mirrored_params_are_negative_in_one_task_of_two() -> None:
    tasks = component("tasks", "physics")()
    drawn = tasks.draw(tf.constant([1, 2], tf.int32), 2_000)
    force = drawn.force_mag.numpy()
    assert 0.45 < (force < 0).mean() < 0.55
    assert (np.abs(force) >= 5.0).all()
    assert (np.abs(force) <= 15.0).all()
    assert abs(np.corrcoef(np.sign(force), drawn.gravity)[0, 1]) < 0.1
    assert (drawn.gravity.numpy() >= 5.0).all()


def test_ranges_that_are_given_are_all_there_are() -> None:
    options = {"env": {"name": "advdl/Pendulum-v1"}}
    assert {*component("tasks", "physics", **options)().ranges} == {"g", "m", "l"}
    tasks = component("tasks", "physics", **options, ranges={"m": [0.2, 2.0]})()
    drawn = tasks.draw(tf.constant([1, 2], tf.int32), 50)
    assert drawn.m.shape == (50,)
    assert drawn.g == tasks.env.default_params.g
    assert component("tasks", "physics", ranges={"force_mag": [5.0, 15.0]})().mirrored == ()
