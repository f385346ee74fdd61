"""DiskRows: an array of a replay in a file, for buffers that are larger than memory. Imports no TensorFlow.

A ring is overwritten in place, and a run that was killed goes on from a checkpoint of an earlier moment. So what a row
held goes to a journal before it is overwritten, and ``go_to`` puts everything back that was written since: the rows are
then those of the checkpoint, bit for bit, and no checkpoint had to copy them.
"""

import os
import struct
import zlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from advdl.errors import RunError

_HEADER = struct.Struct("<qqI")  # clock, rows, check sum
_NAME = "{}.undo-{:015d}"


class DiskRows:
    """``count`` rows of one shape and dtype.

    Every write moves a clock on by ``stride``: with the transitions of a step, so many env steps.

    Args:
        name: What its files are called.
        count: How many rows.
        shape: Of one row.
        dtype: Of one row.
        stride: What a write adds to the clock.

    Attributes:
        clock: What the rows are of: writes so far, times ``stride``.
    """

    def __init__(self, name: str, count: int, shape: Sequence[int], dtype: np.dtype[Any], *, stride: int) -> None:
        self._name, self._stride = name, stride
        self._shape, self._dtype = (count, *shape), np.dtype(dtype)
        self._size = int(np.prod(self._shape)) * self._dtype.itemsize
        self._folder = Path()
        self._fresh = np.ones(count, np.bool_)
        self._segments: list[int] = []
        self._journal = -1  # a file descriptor: each record is one write
        self._rows: NDArray[np.generic] = np.zeros(0)
        self.clock = 0

    def open(self, folder: Path) -> None:
        """Makes the files, or opens those that are there.

        Raises:
            RunError: There is no room for them, or those that are there are of another size.
        """
        self.close()
        self._folder = folder
        folder.mkdir(parents=True, exist_ok=True)
        path = folder / f"{self._name}.rows"
        new = not path.exists()
        if new:
            self._reserve(path)
        elif path.stat().st_size != self._size:
            raise RunError(f"{path} has {path.stat().st_size:,} bytes, and the replay needs {self._size:,}")
        self._rows = np.memmap(path, self._dtype, "r+", shape=self._shape)
        self._fresh[:] = new
        prefix = f"{self._name}.undo-"
        found = [int(file.name.removeprefix(prefix)) for file in folder.glob(f"{prefix}*")]
        self._segments = sorted(found) or [0]
        self.clock, end = self._segments[-1], 0
        for record in self._scan(self._segments[-1]):
            self.clock, end = record.clock + self._stride, record.end
        self._open_journal(self._segments[-1])
        os.ftruncate(self._journal, end)

    def read(self, rows: NDArray[np.int64]) -> NDArray[np.generic]:
        """Returns copies of rows, ``[*rows.shape, ...]``."""
        return np.asarray(self._rows[rows])

    def write(self, rows: NDArray[np.int64], values: NDArray[np.generic]) -> None:
        """Overwrites rows; what they held goes to the journal first.

        Raises:
            RunError: The disk refuses.
        """
        held = rows[~self._fresh[rows]]
        content = held.astype("<i8").tobytes() + np.ascontiguousarray(self._rows[held]).tobytes()
        record = _HEADER.pack(self.clock, len(held), _check(self.clock, len(held), content)) + content
        self._append(record)
        self._rows[rows] = values
        self._fresh[rows] = False
        self.clock += self._stride

    def go_to(self, clock: int) -> None:
        """Makes the rows what they were at an earlier moment.

        Raises:
            RunError: The moment is later than the last write, or what undoes so much is no longer there.
        """
        if clock == self.clock:
            return
        if not self._segments[0] <= clock <= self.clock:
            raise RunError(
                f"the replay in {self._folder} is that of step {self.clock:,} and goes back to step "
                f"{self._segments[0]:,}; the checkpoint is of step {clock:,}",
                hint="it belongs to the run's checkpoints: both must be copied, and nothing in it changed",
            )
        self._undo(clock)
        self._cut(clock)
        self.clock = clock

    def flush(self, oldest: int) -> None:
        """Puts everything on the disk, and begins a new part of the journal.

        Args:
            oldest: What comes before this clock will not be gone back to.
        """
        self._rows.flush()  # type: ignore[attr-defined]
        os.fsync(self._journal)
        while len(self._segments) > 1 and self._segments[1] <= oldest:
            self._path(self._segments.pop(0)).unlink(missing_ok=True)
        if self.clock != self._segments[-1]:
            self._begin(self.clock)

    def close(self) -> None:
        """Closes the files."""
        if self._journal >= 0:
            os.close(self._journal)
        self._journal = -1

    def __del__(self) -> None:
        self.close()

    def _append(self, record: bytes) -> None:
        try:
            whole = os.write(self._journal, record) == len(record)
        except OSError as error:
            raise RunError(f"the replay cannot write to {self._folder}: {error}") from None
        if not whole:
            raise RunError(f"the replay cannot write to {self._folder}: the disk is full")

    def _reserve(self, path: Path) -> None:
        """Takes the room at once: a memory map that finds the disk full would end the process."""
        part = path.with_suffix(".part")
        try:
            with part.open("wb") as file:
                if hasattr(os, "posix_fallocate"):
                    os.posix_fallocate(file.fileno(), 0, self._size)
                file.truncate(self._size)
        except OSError as error:
            part.unlink(missing_ok=True)
            raise RunError(
                f"there is no room for the replay's {self._size:,} bytes in {path.parent}: {error}"
            ) from None
        part.rename(path)

    def _begin(self, clock: int) -> None:
        self._segments.append(clock)
        self._open_journal(clock)

    def _open_journal(self, segment: int) -> None:
        self.close()
        self._journal = os.open(self._path(segment), os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)

    def _undo(self, clock: int) -> None:
        for segment in reversed(self._segments):
            for record in reversed(list(self._scan(segment))):
                if record.clock < clock:
                    return
                rows, held = self._read_back(segment, record)
                self._rows[rows] = held

    def _cut(self, clock: int) -> None:
        """Takes the journal back too, the newest part first: interrupted, it can be done again."""
        self.close()
        while len(self._segments) > 1 and self._segments[-1] > clock:
            self._path(self._segments.pop()).unlink(missing_ok=True)
        keep = next((record.place for record in self._scan(self._segments[-1]) if record.clock >= clock), None)
        self._open_journal(self._segments[-1])
        if keep is not None:
            os.ftruncate(self._journal, keep)

    def _scan(self, segment: int) -> Iterator["_Record"]:
        """Yields the records of a part of the journal; a last one that is not whole was never acted on."""
        path = self._path(segment)
        if not path.exists():
            return
        with path.open("rb") as file:
            while len(header := file.read(_HEADER.size)) == _HEADER.size:
                clock, count, check = _HEADER.unpack(header)
                content = file.read(count * self._width) if 0 <= count <= self._shape[0] * 64 else b""
                if len(content) != count * self._width or _check(clock, count, content) != check:
                    return
                yield _Record(file.tell() - len(content) - _HEADER.size, file.tell(), clock, count)

    def _read_back(self, segment: int, record: "_Record") -> tuple[NDArray[np.int64], NDArray[np.generic]]:
        with self._path(segment).open("rb") as file:
            file.seek(record.place + _HEADER.size)
            content = file.read(record.count * self._width)
        rows = np.frombuffer(content, "<i8", record.count)
        held = np.frombuffer(content, self._dtype, offset=8 * record.count)
        return rows, held.reshape(record.count, *self._shape[1:])

    @property
    def _width(self) -> int:
        return 8 + int(np.prod(self._shape[1:])) * self._dtype.itemsize

    def _path(self, segment: int) -> Path:
        return self._folder / _NAME.format(self._name, segment)


@dataclass(frozen=True, slots=True)
class _Record:
    """Where a write lies in the journal: its first byte, the one behind its last, its clock and its rows."""

    place: int
    end: int
    clock: int
    count: int


def _check(clock: int, count: int, content: bytes) -> int:
    return zlib.crc32(content, zlib.crc32(struct.pack("<qq", clock, count)))
