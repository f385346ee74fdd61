"""All probes in one env, so that one training answers all their questions: tracing one takes longer than solving it."""

from typing import Any, ClassVar

import numpy as np
import tensorflow as tf
from gymnasium import spaces
from probe_envs import GAMMA, Probe

NAMES = ("constant", "seen", "two steps", "chosen", "chosen for seen", "time limit", "last seen")
_CONSTANT, _SEEN, _TWO_STEPS, _CHOSEN, _CHOSEN_FOR_SEEN, _TIME_LIMIT, _LAST_SEEN = range(len(NAMES))


class Joint(Probe):
    """The state is (which probe, where in it); the observation is the probe one-hot and the place.

    They are those of ``probe_envs``, but for "last seen", which is as long as the time limit: from -1 it goes up by 0.5
    a step and is cut at 1; from 1 it ends with reward 1.
    """

    max_episode_steps: ClassVar[int | None] = 4

    def __init__(self, start: int = 0) -> None:
        super().__init__(start)
        self.observation_space = spaces.Box(-3.0, 3.0, (len(NAMES) + 1,), np.float32)

    def initial(self, rng: tf.Tensor, params: Any = None, *, batch_size: int = 1) -> tf.Tensor:
        draws = tf.random.stateless_uniform([2, batch_size], rng)
        probe = tf.floor(draws[0] * len(NAMES))
        sign = tf.where(draws[1] < 0.5, -1.0, 1.0)
        place = tf.where(_is(probe, _SEEN, _CHOSEN_FOR_SEEN, _LAST_SEEN), sign, 0.0)
        return tf.stack([probe, place], axis=-1)

    def transition(self, state: tf.Tensor, action: tf.Tensor, rng: tf.Tensor, params: Any = None) -> tf.Tensor:
        probe, place = tf.unstack(state, axis=-1)
        onwards = tf.where(_is(probe, _TWO_STEPS), 1.0, tf.where(_is(probe, _LAST_SEEN), 0.5, 0.0))
        return tf.stack([probe, place + onwards], axis=-1)

    def observation(self, state: tf.Tensor, rng: tf.Tensor, params: Any = None) -> tf.Tensor:
        return seen(state)

    def reward(self, state: Any, action: Any, next_state: Any, rng: Any, params: Any = None) -> tf.Tensor:
        probe, place = tf.unstack(state, axis=-1)
        second = tf.equal(action, self.action_space.start + 1)
        reward = tf.where(_is(probe, _CONSTANT, _TIME_LIMIT), 1.0, 0.0)
        reward = tf.where(_is(probe, _SEEN), place, reward)
        reward = tf.where(_is(probe, _TWO_STEPS), place, reward)
        reward = tf.where(_is(probe, _CHOSEN), tf.where(second, 1.0, -1.0), reward)
        reward = tf.where(_is(probe, _CHOSEN_FOR_SEEN), tf.where(tf.equal(second, place > 0.0), 1.0, -1.0), reward)
        return tf.where(_is(probe, _LAST_SEEN) & (place > 0.9), 1.0, reward)

    def terminal(self, state: tf.Tensor, rng: tf.Tensor, params: Any = None) -> tf.Tensor:
        probe, place = tf.unstack(state, axis=-1)
        goes_on = _is(probe, _TIME_LIMIT) | (_is(probe, _TWO_STEPS, _LAST_SEEN) & (place < 1.1))
        return ~goes_on


QUESTIONS: tuple[tuple[int, float, float, int | None], ...] = (
    (_CONSTANT, 0.0, 1.0, None),
    (_SEEN, -1.0, -1.0, None),
    (_SEEN, 1.0, 1.0, None),
    (_TWO_STEPS, 0.0, GAMMA, None),
    (_TWO_STEPS, 1.0, 1.0, None),
    (_CHOSEN, 0.0, 1.0, 1),
    (_CHOSEN_FOR_SEEN, -1.0, 1.0, 0),
    (_CHOSEN_FOR_SEEN, 1.0, 1.0, 1),
    (_TIME_LIMIT, 0.0, 1.0 / (1.0 - GAMMA), None),
    (_LAST_SEEN, 0.5, GAMMA, None),
    (_LAST_SEEN, 1.0, 1.0, None),
)
"""Probe, place, value under the best policy, best action."""


def seen(state: Any) -> tf.Tensor:
    state = tf.convert_to_tensor(state, tf.float32)
    return tf.concat([tf.one_hot(tf.cast(state[:, 0], tf.int32), len(NAMES)), state[:, 1:]], axis=-1)


def _is(probe: tf.Tensor, *which: int) -> tf.Tensor:
    return tf.reduce_any(tf.equal(probe[:, None], tf.constant(which, tf.float32)), axis=-1)
