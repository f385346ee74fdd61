"""Images as observations: what every backbone that sees them refuses, in the same words."""

from typing import Any

import gymnasium
import numpy as np
from gymnasium import spaces

from advdl.errors import UsageError

_FIT_ANYTHING = "the backbone 'mlp' takes Box, Discrete, MultiDiscrete and MultiBinary"
_TURN = "--set agent.backbone.channels_first=true turns it; the backbone 'mlp' takes it as it is"
_MOVE = (
    "move them last with gymnasium.wrappers.TransformObservation and numpy.moveaxis(x, 0, -1), or take 'impala' with "
    "--set agent.backbone.channels_first=true; the backbone 'mlp' takes it as it is"
)


def box_shape(space: gymnasium.Space[Any], backbone: str, needs: str, *, turns: bool = False) -> tuple[int, ...]:
    """Returns the shape of a ``Box``, its channels not first.

    Args:
        space: What is observed.
        backbone: The backbone's name, for the error.
        needs: What it needs, a clause such as ``"it needs an image [height, width, channels]"``.
        turns: Whether it has an option ``channels_first``, with which it takes them so.

    Raises:
        UsageError: The space is no ``Box``, or an image whose channels come first.
    """
    if not isinstance(space, spaces.Box):
        what = f"observations of {type(space).__name__} spaces"
        raise UsageError(f"the backbone {backbone!r} cannot see {what}: {needs}", hint=_FIT_ANYTHING)
    shape = tuple(space.shape)
    if len(shape) == 3 and channels_first(shape):
        first = f"its channels seem to come first, and {needs}, here {[*shape[1:], shape[0]]}"
        raise UsageError(f"{cannot_see(backbone, shape)}{first}", hint=_TURN if turns else _MOVE)
    return shape


def cannot_see(backbone: str, shape: tuple[int, ...]) -> str:
    """Begins the sentence of a refusal; what is needed follows."""
    return f"the backbone {backbone!r} cannot see observations of shape {list(shape)}: "


def channels_last(space: gymnasium.Space[Any]) -> gymnasium.Space[Any]:
    """Returns an image's space with its first axis last; one that is no image stays as it is, to be refused."""
    if not isinstance(space, spaces.Box) or len(space.shape) != 3:
        return space
    return spaces.Box(np.moveaxis(space.low, 0, -1), np.moveaxis(space.high, 0, -1), dtype=space.dtype.type)


def channels_first(shape: tuple[int, ...]) -> bool:
    """Guesses: a square after fewer channels, or a usual number of channels before two longer sides."""
    channels, height, width = shape
    return channels < height == width or (channels in (1, 3, 4) and min(height, width) > 4)
