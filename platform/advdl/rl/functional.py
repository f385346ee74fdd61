"""CompiledEnv: the contract of an env that runs inside the training program.

It is Gymnasium's ``FuncEnv`` with two additions: every function is traceable by TensorFlow, and every function
works on a batch. An observation is a tensor ``[batch, ...]``; a state is any nest of such tensors. An env that has no
twin can be watched if it has ``FuncEnv``'s ``render_init``, ``render_image`` (which draws the first of a batch, uint8
``[height, width, 3]``) and ``render_close``.
"""

from typing import Any, ClassVar

import gymnasium
import tensorflow as tf
from gymnasium.experimental.functional import FuncEnv

from advdl.errors import UsageError

State = Any
"""A nest of tensors, each with the batch as its first axis."""

Params = Any
"""Physics or task parameters: a NamedTuple of tensors, each a scalar or ``[batch]``. A task is one such value."""


class CompiledEnv(FuncEnv[State, tf.Tensor, tf.Tensor, tf.Tensor, tf.Tensor, Any, Params]):
    """A batched, traceable, stateless env.

    Attributes:
        observation_space: The space of one observation.
        action_space: The space of one action.
        max_episode_steps: Steps after which an episode is truncated, or None for never.
        reward_threshold: The mean return at which the env counts as solved, or None.
    """

    observation_space: gymnasium.Space[Any]
    action_space: gymnasium.Space[Any]
    max_episode_steps: ClassVar[int | None] = None
    reward_threshold: ClassVar[float | None] = None

    def get_default_params(self, **overrides: Any) -> Params:
        """Returns None: an env has no params unless it says so by a NamedTuple of them.

        Args:
            overrides: Values of params by name.

        Raises:
            UsageError: There is no param of that name.
        """
        if overrides:
            raise UsageError(f"{type(self).__name__} has no params, and so no {next(iter(overrides))!r}")
        return None

    def initial(self, rng: tf.Tensor, params: Params | None = None, *, batch_size: int = 1) -> State:
        """Draws the first states of ``batch_size`` episodes.

        Args:
            rng: Stateless seed, int32 of shape [2]. The same seed gives the same states.
            params: Task parameters, or None for the defaults.
            batch_size: How many states.
        """
        raise NotImplementedError("initial(rng, params, *, batch_size) -> state")

    def transition(self, state: State, action: tf.Tensor, rng: tf.Tensor, params: Params | None = None) -> State:
        """Returns the states that follow; never resets."""
        raise NotImplementedError("transition(state, action, rng, params) -> next_state")

    def observation(self, state: State, rng: tf.Tensor, params: Params | None = None) -> tf.Tensor:
        """Returns what the agent sees of each state, in ``observation_space``'s dtype."""
        raise NotImplementedError("observation(state, rng, params) -> observation")

    def reward(
        self, state: State, action: tf.Tensor, next_state: State, rng: tf.Tensor, params: Params | None = None
    ) -> tf.Tensor:
        """Returns float32 rewards of shape [batch]."""
        raise NotImplementedError("reward(state, action, next_state, rng, params) -> reward")

    def terminal(self, state: State, rng: tf.Tensor, params: Params | None = None) -> tf.Tensor:
        """Returns booleans of shape [batch]: the episode ended by the env's own rules, not by a time limit."""
        raise NotImplementedError("terminal(state, rng, params) -> terminated")
