"""Shows a policy at work: in a window, or in a video file."""

import contextlib
import os
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import gymnasium
import numpy as np

from advdl.errors import UsageError
from advdl.rl.evaluation import Act, choose, env_failure, episode_seed, make_env
from advdl.rl.video import playable, record

_DEFAULT_FPS = 30.0


@dataclass(frozen=True, slots=True)
class Watched:
    """What was shown.

    Attributes:
        returns: Each episode's undiscounted return.
        lengths: Each episode's steps.
        video: The file that was written, or None when a window was shown.
    """

    returns: tuple[float, ...]
    lengths: tuple[int, ...]
    video: Path | None


def watch(
    act: Act,
    env_id: str,
    *,
    episodes: int = 1,
    seed: int = 0,
    video: Path | None = None,
    fps: float | None = None,
    env_options: Mapping[str, Any] | None = None,
    env_wrappers: Sequence[Any] = (),
) -> Watched:
    """Plays episodes one after the other in a window, or into a file.

    Args:
        act: The policy, as for ``evaluate``; the batch is one observation.
        env_id: A registered Gymnasium id.
        episodes: How many.
        seed: Episode i is reset with ``episode_seed(seed, i)``.
        video: An ``.mp4`` or ``.gif`` file to write; None opens a window. MP4 needs the extra ``video``;
            without it a ``.gif`` beside it is written, which ``Watched.video`` says.
        fps: Frames per second of the file; None takes the env's own.
        env_options: Keyword arguments of ``gymnasium.make``.
        env_wrappers: As ``env.wrappers`` has them.

    Raises:
        UsageError: No display and no file; a file of another kind; an env that does not render that way.
        RunError: The env raised, or the file cannot be written.
    """
    if video is None and not has_display():
        raise UsageError("there is no display to open a window on", hint="write a file: --video FILE.mp4")
    target = None if video is None else playable(video)
    env = _make(env_id, "human" if target is None else "rgb_array", env_options or {}, env_wrappers)
    try:
        rate = fps or float(env.metadata.get("render_fps") or _DEFAULT_FPS)
        with contextlib.nullcontext() if target is None else record(target, rate) as recorder:
            show = (lambda: None) if recorder is None else (lambda: recorder.add(_frame(env)))
            played = [_episode(act, env_id, env, episode, seed, show) for episode in range(episodes)]
    finally:
        env.close()
    returns, lengths = zip(*played, strict=True)
    return Watched(returns, lengths, target)


def has_display() -> bool:
    """Whether a window can be opened: always on macOS and Windows, elsewhere with X11 or Wayland."""
    if sys.platform in ("darwin", "win32"):
        return True
    return bool(os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY"))


def _make(
    env_id: str, render_mode: str, options: Mapping[str, Any], wrappers: Sequence[Any]
) -> gymnasium.Env[Any, Any]:
    # pygame greets on stdout, where only data belongs; a file needs neither a screen nor a sound card.
    os.environ.setdefault("PYGAME_HIDE_SUPPORT_PROMPT", "1")
    if render_mode == "rgb_array":
        os.environ.setdefault("SDL_AUDIODRIVER", "dummy")
        os.environ.setdefault("SDL_VIDEODRIVER", "dummy")
    plain = make_env(env_id, options)
    modes = plain.metadata.get("render_modes") or []
    plain.close()
    # Gymnasium itself shows in a window what an env can only draw.
    if render_mode not in modes and not (render_mode == "human" and "rgb_array" in modes):
        raise UsageError(f"env {env_id!r} does not render as {render_mode!r}", hint=f"it renders as {modes}")
    return make_env(env_id, {**options, "render_mode": render_mode}, wrappers)


def _episode(
    act: Act, env_id: str, env: gymnasium.Env[Any, Any], index: int, seed: int, show: Callable[[], None]
) -> tuple[float, int]:
    start = episode_seed(seed, index)
    try:
        observation, _ = env.reset(seed=start)
    except Exception as error:
        raise env_failure(env_id, "reset", error, index, 0, start) from error
    show()
    total, length, done = 0.0, 0, False
    while not done:
        (action,) = choose(act, env.observation_space, env.action_space, [observation])
        try:
            observation, reward, terminated, truncated, _ = env.step(action)
        except Exception as error:
            raise env_failure(env_id, "step", error, index, length, start, action) from error
        show()
        total, length, done = total + float(reward), length + 1, bool(terminated or truncated)
    return total, length


def _frame(env: gymnasium.Env[Any, Any]) -> Any:
    return np.asarray(env.render(), dtype=np.uint8)
