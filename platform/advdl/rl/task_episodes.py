"""Episodes of many tasks at once, each played with weights of its own, and the advantages that they give."""

from collections.abc import Callable, Mapping
from typing import Any

import tensorflow as tf

from advdl.rl.distributions import ActionModel
from advdl.rl.env_tasks import EnvTasks, PlayedTasks
from advdl.rl.functional import Params

Policy = Callable[[tf.Tensor], tf.Tensor]
"""From observations ``[tasks, episodes, ...]`` to the parameters of the policies, ``[tasks, episodes, n]``."""

Episodes = Mapping[str, tf.Tensor]
"""``x``, ``c`` (raw actions), ``log_prob``, ``reward``, ``alive``: each ``[tasks, episodes, steps, ...]``."""

_RIDGE = 1e-4


def play(
    tasks: EnvTasks, params: Params, policy: Policy, actions: ActionModel, seed: tf.Tensor, count: int
) -> Episodes:
    """Plays episodes in every task; traceable.

    Args:
        tasks: Says how many episodes, of how many steps.
        params: The tasks, each field ``[count]`` or a scalar.
        policy: Acts.
        actions: The policy's distribution.
        seed: Stateless seed, int32 of shape [2].
        count: How many tasks.
    """
    env, each = tasks.env, tasks.episodes
    total = count * each
    spread = _spread(params, each)
    seeds = _seeds(seed, tasks.horizon + 1)
    state = env.initial(seeds[-1], spread, batch_size=total)
    first = _step(env, state, tf.ones([total]), spread, policy, actions, seeds[0], (count, each))
    stored = tf.nest.map_structure(
        lambda value: tf.TensorArray(value.dtype, tasks.horizon, element_shape=value.shape), first[2]
    )

    def body(index: tf.Tensor, state: Any, alive: tf.Tensor, stored: Any) -> tuple[Any, ...]:
        after, alive, row = _step(env, state, alive, spread, policy, actions, seeds[index], (count, each))
        return index + 1, after, alive, {name: stored[name].write(index, value) for name, value in row.items()}

    start = (tf.constant(0), state, tf.ones([total]), stored)

    def go_on(index: tf.Tensor, state: Any, alive: tf.Tensor, stored: Any) -> tf.Tensor:
        """Steps that nobody lives to see are zeros, which the arrays hold from the start."""
        del state, stored
        return (index < tasks.horizon) & tf.reduce_any(alive > 0)

    _, _, _, stored = tf.while_loop(go_on, body, start, parallel_iterations=1)
    return {name: _by_task(array.stack(), count, each) for name, array in stored.items()}


def support_advantages(tasks: PlayedTasks, episodes: Episodes) -> Episodes:
    """Turns episodes into the batches that a step of adaptation learns from; see ``advantages``."""
    return advantages(tasks, episodes, trace=tasks.trace if tasks.support_trace is None else tasks.support_trace)


def advantages(tasks: PlayedTasks, episodes: Episodes, *, trace: float | None = None) -> Episodes:
    """Turns episodes into batches ``[tasks, samples, ...]`` for a learner's loss.

    The value of a state is a linear function of features of it and of time, fitted to each task's own returns (Duan et
    al. 2016); advantages are generalised (Schulman et al. 2016) and normalised in each task.

    Args:
        tasks: Says the discount factor and the decay.
        episodes: What was played.
        trace: Another decay than the tasks'.
    """
    decay = tasks.gamma * (tasks.trace if trace is None else trace)
    alive, reward = episodes["alive"], episodes["reward"]
    features = _features(episodes["x"], alive)
    values = _fitted(features, _summed(reward, tasks.gamma), alive)
    following = tf.pad(values[..., 1:] * alive[..., 1:], [[0, 0], [0, 0], [0, 1]])
    deltas = (reward + tasks.gamma * following - values) * alive
    advantage = _normalised(_summed(deltas, decay), alive)
    parts = {"x": episodes["x"], "c": episodes["c"], "log_prob": episodes["log_prob"]}
    return {name: _samples(value) for name, value in {**parts, "advantage": advantage, "weight": alive}.items()}


def returns(episodes: Episodes) -> tf.Tensor:
    """Returns each task's mean return, ``[tasks]``."""
    return tf.reduce_mean(tf.reduce_sum(episodes["reward"], -1), -1)


