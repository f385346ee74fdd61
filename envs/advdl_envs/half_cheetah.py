"""Gymnasium's HalfCheetah with a goal in the reward: which way to run, or how fast. Host envs; need MuJoCo."""

from collections.abc import Mapping
from typing import Any

from gymnasium.envs.mujoco.half_cheetah_v5 import HalfCheetahEnv
from gymnasium.utils import EzPickle

_COST = 0.05  # half of HalfCheetah-v5's: what the published tasks have


class _HalfCheetahWithGoal(HalfCheetahEnv):
    """Body, observations and control cost are HalfCheetah-v5's; the goal is not observed."""

    def __init__(self, goal: Mapping[str, float], ctrl_cost_weight: float, options: Mapping[str, Any]) -> None:
        super().__init__(ctrl_cost_weight=ctrl_cost_weight, **options)
        self._goal = dict(goal)
        EzPickle.__init__(self, **goal, ctrl_cost_weight=ctrl_cost_weight, **options)

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> tuple[Any, dict[str, Any]]:
        """Begins an episode; ``options`` may set another goal, which stays."""
        unknown = sorted({*(options or {})} - {*self._goal})
        if unknown:
            raise ValueError(f"options of reset cannot have {unknown[0]!r}: they may have {', '.join(self._goal)}")
        self._goal |= {name: float(value) for name, value in (options or {}).items()}
        return super().reset(seed=seed, options=options)

    def step(self, action: Any) -> tuple[Any, float, bool, bool, dict[str, Any]]:
        """Makes a step of HalfCheetah-v5, which is rewarded by the goal."""
        observation, _, terminated, truncated, info = super().step(action)
        info["reward_forward"] = self._forward_reward(float(info["x_velocity"]))
        return observation, float(info["reward_forward"] + info["reward_ctrl"]), terminated, truncated, info

    def _forward_reward(self, velocity: float) -> float:
        raise NotImplementedError


class HalfCheetahDirection(_HalfCheetahWithGoal):
    """Runs forwards or backwards (Finn et al. 2017): the reward is the velocity that way, minus the control's cost.

    Args:
        direction: 1 for forwards, -1 for backwards; ``reset(options={"direction": -1})`` sets another one.
        ctrl_cost_weight: Cost of a control's square.
        options: Those of Gymnasium's HalfCheetah-v5.
    """

    def __init__(self, *, direction: float = 1.0, ctrl_cost_weight: float = _COST, **options: Any) -> None:
        super().__init__({"direction": direction}, ctrl_cost_weight, options)

    def _forward_reward(self, velocity: float) -> float:
        return self._goal["direction"] * velocity


class HalfCheetahVelocity(_HalfCheetahWithGoal):
    """Runs at a speed (Finn et al. 2017): the reward is minus the distance from it, minus the control's cost.

    Args:
        velocity: The speed in units of the model's length a second; ``reset(options={"velocity": 0.5})`` sets another.
        ctrl_cost_weight: Cost of a control's square.
        options: Those of Gymnasium's HalfCheetah-v5.
    """

    def __init__(self, *, velocity: float = 1.0, ctrl_cost_weight: float = _COST, **options: Any) -> None:
        super().__init__({"velocity": velocity}, ctrl_cost_weight, options)

    def _forward_reward(self, velocity: float) -> float:
        return -abs(velocity - self._goal["velocity"])
