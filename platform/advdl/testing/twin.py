"""Equality of a compiled env with the Gymnasium env that it is a twin of: one step, from the same states."""

from dataclasses import dataclass
from typing import Any

import gymnasium
import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from advdl.rl.functional import CompiledEnv
from advdl.testing.contract import ContractError

Array = NDArray[Any]


@dataclass(frozen=True, slots=True)
class TwinSteps:
    """Single steps of Gymnasium's env.

    Attributes:
        state: float32 ``[steps, ...]``; what the env was set to.
        action: ``[steps, ...]``.
        next_state: float64 ``[steps, ...]``.
        observation: ``[steps, ...]``.
        reward: float64 ``[steps]``.
        terminated: bool ``[steps]``.
    """

    state: Array
    action: Array
    next_state: Array
    observation: Array
    reward: Array
    terminated: Array


def walk(twin: gymnasium.Env[Any, Any], steps: int, *, seed: int = 0) -> Array:
    """Returns the states that random actions lead through, float32 ``[steps, ...]``.

    Args:
        twin: An unwrapped env that keeps its whole state in ``.state``.
        steps: How many.
        seed: Seeds the env and the actions.
    """
    twin.reset(seed=seed)
    twin.action_space.seed(seed)
    states = []
    for step in range(steps):
        states.append(_state(twin).astype(np.float32))
        if twin.step(twin.action_space.sample())[2] or step % 200 == 199:
            twin.reset()
    return np.stack(states)


def record(twin: gymnasium.Env[Any, Any], states: Array, *, seed: int = 0) -> TwinSteps:
    """Makes one step with a random action from each state.

    Args:
        twin: An unwrapped env that keeps its whole state in ``.state``.
        states: Where to step from, float32 ``[steps, ...]``.
        seed: Seeds the actions.
    """
    twin.action_space.seed(seed)
    actions, rows = [], []
    for state in states:
        twin.reset()  # clears what else it remembers, such as that an episode has ended
        twin.state = np.asarray(state, np.float64)  # type: ignore[attr-defined]
        actions.append(twin.action_space.sample())
        observation, reward, terminated, _, _ = twin.step(actions[-1])
        rows.append((_state(twin), observation, float(reward), bool(terminated)))
    following, observations, rewards, terminated_ = (np.stack(column) for column in zip(*rows, strict=True))
    action = np.stack(actions)
    dtype = np.int32 if np.issubdtype(action.dtype, np.integer) else action.dtype
    return TwinSteps(states, action.astype(dtype), following, observations, rewards, terminated_)


