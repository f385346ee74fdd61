"""Returns and advantages of rollouts. Every array is ``[time, num_envs]``.

``terminated`` and ``truncated`` are apart everywhere: after a termination nothing follows, so nothing is added; after
a truncation the episode would have gone on, so the value of the observation that it ended with stands for the rest. In
both cases what the same env copy does next belongs to another episode.
"""

from collections.abc import Callable

import tensorflow as tf


def next_values(value: tf.Tensor, truncated: tf.Tensor, valued: Callable[[tf.Tensor], tf.Tensor]) -> tf.Tensor:
    """Returns ``V(s'(t))``, float32, of the true next observations, and values hardly any twice.

    Within an episode the next observation is the one that is acted on next, whose value is known. Only those that
    episodes were cut off with, and the last step's, are valued here, ``num_envs`` at a time. After a termination, where
    nothing follows, the result is of no meaning.

    Args:
        value: ``V(s(t))``, of the observations acted on, float32.
        truncated: Episodes that were cut off, bool.
        valued: Returns the values of some next observations, by their places in ``[time * num_envs]``, int32 of shape
            ``[num_envs]``; traceable.
    """
    shape = tf.shape(value)
    size, num_envs = shape[0] * shape[1], shape[1]
    last = valued(size - num_envs + tf.range(num_envs))
    following = tf.reshape(tf.concat([value[1:], last[None]], axis=0), [-1])
    counts = tf.cumsum(tf.cast(tf.reshape(truncated, [-1]), tf.int32))

    def go_on(done: tf.Tensor, values: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        # The n-th of them is where the count becomes n; past the last of them it is the last step's once more.
        found = tf.searchsorted(counts, done + 1 + tf.range(num_envs))
        places = tf.minimum(found, size - 1)
        return done + num_envs, tf.tensor_scatter_nd_update(values, places[:, None], valued(places))

    start = (tf.constant(0), following)
    values = tf.while_loop(lambda done, _: done < counts[-1], go_on, start, parallel_iterations=1)[1]
    return tf.reshape(values, shape)


def advantages(
    reward: tf.Tensor,
    value: tf.Tensor,
    next_value: tf.Tensor,
    terminated: tf.Tensor,
    truncated: tf.Tensor,
    *,
    gamma: float,
    trace: float,
) -> tf.Tensor:
    """Estimates advantages (GAE; Schulman et al. 2016, arXiv:1506.02438).

    ``delta(t) = r(t) + gamma * V(s'(t)) * (1 - terminated(t)) - V(s(t))`` and
    ``A(t) = delta(t) + gamma * trace * (1 - ended(t)) * A(t + 1)``, with A = 0 after the last step: there, too, the
    value of the next observation stands for the rest.

    Args:
        reward: Rewards, float32.
        value: ``V(s(t))``, of the observations acted on.
        next_value: ``V(s'(t))``, of the true next observations, never of those after a reset.
        terminated: Episodes that ended by the env's rules, bool.
        truncated: Episodes that were cut off, bool.
        gamma: Discount factor.
        trace: GAE's lambda: 0 for one-step temporal differences, 1 for whole returns.

    Returns:
        Advantages, float32. Added to ``value`` they are the lambda-returns.
    """
    delta = reward + gamma * tf.where(terminated, 0.0, next_value) - value
    kept = gamma * trace * tf.cast(~(terminated | truncated), tf.float32)
    return _backwards(delta, kept)


def returns_to_go(
    reward: tf.Tensor, terminated: tf.Tensor, truncated: tf.Tensor, *, gamma: float
) -> tuple[tf.Tensor, tf.Tensor]:
    """Sums the discounted rewards up to each episode's end, without a value function.

    Returns:
        The sums, float32, and whether they are whole: False where the episode goes on after the last step.
    """
    ended = terminated | truncated
    sums = _backwards(reward, gamma * tf.cast(~ended, tf.float32))
    open_ended = _backwards(tf.zeros_like(reward), tf.cast(~ended, tf.float32), last=1.0)
    return sums, open_ended < 0.5


def discounted_sums(
    reward: tf.Tensor, ended: tf.Tensor, before: tf.Tensor, *, gamma: float
) -> tuple[tf.Tensor, tf.Tensor]:
    """Accumulates rewards forwards: ``G(t) = r(t) + gamma * (1 - ended(t - 1)) * G(t - 1)``.

    Args:
        reward: Rewards, float32.
        ended: Whether an episode ended with the step, bool.
        before: What was accumulated before the first step, ``[num_envs]``.
        gamma: Discount factor.

    Returns:
        The sums, and what the next call gets as ``before``.
    """

    def step(carried: tuple[tf.Tensor, tf.Tensor], now: tuple[tf.Tensor, tf.Tensor]) -> tuple[tf.Tensor, tf.Tensor]:
        total = now[0] + gamma * carried[1]
        return total, tf.where(now[1], 0.0, total)

    sums, kept = tf.scan(step, (reward, ended), (before, before))
    return sums, kept[-1]


def _backwards(addend: tf.Tensor, factor: tf.Tensor, *, last: float = 0.0) -> tf.Tensor:
    """Returns ``x(t) = addend(t) + factor(t) * x(t + 1)``, x being ``last`` after the last step."""
    start = tf.fill(tf.shape(addend)[1:], tf.constant(last, addend.dtype))
    return tf.scan(lambda x, now: now[0] + now[1] * x, (addend, factor), start, reverse=True)
