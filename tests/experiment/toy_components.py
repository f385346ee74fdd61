"""A small plugin that the tests of the configuration resolve: no TensorFlow, real plugin machinery."""

from collections.abc import Iterable
from typing import Annotated, Any

from annotated_types import Ge, Gt, Interval

from advdl.plugin import Component, hookimpl
from advdl.plugin.options import Choice, Factory, Part

HERE = __name__
MLP = Choice("mlp", {"units": (128, 128)})


class Dqn:
    """An agent."""

    def __init__(
        self,
        spaces: Any,
        *,
        gamma: Annotated[float, Interval(ge=0, le=1)] = 0.99,
        double: bool = True,
        batch_size: Annotated[int, Gt(0)] = 64,
        backbone: Annotated[Factory, Part("backbone")] = MLP,
        limit: float | None = None,
    ) -> None:
        self.gamma = gamma


class Ppo:
    """Another agent."""

    def __init__(self, spaces: Any, *, clip: float = 0.2, gamma: float = 0.98) -> None: ...


class Demanding:
    """An agent with an option that has no default."""

    def __init__(self, spaces: Any, *, goal: float, backbone: Annotated[Factory, Part("backbone")] = MLP) -> None: ...


class Mlp:
    """A backbone."""

    def __init__(self, space: Any, *, units: tuple[int, ...] = (64,), activation: str = "relu") -> None: ...


class Resnet:
    """Another backbone."""

    def __init__(self, space: Any, *, depth: Annotated[int, Gt(0)] = 18) -> None: ...


class Adam:
    """An optimizer."""

    def __init__(
        self, *, learning_rate: float | Annotated[Factory, Part("schedule")] = 0.001, epsilon: float = 1e-7
    ) -> None: ...


class Sgd:
    """Another optimizer."""

    def __init__(self, *, learning_rate: float = 0.1, momentum: float = 0.0) -> None: ...


class Linear:
    """A schedule."""

    def __init__(self, *, start: float = 1.0, end: Annotated[float, Ge(0)] = 0.0) -> None: ...


class Tracker:
    """A tracker."""

    def __init__(self, *, histograms: bool = False) -> None: ...


@hookimpl
def advdl_components() -> Iterable[Component]:
    return [
        Component("agent", "dqn", f"{HERE}:Dqn", recipes="toy_recipes"),
        Component("agent", "ppo", f"{HERE}:Ppo"),
        Component("agent", "demanding", f"{HERE}:Demanding"),
        Component("backbone", "mlp", f"{HERE}:Mlp"),
        Component("backbone", "resnet", f"{HERE}:Resnet"),
        Component("optimizer", "adam", f"{HERE}:Adam"),
        Component("optimizer", "sgd", f"{HERE}:Sgd"),
        Component("schedule", "linear", f"{HERE}:Linear"),
        Component("tracker", "tensorboard", f"{HERE}:Tracker"),
        Component("tracker", "diary", f"{HERE}:Tracker"),
    ]
