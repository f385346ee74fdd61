"""Evaluation of a policy on Gymnasium's own env, without favouring short episodes."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import gymnasium
import numpy as np
from gymnasium import spaces
from gymnasium.vector import AutoresetMode, VectorEnv
from gymnasium.vector.utils import batch_space, concatenate, create_empty_array, iterate
from numpy.typing import NDArray

from advdl.errors import RunError
from advdl.plugin.metric import Samples
from advdl.rl.env_factory import EnvFactory
from advdl.rl.env_names import gymnasium_id
from advdl.rl.statistics import summary

Act = Callable[[Any], Any]
"""``act(observations) -> actions``, both batches.

The batch holds the running episodes only, so its size varies. Observations are an array, or a dict or tuple
of arrays where the space is one. Actions are an int array for discrete spaces and a float array for a Box,
one row an observation.
"""

_VECTOR_COPIES = 128
_SINGLE_COPIES = 32


@dataclass(frozen=True, slots=True)
class Evaluation:
    """What an evaluation measured.

    Attributes:
        returns: Undiscounted return of each episode, float64 ``[episodes]``.
        lengths: Steps of each episode, int64 ``[episodes]``.
    """

    returns: NDArray[np.float64]
    lengths: NDArray[np.int64]

    def figures(self) -> dict[str, float]:
        """Returns ``rl.statistics.summary`` of the returns, and ``length/mean``."""
        return {**summary(self.returns), "length/mean": float(self.lengths.mean())}

    def samples(self) -> Samples:
        """Returns the episodes as metrics see them: the columns ``return`` and ``length``."""
        return Samples({"return": self.returns, "length": self.lengths}, main="return")


def evaluate(
    act: Act,
    env_id: str,
    *,
    episodes: int,
    seed: int,
    num_envs: int | None = None,
    env_options: Mapping[str, Any] | None = None,
    env_wrappers: Sequence[Any] = (),
) -> Evaluation:
    """Plays exactly ``episodes`` episodes and returns what each brought.

    Which episodes are played is settled beforehand and every one of them is played to its end, so that short
    episodes are not favoured (as they are when the first so many to finish are counted).

    Where Gymnasium has a vectorised env (``vector_entry_point``, as for CartPole), episodes run in waves of
    copies and the first episode of each copy counts. A wave is seeded as a whole, by ``episode_seed`` of its
    first episode, so the result depends on ``num_envs``. Elsewhere episode i is reset with
    ``episode_seed(seed, i)`` in an env of its own, and the result does not depend on ``num_envs``.

    Args:
        act: The policy; called with the observations of the running episodes. It brings its own randomness.
        env_id: A registered Gymnasium id.
        episodes: How many.
        seed: The same seed gives the same initial states.
        num_envs: Most copies that run side by side: by default 128 vectorised, 32 otherwise.
        env_options: Keyword arguments of ``gymnasium.make``.
        env_wrappers: As ``env.wrappers`` has them; those that only change rewards are left out.

    Raises:
        UsageError: There is no such env.
        RunError: The env raised; the message names env, episode, step, seed and action.
    """
    if episodes < 1:
        raise ValueError(f"an evaluation needs at least one episode, got {episodes}")
    count = min(episodes, num_envs or _VECTOR_COPIES)
    copies = None if env_wrappers else _make_vector(env_id, count, env_options or {})
    play = _Play(act, env_id, seed, episodes)
    if copies is not None:
        return play.vectorised(copies)
    count = min(episodes, num_envs or _SINGLE_COPIES)
    return play.side_by_side([make_env(env_id, env_options or {}, env_wrappers) for _ in range(count)])


def episode_seed(seed: int, episode: int) -> int:
    """Derives an episode's seed; non-negative and below 2**31, which every env takes."""
    return int(np.random.SeedSequence([seed, episode]).generate_state(1)[0] & 0x7FFFFFFF)


def make_env(env_id: str, options: Mapping[str, Any], wrappers: Sequence[Any] = ()) -> gymnasium.Env[Any, Any]:
    """Makes Gymnasium's own env, as it is judged in.

    Raises:
        UsageError: There is no env of that name.
        RunError: The env cannot be made, such as for a missing package or a wrong option.
    """
    return EnvFactory.of(env_id, options, wrappers).for_judging().checked()


def choose(
    act: Act,
    observation_space: spaces.Space[Any],
    action_space: spaces.Space[Any],
    observations: Sequence[Any],
) -> Iterable[Any]:
    """Asks a policy for the actions of single envs: batches what they see, takes apart what it answers."""
    empty: Any = create_empty_array(observation_space, len(observations))
    actions = act(concatenate(observation_space, observations, empty))
    if isinstance(action_space, (spaces.Dict, spaces.Tuple)):
        return iterate(batch_space(action_space, len(observations)), actions)
    return _batch(actions, action_space)


def env_failure(
    env_id: str, where: str, error: Exception, episode: int, step: int, seed: int, action: Any = None
) -> RunError:
    """Builds the error for an env that raised in ``reset`` or ``step``."""
    at = f" at step {step} on action {action!r}" if where == "step" else ""
    return RunError(
        f"env {env_id!r} failed in {where}() of episode {episode}{at} (seed {seed}): {type(error).__name__}: {error}",
        hint=f"advdl env check {env_id}",
    )


