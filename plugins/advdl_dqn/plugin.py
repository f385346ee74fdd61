"""What this plugin offers."""

from collections.abc import Iterable

from advdl.plugin import Component, hookimpl


@hookimpl
def advdl_components() -> Iterable[Component]:
    """Offers the DQN agent."""
    return [
        Component(
            "agent",
            "dqn",
            "advdl_dqn.agent:DQN",
            "deep Q-learning with double Q (Mnih 2015, van Hasselt 2016)",
            recipes="advdl_dqn.recipes",
        )
    ]
