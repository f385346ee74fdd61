"""The conformance check finds each mistake and names the clause."""

from typing import Any

import gymnasium
import numpy as np
import pytest
import tensorflow as tf

from advdl.testing import ContractError, check_env, component
from advdl_envs.cartpole import CartPole


class RewardOfTheWrongType(CartPole):
    def reward(self, *arguments: Any) -> tf.Tensor:
        return tf.cast(super().reward(*arguments), tf.float64)


class RewardWithAnAxisTooMany(CartPole):
    def reward(self, *arguments: Any) -> tf.Tensor:
        return super().reward(*arguments)[:, None]


class InfiniteReward(CartPole):
    def reward(self, *arguments: Any) -> tf.Tensor:
        return super().reward(*arguments) / 0.0


class TerminalIsNoBoolean(CartPole):
    def terminal(self, *arguments: Any) -> tf.Tensor:
        return tf.cast(super().terminal(*arguments), tf.float32)


class LeavesItsSpace(CartPole):
    def observation(self, state: tf.Tensor, *arguments: Any) -> tf.Tensor:
        return state + tf.constant([9.0, 0.0, 0.0, 0.0])


class IgnoresBatchSize(CartPole):
    def initial(self, rng: tf.Tensor, params: Any = None, *, batch_size: int = 1) -> tf.Tensor:
        return super().initial(rng, params, batch_size=1)


class Stateful(CartPole):
    def initial(self, rng: tf.Tensor, params: Any = None, *, batch_size: int = 1) -> tf.Tensor:
        return super().initial(rng, params, batch_size=batch_size) + tf.random.uniform([], 0.0, 0.001)


class UsesNumpy(CartPole):
    def transition(self, state: Any, *arguments: Any) -> Any:
        return tf.constant(np.asarray(state)) + 0.0


class MixesElements(CartPole):
    def transition(self, state: tf.Tensor, *arguments: Any) -> tf.Tensor:
        return super().transition(state, *arguments) + 1e-3 * tf.reduce_mean(state, axis=0)


class ChangesItsState(CartPole):
    def transition(self, *arguments: Any) -> tf.Tensor:
        return tf.cast(super().transition(*arguments), tf.float64)


class DifferentWithoutXla(CartPole):
    def transition(self, *arguments: Any) -> tf.Tensor:
        return super().transition(*arguments) + (1.0 if tf.executing_eagerly() else 0.0)


class ForgetsItsDefaults(CartPole):
    def transition(self, state: Any, action: Any, rng: Any, params: Any = None) -> tf.Tensor:
        return super().transition(state, action, rng, params or self.default_params._replace(gravity=5.0))


class OneParamForAll(CartPole):
    def transition(self, state: Any, action: Any, rng: Any, params: Any = None) -> tf.Tensor:
        params = params or self.default_params
        return super().transition(state, action, rng, params) * tf.reshape(params.tau, []) / 0.02


class TakesAnyParam(CartPole):
    def get_default_params(self, **overrides: Any) -> Any:
        del overrides
        return super().get_default_params()


class NeedsAnArgument(CartPole):
    def __init__(self, size: int) -> None:
        del size
        super().__init__()


class HasNoSpace(CartPole):
    def __init__(self) -> None:
        super().__init__()
        self.action_space = 2


@pytest.mark.parametrize(
    ("broken", "clause"),
    [
        (RewardOfTheWrongType, "reward is float32"),
        (RewardWithAnAxisTooMany, "reward is float32"),
        (InfiniteReward, "rewards are finite"),
        (TerminalIsNoBoolean, "terminal is bool"),
        (LeavesItsSpace, "in observation_space"),
        (IgnoresBatchSize, "initial"),
        (Stateful, "the same seed and actions give the same rollout"),
        (UsesNumpy, "compiled with XLA"),
        (MixesElements, "element i alone"),
        (ChangesItsState, "keeps the state's structure"),
        (DifferentWithoutXla, "XLA does not change"),
        (ForgetsItsDefaults, "params=None means the defaults"),
        (OneParamForAll, "each a scalar or"),
        (TakesAnyParam, "refuses a name"),
        (NeedsAnArgument, "default options"),
        (HasNoSpace, "action_space is a Gymnasium space"),
        (dict, "CompiledEnv"),
    ],
)
def test_a_mistake_is_found(broken: Any, clause: str) -> None:
    with pytest.raises(ContractError, match=clause):
        check_env(broken)


class Guess(CartPole):
    """Random transitions, a nested state, no params: all allowed."""

    observation_space = gymnasium.spaces.Box(-1.0, 1.0, (), np.float32)

    def __init__(self) -> None:
        super().__init__()
        self.observation_space = gymnasium.spaces.Box(-1.0, 1.0, (), np.float32)

    def get_default_params(self, **overrides: Any) -> None:
        del overrides

    def initial(self, rng: tf.Tensor, params: Any = None, *, batch_size: int = 1) -> Any:
        return {
            "at": tf.random.stateless_uniform([batch_size], rng),
            "count": tf.zeros([batch_size], tf.int32),
        }

    def transition(self, state: Any, action: Any, rng: Any, params: Any = None) -> Any:
        drawn = tf.random.stateless_uniform(tf.shape(action), rng)
        return {"at": drawn * tf.cast(action, tf.float32), "count": state["count"] + 1}

    def observation(self, state: Any, rng: Any, params: Any = None) -> tf.Tensor:
        return state["at"]

    def reward(self, state: Any, action: Any, next_state: Any, rng: Any, params: Any = None) -> tf.Tensor:
        return next_state["at"] - state["at"]

    def terminal(self, state: Any, rng: Any, params: Any = None) -> tf.Tensor:
        return state["count"] >= 5


def test_a_random_env_with_a_nested_state_passes() -> None:
    check_env(Guess)


def test_an_instance_and_a_users_component_are_checked() -> None:
    check_env(CartPole(sutton_barto_reward=True))
    check_env(component("env", "advdl/CartPole-v1", sutton_barto_reward=True))
