"""What a model of an env says of a step besides what is seen: its reward, and whether the episode ended."""

import keras
import numpy as np
import tensorflow as tf
from gymnasium import spaces

from advdl.training import Batch
from advdl_generative.scaling import Scaling
from advdl_generative.spaces import Layout

SIZE = 2
"""Numbers that a network says of them."""


class Outcomes:
    """Rewards are learnt by their squared error, in standard deviations; terminations by their likelihood."""

    def __init__(self) -> None:
        line = spaces.Box(-np.inf, np.inf, (1,), np.float32)
        self._scaling = Scaling(Layout.of(line, "rewards"), "standard", name="rewards")

    @property
    def fixed(self) -> dict[str, keras.layers.Layer]:
        """The rewards' scale: a part of ``models``."""
        return {"rewards": self._scaling}

    def adapt(self, segments: Batch) -> None:
        """Reads the scale off all rewards."""
        self._scaling.adapt(np.reshape(segments["reward"], (-1, 1)))

    def errors(self, said: tf.Tensor, reward: tf.Tensor, terminated: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        """Returns squared errors of rewards, and nats of terminations, each ``[...]``, of ``[..., 2]``."""
        scaled = self._scaling(reward[..., None])[..., 0]
        truth = tf.cast(terminated, tf.float32)
        return tf.square(said[..., 0] - scaled), tf.nn.sigmoid_cross_entropy_with_logits(truth, said[..., 1])

    def read(self, said: tf.Tensor, seed: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        """Returns the expected reward, and a draw of the termination, each ``[batch]``."""
        reward = self._scaling.undo(said[:, :1])[:, 0]
        chance = tf.random.stateless_uniform(tf.shape(reward), seed)
        return reward, chance < tf.sigmoid(said[:, 1])
