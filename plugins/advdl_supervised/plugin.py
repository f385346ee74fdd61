"""What this plugin offers."""

from collections.abc import Iterable

from advdl.plugin import Component, hookimpl


@hookimpl
def advdl_components() -> Iterable[Component]:
    """Offers learners of labelled data."""
    return [
        Component(
            "learner",
            "classifier",
            "advdl_supervised.classifier:Classifier",
            "a backbone that tells classes apart",
            recipes="advdl_supervised.recipes",
        ),
        Component(
            "learner",
            "regressor",
            "advdl_supervised.regressor:Regressor",
            "a backbone with a head that predicts numbers",
        ),
    ]
