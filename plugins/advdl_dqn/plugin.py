"""What this plugin offers."""

from collections.abc import Iterable

from advdl.plugin import Component, hookimpl


def _agent(name: str, target: str, summary: str) -> Component:
    return Component("agent", name, f"advdl_dqn.{target}", summary, recipes=f"advdl_dqn.recipes.{name}")


@hookimpl
def advdl_components() -> Iterable[Component]:
    """Offers deep Q-learning and all of its extensions together."""
    return [
        _agent("dqn", "agent:DQN", "deep Q-learning with double Q (Mnih 2015, van Hasselt 2016)"),
        _agent("rainbow", "rainbow:Rainbow", "deep Q-learning with six extensions at once (Hessel 2018)"),
    ]