def _make_vector(env_id: str, copies: int, options: Mapping[str, Any]) -> VectorEnv[Any, Any, Any] | None:
    """Makes Gymnasium's vectorised env, or None where it has none that fits."""
    spec = EnvFactory.of(env_id).spec
    if spec.vector_entry_point is None or spec.additional_wrappers:
        return None
    try:
        env = gymnasium.make_vec(gymnasium_id(env_id), copies, vectorization_mode="vector_entry_point", **options)
    except TypeError:  # an option that only the single env knows
        return None
    own_reset = env.metadata.get("autoreset_mode") in (AutoresetMode.NEXT_STEP, AutoresetMode.SAME_STEP)
    if own_reset and isinstance(env.action_space, (spaces.Box, spaces.MultiDiscrete, spaces.MultiBinary)):
        return env
    env.close()
    return None


class _Play:
    """Plays the episodes of one evaluation."""

    def __init__(self, act: Act, env_id: str, seed: int, episodes: int) -> None:
        self._act = act
        self._env_id = env_id
        self._seed = seed
        self._returns = np.zeros(episodes, np.float64)
        self._lengths = np.zeros(episodes, np.int64)

    def vectorised(self, env: VectorEnv[Any, Any, Any]) -> Evaluation:
        """Plays wave after wave; what a copy does after its first episode is not counted."""
        try:
            for first in range(0, len(self._returns), env.num_envs):
                self._wave(env, first)
        finally:
            env.close()
        return Evaluation(self._returns, self._lengths)

    def _wave(self, env: VectorEnv[Any, Any, Any], first: int) -> None:
        seed = episode_seed(self._seed, first)
        try:
            observations, _ = env.reset(seed=seed)
        except Exception as error:
            raise self._failed("reset", error, first, seed) from error
        running = np.arange(min(env.num_envs, len(self._returns) - first))
        while len(running):
            actions = _batch(self._act(_rows(observations, running)), env.single_action_space)
            everyone = np.empty(env.action_space.shape or (), env.action_space.dtype)
            everyone[:] = actions[0]  # copies that are done go on unseen: any valid action does
            everyone[running] = actions
            try:
                observations, rewards, terminated, truncated, _ = env.step(everyone)
            except Exception as error:
                raise self._failed("step", error, first + running[0], seed, actions[0]) from error
            self._returns[first + running] += rewards[running]
            self._lengths[first + running] += 1
            running = running[~(terminated | truncated)[running]]

    def side_by_side(self, envs: Sequence[gymnasium.Env[Any, Any]]) -> Evaluation:
        """Plays in single envs; one that has finished takes the next episode that nobody has begun."""
        try:
            self._single_envs(envs)
        finally:
            for env in envs:
                env.close()
        return Evaluation(self._returns, self._lengths)

    def _single_envs(self, envs: Sequence[gymnasium.Env[Any, Any]]) -> None:
        space, action_space = envs[0].observation_space, envs[0].action_space
        waiting = iter(range(len(self._returns)))
        running = [(env, episode, self._reset(env, episode)) for env, episode in zip(envs, waiting, strict=False)]
        while running:
            actions = choose(self._act, space, action_space, [observation for _, _, observation in running])
            following = []
            for (env, episode, _), action in zip(running, actions, strict=True):
                observation, done = self._step(env, episode, action)
                if done:
                    next_episode = next(waiting, None)
                    if next_episode is None:
                        continue
                    episode, observation = next_episode, self._reset(env, next_episode)
                following.append((env, episode, observation))
            running = following

    def _reset(self, env: gymnasium.Env[Any, Any], episode: int) -> Any:
        seed = episode_seed(self._seed, episode)
        try:
            return env.reset(seed=seed)[0]
        except Exception as error:
            raise self._failed("reset", error, episode, seed) from error

    def _step(self, env: gymnasium.Env[Any, Any], episode: int, action: Any) -> tuple[Any, bool]:
        try:
            observation, reward, terminated, truncated, _ = env.step(action)
            self._returns[episode] += float(reward)
        except Exception as error:
            seed = episode_seed(self._seed, episode)
            raise self._failed("step", error, episode, seed, action) from error
        self._lengths[episode] += 1
        return observation, bool(terminated or truncated)

    def _failed(self, where: str, error: Exception, episode: int, seed: int, action: Any = None) -> RunError:
        return env_failure(self._env_id, where, error, episode, int(self._lengths[episode]), seed, action)


def _batch(actions: Any, space: spaces.Space[Any]) -> NDArray[Any]:
    """Casts a policy's actions to the space's dtype; a float for a discrete space is refused, not cut off."""
    return np.asarray(actions).astype(space.dtype, casting="same_kind")


def _rows(observations: Any, rows: NDArray[np.int64]) -> Any:
    if isinstance(observations, Mapping):
        return {key: _rows(value, rows) for key, value in observations.items()}
    if isinstance(observations, tuple):
        return tuple(_rows(value, rows) for value in observations)
    return observations[rows]
