"""Bandits, compiled: a few arms, each with a mean that is not shown, and a few pulls."""

from collections import namedtuple
from typing import Annotated, Any, ClassVar, Literal

import numpy as np
import tensorflow as tf
from annotated_types import Ge
from gymnasium import spaces

from advdl.rl.functional import CompiledEnv
from advdl_envs.draw import uniform
from advdl_envs.params import with_overrides


class Bandit(CompiledEnv):
    """A bandit: each step pulls one arm and is paid by chance (Duan et al. 2016, arXiv:1611.02779, section 3.1).

    What is observed is all that has happened, float32 ``[2 * arms]``: how often each arm was pulled, and what it paid
    in sum. That is enough to play as well as can be played, so a policy that is trained on many bandits learns to
    explore within an episode. The params are the arms' means, ``mean_0``, ``mean_1``, ... An episode has 10 pulls, or
    as many as ``tasks.horizon`` says.

    Args:
        arms: How many arms.
        pays: ``"bernoulli"`` pays 1 with the mean as probability, else 0; ``"gaussian"`` pays the mean and noise of
            deviation 1.
    """

    max_episode_steps: ClassVar[int | None] = 10

    def __init__(
        self, *, arms: Annotated[int, Ge(2)] = 5, pays: Literal["bernoulli", "gaussian"] = "bernoulli"
    ) -> None:
        self._arms, self._pays = arms, pays
        names = [f"mean_{arm}" for arm in range(arms)]
        means = [(arm + 1) / (arms + 1) for arm in range(arms)]
        self._params = namedtuple("BanditParams", names, defaults=means)  # type: ignore[misc]  # as many as there are arms
        low = 0.0 if pays == "bernoulli" else -np.inf
        bounds = np.array([0.0] * arms + [low] * arms, np.float32)
        self.observation_space = spaces.Box(bounds, np.inf, (2 * arms,), np.float32)
        self.action_space = spaces.Discrete(arms)
        super().__init__()

    def get_default_params(self, **overrides: Any) -> Any:
        """Returns means that lie evenly between 0 and 1, with ``overrides``."""
        return with_overrides(self._params(), overrides, "advdl/Bandit-v0")

    def initial(self, rng: tf.Tensor, params: Any = None, *, batch_size: int = 1) -> tf.Tensor:
        """Nothing has been pulled."""
        del rng, params
        return tf.zeros([batch_size, 2 * self._arms])

    def transition(self, state: tf.Tensor, action: tf.Tensor, rng: tf.Tensor, params: Any = None) -> tf.Tensor:
        """Pulls an arm and notes what it paid."""
        pulled = tf.one_hot(action, self._arms)
        means = tf.stack([mean * tf.ones_like(state[:, 0]) for mean in params or self.default_params], axis=-1)
        paid = self._paid(tf.reduce_sum(means * pulled, -1), rng)
        return state + tf.concat([pulled, pulled * paid[:, None]], axis=-1)

    def observation(self, state: tf.Tensor, rng: tf.Tensor, params: Any = None) -> tf.Tensor:
        """The state itself."""
        del rng, params
        return state

    def reward(
        self, state: tf.Tensor, action: tf.Tensor, next_state: tf.Tensor, rng: tf.Tensor, params: Any = None
    ) -> tf.Tensor:
        """What the arm paid."""
        del action, rng, params
        return tf.reduce_sum((next_state - state)[:, self._arms :], axis=-1)

    def terminal(self, state: tf.Tensor, rng: tf.Tensor, params: Any = None) -> tf.Tensor:
        """Never: pulls are counted by the time limit."""
        del rng, params
        return tf.zeros_like(state[:, 0], tf.bool)

    def _paid(self, mean: tf.Tensor, rng: tf.Tensor) -> tf.Tensor:
        if self._pays == "bernoulli":
            return tf.cast(uniform(tf.shape(mean), rng, 0.0, 1.0) < mean, tf.float32)
        # Box-Muller: the draws of tf.random.stateless_normal are others under XLA.
        two = uniform([2, tf.shape(mean)[0]], rng, 2.0**-25, 1.0)
        return mean + tf.sqrt(-2.0 * tf.math.log(two[0])) * tf.cos(2.0 * np.pi * two[1])
