"""Other libraries' vector envs, each made to begin an episode within the step that ended the one before.

Libraries differ in when that is. ALE's ``AtariVectorEnv`` can do so itself (Gymnasium's ``SAME_STEP``). EnvPool, and
Gymnasium's own vector envs, begin with the step after (``NEXT_STEP``), whose action counts for nothing: such a step is
no transition, and must not be learnt from.
"""

import inspect
from collections.abc import Mapping
from typing import Any

import gymnasium
import numpy as np
from gymnasium.envs.registration import EnvSpec, load_env_creator
from gymnasium.vector import AutoresetMode
from numpy.typing import NDArray

from advdl.errors import RunError, UsageError
from advdl.rl.env_names import gymnasium_id
from advdl.rl.envpool_stepper import EnvPoolStepper
from advdl.rl.stepper import Step, Stepper

_CARTPOLE = "gymnasium.envs.classic_control.cartpole:CartPoleVectorEnv"

_OURS = frozenset({"autoreset_mode", "batch_size", "env_type", "num_envs", "seed", "vectorization_mode"})
"""Arguments that this module gives: every copy makes every step, and the run has one seed."""


def make_stepper(kind: str, env_id: str, num_envs: int, options: Mapping[str, Any]) -> Stepper:
    """Makes a library's vector env.

    Args:
        kind: ``"gymnasium"`` for the vector entry point that the env is registered with, or ``"envpool"``.
        env_id: The env, as ``env_names.resolve_env_id`` gives it.
        num_envs: How many copies.
        options: What the entry point, or ``envpool.make``, takes besides.

    Raises:
        UsageError: The library does not know the env or an option, or cannot begin episodes so that nothing is lost.
        RunError: The env cannot be made, such as for a missing package.
    """
    for name in sorted(_OURS.intersection(options)):
        raise UsageError(f"env.vector_options cannot have {name}", hint="env.num and seed say how many and which")
    if kind == "envpool":
        return EnvPoolStepper(env_id, num_envs, options)
    return _of_gymnasium(env_id, num_envs, options)


class SameStepStepper:
    """A ``gymnasium.vector.VectorEnv`` whose autoreset mode is ``SAME_STEP``.

    Args:
        env: The vector env.
    """

    def __init__(self, env: Any) -> None:
        self._env = env
        self.observation_space, self.action_space = env.single_observation_space, env.single_action_space

    def reset(self, seed: int) -> Any:
        """Begins an episode in every copy."""
        return self._env.reset(seed=seed)[0]

    def step(self, actions: NDArray[Any]) -> Step:
        """Makes a step."""
        outcome: Step = self._env.step(actions)
        return outcome

    def close(self) -> None:
        """Closes the env."""
        self._env.close()


class CartPoleStepper(SameStepStepper):
    """Gymnasium's ``CartPoleVectorEnv``, whose copies would begin anew with the next step and its action lost.

    An episode begins as there, with the same draws, only at once: the env is left nothing to do about it.
    """

    def step(self, actions: NDArray[Any]) -> Step:
        """Makes a step, and draws the first states of the episodes that follow those that it ended."""
        env = self._env
        seen, reward, terminated, truncated, _ = env.step(actions)
        ended = terminated | truncated
        if not ended.any():
            return seen, reward, terminated, truncated, {}
        env.state[:, ended] = env.np_random.uniform(low=env.low, high=env.high, size=(4, ended.sum()))
        env.steps[ended] = 0
        env.prev_done[:] = False
        return env.state.T.astype(np.float32), reward, terminated, truncated, {"final_obs": seen}


def _of_gymnasium(env_id: str, num_envs: int, options: Mapping[str, Any]) -> Stepper:
    try:
        spec = gymnasium.spec(gymnasium_id(env_id))
        creator = _creator(spec)
    except (gymnasium.error.Error, ImportError) as error:
        raise RunError(f"env {env_id!r} cannot be found: {error}", hint="advdl env list") from error
    if creator is None:
        raise UsageError(f"env.vector: {env_id!r} has no vector entry point", hint="leave env.vector out")
    if "autoreset_mode" in inspect.signature(creator).parameters:
        return _same_step(spec, num_envs, {**options, "autoreset_mode": AutoresetMode.SAME_STEP})
    if spec.vector_entry_point == _CARTPOLE:
        return CartPoleStepper(_make_vec(spec, num_envs, options))
    return _same_step(spec, num_envs, options)


def _creator(spec: EnvSpec) -> Any:
    entry = spec.vector_entry_point
    return load_env_creator(entry) if isinstance(entry, str) else entry


def _same_step(spec: EnvSpec, num_envs: int, options: Mapping[str, Any]) -> Stepper:
    env = _make_vec(spec, num_envs, options)
    mode = env.metadata.get("autoreset_mode")
    if mode is None or AutoresetMode(mode) is not AutoresetMode.SAME_STEP:
        env.close()
        raise UsageError(
            f"env.vector: the vector entry point of {spec.id!r} has autoreset mode {mode}, and no other",
            hint="the host engine needs SAME_STEP, which env.vector=copies always has",
        )
    return SameStepStepper(env)


def _make_vec(spec: EnvSpec, num_envs: int, options: Mapping[str, Any]) -> Any:
    try:
        return gymnasium.make_vec(spec, num_envs, vectorization_mode="vector_entry_point", **options)
    except TypeError as error:  # an argument that it does not know
        raise UsageError(f"env.vector_options: {spec.id!r}: {error}") from error
    except Exception as error:  # whatever a stranger's env raises
        raise RunError(f"env {spec.id!r} cannot be made: {error}", hint=f"advdl env check {spec.id}") from error
