"""Metric: a figure of an evaluation that is reported besides the usual ones. The contract of those plugins."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Protocol

from advdl.errors import UsageError

if TYPE_CHECKING:
    import numpy as np


class Samples(dict[str, "np.ndarray"]):
    """What an evaluation measured: columns by name, each with one value a sample, ``[samples]``.

    The samples of an agent's evaluation are its episodes: ``return`` and ``length``. Those of a learner of data are the
    held-out data, and its columns are what its ``measure`` returns. Those of a meta-learner are the held-out tasks,
    after as many inner steps as training makes.

    Args:
        columns: The columns.
        main: The one that training is judged by: ``return``, or the learner's ``score``.

    Raises:
        UsageError: When a column is looked up that is not there; the message names those that are.
    """

    def __init__(self, columns: "Mapping[str, np.ndarray]", *, main: str) -> None:
        super().__init__(columns)
        self.main = main

    def __missing__(self, name: str) -> "np.ndarray":
        """Refuses a column that is not there."""
        raise UsageError(f"the evaluation has no column {name!r}; it has {', '.join(self)}")


class Metric(Protocol):
    """Turns the samples of an evaluation into one figure, or into several by name.

    A metric is built once a run, with its options as keyword-only arguments, and asked after every evaluation. It is
    NumPy code, changes nothing that it is given, and does not care in which order the samples come. What it raises is
    reported once and switches it off; the run goes on.
    """

    def __call__(self, samples: Samples) -> float | Mapping[str, float]:
        """Returns a number, reported as ``metric/NAME``, or numbers by name, reported as ``metric/NAME/KEY``."""
