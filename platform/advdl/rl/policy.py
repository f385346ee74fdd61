"""HostPolicy: an agent as a function from NumPy observations to NumPy actions, for evaluation and for watching."""

from typing import Any

import numpy as np
import numpy.typing as npt
import tensorflow as tf

from advdl.rl.agent import Agent
from advdl.rl.spaces import Spaces, flatten, leaves, stored_dtype, unflatten


class HostPolicy:
    """Acts without exploring, on batches of any size.

    Args:
        agent: The agent; its present weights are used at every call.
        spaces: The host env's spaces: observations are cast to their dtype.
    """

    def __init__(self, agent: Agent, spaces: Spaces) -> None:
        self._agent, self._space = agent, spaces.observation
        self._dtypes = [stored_dtype(leaf) for _, leaf in leaves(spaces.observation)]
        specs = [
            tf.TensorSpec([None, *(leaf.shape or ())], tf.as_dtype(dtype))
            for (_, leaf), dtype in zip(leaves(spaces.observation), self._dtypes, strict=True)
        ]
        self._program = tf.function(self._act, input_signature=specs, autograph=False)

    def __call__(self, observations: Any) -> npt.NDArray[Any]:
        """Returns the actions for a batch of observations, one row each; nested as the space is."""
        parts = flatten(self._space, observations)
        tensors = [tf.constant(np.asarray(part, dtype)) for part, dtype in zip(parts, self._dtypes, strict=True)]
        return np.asarray(self._program(*tensors).numpy())

    def _act(self, *observations: tf.Tensor) -> tf.Tensor:
        seed = tf.constant([0, 0], tf.int32)
        carry = self._agent.initial_carry(1)
        return self._agent.act(unflatten(self._space, observations), carry, seed, progress=None).action
