"""HostPolicy: an agent as a function from NumPy observations to NumPy actions, for evaluation and for watching."""

from typing import Any

import numpy as np
import numpy.typing as npt
import tensorflow as tf

from advdl.rl.agent import Agent
from advdl.rl.spaces import Spaces


class HostPolicy:
    """Acts without exploring, on batches of any size.

    Args:
        agent: The agent; its present weights are used at every call.
        spaces: The host env's spaces: observations are cast to their dtype.
    """

    def __init__(self, agent: Agent, spaces: Spaces) -> None:
        self._agent = agent
        dtype = np.float32 if spaces.observation.dtype == np.float64 else spaces.observation.dtype
        self._dtype = dtype
        shape = tf.TensorSpec([None, *(spaces.observation.shape or ())], tf.as_dtype(dtype))
        self._program = tf.function(self._act, input_signature=[shape], autograph=False)

    def __call__(self, observations: npt.NDArray[Any]) -> npt.NDArray[Any]:
        """Returns the actions for a batch of observations, one row each."""
        actions = self._program(tf.constant(observations.astype(self._dtype, copy=False)))
        return np.asarray(actions.numpy())

    def _act(self, observations: tf.Tensor) -> tf.Tensor:
        seed = tf.constant([0, 0], tf.int32)
        carry = self._agent.initial_carry(1)
        return self._agent.act(observations, carry, seed, progress=None).action
