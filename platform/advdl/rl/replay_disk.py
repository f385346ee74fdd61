"""Disk: where a replay keeps observations that are too many for memory; the rest of a transition stays in variables."""

import shutil
import tempfile
import weakref
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import gymnasium
import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from advdl.errors import UsageError
from advdl.rl.disk_rows import DiskRows


class Disk:
    """The files of one replay, and their moment: that of the count of transitions in its checkpoint.

    TensorFlow reaches them through Python, so no program that XLA compiles can draw from them: such a replay needs the
    host engine, whose updates then are programs of their own.

    Args:
        folder: Where the run's own folder for them is made; empty for within the run's folder.
        stride: Transitions that arrive together.
        added: How many have arrived; saved and restored with the run.
    """

    def __init__(self, folder: str, *, stride: int, added: tf.Variable) -> None:
        self._parent, self._stride, self._added = folder, stride, added
        self._arrays: list[DiskRows] = []
        self._checkpoints = Path()
        self._open = False
        # Read and written around every access: what is in one order in the program is so on the disk.
        self._turn = tf.Variable(0, dtype=tf.int64, trainable=False)

    def zeros(self, space: gymnasium.Space[Any], count: int, name: str) -> Any:
        """Returns ``count`` rows for values of a space, a nest of arrays where the space is one."""
        match space:
            case gymnasium.spaces.Dict():
                return {key: self.zeros(part, count, f"{name}.{key}") for key, part in space.items()}
            case gymnasium.spaces.Tuple():
                return tuple(self.zeros(part, count, f"{name}.{index}") for index, part in enumerate(space))
        if space.shape is None or space.dtype is None:
            raise UsageError(f"the replay cannot store {space}: it stores spaces of one shape and dtype")
        return self.rows(name, count, space.shape, np.float32 if space.dtype == np.float64 else space.dtype)

    def rows(self, name: str, count: int, shape: Sequence[int], dtype: Any) -> "StoredRows":
        """Returns ``count`` rows of one shape and dtype."""
        array = DiskRows(name, count, shape, np.dtype(dtype), stride=self._stride)
        self._arrays.append(array)
        return StoredRows(array, shape, tf.as_dtype(dtype), self.in_turn)

    def keep(self, run: Path) -> None:
        """Puts the files where they stay: new ones for a new run, those that are there for one that goes on.

        Raises:
            RunError: There is no room for them, or they do not fit.
        """
        self._checkpoints = run / "checkpoints"
        self._open_in(Path(self._parent).expanduser() / run.name if self._parent else run / "replay")

    def take_back(self) -> None:
        """Goes to the moment of ``added``, such as after it was restored.

        Raises:
            RunError: That is not possible; the message says why.
        """
        self._opened()
        for array in self._arrays:
            array.go_to(int(self._added))

    def flush(self) -> None:
        """Puts everything on the disk: a checkpoint is about to be made that builds on it."""
        if not self._open:
            return
        folders = list(self._checkpoints.glob("step-*"))
        lasting = [folder for folder in folders if not (folder / "best").exists()] or folders
        oldest = min((int(folder.name.removeprefix("step-")) for folder in lasting), default=0)
        for array in self._arrays:
            array.flush(oldest)

    def in_turn(self, function: Callable[..., Any], arguments: Sequence[tf.Tensor], dtype: tf.DType) -> tf.Tensor:
        """Calls a function of arrays, after every earlier call and before every later one; traceable."""

        def call(turn: NDArray[np.int64], *given: NDArray[Any]) -> Any:
            del turn
            self._opened()
            return function(*given)

        result = tf.numpy_function(call, [self._turn.read_value(), *arguments], dtype)
        with tf.control_dependencies([result]):
            self._turn.assign_add(1)
        return result

    def _opened(self) -> None:
        """Without a run the files are temporary ones."""
        if not self._open:
            folder = Path(tempfile.mkdtemp(prefix="advdl-replay-"))
            weakref.finalize(self, shutil.rmtree, folder, ignore_errors=True)
            self._open_in(folder)

    def _open_in(self, folder: Path) -> None:
        for array in self._arrays:
            array.open(folder)
        self._open = True


class StoredRows:
    """Rows on the disk, as a replay writes and reads them; traceable.

    Args:
        array: The rows.
        shape: Of one row.
        dtype: Of one row.
        in_turn: Calls a function of arrays in the program's order.
    """

    def __init__(
        self, array: DiskRows, shape: Sequence[int], dtype: tf.DType, in_turn: Callable[..., tf.Tensor]
    ) -> None:
        self._array, self._shape, self._in_turn = array, tuple(shape), in_turn
        self.dtype = dtype

    def write(self, rows: tf.Tensor, values: tf.Tensor) -> None:
        """Overwrites rows."""

        def write(places: NDArray[np.int64], content: NDArray[Any]) -> np.bool_:
            self._array.write(places, content)
            return np.True_

        self._in_turn(write, [rows, tf.cast(values, self.dtype)], tf.bool)

    def gather(self, rows: tf.Tensor) -> tf.Tensor:
        """Returns rows, ``[*rows.shape, ...]``."""
        found = self._in_turn(self._array.read, [rows], self.dtype)
        return tf.ensure_shape(found, [*rows.shape, *self._shape])


def disk_of(source: Any) -> Disk | None:
    """Returns where a source keeps its observations, or None where that is in memory."""
    disk: Disk | None = getattr(source, "disk", None)
    return disk
