"""Stepper: what the host engine asks of another library's vector env."""

from typing import Any, Protocol

import gymnasium
import numpy as np
from numpy.typing import NDArray

Step = tuple[Any, NDArray[Any], NDArray[np.bool_], NDArray[np.bool_], dict[str, Any]]
"""Observations, rewards, terminated, truncated, info."""


class Stepper(Protocol):
    """A library's vector env that begins new episodes within the step that ends one.

    Attributes:
        observation_space: Of one copy.
        action_space: Of one copy.
    """

    observation_space: gymnasium.Space[Any]
    action_space: gymnasium.Space[Any]

    def reset(self, seed: int) -> Any:
        """Begins an episode in every copy; returns the observations."""

    def step(self, actions: NDArray[Any]) -> Step:
        """Makes a step.

        Where an episode ended, the observation is the next one's first; the true last one is in
        ``info["final_obs"]``, a batch that holds good in these rows.
        """

    def close(self) -> None:
        """Ends its threads."""
