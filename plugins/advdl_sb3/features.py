"""A backbone of ours as stable-baselines3's feature extractor."""

from typing import Any

import gymnasium
import keras
import numpy as np
import torch
from gymnasium import spaces
from stable_baselines3.common.preprocessing import is_image_space, is_image_space_channels_first
from stable_baselines3.common.torch_layers import BaseFeaturesExtractor

from advdl.errors import RunError
from advdl.plugin import Factory


class KerasFeatures(BaseFeaturesExtractor):
    """Sees through a Keras model on the torch backend, which is a ``torch.nn.Module`` there.

    stable-baselines3 never says whether it trains, so the module's own flag is passed on: batch normalisation and
    dropout of Keras do not look at it by themselves.

    Args:
        observation_space: What stable-baselines3 makes of the env's observations: images have their channels first.
        env_space: The env's own observation space, which the backbone is built for.
        backbone: Builds the backbone.
    """

    def __init__(self, observation_space: gymnasium.Space[Any], *, env_space: gymnasium.Space[Any], backbone: Factory):
        if keras.backend.backend() != "torch":
            raise RunError(
                f"Keras runs on {keras.backend.backend()}, and a backbone of a stable-baselines3 agent runs on torch",
                hint="train it with: advdl agent train, or set KERAS_BACKEND=torch before Keras is imported",
            )
        net: keras.Model = backbone(env_space)
        super().__init__(observation_space, features_dim=int(net.output_shape[-1]))
        self.net = net
        self._see = _translation(env_space)

    def forward(self, observations: torch.Tensor) -> torch.Tensor:
        """Turns observations ``[batch, ...]`` into features ``[batch, features]``."""
        features: torch.Tensor = self.net(self._see(observations), training=self.training)
        return features

    def float_parameters(self) -> list[torch.nn.Parameter]:
        """Returns what can be averaged: a seed generator's counter cannot."""
        return [parameter for parameter in self.parameters() if parameter.is_floating_point()]


def _translation(space: gymnasium.Space[Any]) -> Any:
    """Returns the function that gives back what the env said, from what stable-baselines3 made of it."""
    if is_image_space(space) and not is_image_space_channels_first(space):
        return lambda images: images.permute(0, 2, 3, 1)
    if isinstance(space, spaces.Discrete):
        return lambda hot: hot.argmax(-1) + int(space.start)
    if isinstance(space, spaces.MultiDiscrete):
        sizes, start = space.nvec.ravel().tolist(), torch.from_numpy(np.asarray(space.start).ravel())
        shape = (-1, *space.nvec.shape)
        return lambda hot: (_positions(hot, sizes) + start).reshape(shape)
    return lambda observations: observations


def _positions(hot: torch.Tensor, sizes: list[int]) -> torch.Tensor:
    return torch.stack([part.argmax(-1) for part in hot.split(sizes, dim=-1)], dim=-1)
