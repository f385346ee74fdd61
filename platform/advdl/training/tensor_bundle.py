"""TensorBundle: TensorFlow's own file format, for the state of learners that it trains."""

from collections.abc import Mapping, Sequence
from errno import EIO, ENOSPC
from pathlib import Path
from typing import Any

import tensorflow as tf

from advdl.training.disk import Disk
from advdl.training.manifest import BUNDLE_FILES, DATA, INDEX, MANIFEST, DamageError
from advdl.training.state import assign, backing, read
from advdl.training.tensors import TensorFact


class TensorBundle:
    """Variables as ``state.index`` and ``state.data-00000-of-00001``."""

    files = BUNDLE_FILES
    data = DATA

    def write(self, folder: Path, state: Mapping[str, Any], disk: Disk) -> dict[str, TensorFact]:
        """Writes a state's values.

        Raises:
            OSError: The disk is full or broken.
        """
        tensors = read(state)
        try:
            disk.save_tensors(folder / "state", tensors)
        except tf.errors.OpError as error:
            full = isinstance(error, tf.errors.ResourceExhaustedError)
            raise OSError(ENOSPC if full else EIO, _reason(error)) from error
        return {name: TensorFact.of(tensor) for name, tensor in tensors.items()}

    def read(self, folder: Path, saved: Mapping[str, TensorFact], names: Sequence[str]) -> dict[str, Any]:
        """Reads tensors; their checksums are TensorFlow's own, a second guard after the manifest's.

        Raises:
            DamageError: They cannot be read.
        """
        if not names:
            return {}
        try:
            values = tf.raw_ops.RestoreV2(
                prefix=str(folder / "state"),
                tensor_names=list(names),
                shape_and_slices=[""] * len(names),
                dtypes=[tf.as_dtype(saved[name].dtype) for name in names],
            )
        except (tf.errors.OpError, TypeError) as error:
            raise DamageError(_reason(error)) from error
        tensors = dict(zip(names, values, strict=True))
        if any(TensorFact.of(tensor) != saved[name] for name, tensor in tensors.items()):
            raise DamageError(f"{INDEX} and {MANIFEST} contradict each other")
        return tensors

    def backing(self, state: Mapping[str, Any]) -> Mapping[str, Any]:
        """Returns the TensorFlow variables of Keras' ones."""
        return backing(state)

    def assign(self, state: Mapping[str, Any], tensors: dict[str, Any]) -> None:
        """Fills variables, and arrays in place."""
        assign(state, tensors)


def _reason(error: Exception) -> str:
    """Returns why, in a few words, without TensorFlow's decoration."""
    if isinstance(error, tf.errors.OpError):
        return str(error.message).rsplit(";", 1)[-1].split(" [Op:")[0].strip().lower()
    return str(error)
