"""Meta-reinforcement learning in envs that Gymnasium steps: rewards by the task, and one iteration in small."""

import gymnasium
import keras
import numpy as np
import pytest
import tensorflow as tf

import advdl_envs
from advdl.errors import UsageError
from advdl.rl.env_faults import EnvFaultError
from advdl.rl.host_meta import HostMetaEngine, HostPlayer
from advdl.testing import check_tasks, component
from advdl.training import Adapter, Trainer, Tuning

assert advdl_envs
SEED = tf.constant([1, 2], tf.int32)


def stepped(env_id: str, actions: np.ndarray, **task: float) -> tuple[np.ndarray, np.ndarray, list[dict[str, float]]]:
    """Steps an env; a task goes in by ``reset``."""
    with gymnasium.make(env_id) as env:
        env.reset(seed=4, options=task or None)
        found = [env.step(action) for action in actions]
    return np.array([each[0] for each in found]), np.array([each[1] for each in found]), [each[4] for each in found]


@pytest.mark.parametrize(("task", "value"), [("direction", -1.0), ("direction", 1.0), ("velocity", 1.25)])
def test_the_goal_is_in_the_reward_and_the_rest_is_gymnasiums(task: str, value: float) -> None:
    actions = np.random.default_rng(0).uniform(-1, 1, (12, 6)).astype(np.float32)
    seen, rewards, _ = stepped(f"advdl/HalfCheetah{task.title()}-v0", actions, **{task: value})
    plain, _, infos = stepped("HalfCheetah-v5", actions)
    assert np.array_equal(seen, plain)
    speed = np.array([info["x_velocity"] for info in infos])
    forward = value * speed if task == "direction" else -np.abs(speed - value)
    assert np.allclose(rewards, forward - 0.05 * np.square(actions).sum(-1), rtol=1e-6)


def adapter_of(tasks: object) -> Adapter:
    keras.utils.set_random_seed(1)
    learner = component("learner", "policy", backbone={"name": "mlp", "units": [8], "activation": "tanh"})(tasks.spec)
    return component("adapter", "maml", learning_rate=0.1)(learner)


def engine_of() -> tuple[HostMetaEngine, Adapter]:
    tasks = component("tasks", "cheetah-velocity", episodes=2, horizon=5)()
    adapter = adapter_of(tasks)
    optimizer = keras.optimizers.Adam(1e-2)
    optimizer.build(list(adapter.meta_variables))
    trainer = Trainer(adapter, {"meta": Tuning(optimizer, lambda step, total: 1e-2)}, total_updates=100)
    return HostMetaEngine(tasks, adapter, trainer, meta_batch=3, epochs=2, seed=0, jit=False), adapter


def test_an_iteration_plays_twice_and_updates_and_goes_on_from_a_checkpoint_bit_for_bit() -> None:
    (engine, adapter), (resumed, _) = engine_of(), engine_of()
    before = [variable.numpy() for variable in adapter.meta_variables]
    for each in (engine, resumed):
        each.build()
    engine.advance(3)
    saved = {name: variable.numpy() for name, variable in engine.state().items()}
    assert engine.updates == 1
    assert int(saved["trainer/updates"]) == 2
    assert all(not np.array_equal(a, b.numpy()) for a, b in zip(before, adapter.meta_variables, strict=True))
    assert engine.metrics.read()["rollout/return_after"] < 0
    for name, variable in resumed.state().items():
        variable.assign(saved[name])
    for each in (engine, resumed):
        each.advance(2)
        each.advance(2)
    theirs = resumed.state()
    assert all(np.array_equal(variable, theirs[name]) for name, variable in engine.state().items())
    found = engine.judge(count=3, steps=[0, 2], seed=3)["return"]
    assert found.shape == (3, 2)
    assert np.array_equal(found, engine.judge(count=3, steps=[0, 2], seed=3)["return"])


def test_each_task_is_played_with_its_own_option_and_ends_by_the_env() -> None:
    tasks = component("tasks", "reset-options", episodes=2, horizon=40)()
    player = HostPlayer(tasks, adapter_of(tasks), jit=False)
    played = player.play({"high": tf.constant([-0.049, 0.3])}, player.start(2), SEED)
    assert np.abs(played["x"][0, :, 0] + 0.0495).max() < 1e-3  # all of them begin between -0.05 and -0.049
    assert played["x"][1, :, 0].numpy().max() > 0.05
    alive = played["alive"].numpy()
    assert (np.diff(alive, axis=-1) <= 0).all()
    assert (alive[..., -1] == 0).any()
    assert np.array_equal(played["reward"], alive)


def test_a_fault_names_env_copy_and_seed() -> None:
    tasks = component("tasks", "reset-options", episodes=1, horizon=2)()
    player = HostPlayer(tasks, adapter_of(tasks), jit=False)
    with pytest.raises(
        EnvFaultError, match=r"env 'CartPole-v1', copy 1, raised .* in reset\(\) of the episode with seed"
    ):
        player.play({"high": tf.constant([0.1, -1.0])}, player.start(2), SEED)


@pytest.mark.parametrize("name", ["cheetah-velocity", "cheetah-direction", "reset-options"])
def test_host_tasks_keep_their_contract(name: str) -> None:
    check_tasks(component("tasks", name))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"ranges": {}}, "tasks.ranges is empty"),
        ({"ranges": {"high": [2.0, 1.0]}}, "the first number must be the smaller one"),
        ({"mirrored": ["low"]}, "tasks.mirrored cannot have 'low': it has no range"),
    ],
)
def test_options_that_make_no_tasks_are_refused(options: dict[str, object], message: str) -> None:
    with pytest.raises(UsageError, match=message):
        component("tasks", "reset-options", **options)()
