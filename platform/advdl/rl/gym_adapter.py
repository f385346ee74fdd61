"""A compiled env as an ordinary Gymnasium env, single or vectorised."""

import importlib
from collections.abc import Mapping
from typing import Any

import gymnasium
import numpy as np
import tensorflow as tf
from gymnasium.experimental.functional import FuncEnv
from gymnasium.vector import AutoresetMode, VectorEnv
from gymnasium.vector.utils import batch_space
from numpy.typing import NDArray

from advdl.errors import UsageError
from advdl.rl.functional import CompiledEnv

_RENDER_MODES = ["human", "rgb_array"]


class CompiledGymEnv(gymnasium.Env[Any, Any]):
    """One copy of a compiled env behind ``gymnasium.Env``. No time limit: ``gymnasium.make`` adds it.

    Its twin draws the frames; ``DrawnGymEnv`` is for an env that has none.

    Args:
        env: The env, or ``"module:Class"``.
        params: Physics to change, by name.
        twin: Id of the Gymnasium env whose state has the same layout; it draws the frames. Empty for none.
        render_mode: ``"human"``, ``"rgb_array"`` or None.
        options: The env's own options.
    """

    metadata = {"render_modes": _RENDER_MODES, "render_fps": 30}  # noqa: RUF012  Gymnasium reads it from the class

    def __init__(
        self,
        env: CompiledEnv | str,
        *,
        params: Mapping[str, Any] | None = None,
        twin: str = "",
        render_mode: str | None = None,
        **options: Any,
    ) -> None:
        self.functional = _instance(env, options)
        self.observation_space = self.functional.observation_space
        self.action_space = self.functional.action_space
        self.render_mode = render_mode
        self._programs = _Programs(self.functional, 1, params or {})
        self._artist = self._make_artist(twin)

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> tuple[Any, dict[str, Any]]:
        """Begins an episode; the same seed gives the same one."""
        super().reset(seed=seed)
        _refuse(options)
        self._state, observation = self._programs.reset(_draw_seed(self.np_random))
        if self.render_mode == "human":
            self.render()
        return observation.numpy()[0], {}

    def step(self, action: Any) -> tuple[Any, float, bool, bool, dict[str, Any]]:
        """Makes one step; never truncates."""
        batch = _batched([action], self.action_space)
        self._state, observation, reward, terminated = self._programs.step(
            self._state, batch, _draw_seed(self.np_random)
        )
        if self.render_mode == "human":
            self.render()
        return observation.numpy()[0], float(reward[0]), bool(terminated[0]), False, {}

    def render(self) -> Any:
        """Draws the state."""
        return self._artist.draw(self._state)

    def close(self) -> None:
        """Closes the window, if there is one."""
        self._artist.close()

    def _make_artist(self, twin: str) -> "_Artist | _SelfPortrait":
        return _Artist(twin, self.render_mode)


class DrawnGymEnv(CompiledGymEnv):
    """One copy of a compiled env without a twin: its own ``render_image`` draws, where it has one.

    Gymnasium itself shows the frames in a window when ``render_mode="human"`` is asked for.
    """

    metadata = {"render_modes": ["rgb_array"], "render_fps": 10}  # noqa: RUF012  Gymnasium reads it from the class

    def _make_artist(self, twin: str) -> "_Artist | _SelfPortrait":
        if not draws_itself(self.functional):
            self.metadata = {"render_modes": []}
        return _SelfPortrait(self.functional, self.render_mode)


