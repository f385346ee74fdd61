"""DataLearner: a learner of data, such as a classifier or a generative model. The contract of those plugins."""

import abc
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar, Literal

import gymnasium
import tensorflow as tf

from advdl.training.learner import Batch, Learner

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from advdl.training.dataset import Dataset


@dataclass(frozen=True, slots=True)
class DataSpec:
    """What one sample of a data set is.

    Attributes:
        x: The space of a sample: an image is a ``Box`` ``[height, width, channels]``, uint8 or float.
        c: The space of what belongs to it: a class is ``Discrete``, a vector a ``Box``; None for nothing.
    """

    x: gymnasium.Space[Any]
    c: gymnasium.Space[Any] | None = None


class DataLearner(Learner):
    """Learns from batches ``{"x": [batch, ...], "c": [batch, ...]}``; ``c`` is there if the spec has it.

    A subclass is called as ``cls(spec, **options)``; its keyword-only arguments are its options. It refuses a spec that
    it cannot handle with a ``UsageError`` that says what it needs.

    Attributes:
        score: What of ``measure`` decides which checkpoint is the best.
        better: Whether a higher or a lower score is better.

    Args:
        spec: What the data are.
    """

    score: ClassVar[str]
    better: ClassVar[Literal["higher", "lower"]]

    def __init__(self, spec: DataSpec) -> None:
        self.spec = spec

    def adapt(self, batch: Batch) -> None:
        """Reads scales off the training data, before the first update. What it changes is part of ``models``.

        Args:
            batch: Training data, or enough of them to tell means and standard deviations.
        """
        del batch

    def pictures(self, data: "Dataset", seed: int) -> "Mapping[str, NDArray[np.uint8]]":
        """Draws what is worth seeing of what has been learnt, such as samples or a confusion matrix.

        Args:
            data: Data that training has not seen.
            seed: The same seed gives the same pictures.

        Returns:
            Pictures by name, uint8 ``[height, width, 3]``; none by default.
        """
        del data, seed
        return {}

    @abc.abstractmethod
    def measure(self, batch: Batch, seed: tf.Tensor) -> Mapping[str, tf.Tensor]:
        """Judges data that training has not seen; traceable, and changes no variable.

        Args:
            batch: Held-out data.
            seed: Stateless seed, int32 of shape [2].

        Returns:
            Figures by name, one a sample: each ``[batch]``. Their means over the whole held-out set are reported.
        """
