"""HeldOut: measures a learner on data that training has not seen."""

from typing import Any

import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from advdl.training.data_learner import DataLearner
from advdl.training.dataset import Dataset
from advdl.training.randomness import Stream


class HeldOut:
    """Measures a learner on a data set, batch by batch, with one compiled program.

    Args:
        learner: The learner; its present weights are used at every call.
        data: The samples.
        batch_size: Samples that are measured together; the last batch is filled up, and the filling left out.
        jit: Whether XLA compiles the program.
    """

    def __init__(self, learner: DataLearner, data: Dataset, *, batch_size: int = 256, jit: bool = True) -> None:
        self.data, self._batch_size = data, min(batch_size, len(data))
        self._program = tf.function(learner.measure, jit_compile=jit, autograph=False)

    def __call__(self, seed: int) -> dict[str, NDArray[Any]]:
        """Returns the learner's figures, one a sample: each ``[samples]``."""
        stream = Stream(seed, "measure")
        starts = range(0, len(self.data), self._batch_size)
        parts = [self._program(self._rows(start), stream.at(start)) for start in starts]
        return {name: np.concatenate([part[name].numpy() for part in parts])[: len(self.data)] for name in parts[0]}

    def _rows(self, start: int) -> dict[str, tf.Tensor]:
        rows = np.arange(start, start + self._batch_size) % len(self.data)
        part = self.data.take(rows)
        fields = {"x": part.x} if part.c is None else {"x": part.x, "c": part.c}
        return {name: tf.constant(values) for name, values in fields.items()}
