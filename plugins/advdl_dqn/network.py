"""Q-networks: a backbone with a head of so many numbers an action."""

from typing import Any

import gymnasium
import keras
import tensorflow as tf

from advdl.rl.backbones import observation_input
from advdl.training import NarrowDense
from advdl_dqn.noisy import NoisyDense, scaled_noise


class QNetwork(keras.Model):  # type: ignore[misc]
    """Maps observations to ``[batch, actions, width]``: values, or what describes distributions of returns.

    Args:
        observation_space: What is observed.
        backbone: Maps observations to features ``[batch, features]``.
        actions: The number of actions.
        width: Numbers an action.
        units: Widths of hidden layers between the features and the output, in each stream.
        dueling: Whether there are two streams, a value of the observation and advantages of the actions (Wang et al.
            2016, arXiv:1511.06581): ``value + advantage - mean(advantage)``.
        sigma: Noise of the streams' layers, see ``NoisyDense``; 0 for plain layers.
        name: The model's name.
    """

    def __init__(
        self,
        observation_space: gymnasium.Space[Any],
        backbone: keras.Model,
        *,
        actions: int,
        width: int,
        units: tuple[int, ...],
        dueling: bool,
        sigma: float,
        name: str,
    ) -> None:
        super().__init__(name=name)
        self._numbers = (actions, width)
        self.backbone = backbone
        self.advantage = _stream("advantage" if dueling else "q", (*units, actions * width), sigma)
        self.value = _stream("value", (*units, width), sigma) if dueling else []
        self(observation_input(observation_space))

    def call(self, observation: Any, noise: Any = None, training: bool = False) -> Any:
        """Returns the numbers.

        Args:
            observation: A batch of observations.
            noise: What ``draw`` returned; None is for plain layers, or for noisy ones' means.
            training: Whether the backbone is trained.
        """
        features = self.backbone(observation, training=training)
        parts = [None] * len(self._layers_with_noise()) if noise is None else self._parts(noise)
        advantage = keras.ops.reshape(_through(self.advantage, features, parts), (-1, *self._numbers))
        if not self.value:
            return advantage
        value = _through(self.value, features, parts)[:, None]
        return value + advantage - keras.ops.mean(advantage, axis=1, keepdims=True)

    def draw(self, seed: tf.Tensor) -> tf.Tensor | None:
        """Draws noise for all layers at once, or returns None where none has any; ``seed`` is int32 of shape [2]."""
        sizes = [layer.noise_size for layer in self._layers_with_noise()]
        return scaled_noise(sum(sizes), seed) if sizes else None

    def _layers_with_noise(self) -> list[NoisyDense]:
        return [layer for layer in (*self.advantage, *self.value) if isinstance(layer, NoisyDense)]

    def _parts(self, noise: Any) -> list[Any]:
        return list(tf.split(noise, [layer.noise_size for layer in self._layers_with_noise()]))


def copy_weights(source: keras.Model, target: keras.Model) -> None:
    """Copies every variable, trainable or not; traceable."""
    for ours, theirs in zip(source.weights, target.weights, strict=True):
        theirs.assign(ours)


def _stream(name: str, units: tuple[int, ...], sigma: float) -> list[keras.layers.Layer]:
    names = [f"{name}_hidden_{index}" for index in range(len(units) - 1)] + [name]
    if sigma:
        return [NoisyDense(width, sigma=sigma, name=layer) for width, layer in zip(units, names, strict=True)]
    return [NarrowDense(width, dtype="float32", name=layer) for width, layer in zip(units, names, strict=True)]


def _through(layers: list[keras.layers.Layer], features: Any, noise: list[Any]) -> Any:
    """Goes through a stream, with a ReLU between its layers; takes the noise that it uses off the list."""
    for index, layer in enumerate(layers):
        features = keras.ops.relu(features) if index else features
        features = layer(features, noise=noise.pop(0)) if isinstance(layer, NoisyDense) else layer(features)
    return features
