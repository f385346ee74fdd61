"""DataBatches: from a data set in memory to batches, epoch after epoch."""

import tensorflow as tf

from advdl.errors import UsageError
from advdl.training.dataset import Dataset
from advdl.training.learner import Batch
from advdl.training.randomness import Stream, permuted


class DataBatches:
    """Hands out a data set in batches; each epoch has every sample at most once, in an order of its own.

    The batch is a function of the update's number, so a checkpoint needs no position. Samples that do not fill a last
    batch are left out of that epoch.

    Args:
        data: The samples.
        batch_size: Samples in a batch.
        seed: The run's seed.

    Raises:
        UsageError: There are fewer samples than a batch has.
    """

    def __init__(self, data: Dataset, *, batch_size: int, seed: int) -> None:
        if len(data) < batch_size:
            raise UsageError(
                f"a batch of {batch_size} is more than the {len(data)} samples for training",
                hint=f"--set model.batch_size={max(len(data) // 4, 1)}",
            )
        self._size, self._batch_size = len(data), batch_size
        self._per_epoch = len(data) // batch_size
        self._orders = Stream(seed, "epochs")
        # Variables: as constants they would be compiled into the program, and copied with it.
        fields = {"x": data.x} if data.c is None else {"x": data.x, "c": data.c}
        self._fields = {name: tf.Variable(values, trainable=False) for name, values in fields.items()}

    def __call__(self, update: tf.Tensor) -> Batch:
        """Returns the batch of an update; traceable.

        Args:
            update: The number of updates made before; int64 scalar.
        """
        epoch, index = update // self._per_epoch, update % self._per_epoch
        places = tf.range(self._batch_size) + tf.cast(index, tf.int32) * self._batch_size
        rows = permuted(places, self._size, self._orders.at(epoch))
        return {name: tf.gather(values, rows) for name, values in self._fields.items()}
