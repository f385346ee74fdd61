"""Types and defaults that the options of several algorithms share."""

from typing import Annotated, Any, Literal

import numpy as np
from annotated_types import Ge, Gt, Interval
from stable_baselines3.common.noise import NormalActionNoise
from stable_baselines3.common.utils import LinearSchedule

from advdl.plugin import Factory, Part
from advdl.rl.own_loop import Assignment

Backbone = Annotated[Factory, Part("backbone")] | None
Units = tuple[Annotated[int, Gt(0)], ...] | None
Positive = Annotated[float, Gt(0)]
NotNegative = Annotated[float, Ge(0)]
Count = Annotated[int, Gt(0)]
Share = Annotated[float, Interval(ge=0, le=1)]
Decay = Literal["constant", "linear"]
Device = Literal["auto", "cpu", "cuda", "mps"]


def scheduled(value: float, decay: Decay) -> Any:
    """Returns a number, or the schedule that takes it to 0 over the run."""
    return value if decay == "constant" else LinearSchedule(value, 0.0, 1.0)


def action_noise_of(deviation: float, assignment: Assignment) -> NormalActionNoise | None:
    """Returns normal noise for every dimension of the action, or None for a deviation of 0."""
    size = assignment.spaces.action.shape or (1,)
    return NormalActionNoise(np.zeros(size), np.full(size, deviation)) if deviation else None
