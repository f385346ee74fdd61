"""Staging: the steps that a host env has made, in arrays, until one compiled call takes them in."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from advdl.rl.host_acting import HostActed, HostActing
from advdl.rl.packed import Kind, Packed
from advdl.rl.spaces import Spaces, leaves, stored_dtype, unflatten

_LARGEST = 64 * 2**20
"""Bytes that staged steps may take, so that images do not fill the memory twice."""


class Staging:
    """Arrays ``[capacity, num_envs, ...]`` for the fields of a transition, and ``[capacity, n]`` for a step's figures.

    Args:
        spaces: The env's.
        acting: Says what acting adds to a transition.
        num_envs: Copies.
        capacity: Steps that fit, fewer where they would take too much memory.
        figures: How many figures a step has.
    """

    def __init__(self, spaces: Spaces, acting: HostActing, *, num_envs: int, capacity: int, figures: int) -> None:
        self._space = spaces.observation
        kinds = [((num_envs, *(leaf.shape or ())), stored_dtype(leaf)) for _, leaf in leaves(spaces.observation)]
        self._extras = acting.extra_specs
        flags = ((num_envs,), np.dtype(np.bool_))
        fields = [
            *kinds,
            *kinds,
            _kind(acting.action_spec),
            ((num_envs,), np.dtype(np.float32)),
            flags,
            flags,
            *map(_kind, self._extras.values()),
        ]
        size = sum(int(np.prod(shape)) * dtype.itemsize for shape, dtype in fields)
        self.capacity = max(1, min(capacity, _LARGEST // size))
        self._packed = Packed(
            [
                *(((self.capacity, *shape), dtype) for shape, dtype in fields),
                ((self.capacity, figures), np.dtype(np.float32)),
                ((2,), np.dtype(np.int64)),
            ]
        )
        *self._arrays, self.figures, self._numbers = self._packed.arrays
        self._leaves = len(kinds)

    @property
    def specs(self) -> list[tf.TensorSpec]:
        """Shapes and dtypes of ``tensors``."""
        return self._packed.specs

    def tensors(self, iteration: int, count: int) -> list[tf.Tensor]:
        """Copies everything for a program that takes it in.

        Args:
            iteration: Steps that were made before these.
            count: How many steps are staged.
        """
        self._numbers[:] = iteration, count
        return self._packed.tensors()

    def unpacked(self, tensors: Sequence[tf.Tensor]) -> tuple[list[tf.Tensor], tf.Tensor, tf.Tensor, tf.Tensor]:
        """Returns the fields' arrays, the figures, and the two numbers that ``tensors`` was given; traceable."""
        *arrays, figures, numbers = self._packed.unpacked(tensors)
        return arrays, figures, numbers[0], numbers[1]

    def write(
        self,
        row: int,
        observation: Sequence[NDArray[Any]],
        acted: HostActed,
        following: Sequence[NDArray[Any]],
        outcome: tuple[NDArray[Any], NDArray[np.bool_], NDArray[np.bool_]],
    ) -> None:
        """Writes one step of every copy.

        Args:
            row: Which of the staged steps it is.
            observation: What was seen, a leaf each.
            acted: What was decided.
            following: What followed, a leaf each; the true last observation where an episode has ended.
            outcome: Rewards, terminated, truncated.
        """
        values = (*observation, *following, acted.action, *outcome, *acted.extras.values())
        for array, value in zip(self._arrays, values, strict=True):
            array[row] = value

    def transition(self, arrays: Sequence[tf.Tensor], row: tf.Tensor) -> Mapping[str, Any]:
        """Returns one staged step as an engine gives it to a source; traceable.

        Args:
            arrays: The fields' arrays, as ``unpacked`` returns them.
            row: Which step.
        """
        return self.transitions([tf.gather(array, row) for array in arrays])

    def transitions(self, parts: Sequence[tf.Tensor]) -> Mapping[str, Any]:
        """Names the values of one staged step, or of all of them: ``[capacity, num_envs, ...]``."""
        count = self._leaves
        seen, following, rest = parts[:count], parts[count : 2 * count], parts[2 * count :]
        action, reward, terminated, truncated, *extras = rest
        return {
            "observation": unflatten(self._space, seen),
            "next_observation": unflatten(self._space, following),
            "action": action,
            "reward": reward,
            "terminated": terminated,
            "truncated": truncated,
            **dict(zip(self._extras, extras, strict=True)),
        }


def _kind(spec: tf.TensorSpec) -> Kind:
    return tuple(spec.shape), np.dtype(spec.dtype.as_numpy_dtype)