class CompiledVectorEnv(VectorEnv[Any, Any, Any]):
    """Copies of a compiled env behind ``gymnasium.vector.VectorEnv``; one compiled call steps them all.

    Autoreset is Gymnasium's: ``NEXT_STEP`` (the default, as in ``gymnasium.make_vec``) begins a new episode
    in the step after the one that ended it and ignores that step's action; ``SAME_STEP`` begins it at once
    and gives the last observation as ``info["final_obs"]``; ``DISABLED`` leaves it to
    ``reset(options={"reset_mask": ...})``.

    Args:
        env: The env, or ``"module:Class"``.
        num_envs: Copies.
        max_episode_steps: Steps after which an episode is truncated; None for the env's own limit, 0 for
            never.
        autoreset_mode: When a new episode begins.
        params: Physics to change, by name; each a number or one number a copy.
        twin: Not used: a vector env draws nothing.
        render_mode: Must be None.
        options: The env's own options.

    Raises:
        UsageError: A render mode is asked for.
    """

    def __init__(
        self,
        env: CompiledEnv | str,
        num_envs: int = 1,
        *,
        max_episode_steps: int | None = None,
        autoreset_mode: AutoresetMode | str = AutoresetMode.NEXT_STEP,
        params: Mapping[str, Any] | None = None,
        twin: str = "",
        render_mode: str | None = None,
        **options: Any,
    ) -> None:
        del twin
        if render_mode is not None:
            raise UsageError("a vectorised compiled env cannot be rendered", hint="use gymnasium.make")
        self.functional = _instance(env, options)
        self.num_envs = num_envs
        self.autoreset_mode = AutoresetMode(autoreset_mode)
        self.metadata = {"render_modes": [], "autoreset_mode": self.autoreset_mode}
        self.single_observation_space = self.functional.observation_space
        self.single_action_space = self.functional.action_space
        self.observation_space = batch_space(self.single_observation_space, num_envs)
        self.action_space = batch_space(self.single_action_space, num_envs)
        self._limit = self.functional.max_episode_steps if max_episode_steps is None else max_episode_steps
        self._programs = _Programs(self.functional, num_envs, params or {})
        self._lengths = np.zeros(num_envs, np.int64)
        self._done = np.zeros(num_envs, np.bool_)
        self._state: Any = None

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[NDArray[Any], dict[str, Any]]:
        """Begins episodes: in every copy, or where ``options["reset_mask"]`` (bool, [num_envs]) is true."""
        super().reset(seed=seed)
        mask = (options or {}).get("reset_mask")
        _refuse({name: value for name, value in (options or {}).items() if name != "reset_mask"})
        if mask is None or self._state is None:
            mask = np.ones(self.num_envs, np.bool_)
            self._state, observation = self._programs.reset(_draw_seed(self.np_random))
        else:
            self._state, observation = self._programs.reset_where(mask, self._state, _draw_seed(self.np_random))
        self._lengths[mask] = 0
        self._done[mask] = False
        return observation.numpy(), {}

    def step(
        self, actions: Any
    ) -> tuple[NDArray[Any], NDArray[np.float32], NDArray[np.bool_], NDArray[np.bool_], dict[str, Any]]:
        """Makes one step in every copy."""
        batch = _batched(actions, self.single_action_space)
        stepped = self._programs.step(self._state, batch, _draw_seed(self.np_random))
        self._state, (observation, reward, terminated) = stepped[0], (part.numpy() for part in stepped[1:])
        self._lengths += 1
        truncated = self._lengths >= self._limit if self._limit else np.zeros_like(terminated)
        if self.autoreset_mode is AutoresetMode.NEXT_STEP and self._done.any():
            fresh = self._begin(self._done)
            observation[self._done] = fresh[self._done]
            for part in (reward, terminated, truncated):
                part[self._done] = 0
        self._done = terminated | truncated
        if self.autoreset_mode is AutoresetMode.SAME_STEP and self._done.any():
            return self._begin(self._done), reward, terminated, truncated, self._final(observation)
        return observation, reward, terminated, truncated, {}

    def _begin(self, mask: NDArray[np.bool_]) -> NDArray[Any]:
        """Begins episodes where the mask is true; returns every copy's observation."""
        self._state, observation = self._programs.reset_where(
            tf.constant(mask), self._state, _draw_seed(self.np_random)
        )
        self._lengths[mask] = 0
        fresh: NDArray[Any] = observation.numpy()
        return fresh

    def _final(self, observation: NDArray[Any]) -> dict[str, Any]:
        """The info of episodes that have just ended, as ``SyncVectorEnv`` lays it out."""
        final = np.full(self.num_envs, None, dtype=object)
        for index in np.flatnonzero(self._done):
            final[index] = observation[index].copy()
        return {
            "final_obs": final,
            "_final_obs": self._done.copy(),
            "final_info": {},
            "_final_info": self._done.copy(),
        }


