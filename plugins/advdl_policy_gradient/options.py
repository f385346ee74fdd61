"""Types of options that the agents share."""

from typing import Annotated

from annotated_types import Ge, Gt, Interval

from advdl.plugin import Factory, Part

Backbone = Annotated[Factory, Part("backbone")]
Weight = Annotated[Factory, Part("schedule")] | Annotated[float, Ge(0)]
Share = Annotated[float, Interval(ge=0, le=1)]
Count = Annotated[int, Gt(0)]
Steps = Annotated[int, Ge(0)]
Positive = Annotated[float, Gt(0)]
NotNegative = Annotated[float, Ge(0)]
