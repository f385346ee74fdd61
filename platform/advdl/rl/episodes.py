"""Episodes: where the copies of a host env are, and what their episodes have brought so far."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import tensorflow as tf
from gymnasium import spaces
from numpy.typing import NDArray

from advdl.rl.host_vector import HostVectorEnv
from advdl.rl.spaces import flatten, leaves, stored_dtype, unflatten

Leaves = list[NDArray[Any]]


class Episodes:
    """Steps a vector env and keeps what a step leaves behind: observations, returns, lengths, the agent's carry.

    Args:
        env: A vector env with ``SAME_STEP`` autoreset. A ``HostVectorEnv`` can be saved and restored.
        first_carry: The agent's carry at the start of an episode, a nest of arrays ``[num_envs, ...]``.
        seed: Seeds an env that is no ``HostVectorEnv``.
    """

    def __init__(self, env: Any, first_carry: Any, seed: int) -> None:
        self._env, self._first_carry, self._seed = env, first_carry, seed
        self._space = env.single_observation_space
        self._carries = bool(tf.nest.flatten(first_carry))  # asked once: walking an empty nest takes 0.1 ms
        self._nested = isinstance(self._space, spaces.Dict | spaces.Tuple)
        self._dtypes = [stored_dtype(leaf) for _, leaf in leaves(self._space)]
        self.carry: Any = first_carry
        self.returns = np.zeros(env.num_envs, np.float64)
        self.lengths = np.zeros(env.num_envs, np.int64)
        self._ended = (0.0, 0.0, 0)
        self._cut, self._cuts = False, 0
        self.observation: Leaves = self._parts(env.reset(seed=seed)[0])
        self._saved: list[NDArray[Any]] | None = None
        self._variables = self._make_variables()

    def step(
        self, action: NDArray[Any], carry: Any
    ) -> tuple[Leaves, tuple[NDArray[Any], NDArray[np.bool_], NDArray[np.bool_]]]:
        """Makes a step; returns the true next observation and (rewards, terminated, truncated)."""
        if self._cut:
            return self._end_all()
        observation, reward, terminated, truncated, info = self._env.step(action)
        seen = self._parts(observation)
        self.returns += reward
        self.lengths += 1
        following = seen
        self.carry = carry
        if 1 in terminated.tobytes() or 1 in truncated.tobytes():
            done = terminated | truncated
            truncated = truncated & ~terminated
            following = self._with_final(seen, info["final_obs"], done)
            self._finish(done)
        self.observation = seen
        return following, (reward, terminated, truncated)

    def take_ended(self) -> tuple[float, float, int]:
        """Returns the sums of returns and of lengths of the episodes that the last step has ended, and their number."""
        ended, self._ended = self._ended, (0.0, 0.0, 0)
        return ended

    def state(self) -> dict[str, tf.Variable]:
        """Returns variables that hold this moment; what is assigned to them takes effect with ``take_back``."""
        self.take_back()
        self._saved = self._present()
        for variable, value in zip(self._variables.values(), self._saved, strict=True):
            variable.assign(value)
        return self._variables

    def take_back(self) -> None:
        """Goes to the moment that the variables hold, if that is another than the one ``state`` put there."""
        if self._saved is None:
            return
        found = [variable.numpy() for variable in self._variables.values()]
        same = all(np.array_equal(one, two) for one, two in zip(found, self._saved, strict=True))
        self._saved = None
        if not same:
            self._restore(found)

    def _restore(self, found: Sequence[NDArray[Any]]) -> None:
        count = len(self.observation)
        self.returns, self.lengths = found[0].copy(), found[1].copy()
        self.observation = list(found[3 : 3 + count])
        if self._carries:
            self.carry = tf.nest.pack_sequence_as(self._first_carry, list(found[3 + count :]))
        if isinstance(self._env, HostVectorEnv):
            self._env.restore(found[2].tobytes(), unflatten(self._space, self.observation))
        else:  # its episodes count as cut off where they were saved
            self._cut, self._cuts = True, int(found[2].tobytes()) + 1

    def _present(self) -> list[NDArray[Any]]:
        own = isinstance(self._env, HostVectorEnv)
        snapshot = self._env.snapshot() if own else str(self._cuts).encode()
        envs = np.frombuffer(snapshot, np.uint8)
        return [self.returns.copy(), self.lengths.copy(), envs, *self.observation, *tf.nest.flatten(self.carry)]

    def _make_variables(self) -> dict[str, tf.Variable]:
        returns, lengths, envs, *live = self._present()
        variables = {
            "episode_return": tf.Variable(returns, trainable=False),
            "episode_length": tf.Variable(lengths, trainable=False),
            "envs": tf.Variable(envs, shape=tf.TensorShape([None]), trainable=False),
        }
        live_variables = {f"live/{i:03d}": tf.Variable(value, trainable=False) for i, value in enumerate(live)}
        return variables | live_variables

    def _finish(self, done: NDArray[np.bool_]) -> None:
        self._ended = float(self.returns[done].sum()), float(self.lengths[done].sum()), int(done.sum())
        self.returns[done] = 0.0
        self.lengths[done] = 0
        if self._carries:
            self.carry = tf.nest.map_structure(
                lambda now, first: np.where(done.reshape(-1, *[1] * (now.ndim - 1)), first, now),
                self.carry,
                self._first_carry,
            )

    def _with_final(self, seen: Leaves, final: Any, done: NDArray[np.bool_]) -> Leaves:
        rows = np.flatnonzero(done)
        following = [leaf.copy() for leaf in seen]
        if isinstance(final, np.ndarray) and final.dtype == object:  # as Gymnasium's own vector envs give it
            for row in rows:
                for leaf, part in zip(following, flatten(self._space, final[row]), strict=True):
                    leaf[row] = part
            return following
        for leaf, part in zip(following, flatten(self._space, final), strict=True):
            leaf[rows] = part[rows]
        return following

    def _end_all(self) -> tuple[Leaves, tuple[NDArray[Any], NDArray[np.bool_], NDArray[np.bool_]]]:
        """Every episode ends where it was seen last, since its env could not be brought back."""
        self._cut = False
        everywhere = np.ones(len(self.returns), np.bool_)
        last = self.observation
        self._finish(everywhere)
        self.observation = self._parts(self._env.reset(seed=self._seed + self._cuts)[0])
        return last, (np.zeros(len(everywhere), np.float32), ~everywhere, everywhere)

    def _parts(self, observation: Any) -> Leaves:
        if not self._nested and type(observation) is np.ndarray and observation.dtype is self._dtypes[0]:
            return [observation]
        parts = flatten(self._space, observation) if self._nested else [observation]
        return [np.asarray(part, dtype) for part, dtype in zip(parts, self._dtypes, strict=True)]
