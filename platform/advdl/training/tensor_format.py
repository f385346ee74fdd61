"""TensorFormat: how a checkpoint's tensors lie in its files. One is TensorFlow's own, one needs NumPy only."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol

from advdl.training.disk import Disk
from advdl.training.manifest import ARRAY_FILES, BUNDLE_FILES
from advdl.training.tensors import TensorFact


class TensorFormat(Protocol):
    """Writes and reads the tensors of a step's folder."""

    @property
    def files(self) -> tuple[str, ...]:
        """The files that it writes."""
        ...

    @property
    def data(self) -> str:
        """Which of them holds the values."""
        ...

    def write(self, folder: Path, state: Mapping[str, Any], disk: Disk) -> dict[str, TensorFact]:
        """Writes a state's values into a folder and says what they are.

        Raises:
            OSError: The disk is full or broken.
        """
        ...

    def read(self, folder: Path, saved: Mapping[str, TensorFact], names: Sequence[str]) -> dict[str, Any]:
        """Reads some of the tensors that a folder's manifest lists.

        Raises:
            DamageError: They cannot be read.
        """
        ...

    def backing(self, state: Mapping[str, Any]) -> Mapping[str, Any]:
        """Returns what is behind live values: things with a shape and a dtype."""
        ...

    def assign(self, state: Mapping[str, Any], tensors: dict[str, Any]) -> None:
        """Fills the live values from the tensors of their names, and empties ``tensors``."""
        ...


def tensor_bundle() -> TensorFormat:
    """Returns the format of every run that TensorFlow trains; imports it."""
    from advdl.training.tensor_bundle import TensorBundle

    return TensorBundle()


def array_file() -> TensorFormat:
    """Returns the format of runs without TensorFlow."""
    from advdl.training.array_file import ArrayFile

    return ArrayFile()


def format_of(files: Sequence[str]) -> TensorFormat:
    """Returns the format that wrote a folder with these files, one of ``manifest.LAYOUTS``."""
    formats = {BUNDLE_FILES: tensor_bundle, ARRAY_FILES: array_file}
    return next(make for wrote, make in formats.items() if set(wrote) <= set(files))()
