"""Envs whose place in an episode can be found again: an env cannot be saved, but what led to its state can."""

from collections.abc import Mapping
from typing import Any

import gymnasium
import numpy as np

from advdl.errors import RunError
from advdl.rl.evaluation import env_failure
from advdl.training.tensors import Array

LONGEST = 100_000
"""Steps of an episode that are remembered; what is longer cannot be found again."""


class Replayed(gymnasium.Wrapper[Any, Any, Any, Any]):
    """Remembers how an episode began and what was done since.

    A Gymnasium env is a function of its generator's state at the reset and of the actions, so the same beginning and
    the same actions lead to the same place. ``replay`` goes there and says whether it has arrived.
    """

    def __init__(self, env: gymnasium.Env[Any, Any]) -> None:
        super().__init__(env)
        self._episodes = -1
        self._actions: list[Any] = []
        self._start: dict[str, Any] = {}
        self._last: Any = None

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> tuple[Any, dict[str, Any]]:
        """Begins an episode."""
        self._start = {"seed": seed} if seed is not None else {"generator": self._generator_state()}
        self._actions = []
        self._episodes += 1
        try:
            self._last, info = self.env.reset(seed=seed, options=options)
        except Exception as error:
            raise self._failed("reset", error) from error
        return self._last, info

    def step(self, action: Any) -> tuple[Any, Any, bool, bool, dict[str, Any]]:
        """Steps."""
        if len(self._actions) <= LONGEST:
            self._actions.append(action)
        try:
            result = self.env.step(action)
        except Exception as error:
            raise self._failed("step", error, action) from error
        self._last = result[0]
        return result

    def episode(self) -> tuple[dict[str, Array], dict[str, Any]]:
        """Returns how to find this place again: arrays and plain facts; the facts are empty where it cannot be."""
        arrays = {"actions": np.array(self._actions)} if self._actions else {}
        arrays |= _leaves(self._last)
        whole = (
            len(self._actions) <= LONGEST and bool(self._start) and all(a.dtype.kind in "biuf" for a in arrays.values())
        )
        return (arrays, self._start) if whole else ({}, {})

    def replay(self, arrays: Mapping[str, Array], facts: Mapping[str, Any]) -> bool:
        """Begins as another env did and does what was done there.

        Args:
            arrays: Arrays of its ``episode``.
            facts: Facts of its ``episode``.

        Returns:
            Whether the env now observes what that one did last.
        """
        if not facts:
            return False
        if "generator" in facts:
            self.unwrapped.np_random.bit_generator.state = facts["generator"]
        self.reset(seed=facts.get("seed"))
        for action in arrays.get("actions", ()):
            _, _, terminated, truncated, _ = self.step(action)
            if terminated or truncated:
                return False
        expected = {name: array for name, array in arrays.items() if name != "actions"}
        found = _leaves(self._last)
        return found.keys() == expected.keys() and all(np.array_equal(found[name], expected[name]) for name in found)

    def _failed(self, where: str, error: Exception, action: Any = None) -> RunError:
        env_id = self.spec.id if self.spec else type(self.unwrapped).__name__
        seed = self._start.get("seed", -1)
        return env_failure(env_id, where, error, self._episodes, max(len(self._actions) - 1, 0), seed, action)

    def _generator_state(self) -> Any:
        return self.unwrapped.np_random.bit_generator.state


def _leaves(observation: Any, name: str = "observation") -> dict[str, Array]:
    if isinstance(observation, Mapping):
        inner = (_leaves(value, f"{name}/{key}") for key, value in observation.items())
        return {key: value for leaves in inner for key, value in leaves.items()}
    return {name: np.asarray(observation)}
