"""The network of policy and value."""

from typing import Any

import gymnasium
import keras
import numpy as np
import tensorflow as tf
from gymnasium import spaces

from advdl.errors import UsageError
from advdl.plugin import Factory
from advdl.rl.backbones import build_backbone, observation_input
from advdl.rl.distributions import ActionModel
from advdl.rl.normalise import Normalise
from advdl.training import NarrowDense


class PolicyNetwork(keras.Model):  # type: ignore[misc]
    """Maps observations to the policy's parameters ``[batch, outputs + free]`` and to values ``[batch]``.

    Args:
        observation_space: What is observed.
        actions: Says how many parameters the policy has.
        backbone: Turns observations into features; called as ``backbone(space)``.
        shared: Whether policy and value have one backbone.
        critic: Whether there are values; without it they are 0.
        normalise: Whether observations are normalised before the backbone.
        orthogonal: Whether kernels start orthogonal, with gain sqrt(2), 0.01 for the policy's head and 1 for the
            value's (Andrychowicz et al. 2021, arXiv:2006.05990); replaces what the backbones start with.
        log_std: What the parameters that do not depend on the observation start with.
        explores_by_state: Whether a Gaussian's noise is a function of the observation (gSDE; Raffin et al. 2022,
            arXiv:2005.05719): the features times a random matrix. ``log_std`` is then that of the matrix's entries.
    """

    def __init__(
        self,
        observation_space: gymnasium.Space[Any],
        actions: ActionModel,
        backbone: Factory,
        *,
        shared: bool,
        critic: bool,
        normalise: bool,
        orthogonal: bool,
        log_std: float,
        explores_by_state: bool = False,
    ) -> None:
        super().__init__(name="policy_network")
        self.normalise = Normalise(_normalisable(observation_space)) if normalise else None
        seen = _unbounded(observation_space) if normalise else observation_space
        self.actor = build_backbone(backbone, seen)
        self.critic = None if shared or not critic else build_backbone(backbone, seen)
        self.policy = NarrowDense(actions.outputs, dtype="float32", name="policy")
        self.value = NarrowDense(1, dtype="float32", name="value") if critic else None
        self._by_state = explores_by_state
        shape = (self.actor.output_shape[-1], actions.free) if explores_by_state else (actions.free,)
        self.free = (
            self.add_weight(shape=shape, initializer=keras.initializers.Constant(log_std), name="log_std")
            if actions.free
            else None
        )
        self(observation_input(observation_space))
        if orthogonal:
            self._orthogonalise()

    def call(self, observation: Any, training: bool = False) -> tuple[Any, Any]:
        """Returns the policy's parameters and the values."""
        return self.with_features(observation, training=training)[:2]

    def with_features(self, observation: Any, training: bool = False) -> tuple[Any, Any, Any]:
        """Returns the policy's parameters, the values, and the features that the policy sees, ``[batch, features]``."""
        seen = observation if self.normalise is None else self.normalise(observation)
        features = self.actor(seen, training=training)
        parameters = self.policy(features)
        if self.free is not None:
            parameters = keras.ops.concatenate([parameters, self._log_std(features)], axis=-1)
        if self.value is None:
            return parameters, keras.ops.zeros_like(parameters[:, 0]), features
        valued = features if self.critic is None else self.critic(seen, training=training)
        return parameters, self.value(valued)[:, 0], features

    def noise(self, features: Any, seed: tf.Tensor) -> tf.Tensor:
        """Draws a matrix a row and returns the noise that it makes of the row's features, float32 ``[batch, actions]``.

        Args:
            features: What ``with_features`` returned.
            seed: Stateless seed, int32 of shape [2]: the same seed draws the same matrices.
        """
        drawn = tf.random.stateless_normal((features.shape[0], *self.free.shape), seed)
        return tf.reduce_sum(tf.cast(features, tf.float32)[:, :, None] * drawn * tf.exp(self.free), axis=1)

    def _log_std(self, features: Any) -> Any:
        """Returns the logarithms of the standard deviations, ``[batch, actions]``."""
        if not self._by_state:
            return keras.ops.broadcast_to(self.free, (keras.ops.shape(features)[0], self.free.shape[0]))
        # Features are not learnt for the noise's sake, as in the paper.
        squares = keras.ops.square(keras.ops.stop_gradient(keras.ops.cast(features, "float32")))
        return 0.5 * keras.ops.log(keras.ops.matmul(squares, keras.ops.exp(2.0 * self.free)) + 1e-6)

    def _orthogonalise(self) -> None:
        for backbone in (self.actor, self.critic):
            _orthogonal(backbone, 2**0.5)
        _orthogonal(self.policy, 0.01)
        _orthogonal(self.value, 1.0)


def _orthogonal(layer: keras.layers.Layer | None, gain: float) -> None:
    for variable in [] if layer is None else layer.trainable_variables:
        if variable.name == "kernel" and len(variable.shape) > 1:
            variable.assign(keras.initializers.Orthogonal(gain)(variable.shape))


def _normalisable(space: gymnasium.Space[Any]) -> tuple[int, ...]:
    if isinstance(space, spaces.Box) and np.issubdtype(space.dtype, np.floating):
        return tuple(space.shape)
    raise UsageError(
        f"agent.normalise_observations is for Box observations of floats, not for {space}",
        hint="leave it out: --set agent.normalise_observations=false",
    )


def _unbounded(space: gymnasium.Space[Any]) -> spaces.Box:
    return spaces.Box(-np.inf, np.inf, space.shape, np.float32)