def _step(
    env: Any,
    state: Any,
    alive: tf.Tensor,
    params: Params,
    policy: Policy,
    actions: ActionModel,
    seed: tf.Tensor,
    shape: tuple[int, int],
) -> tuple[Any, tf.Tensor, dict[str, tf.Tensor]]:
    observation = env.observation(state, seed, params)
    parameters = policy(tf.reshape(observation, [*shape, *observation.shape[1:]]))
    distribution = actions.distribution(tf.reshape(parameters, [shape[0] * shape[1], parameters.shape[-1]]))
    raw = distribution.sample(seed)
    action = actions.to_env(raw)
    after = env.transition(state, action, seed, params)
    row = {
        "x": observation,
        "c": raw,
        "log_prob": distribution.log_prob(raw),
        "reward": env.reward(state, action, after, seed, params) * alive,
        "alive": alive,
    }
    return after, alive * (1.0 - tf.cast(env.terminal(after, seed, params), tf.float32)), row


def _seeds(seed: tf.Tensor, count: int) -> tf.Tensor:
    """Returns a seed for each step, int32 ``[count, 2]``."""
    return tf.random.stateless_uniform([count, 2], seed, minval=None, maxval=None, dtype=tf.int32, alg="philox")


def _spread(params: Params, each: int) -> Params:
    def repeat(field: Any) -> tf.Tensor:
        value = tf.convert_to_tensor(field)
        return tf.repeat(value, each, axis=0) if value.shape.rank else value

    return tf.nest.map_structure(repeat, params)


def _by_task(stacked: tf.Tensor, count: int, each: int) -> tf.Tensor:
    """From ``[steps, tasks * episodes, ...]`` to ``[tasks, episodes, steps, ...]``."""
    rest = stacked.shape[2:]
    apart = tf.reshape(stacked, [stacked.shape[0], count, each, *rest])
    return tf.transpose(apart, [1, 2, 0, *range(3, 3 + len(rest))])


def _samples(value: tf.Tensor) -> tf.Tensor:
    """From ``[tasks, episodes, steps, ...]`` to ``[tasks, samples, ...]``."""
    return tf.reshape(value, [value.shape[0], value.shape[1] * value.shape[2], *value.shape[3:]])


def _summed(values: tf.Tensor, discount: float) -> tf.Tensor:
    """Returns the discounted sums from each step on: ``v_t + d v_(t+1) + ...`` along the last axis."""
    steps = tf.range(values.shape[-1])
    ahead = steps[:, None] - steps[None, :]
    powers = tf.where(ahead >= 0, tf.pow(discount, tf.cast(tf.maximum(ahead, 0), tf.float32)), 0.0)
    return tf.einsum("tes,sr->ter", values, powers)


def _features(x: tf.Tensor, alive: tf.Tensor) -> tf.Tensor:
    flat = tf.clip_by_value(tf.cast(tf.reshape(x, [*x.shape[:3], -1]), tf.float32), -10.0, 10.0)
    time = tf.range(x.shape[2], dtype=tf.float32)[None, None, :, None] / 100.0 * tf.ones_like(flat[..., :1])
    parts = [flat, flat**2, time, time**2, time**3, tf.ones_like(time)]
    return tf.concat(parts, -1) * alive[..., None]


def _fitted(features: tf.Tensor, targets: tf.Tensor, alive: tf.Tensor) -> tf.Tensor:
    """Fits a ridge regression in each task and returns its values, ``[tasks, episodes, steps]``.

    In float64: in float32 so small a ridge is lost beside squares of features, and what is left may be singular.
    """
    wide, worth, living = (tf.cast(value, tf.float64) for value in (features, targets, alive))
    count = tf.reduce_sum(living, [1, 2])[:, None, None]
    gram = tf.einsum("tesf,tesg->tfg", wide, wide) / count
    sums = tf.einsum("tesf,tes->tf", wide, worth * living)[..., None] / count
    ridge = _RIDGE * tf.eye(gram.shape[-1], dtype=tf.float64)
    weights = tf.linalg.cholesky_solve(tf.linalg.cholesky(gram + ridge), sums)[..., 0]
    return tf.cast(tf.einsum("tesf,tf->tes", wide, weights), features.dtype)


def _normalised(values: tf.Tensor, alive: tf.Tensor) -> tf.Tensor:
    count = tf.reduce_sum(alive, [1, 2], keepdims=True)
    centred = (values - tf.reduce_sum(values * alive, [1, 2], keepdims=True) / count) * alive
    deviation = tf.sqrt(tf.reduce_sum(centred**2, [1, 2], keepdims=True) / count)
    return centred / (deviation + 1e-8)
