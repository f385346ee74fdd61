"""What stable-baselines3 logs, as the metrics of a run."""

from typing import Any

import numpy as np
from stable_baselines3.common.logger import Logger
from stable_baselines3.common.monitor import Monitor
from stable_baselines3.common.vec_env import VecEnv

from advdl.rl.own_loop import Report

_TOLD_OTHERWISE = ("time/", "rollout/ep_")


class RunLogger(Logger):
    """Passes each scalar on as it is recorded, instead of collecting them for a table."""

    def __init__(self) -> None:
        super().__init__(folder=None, output_formats=[])
        self.report: Report = lambda name, value: None

    def record(self, key: str, value: Any, exclude: str | tuple[str, ...] | None = None) -> None:
        """Passes a value on if it is a number."""
        del exclude
        if isinstance(value, int | float | np.number) and not key.startswith(_TOLD_OTHERWISE):
            self.report(key, float(value))

    def record_mean(self, key: str, value: float | None, exclude: str | tuple[str, ...] | None = None) -> None:
        """Passes a value on; the run takes the mean anyway."""
        self.record(key, value, exclude)

    def dump(self, step: int = 0) -> None:
        """Writes nothing."""


class Episodes:
    """Reads the returns of finished episodes off the monitors that the envs have anyway.

    Args:
        env: The env copies, each in a ``Monitor``.
    """

    def __init__(self, env: VecEnv) -> None:
        self._monitors = [_monitor(copy) for copy in getattr(env, "envs", [])]

    def report(self, report: Report) -> None:
        """Reports the episodes that ended since the last call."""
        for monitor in self._monitors:
            for value, length in zip(monitor.episode_returns, monitor.episode_lengths, strict=True):
                report("rollout/return", float(value))
                report("rollout/length", float(length))
        self.forget()

    def forget(self) -> None:
        """Lets go of the episodes that ended so far."""
        for monitor in self._monitors:
            for history in (monitor.episode_returns, monitor.episode_lengths, monitor.episode_times):
                history.clear()


def _monitor(env: Any) -> Monitor:
    while not isinstance(env, Monitor):
        env = env.env
    return env
