"""EnvPool's envs, each made to begin an episode within the step that ended the one before.

Two thirds of a step of EnvPool's CartPole are its own Python around the C++ that steps: names and trees of arrays that
are the same each time. So the bound methods beneath (``_send``, ``_recv``, ``_reset``) are called here, and what they
take and give is looked up once.
"""

import importlib
import warnings
from collections.abc import Mapping, Sequence
from typing import Any

import gymnasium
import numpy as np
from numpy.typing import NDArray

from advdl.errors import RunError, UsageError
from advdl.rl.stepper import Step


class EnvPoolStepper:
    """EnvPool, whose copies begin anew with the next step and its action lost: they are reset at once instead.

    Args:
        env_id: The env; what stands before a slash, such as ``ALE/``, does not count.
        num_envs: How many copies.
        options: What ``envpool.make`` takes besides.

    Raises:
        UsageError: EnvPool is not installed, or has no such env.
        RunError: The env cannot be made.
    """

    def __init__(self, env_id: str, num_envs: int, options: Mapping[str, Any]) -> None:
        self._envpool: Any = _import_envpool()
        self._name = env_id.rpartition("/")[2]
        if self._name not in self._envpool.list_all_envs():
            raise UsageError(
                f"EnvPool has no env {self._name!r}", hint="python -c 'import envpool; print(envpool.list_all_envs())'"
            )
        self._num_envs, self._options, self._seed = num_envs, dict(options), -1
        self._make(0)
        with warnings.catch_warnings():  # of its own spaces' bounds, which no user can change
            warnings.filterwarnings("ignore", message=".*precision lowered")
            self.observation_space, self.action_space = self._env.observation_space, self._env.action_space

    def reset(self, seed: int) -> Any:
        """Begins an episode in every copy; EnvPool takes a seed only where it makes the copies."""
        if seed != self._seed:
            self._env.close()
            self._make(seed)
        self._env._reset(self._everyone)
        return self._observation(self._env._recv())

    def step(self, actions: NDArray[Any]) -> Step:
        """Makes a step, and resets the copies whose episodes it ended."""
        taken = np.ascontiguousarray(actions, self._dtype)
        self._env._send([self._everyone, self._everyone, taken])
        values = self._env._recv()
        seen, ended, truncated = self._observation(values), values[self._done], values[self._truncated]
        outcome = values[self._reward], ended & ~truncated, truncated
        if not (ended | truncated).any():
            return seen, *outcome, {}
        return self._begun(seen, np.flatnonzero(ended | truncated)), *outcome, {"final_obs": seen}

    def close(self) -> None:
        """Closes the env."""
        self._env.close()

    def _begun(self, seen: Any, ended: NDArray[Any]) -> Any:
        self._env._reset(ended.astype(np.int32))
        values = self._env._recv()
        return _replaced(seen, self._observation(values), values[self._copy])

    def _make(self, seed: int) -> None:
        try:
            self._env: Any = self._envpool.make(
                self._name, env_type="gymnasium", num_envs=self._num_envs, seed=seed, **self._options
            )
        except Exception as error:  # its own checks assert
            raise RunError(f"env {self._name!r} cannot be made by EnvPool: {error}") from error
        self._seed = seed
        self._look_up(self._env._state_keys, self._env._action_keys)

    def _look_up(self, given: Sequence[str], taken: Sequence[str]) -> None:
        names = ("info:env_id", "reward", "done", "trunc")
        self._copy, self._reward, self._done, self._truncated = (given.index(name) for name in names)
        self._plain = given.index("obs") if "obs" in given else None
        self._everyone = np.arange(self._num_envs, dtype=np.int32)
        self._dtype = self._env.spec.action_array_spec[taken[-1]].dtype  # the others say of whom an action is

    def _observation(self, values: Sequence[Any]) -> Any:
        if self._plain is not None and not isinstance(self.observation_space, gymnasium.spaces.Dict):
            return values[self._plain]
        return self._env._to(values, True, True)[0]  # as EnvPool nests it


def _import_envpool() -> Any:
    try:
        return importlib.import_module("envpool")
    except ImportError as error:
        raise UsageError("env.vector=envpool needs EnvPool", hint="pip install 'advdl[envpool]'") from error


def _replaced(seen: Any, first: Any, rows: NDArray[Any]) -> Any:
    """Returns new arrays with some rows replaced, leaf by leaf of a Dict or Tuple: the old ones are still needed."""
    if isinstance(seen, Mapping):
        return {key: _replaced(part, first[key], rows) for key, part in seen.items()}
    if isinstance(seen, tuple):
        return tuple(_replaced(part, other, rows) for part, other in zip(seen, first, strict=True))
    following = np.array(seen)
    following[rows] = first
    return following
