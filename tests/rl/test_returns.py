import numpy as np
import pytest
import tensorflow as tf

from advdl.rl.returns import advantages, discounted_sums, next_values, returns_to_go

GAMMA = 0.9


def rollout(seed, steps=40, copies=6):
    """Random rewards and values, with ends of both kinds, some of them together in one column."""
    rng = np.random.default_rng(seed)
    reward, value, following = rng.normal(size=(3, steps, copies)).astype(np.float32)
    terminated = rng.random((steps, copies)) < 0.1
    truncated = ~terminated & (rng.random((steps, copies)) < 0.1)
    # Values agree as they do in an engine: what is seen next is what is acted on next, unless an episode ended.
    goes_on = ~(terminated | truncated)[:-1]
    following[:-1][goes_on] = value[1:][goes_on]
    return reward, value, following, terminated, truncated


def slow_advantage(reward, value, following, terminated, truncated, trace):
    """The definition: for each step, the sum over the rest of its episode of the TD errors, each weighted."""
    result = np.zeros_like(reward, np.float64)
    for copy in range(reward.shape[1]):
        for start in range(len(reward)):
            weight = 1.0
            for t in range(start, len(reward)):
                after = 0.0 if terminated[t, copy] else following[t, copy]
                result[start, copy] += weight * (reward[t, copy] + GAMMA * after - value[t, copy])
                weight *= GAMMA * trace
                if terminated[t, copy] or truncated[t, copy]:
                    break
    return result


@pytest.mark.parametrize("trace", [0.0, 0.7, 1.0])
@pytest.mark.parametrize("jit", [False, True])
def test_advantages_equal_their_definition(trace, jit):
    arrays = rollout(3)
    compute = tf.function(lambda *given: advantages(*given, gamma=GAMMA, trace=trace), jit_compile=jit)
    np.testing.assert_allclose(compute(*arrays), slow_advantage(*arrays, trace), rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("jit", [False, True])
@pytest.mark.parametrize("cut", ["none", "some", "all"])
def test_next_values_are_those_of_the_true_next_observations(jit, cut):
    _, value, following, terminated, some = rollout(7)
    truncated = {"none": np.zeros_like(some), "some": some, "all": np.ones_like(some)}[cut]
    known = np.where(terminated | truncated, following, np.concatenate([value[1:], following[-1:]]))

    def compute(value, truncated, observations):
        return next_values(value, truncated, lambda places: tf.gather(tf.reshape(observations, [-1]), places))

    found = tf.function(compute, jit_compile=jit)(value, truncated, known).numpy()
    np.testing.assert_array_equal(found[~terminated | truncated], known[~terminated | truncated])


def test_next_values_ask_for_the_last_step_and_what_was_cut_off_only():
    asked = []

    def valued(places):
        asked.extend(places.numpy())
        return tf.zeros(places.shape)

    truncated = np.zeros((5, 3), bool)
    truncated[1, 2] = truncated[3, 0] = True
    next_values(tf.zeros((5, 3)), truncated, valued)
    assert set(asked) == {5, 9, 12, 13, 14}
    assert len(asked) == 6


def test_with_a_trace_of_1_the_target_is_the_bootstrapped_return():
    reward, value, following, terminated, truncated = rollout(4)
    target = advantages(reward, value, following, terminated, truncated, gamma=GAMMA, trace=1.0) + value
    for copy in range(reward.shape[1]):
        total = following[-1, copy]
        for t in reversed(range(len(reward))):
            if truncated[t, copy]:
                total = following[t, copy]
            total = reward[t, copy] + GAMMA * (0.0 if terminated[t, copy] else total)
            assert target[t, copy].numpy() == pytest.approx(total, abs=1e-4)


def test_one_step_of_each_ending():
    one = np.ones((1, 3), np.float32)
    terminated, truncated = np.array([[True, False, False]]), np.array([[False, True, False]])
    found = advantages(one, 2 * one, 10 * one, terminated, truncated, gamma=0.5, trace=1.0)
    np.testing.assert_allclose(found, [[1 - 2, 1 + 5 - 2, 1 + 5 - 2]])


def test_returns_to_go_and_which_of_them_are_whole():
    reward = np.array([[1.0], [2.0], [4.0], [8.0]], np.float32)
    terminated = np.array([[False], [True], [False], [False]])
    cut = np.zeros_like(terminated)
    sums, whole = returns_to_go(reward, terminated, cut, gamma=0.5)
    np.testing.assert_allclose(sums, [[2.0], [2.0], [8.0], [8.0]])
    np.testing.assert_array_equal(whole, [[True], [True], [False], [False]])
    cut[3] = True
    assert returns_to_go(reward, terminated, cut, gamma=0.5)[1].numpy().all()


def test_discounted_sums_go_on_from_rollout_to_rollout():
    reward, _, _, terminated, truncated = rollout(5)
    ended = terminated | truncated
    zero = np.zeros(reward.shape[1], np.float32)
    whole, last = discounted_sums(reward, ended, zero, gamma=GAMMA)
    first, kept = discounted_sums(reward[:17], ended[:17], zero, gamma=GAMMA)
    second, end = discounted_sums(reward[17:], ended[17:], kept, gamma=GAMMA)
    np.testing.assert_allclose(tf.concat([first, second], 0), whole, rtol=1e-6)
    np.testing.assert_allclose(end, last, rtol=1e-6)
    total = 0.0
    for t in range(len(reward)):
        total = reward[t, 0] + GAMMA * total
        assert whole[t, 0].numpy() == pytest.approx(total, abs=1e-4)
        total = 0.0 if ended[t, 0] else total
