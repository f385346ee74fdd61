"""One copy of an env: every episode has a seed of its own, and its actions are kept, so that it can be played again."""

import base64
import contextlib
import math
import traceback
from collections.abc import Callable, Mapping
from typing import Any

import gymnasium
import numpy as np
from numpy.typing import NDArray

from advdl.rl.env_checks import LeafRule
from advdl.rl.env_faults import CopyError, EnvFault
from advdl.rl.spaces import flatten

Factory = Callable[[], gymnasium.Env[Any, Any]]


class EnvCopy:
    """Steps one env.

    Args:
        factory: Makes the env.
        index: Which copy it is.
        seed: The run's seed.
        rules: What observations must be.
    """

    def __init__(self, factory: Factory, index: int, seed: int, rules: list[LeafRule]) -> None:
        self._factory, self._index, self._seed, self._rules = factory, index, seed, rules
        self._actions: list[Any] = []
        self.episode = -1
        self._env = self.make()

    def make(self) -> gymnasium.Env[Any, Any]:
        """Makes the env anew.

        Raises:
            CopyError: It cannot be made.
        """
        try:
            self._env = self._factory()
            self._space = self._env.observation_space
            self._nested = isinstance(self._space, gymnasium.spaces.Dict | gymnasium.spaces.Tuple)
            self._expected = (None, None) if self._nested else (self._rules[0].shape, self._rules[0].declared)
            self._step = self._env.step
        except (Exception, SystemExit) as error:
            raise CopyError(EnvFault(_raised(error), "make", self._index, traceback=_trace())) from error
        return self._env

    def begin(self, seed: int, options: Mapping[str, Any]) -> list[Any]:
        """Begins an episode that is not numbered: with a seed of its own, and with options.

        Args:
            seed: What the episode's seed is derived from.
            options: Those of the env's ``reset``.

        Returns:
            The observation's leaves.

        Raises:
            CopyError: The env raised, or gave what it must not.
        """
        self._seed, self.episode = seed, -1
        return self.reset(options)

    def reset(self, options: Mapping[str, Any] | None = None) -> list[Any]:
        """Begins the next episode; returns the observation's leaves.

        Args:
            options: Those of the env's ``reset``; None leaves them out.

        Raises:
            CopyError: The env raised, or gave what it must not.
        """
        self.episode += 1
        self._actions.clear()
        try:
            given = {} if options is None else {"options": dict(options)}
            observation, _ = self._env.reset(seed=self.episode_seed, **given)
            return self._fitting(observation)
        except (Exception, SystemExit) as error:
            raise self._failed(error, "reset") from error

    def step(self, action: Any) -> tuple[list[Any], float, bool, bool]:
        """Makes a step; returns the observation's leaves, the reward, terminated and truncated.

        Raises:
            CopyError: The env raised, or gave what it must not.
        """
        self._actions.append(action)
        try:
            # The env gets a copy: one that changes its action would change what is learnt from.
            given = action.copy() if isinstance(action, np.ndarray) else action
            observation, reward, terminated, truncated, _ = self._step(given)
            shape, dtype = self._expected  # written out here: a call of a function costs as much as all of this
            if type(observation) is np.ndarray and observation.dtype is dtype and observation.shape == shape:
                parts = [observation]
            else:
                parts = self._fitting(observation)
            return parts, _number(reward), bool(terminated), bool(truncated)
        except (Exception, SystemExit) as error:
            raise self._failed(error, "step") from error

    def fault(self, what: str, where: str = "step", trace: str = "") -> CopyError:
        """Builds the error for something wrong with the last step or reset."""
        action = repr(self._actions[-1].tolist()) if where == "step" and self._actions else ""
        step = len(self._actions)
        return CopyError(EnvFault(what, where, self._index, step, self.episode_seed, action, trace))

    def again(self) -> None:
        """Makes the env anew after a fault; closing the old one may fail too."""
        self.close()
        self.make()

    def close(self) -> None:
        """Closes the env, whatever it says to that."""
        with contextlib.suppress(Exception, SystemExit):
            self._env.close()

    @property
    def episode_seed(self) -> int:
        """What the episode is reset with: below 2**31, which every env takes."""
        return copy_seed(self._seed, self._index, self.episode)

    @property
    def steps(self) -> int:
        """Steps that the episode has made."""
        return len(self._actions)

    def snapshot(self) -> dict[str, Any]:
        """Returns plain data from which ``restore`` plays the episode again up to this step."""
        taken = np.asarray(self._actions)
        return {
            "episode": self.episode,
            "generator": self._generator(),
            "shape": list(taken.shape),
            "dtype": taken.dtype.str,
            "actions": base64.b64encode(taken.tobytes()).decode("ascii"),
        }

    def restore(self, data: Mapping[str, Any], expected: list[NDArray[Any]]) -> str:
        """Plays the saved episode again.

        Args:
            data: What ``snapshot`` returned.
            expected: The leaves of the observation that was the last when it was saved.

        Returns:
            An empty string, or why the env is not where it was.
        """
        self.episode = int(data["episode"]) - 1
        taken = np.frombuffer(base64.b64decode(data["actions"]), np.dtype(data["dtype"])).reshape(data["shape"])
        try:
            seen = self.reset()
            for action in taken:
                seen = self.step(action)[0]
        except CopyError as error:
            return f"it {error.fault.what}"
        pairs = zip(seen, expected, self._rules, strict=True)
        if not all(np.array_equal(np.asarray(one).astype(rule.dtype), two) for one, two, rule in pairs):
            return "the same seed and actions lead to another observation"
        if self._generator() != data["generator"]:
            return "the same seed and actions leave its random generator in another state"
        return ""

    def _fitting(self, observation: Any) -> list[Any]:
        parts = flatten(self._space, observation) if self._nested else [observation]
        for rule, part in zip(self._rules, parts, strict=True):
            misfit = rule.misfit(part)
            if misfit:
                raise _MisfitError(misfit)
        return parts

    def _failed(self, error: BaseException, where: str) -> CopyError:
        what = str(error) if isinstance(error, _MisfitError) else _raised(error)
        return self.fault(what, where, _trace())

    def _generator(self) -> Any:
        """Returns the state of the env's own random generator as plain data; None while it has none."""
        generator = getattr(self._env.unwrapped, "_np_random", None)
        state = getattr(getattr(generator, "bit_generator", None), "state", None)
        return _plain(state)


def copy_seed(seed: int, index: int, episode: int) -> int:
    """Derives the seed of a copy's episode from the run's."""
    return int(np.random.SeedSequence([seed, index, max(episode, 0)]).generate_state(1)[0] & 0x7FFFFFFF)


class _MisfitError(Exception):
    """What an env gave is not what it said it would."""


def _number(reward: Any) -> float:
    value = float(reward)
    if not math.isfinite(value):
        raise _MisfitError(f"gave the reward {value}")
    return value


def _raised(error: BaseException) -> str:
    if isinstance(error, SystemExit):
        return f"called sys.exit({error.code!r})"
    return f"raised {type(error).__name__}: {str(error).strip() or 'no message'}".splitlines()[0]


def _trace() -> str:
    return traceback.format_exc()


def _plain(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {str(key): _plain(inner) for key, inner in value.items()}
    return value.tolist() if isinstance(value, np.ndarray | np.generic) else value
