"""Behaviour: how transitions are come by when nothing is learnt from them yet: at random, or as an agent acts."""

from typing import Any

import gymnasium
import numpy as np
import tensorflow as tf
from gymnasium import spaces

from advdl.errors import UsageError
from advdl.rl.agent import Acted, Agent, Progress
from advdl.rl.source import Source
from advdl.rl.spaces import Spaces, stored_dtype
from advdl.training.learner import Objective
from advdl.training.randomness import fold


class Behaviour(Agent):
    """Acts at random, or as another agent does but for a share of random actions. It learns nothing.

    Args:
        env_spaces: The env's spaces.
        agent: Whose policy it follows; None for none: every action is random.
        random: Share of random actions, in [0, 1].
        warm_up: Env steps during which every action is random.
        explore: Whether the agent acts as in training, with its own exploration, or greedily.

    Raises:
        UsageError: Random actions cannot be drawn from the action space.
    """

    def __init__(
        self,
        env_spaces: Spaces,
        agent: Agent | None = None,
        *,
        random: float = 0.0,
        warm_up: int = 0,
        explore: bool = False,
    ) -> None:
        super().__init__(env_spaces)
        self._agent, self._random, self._warm_up, self._explore = agent, random, warm_up, explore
        random_actions(env_spaces.action, 1, tf.constant([0, 0]))  # refuses what cannot be drawn from

    @property
    def models(self) -> dict[str, Any]:
        """None of its own."""
        return {}

    def objectives(self) -> list[Objective]:
        """None."""
        return []

    def source(self, *, num_envs: int) -> Source:
        """Raises: it learns from nothing."""
        raise NotImplementedError("a behaviour learns from nothing")

    def initial_carry(self, num_envs: int) -> Any:
        """Returns the agent's."""
        return () if self._agent is None else self._agent.initial_carry(num_envs)

    def act(self, observation: Any, carry: Any, seed: tf.Tensor, *, progress: Progress | None) -> Acted:
        """Draws at random, or asks the agent."""
        count = int(tf.nest.flatten(observation)[0].shape[0])
        drawn = random_actions(self.spaces.action, count, fold(seed, 1))
        if self._agent is None:
            return Acted(drawn, carry)
        acted = self._agent.act(observation, carry, seed, progress=progress if self._explore else None)
        random = tf.random.stateless_uniform([count], fold(seed, 2)) < self._share(progress)
        action = tf.where(tf.reshape(random, [-1, *[1] * (len(drawn.shape) - 1)]), drawn, acted.action)
        return Acted(action, acted.carry)

    def _share(self, progress: Progress | None) -> tf.Tensor:
        warming = progress is not None and self._warm_up > 0
        return tf.where(progress.env_steps < self._warm_up, 1.0, self._random) if warming else tf.constant(self._random)  # type: ignore[union-attr]


def random_actions(space: gymnasium.Space[Any], count: int, seed: tf.Tensor) -> tf.Tensor:
    """Draws uniform actions ``[count, ...]`` in the space's dtype; traceable.

    Args:
        space: ``Discrete``, or a ``Box`` with bounds.
        count: How many.
        seed: Stateless seed, int32 of shape [2].

    Raises:
        UsageError: The space is another one.
    """
    if isinstance(space, spaces.Discrete):
        drawn = tf.random.stateless_uniform([count], seed)
        return tf.cast(int(space.start), tf.int64) + tf.cast(drawn * float(space.n), tf.int64)
    if isinstance(space, spaces.Box) and space.is_bounded() and space.dtype.kind == "f":
        low, high = (np.asarray(bound, np.float32) for bound in (space.low, space.high))
        drawn = low + tf.random.stateless_uniform([count, *space.shape], seed) * (high - low)
        return tf.cast(drawn, tf.as_dtype(stored_dtype(space)))
    raise UsageError(
        f"random actions cannot be drawn from {space}",
        hint="the space is to be Discrete or a Box of floats with bounds",
    )
