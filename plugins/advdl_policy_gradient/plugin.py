"""What this plugin offers."""

from collections.abc import Iterable

from advdl.plugin import Component, hookimpl


def _agent(name: str, target: str, summary: str) -> Component:
    return Component(
        "agent", name, f"advdl_policy_gradient.{target}", summary, recipes=f"advdl_policy_gradient.recipes.{name}"
    )


@hookimpl
def advdl_components() -> Iterable[Component]:
    """Offers the agents that follow the gradient of their policy's return."""
    return [
        _agent("ppo", "ppo:PPO", "proximal policy optimisation, discrete and continuous (Schulman 2017)"),
        _agent("a2c", "a2c:A2C", "advantage actor-critic, discrete and continuous (Mnih 2016)"),
        _agent("reinforce", "reinforce:REINFORCE", "whole returns, with or without a baseline (Williams 1992)"),
    ]
