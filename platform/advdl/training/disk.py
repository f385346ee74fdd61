"""Disk: every call that changes a file system, in one small class, so that tests can fail each of them."""

import hashlib
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any


class Disk:
    """The file system as a checkpoint needs it.

    Every method raises ``OSError`` or, where TensorFlow writes, ``tf.errors.OpError``. TensorFlow is imported by the
    one method that needs it.
    """

    def mkdir(self, folder: Path) -> None:
        """Creates a folder, and its parents where they are missing."""
        folder.mkdir(parents=True, exist_ok=True)

    def write_bytes(self, path: Path, content: bytes) -> None:
        """Writes a file; it is on the disk only after ``sync``."""
        path.write_bytes(content)

    def save_tensors(self, prefix: Path, tensors: Mapping[str, Any]) -> None:
        """Writes tensors as one TensorBundle: ``<prefix>.index`` and ``<prefix>.data-00000-of-00001``."""
        import tensorflow as tf

        tf.raw_ops.SaveV2(
            prefix=str(prefix),
            tensor_names=list(tensors),
            shape_and_slices=[""] * len(tensors),
            tensors=list(tensors.values()),
        )

    def save_arrays(self, path: Path, arrays: Mapping[str, Any]) -> None:
        """Writes NumPy arrays as one uncompressed ``.npz`` archive."""
        import numpy as np

        np.savez(path, **arrays)

    def sync(self, path: Path) -> None:
        """Waits until a file's content, or a folder's list of names, is on the disk."""
        descriptor = os.open(path, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)

    def sha256(self, path: Path) -> str:
        """Returns the SHA-256 of a file's content, read in small blocks."""
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()

    def rename(self, source: Path, target: Path) -> None:
        """Gives a file or folder another name on the same file system, at once or not at all."""
        source.rename(target)

    def unlink(self, path: Path) -> None:
        """Removes one file."""
        path.unlink()

    def rmdir(self, folder: Path) -> None:
        """Removes an empty folder."""
        folder.rmdir()

    def remove_tree(self, folder: Path) -> None:
        """Removes a folder and all in it, one call a file."""
        for path in folder.iterdir():
            if path.is_dir() and not path.is_symlink():
                self.remove_tree(path)
            else:
                self.unlink(path)
        self.rmdir(folder)
