"""ArrayFile: NumPy's own file format, for the state of agents that TensorFlow has no part in."""

import zipfile
import zlib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from advdl.training.disk import Disk
from advdl.training.manifest import ARRAY_FILES, ARRAYS, MANIFEST, DamageError
from advdl.training.tensors import Array, TensorFact


class ArrayFile:
    """Arrays as ``state.npz``: an uncompressed archive with a checksum an array. Pickled objects are refused."""

    files = ARRAY_FILES
    data = ARRAYS

    def write(self, folder: Path, state: Mapping[str, Any], disk: Disk) -> dict[str, TensorFact]:
        """Writes a state's arrays.

        Raises:
            OSError: The disk is full or broken.
            TypeError: A value is no array of numbers.
        """
        arrays = {name: np.asarray(value) for name, value in state.items()}
        for name, array in arrays.items():
            if array.dtype.kind not in "biufc":
                raise TypeError(f"{name!r} is an array of {array.dtype}, and a checkpoint holds numbers")
        disk.save_arrays(folder / ARRAYS, arrays)
        return {name: TensorFact.of(array) for name, array in arrays.items()}

    def read(self, folder: Path, saved: Mapping[str, TensorFact], names: Sequence[str]) -> dict[str, Any]:
        """Reads arrays.

        Raises:
            DamageError: They cannot be read.
        """
        try:
            with np.load(folder / ARRAYS, allow_pickle=False) as archive:
                arrays = {name: archive[name] for name in names}
        except (OSError, ValueError, KeyError, EOFError, MemoryError, zipfile.BadZipFile, zlib.error) as error:
            raise DamageError(f"{ARRAYS} cannot be read: {error}") from error
        if any(TensorFact.of(array) != saved[name] for name, array in arrays.items()):
            raise DamageError(f"{ARRAYS} and {MANIFEST} contradict each other")
        return arrays

    def backing(self, state: Mapping[str, Any]) -> Mapping[str, Any]:
        """Returns the arrays."""
        return state

    def assign(self, state: Mapping[str, Any], tensors: dict[str, Any]) -> None:
        """Fills arrays in place, and whatever else has an ``assign``."""
        for name, live in state.items():
            value: Array = tensors.pop(name)
            if isinstance(live, np.ndarray):
                live[...] = value
            else:
                live.assign(value)
