"""Spaces: what an agent sees and what it can do."""

from dataclasses import dataclass
from typing import Any

import gymnasium


@dataclass(frozen=True, slots=True)
class Spaces:
    """An env's two spaces.

    Attributes:
        observation: The space of one observation.
        action: The space of one action.
    """

    observation: gymnasium.Space[Any]
    action: gymnasium.Space[Any]
