"""Manifest: what a checkpoint's folder holds, sealed by a hash, so that no changed bit goes unseen."""

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from advdl.errors import CorruptError
from advdl.training.disk import Disk
from advdl.training.tensors import TensorFact

FORMAT = 1
INDEX = "state.index"
DATA = "state.data-00000-of-00001"
ARRAYS = "state.npz"
META = "meta.json"
MANIFEST = "manifest.json"

BUNDLE_FILES = (DATA, INDEX)
"""The files of a state that TensorFlow wrote."""

ARRAY_FILES = (ARRAYS,)
"""The files of a state that NumPy wrote."""

LAYOUTS = (BUNDLE_FILES, ARRAY_FILES)
"""What may lie beside ``meta.json``."""


class DamageError(Exception):
    """A step's folder is not as it was written; the message says what is wrong, in a few words."""


@dataclass(frozen=True, slots=True)
class FileFact:
    """A file's size in bytes and the SHA-256 of its content."""

    size: int
    sha256: str

    @classmethod
    def of(cls, path: Path, disk: Disk) -> "FileFact":
        """Reads a file through."""
        return cls(path.stat().st_size, disk.sha256(path))


@dataclass(frozen=True, slots=True)
class Manifest:
    """What a step's folder holds.

    Attributes:
        step: The step, which is also in the folder's name.
        files: Every file but the manifest itself, by name.
        tensors: Every tensor of the state, by name.
    """

    step: int
    files: Mapping[str, FileFact]
    tensors: Mapping[str, TensorFact]

    @classmethod
    def describe(
        cls, folder: Path, step: int, tensors: Mapping[str, TensorFact], disk: Disk, files: Sequence[str]
    ) -> "Manifest":
        """Hashes the files of a folder that has just been written: ``files``, those of the tensors, and the facts."""
        return cls(step, {name: FileFact.of(folder / name, disk) for name in (*files, META)}, tensors)

    def render(self) -> bytes:
        """Returns the manifest as JSON, with its own hash in it."""
        return _seal({"format": FORMAT, **asdict(self)})

    @classmethod
    def parse(cls, content: bytes) -> "Manifest":
        """Reads what ``render`` wrote.

        Raises:
            DamageError: It is not byte for byte what ``render`` writes.
            CorruptError: A newer advdl wrote it.
        """
        fields = _unseal(content)
        try:
            _check_format(int(fields["format"]))
            return cls(
                step=int(fields["step"]),
                files={name: FileFact(**fact) for name, fact in fields["files"].items()},
                tensors={
                    name: TensorFact(tuple(fact["shape"]), fact["dtype"]) for name, fact in fields["tensors"].items()
                },
            )
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            raise DamageError(f"{MANIFEST} is not a checkpoint's") from error

    def verify(self, folder: Path, step: int, disk: Disk) -> None:
        """Compares a folder's files with the manifest.

        Raises:
            DamageError: A file has another size or another content, or belongs to another step.
            OSError: A file cannot be read.
        """
        if self.step != step:
            raise DamageError(f"its files are those of step {self.step}")
        if not any(set(self.files) == {*layout, META} for layout in LAYOUTS):
            raise DamageError(f"{MANIFEST} is not a checkpoint's")
        for name, fact in self.files.items():
            size = (folder / name).stat().st_size
            if size != fact.size:
                raise DamageError(f"{name} has {size} bytes instead of {fact.size}")
            if disk.sha256(folder / name) != fact.sha256:
                raise DamageError(f"{name} has changed since it was written")


def _check_format(number: int) -> None:
    if number > FORMAT:
        raise CorruptError(f"it has format {number} of a newer advdl, and this one reads up to {FORMAT}")


def _seal(fields: Mapping[str, Any]) -> bytes:
    body = json.dumps(fields, sort_keys=True)
    sealed = {**fields, "sha256": hashlib.sha256(body.encode()).hexdigest()}
    return json.dumps(sealed, sort_keys=True, indent=1).encode()


def _unseal(content: bytes) -> dict[str, Any]:
    """Checks the manifest's own hash before a word of it is believed."""
    try:
        fields = dict(json.loads(content))
        fields.pop("sha256")
        intact = _seal(fields) == content
    except (ValueError, TypeError, KeyError, RecursionError):
        intact = False
    if not intact:
        raise DamageError(f"{MANIFEST} has changed since it was written")
    return fields
