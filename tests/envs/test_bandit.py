"""Bandits pay what their arms say, and tell what has happened."""

import numpy as np
import pytest
import tensorflow as tf

from advdl_envs.bandit import Bandit

COUNT = 4_000


def pulled(pays: str) -> tuple[np.ndarray, np.ndarray]:
    env = Bandit(arms=3, pays=pays)
    params = env.get_default_params(mean_0=0.2, mean_1=tf.linspace(0.0, 1.0, COUNT), mean_2=0.9)
    state = env.initial(tf.constant([1, 2]), params, batch_size=COUNT)
    paid = []
    for step, arm in enumerate((0, 2, 2)):
        seed = tf.constant([3, step])
        after = env.transition(state, tf.fill([COUNT], arm), seed, params)
        paid.append(env.reward(state, tf.fill([COUNT], arm), after, seed, params))
        state = after
    return np.stack(paid), env.observation(state, tf.constant([1, 2]), params).numpy()


@pytest.mark.parametrize("pays", ["bernoulli", "gaussian"])
def test_arms_pay_their_means(pays: str) -> None:
    paid, seen = pulled(pays)
    assert np.allclose(paid.mean(1), [0.2, 0.9, 0.9], atol=5 / COUNT**0.5)
    assert set(np.unique(paid)) == {0.0, 1.0} or np.allclose(paid.std(1), 1.0, atol=0.05)
    assert not np.array_equal(paid[1], paid[2])
    assert (seen[:, :3] == [1, 0, 2]).all()
    assert np.allclose(seen[:, 3], paid[0])
    assert np.allclose(seen[:, 5], paid[1] + paid[2], atol=1e-6)
    assert not seen[:, 4].any()
