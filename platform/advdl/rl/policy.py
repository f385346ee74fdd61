"""HostPolicy: an agent as a function from NumPy observations to NumPy actions, for evaluation and for watching."""

from collections.abc import Callable, Sequence
from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt
import tensorflow as tf

from advdl.rl.agent import Agent
from advdl.rl.numpy_program import NumpyProgram, UnsupportedError, values_of
from advdl.rl.numpy_proof import TRIALS, prove, sampled
from advdl.rl.spaces import Spaces, flatten, leaves, stored_dtype, unflatten

_ROWS = 5
"""Observations of a trial: any number but one, which NumPy might spread over a batch."""


class HostPolicy:
    """Acts without exploring, on batches of any size.

    Args:
        agent: The agent; its present weights are used at every call.
        spaces: The host env's spaces: observations are cast to their dtype.
    """

    def __init__(self, agent: Agent, spaces: Spaces) -> None:
        self._agent, self._space = agent, spaces.observation
        self._dtypes = [stored_dtype(leaf) for _, leaf in leaves(spaces.observation)]
        self._specs = [
            tf.TensorSpec([None, *(leaf.shape or ())], tf.as_dtype(dtype))
            for (_, leaf), dtype in zip(leaves(spaces.observation), self._dtypes, strict=True)
        ]
        self._program = tf.function(self._act, input_signature=self._specs, autograph=False)

    def __call__(self, observations: Any) -> npt.NDArray[Any]:
        """Returns the actions for a batch of observations, one row each; nested as the space is."""
        return self._call(self._parts(observations))

    def at_present(self) -> Callable[[Any], npt.NDArray[Any]]:
        """Returns the policy as it is now, for many calls; it holds good until this is asked again.

        Where observations are vectors and NumPy can carry the network out, NumPy does, as the host engine acts: a call
        of TensorFlow alone takes longer than a small network. Else this is the policy itself.
        """
        program = self._numpy_program
        if program is None:
            return self
        program.refresh(values_of(program.variables))
        return lambda observations: program(self._parts(observations), 0)[0]

    @cached_property
    def _numpy_program(self) -> NumpyProgram | None:
        if any(len(spec.shape) > 2 for spec in self._specs):  # images: TensorFlow's convolutions are the faster ones
            return None

        def act(*inputs: tf.Tensor) -> list[tf.Tensor]:
            return [self._act(*inputs[:-1])]

        step = tf.TensorSpec([], tf.int64)
        try:
            traced = tf.function(act, autograph=False).get_concrete_function(*self._specs, step)
            program = NumpyProgram(act, traced, self._specs)
            prove(
                program, lambda parts, _: [self._call(parts)], (sampled(self._space, _ROWS, i) for i in range(TRIALS))
            )
        except UnsupportedError:
            return None
        return program

    def _parts(self, observations: Any) -> list[npt.NDArray[Any]]:
        parts = flatten(self._space, observations)
        return [np.asarray(part, dtype) for part, dtype in zip(parts, self._dtypes, strict=True)]

    def _call(self, parts: Sequence[npt.NDArray[Any]]) -> npt.NDArray[Any]:
        return np.asarray(self._program(*map(tf.constant, parts)).numpy())

    def _act(self, *observations: tf.Tensor) -> tf.Tensor:
        seed = tf.constant([0, 0], tf.int32)
        carry = self._agent.initial_carry(1)
        return self._agent.act(unflatten(self._space, observations), carry, seed, progress=None).action
