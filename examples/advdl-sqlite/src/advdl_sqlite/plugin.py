"""What this plugin offers. Light: no TensorFlow, Keras or NumPy here."""

from collections.abc import Iterable

from advdl.plugin import Component, hookimpl


@hookimpl
def advdl_components() -> Iterable[Component]:
    """Offers the tracker."""
    return [Component("tracker", "sqlite", "advdl_sqlite.tracker:Sqlite", "writes a run to an SQLite database")]
