"""What this plugin offers."""

from collections.abc import Iterable

from advdl.plugin import Component, hookimpl


@hookimpl
def advdl_components() -> Iterable[Component]:
    """Offers this plugin's components."""
    return [
        Component(
            "tracker",
            "tensorboard",
            "advdl_tensorboard.tracker:TensorBoardTracker",
            "scalars, configuration, hyperparameters and histograms for TensorBoard",
            requires=("tensorboard",),
        )
    ]
