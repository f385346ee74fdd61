"""What an algorithm of stable-baselines3 sees and decides with: its own networks, or behind a backbone of ours."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

import gymnasium
import torch

from advdl.plugin import Factory

Activation = Literal["tanh", "relu", "elu", "silu", "gelu", "leaky_relu"]

ACTIVATIONS: Mapping[str, type[torch.nn.Module]] = {
    "tanh": torch.nn.Tanh,
    "relu": torch.nn.ReLU,
    "elu": torch.nn.ELU,
    "silu": torch.nn.SiLU,
    "gelu": torch.nn.GELU,
    "leaky_relu": torch.nn.LeakyReLU,
}


@dataclass(frozen=True, slots=True)
class Networks:
    """How networks are made.

    Attributes:
        backbone: Builds the feature extractor; None takes stable-baselines3's own for the observations.
        units: Widths of the layers behind it; None takes stable-baselines3's own.
        activation: What follows each of them; None takes stable-baselines3's own.
        further: Further arguments of the policy's class.
    """

    backbone: Factory | None
    units: Sequence[int] | None
    activation: Activation | None
    further: Mapping[str, Any] = field(default_factory=dict)

    def arguments(self, env_space: gymnasium.Space[Any]) -> dict[str, Any]:
        """Returns the ``policy_kwargs``.

        Args:
            env_space: What the env observes.
        """
        arguments = {name: value for name, value in self.further.items() if value is not None}
        if self.units is not None:
            arguments["net_arch"] = list(self.units)
        if self.activation is not None:
            arguments["activation_fn"] = ACTIVATIONS[self.activation]
        return arguments if self.backbone is None else arguments | _extractor(env_space, self.backbone)


def _extractor(env_space: gymnasium.Space[Any], backbone: Factory) -> dict[str, Any]:
    """Names our extractor; our backbones scale images themselves."""
    from advdl_sb3.features import KerasFeatures

    return {
        "features_extractor_class": KerasFeatures,
        "features_extractor_kwargs": {"env_space": env_space, "backbone": backbone},
        "normalize_images": False,
    }