class TwinComparison:
    """Compares a compiled env with steps of its twin.

    Two values agree when they differ by at most ``tolerance * (1 + |value|)``, states also when they differ
    by a full turn (an angle may be wrapped at -pi or at pi; the observations tell). Where the next state is
    so close to a border that the tolerance decides whether the episode ended, neither ``terminated`` nor the
    reward is compared.

    Args:
        env: The compiled env; its state is one tensor laid out as the twin's ``.state``.
        steps: What the twin did.
        tolerance: How far two values may lie apart.
    """

    def __init__(self, env: CompiledEnv, steps: TwinSteps, *, tolerance: float) -> None:
        self._env, self._steps, self._tolerance = env, steps, tolerance
        self._name = type(env).__name__
        self._step = tf.function(self._one_step, jit_compile=True)
        self._terminal = tf.function(self._ended, jit_compile=True)

    def check(self, params: Any = None) -> None:
        """Compares every step.

        Args:
            params: The compiled env's physics, or None for its defaults.

        Raises:
            ContractError: Names what differs, and by how much.
        """
        steps = self._steps
        if params is not None:
            params = type(params)(*(tf.convert_to_tensor(value, tf.float32) for value in params))
        found = [np.asarray(part) for part in self._step(steps.state, steps.action, params)]
        self._close("next state", found[0], steps.next_state, turn=2 * np.pi)
        self._close("observation", found[1], steps.observation)
        border = self._at_a_border(found[0], params)
        if border.mean() > 0.01:
            self._differs("it ends", f"{border.mean():.1%} of the steps end at a border; too many to compare")
        self._close("reward", found[2][~border], steps.reward[~border])
        wrong = (found[3] != steps.terminated) & ~border
        if wrong.any():
            self._differs("terminated", f"it differs in {wrong.sum()} of {len(wrong)} steps")

    def _one_step(self, state: tf.Tensor, action: tf.Tensor, params: Any) -> tuple[tf.Tensor, ...]:
        seed = tf.constant((0, 0), tf.int32)
        following = self._env.transition(state, action, seed, params)
        return (
            following,
            self._env.observation(following, seed, params),
            self._env.reward(state, action, following, seed, params),
            self._env.terminal(following, seed, params),
        )

    def _ended(self, state: tf.Tensor, params: Any) -> tf.Tensor:
        return self._env.terminal(state, tf.constant((0, 0), tf.int32), params)

    def _at_a_border(self, states: Array, params: Any) -> NDArray[np.bool_]:
        """Where a change of one component by the tolerance changes whether the episode has ended."""
        here = np.asarray(self._terminal(states, params))
        border = np.zeros_like(here)
        for component in range(states.shape[-1]):
            for sign in (-1, 1):
                moved = states.copy()
                moved[:, component] += sign * self._tolerance * (1 + np.abs(moved[:, component]))
                border |= np.asarray(self._terminal(moved, params)) != here
        return border

    def _close(self, what: str, found: Array, expected: Array, turn: float = 0.0) -> None:
        if found.shape != expected.shape:
            self._differs(what, f"{what} is {found.shape}, not {expected.shape}")
        apart = np.abs(found.astype(np.float64) - expected)
        if turn:
            apart = np.minimum(apart, np.abs(apart - turn))
        excess = apart / (1 + np.abs(expected))
        if not excess.max(initial=0.0) <= self._tolerance:  # a NaN is not close either
            self._differs(what, f"{what} differs by {excess.max():.2g} * (1 + |value|), not {self._tolerance:g}")

    def _differs(self, what: str, detail: str) -> None:
        raise ContractError(self._name, f"its {what} equals its twin's", detail, kind="env")


def check_twin(
    env: CompiledEnv | type[CompiledEnv],
    twin_id: str,
    *,
    steps: int = 1000,
    tolerance: float = 1e-4,
    seed: int = 0,
) -> None:
    """Checks that a compiled env equals Gymnasium's, along a random walk.

    Args:
        env: The compiled env, or its class.
        twin_id: Id of Gymnasium's env.
        steps: How many steps are compared.
        tolerance: How far two values may lie apart, times (1 + |value|).
        seed: Seeds states and actions.

    Raises:
        ContractError: They differ; names in what, and by how much.
    """
    instance = env() if isinstance(env, type) else env
    with gymnasium.make(twin_id, disable_env_checker=True) as wrapped:
        twin = wrapped.unwrapped
        _same_facts(instance, twin_id, twin)
        recorded = record(twin, walk(twin, steps, seed=seed), seed=seed)
    TwinComparison(instance, recorded, tolerance=tolerance).check()


def _same_facts(env: CompiledEnv, twin_id: str, twin: gymnasium.Env[Any, Any]) -> None:
    spec = gymnasium.spec(twin_id)
    pairs = {
        "observation_space": (env.observation_space, twin.observation_space),
        "action_space": (env.action_space, twin.action_space),
        "max_episode_steps": (env.max_episode_steps, spec.max_episode_steps),
        "reward_threshold": (env.reward_threshold, spec.reward_threshold),
    }
    for name, (ours, theirs) in pairs.items():
        if ours != theirs:
            raise ContractError(
                type(env).__name__, f"its {name} equals its twin's", f"{ours} is not {theirs}", kind="env"
            )


def _state(twin: gymnasium.Env[Any, Any]) -> Array:
    return np.array(twin.state, np.float64)  # type: ignore[attr-defined]
