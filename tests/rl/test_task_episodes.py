"""Episodes of many tasks at once: who sees what, when they end, and what advantages they give."""

import gymnasium
import numpy as np
import pytest
import tensorflow as tf

from advdl.rl import CompiledEnv, EnvTasks
from advdl.rl.distributions import action_model
from advdl.rl.task_episodes import advantages, play, returns

SEED = tf.constant([5, 6], tf.int32)


class Count(CompiledEnv):
    """Counts up; the reward is the task's number, and the episode ends after as many steps as the task says."""

    def __init__(self):
        self.observation_space = gymnasium.spaces.Box(-np.inf, np.inf, (1,), np.float32)
        self.action_space = gymnasium.spaces.Discrete(2)
        super().__init__()

    def initial(self, rng, params=None, *, batch_size=1):
        return tf.zeros([batch_size])

    def transition(self, state, action, rng, params=None):
        return state + 1.0

    def observation(self, state, rng, params=None):
        return state[:, None]

    def reward(self, state, action, next_state, rng, params=None):
        return params["worth"] * tf.ones_like(state)

    def terminal(self, state, rng, params=None):
        return state >= params["ends"]


class Counts(EnvTasks):
    episodes, horizon, gamma, trace = 3, 5, 0.5, 1.0

    def __init__(self):
        self.env = Count()

    def draw(self, seed, count, *, held_out=False):
        return {"worth": tf.range(count, dtype=tf.float32), "ends": tf.constant([2.0, 9.0])}


def played(jit=False):
    tasks = Counts()
    actions = action_model(tasks.env.action_space)

    def policy(observations):
        return tf.stack([observations[..., 0], -observations[..., 0]], -1)

    run = tf.function(lambda: play(tasks, tasks.draw(SEED, 2), policy, actions, SEED, 2), jit_compile=jit)
    return tasks, run()


def test_tasks_keep_to_their_own_params_and_end_by_them():
    _, episodes = played()
    assert {name: tuple(value.shape[:3]) for name, value in episodes.items()} == dict.fromkeys(episodes, (2, 3, 5))
    assert episodes["alive"].numpy()[0].tolist() == [[1, 1, 0, 0, 0]] * 3
    assert episodes["alive"].numpy()[1].tolist() == [[1] * 5] * 3
    assert episodes["reward"].numpy()[1].tolist() == [[1] * 5] * 3
    assert episodes["x"].numpy()[1, 0, :, 0].tolist() == [0, 1, 2, 3, 4]
    assert returns(episodes).numpy().tolist() == [0.0, 5.0]


def test_actions_differ_from_episode_to_episode_and_have_their_probability():
    _, episodes = played()
    first = episodes["c"].numpy()[:, :, 0]
    assert len({*first.ravel()}) == 2
    np.testing.assert_allclose(episodes["log_prob"].numpy()[:, :, 0], np.log(0.5), rtol=1e-5)


def test_compiled_it_is_the_same():
    """But for the actions: XLA draws other numbers."""
    compiled, eager = played(jit=True)[1], played()[1]
    for name in ("x", "reward", "alive"):
        np.testing.assert_array_equal(compiled[name], eager[name])
    assert {*compiled} == {*eager}


def test_advantages_are_what_the_values_do_not_explain():
    """Rewards that the features explain leave no advantage; a reward out of the blue leaves one, where it came."""
    tasks, episodes = played()
    surprise = tf.one_hot(2, 5) * tf.constant([0.0, 1.0, 0.0])[:, None]
    changed = {**episodes, "reward": episodes["reward"] + surprise[None] * episodes["alive"]}
    batch = {name: value.numpy().reshape(2, 3, 5, -1)[..., 0] for name, value in advantages(tasks, changed).items()}
    assert batch["weight"].tolist() == episodes["alive"].numpy().tolist()
    lucky = batch["advantage"][1, 1]
    assert lucky.argmax() == 2
    assert (lucky[:3] > batch["advantage"][1, 0, :3] + 0.1).all()
    np.testing.assert_allclose(batch["advantage"][1].mean(), 0.0, atol=1e-5)
    np.testing.assert_allclose(batch["advantage"][1].std(), 1.0, rtol=1e-3)
    assert batch["advantage"][0, :, 2:] == pytest.approx(0.0)
