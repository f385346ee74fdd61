"""What this plugin offers. Light: no TensorFlow, Keras or NumPy here."""

from collections.abc import Iterable

from advdl.plugin import Component, hookimpl


@hookimpl
def advdl_components() -> Iterable[Component]:
    """Offers the agent."""
    return [Component("agent", "sarsa", "advdl_sarsa.agent:ExpectedSarsa", "expected SARSA (van Seijen 2009)")]
