"""The joint probe env and envs with targets as ordinary Gymnasium envs, also with observations in a dict."""

from typing import Any

import gymnasium
import numpy as np
from gymnasium import spaces
from gymnasium.envs.registration import EnvSpec
from joint_probe import NAMES

from advdl.rl.env_factory import EnvFactory

LIMIT = 4
_CONSTANT, _SEEN, _TWO_STEPS, _CHOSEN, _CHOSEN_FOR_SEEN, _TIME_LIMIT, _LAST_SEEN = range(len(NAMES))


class HostJoint(gymnasium.Env[Any, Any]):
    """``joint_probe.Joint``, step by step."""

    def __init__(self, start: int = 0, nested: bool = False) -> None:
        self.action_space, self._nested = spaces.Discrete(2, start=start), nested
        self.observation_space = spaces.Box(-3.0, 3.0, (len(NAMES) + 1,), np.float32)
        if nested:
            place = spaces.Tuple((spaces.Box(-3.0, 3.0, (1,), np.float64), spaces.MultiBinary(1)))
            self.observation_space = spaces.Dict({"which": spaces.Discrete(len(NAMES), start=5), "at": place})

    def reset(self, *, seed: int | None = None, options: Any = None) -> tuple[Any, dict[str, Any]]:
        super().reset(seed=seed)
        self._probe = int(self.np_random.integers(len(NAMES)))
        signed = self._probe in (_SEEN, _CHOSEN_FOR_SEEN, _LAST_SEEN)
        self._place = float(self.np_random.choice([-1.0, 1.0])) if signed else 0.0
        return self._seen(), {}

    def step(self, action: Any) -> tuple[Any, float, bool, bool, dict[str, Any]]:
        probe, place = self._probe, self._place
        second = action == self.action_space.start + 1
        reward = {
            _CONSTANT: 1.0,
            _TIME_LIMIT: 1.0,
            _SEEN: place,
            _TWO_STEPS: place,
            _CHOSEN: 1.0 if second else -1.0,
            _CHOSEN_FOR_SEEN: 1.0 if second == (place > 0.0) else -1.0,
            _LAST_SEEN: float(place > 0.9),
        }[probe]
        self._place += {_TWO_STEPS: 1.0, _LAST_SEEN: 0.5}.get(probe, 0.0)
        goes_on = probe == _TIME_LIMIT or (probe in (_TWO_STEPS, _LAST_SEEN) and self._place < 1.1)
        return self._seen(), reward, not goes_on, False, {}

    def _seen(self) -> Any:
        return as_observation(self._probe, self._place, nested=self._nested)


class HostTarget(gymnasium.Env[Any, Any]):
    """``target_envs.Target`` for a Box, ``target_envs.Combination`` for choices."""

    def __init__(self, choices: bool = False) -> None:
        self.observation_space = spaces.Box(-3.0, 3.0, (1,), np.float32)
        self.action_space = spaces.MultiDiscrete([3, 2, 2]) if choices else spaces.Box(-2.0, 3.0, (1,), np.float32)
        self._choices = choices

    def reset(self, *, seed: int | None = None, options: Any = None) -> tuple[Any, dict[str, Any]]:
        super().reset(seed=seed)
        self._place = np.array([self.np_random.choice([-1.0, 1.0])], np.float32)
        return self._place, {}

    def step(self, action: Any) -> tuple[Any, float, bool, bool, dict[str, Any]]:
        high = self._place[0] > 0.0
        if self._choices:
            reward = float((action == ([2, 0, 1] if high else [0, 1, 0])).sum())
        else:
            reward = -float((action[0] - (2.0 if high else -1.0)) ** 2)
        return self._place, reward, True, False, {}


def as_observation(probe: int, place: float, *, nested: bool) -> Any:
    if nested:
        return {"which": 5 + probe, "at": (np.array([place]), np.zeros(1, np.int8))}
    return np.array([*np.eye(len(NAMES))[probe], place], np.float32)


def factory(kind: str, **options: Any) -> EnvFactory:
    spec = EnvSpec(f"advdl-tests/{kind}-v0", entry_point=f"host_probes:{kind}", max_episode_steps=LIMIT)
    return EnvFactory(spec, options)
