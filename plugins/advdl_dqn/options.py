"""Types of options that the agents share."""

from typing import Annotated, Literal

from annotated_types import Ge, Gt, Interval

from advdl.plugin import Factory, Part

Backbone = Annotated[Factory, Part("backbone")]
Loss = Annotated[Factory, Part("loss")]
Schedule = Annotated[Factory, Part("schedule")]
Distributional = Literal["none", "c51", "qr"]
Store = Literal["memory", "disk"]
Share = Annotated[float, Interval(ge=0, le=1)]
Count = Annotated[int, Gt(0)]
NotNegative = Annotated[int, Ge(0)]
Positive = Annotated[float, Gt(0)]
Weight = Annotated[float, Ge(0)]
Units = tuple[Annotated[int, Gt(0)], ...]
