"""Small Gymnasium envs whose every step is known, and one that does wrong on demand. Workers import this file too."""

import os
import signal
import time
from typing import Any

import gymnasium
import numpy as np
from gymnasium import spaces
from gymnasium.envs.registration import EnvSpec

from advdl.rl.env_factory import EnvFactory


class Walk(gymnasium.Env[Any, Any]):
    """Counts up by 1 or 2 and a drawn tenth from a drawn beginning; beyond 10 it ends. The reward is the count."""

    def __init__(self, fault: str = "", at: int = 5, copies: str = "/nonexistent") -> None:
        self.observation_space = spaces.Box(0.0, 20.0, (2,), np.float32)
        self.action_space = spaces.Discrete(2)
        self._fault, self._at, self._flag = fault, at, copies

    def reset(self, *, seed: int | None = None, options: Any = None) -> tuple[Any, dict[str, Any]]:
        super().reset(seed=seed)
        self.count, self.steps = float(self.np_random.integers(0, 8)), 0
        return self._seen(), {}

    def step(self, action: Any) -> tuple[Any, float, bool, bool, dict[str, Any]]:
        self.steps += 1
        self.count += 1.0 + float(action) + 0.1 * float(self.np_random.random())
        if self._fault and self.steps == self._at and self._mine():
            return getattr(self, f"_{self._fault}")()
        return self._seen(), self.count, self.count > 10.0, False, {}

    def _seen(self) -> Any:
        return np.array([self.count, self.steps], np.float32)

    def _mine(self) -> bool:
        """Only the first that takes the flag does wrong, and only once; without a flag everyone does."""
        if self._flag == "/nonexistent":
            return True
        try:
            os.unlink(self._flag)
        except FileNotFoundError:
            return False
        return True

    def _raises(self) -> Any:
        raise ValueError("the floor gave way")

    def _hangs(self) -> Any:
        time.sleep(60.0)

    def _exits(self) -> Any:
        raise SystemExit(7)

    def _leaves(self) -> Any:
        os._exit(7)

    def _killed(self) -> Any:
        os.kill(os.getpid(), signal.SIGKILL)

    def _shape(self) -> Any:
        return np.zeros(3, np.float32), 0.0, False, False, {}

    def _dtype(self) -> Any:
        return np.array(["a", "b"]), 0.0, False, False, {}

    def _nan(self) -> Any:
        return np.array([np.nan, 1.0], np.float32), 0.0, False, False, {}

    def _infinite(self) -> Any:
        return self._seen(), float("inf"), False, False, {}

    def _outside(self) -> Any:
        return np.array([21.0, 1.0], np.float32), 0.0, False, False, {}

    def _short(self) -> Any:
        return self._seen(), 0.0, False


class Counting(gymnasium.Env[Any, Any]):
    """A Discrete observation that leaves its space at step 3."""

    def __init__(self) -> None:
        self.observation_space, self.action_space = spaces.Discrete(3), spaces.Discrete(2)

    def reset(self, *, seed: int | None = None, options: Any = None) -> tuple[Any, dict[str, Any]]:
        super().reset(seed=seed)
        self.count = 0
        return self.count, {}

    def step(self, action: Any) -> tuple[Any, float, bool, bool, dict[str, Any]]:
        self.count += 1
        return self.count, 0.0, False, False, {}


class Forgetful(Walk):
    """Draws from a generator that no seed reaches: it cannot be played again."""

    def __init__(self) -> None:
        super().__init__()
        self._own = np.random.default_rng()

    def step(self, action: Any) -> tuple[Any, float, bool, bool, dict[str, Any]]:
        self.count += float(self._own.random())
        return super().step(action)


def factory(kind: str = "Walk", **options: Any) -> EnvFactory:
    spec = EnvSpec(f"advdl-tests/{kind}-v0", entry_point=f"host_envs:{kind}", max_episode_steps=6)
    return EnvFactory(spec, options)