class _Programs:
    """The env's functions for ``batch_size`` copies; only the step is worth compiling with XLA."""

    def __init__(self, env: CompiledEnv, batch_size: int, params: Mapping[str, Any]) -> None:
        self._env, self._batch_size = env, batch_size
        self._params = env.get_default_params(**params)
        seed = tf.TensorSpec([2], tf.int32)
        self.reset = tf.function(self._reset).get_concrete_function(seed)
        state = self.reset.structured_outputs[0]
        mask = tf.TensorSpec([batch_size], tf.bool)
        self.reset_where = tf.function(self._reset_where).get_concrete_function(mask, state, seed)
        space = env.action_space
        action = tf.TensorSpec([batch_size, *(space.shape or ())], _action_dtype(space))
        self.step = tf.function(self._step, jit_compile=True).get_concrete_function(state, action, seed)

    def _reset(self, seed: tf.Tensor) -> tuple[Any, tf.Tensor]:
        state = self._env.initial(seed, self._params, batch_size=self._batch_size)
        return state, self._env.observation(state, seed, self._params)

    def _reset_where(self, mask: tf.Tensor, state: Any, seed: tf.Tensor) -> tuple[Any, tf.Tensor]:
        def choose(fresh: tf.Tensor, old: tf.Tensor) -> tf.Tensor:
            return tf.where(tf.reshape(mask, [-1] + [1] * (old.shape.rank - 1)), fresh, old)

        fresh = self._env.initial(seed, self._params, batch_size=self._batch_size)
        chosen = tf.nest.map_structure(choose, fresh, state)
        return chosen, self._env.observation(chosen, seed, self._params)

    def _step(self, state: Any, action: tf.Tensor, seed: tf.Tensor) -> tuple[Any, tf.Tensor, tf.Tensor, tf.Tensor]:
        following = self._env.transition(state, action, seed, self._params)
        return (
            following,
            self._env.observation(following, seed, self._params),
            self._env.reward(state, action, following, seed, self._params),
            self._env.terminal(following, seed, self._params),
        )


class _Artist:
    """Draws a state by handing it to the twin, which is made when the first frame is asked for."""

    def __init__(self, twin: str, render_mode: str | None) -> None:
        self._id, self._mode = twin, render_mode
        self._env: Any = None

    def draw(self, state: Any) -> Any:
        if not self._id or self._mode is None:
            raise _cannot_draw(bool(self._id))
        if self._env is None:
            self._env = gymnasium.make(self._id, render_mode=self._mode, disable_env_checker=True).unwrapped
            self._env.reset(seed=0)
        self._env.state = np.asarray(state[0], np.float64)
        return self._env.render()

    def close(self) -> None:
        if self._env is not None:
            self._env.close()
            self._env = None


class _SelfPortrait:
    """Draws a state by the env's own functions."""

    def __init__(self, env: CompiledEnv, render_mode: str | None) -> None:
        self._env, self._mode = env, render_mode
        self._canvas: Any = None

    def draw(self, state: Any) -> Any:
        if self._mode is None or not draws_itself(self._env):
            raise _cannot_draw(draws_itself(self._env))
        if self._canvas is None:
            self._canvas = self._env.render_init()
        self._canvas, frame = self._env.render_image(state, self._canvas)
        return frame

    def close(self) -> None:
        if self._canvas is not None:
            self._env.render_close(self._canvas)
            self._canvas = None


def draws_itself(env: CompiledEnv) -> bool:
    """Says whether an env has a ``render_image`` of its own."""
    return type(env).render_image is not FuncEnv.render_image


def _cannot_draw(could: bool) -> UsageError:
    if could:
        return UsageError(
            "this env was made without a render mode", hint='gymnasium.make(..., render_mode="rgb_array")'
        )
    return UsageError("this env cannot be rendered")


def _instance(env: CompiledEnv | str, options: Mapping[str, Any]) -> CompiledEnv:
    if not isinstance(env, str):
        return env
    module, _, name = env.partition(":")
    instance: CompiledEnv = getattr(importlib.import_module(module), name)(**options)
    return instance


def _action_dtype(space: gymnasium.Space[Any]) -> Any:
    """The space's dtype; int32 for an integer one, which every env takes."""
    return np.dtype(np.int32) if np.issubdtype(space.dtype, np.integer) else space.dtype


def _batched(actions: Any, space: gymnasium.Space[Any]) -> tf.Tensor:
    return tf.constant(np.asarray(actions).astype(_action_dtype(space), casting="same_kind"))


def _draw_seed(generator: np.random.Generator) -> tf.Tensor:
    """Draws a stateless seed: numpy's generator is what Gymnasium seeds and compares."""
    return tf.constant(generator.integers(0, 2**31 - 1, 2, dtype=np.int32))


def _refuse(options: Mapping[str, Any] | None) -> None:
    if options:
        raise UsageError(
            f"reset() of a compiled env takes no option {next(iter(options))!r}", hint="set params instead"
        )
