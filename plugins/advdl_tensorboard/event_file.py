"""EventFile: an event file that TensorBoard reads, written without TensorFlow."""

import os
import socket
import time
from pathlib import Path

from tensorboard.compat.proto.event_pb2 import Event, SessionLog
from tensorboard.compat.proto.summary_pb2 import Summary
from tensorboard.summary.writer.record_writer import RecordWriter

_PREFIX = "events.out.tfevents."


class EventFile:
    """Appends events to a new file.

    TensorBoard's own ``EventFileWriter`` imports TensorFlow, and it writes in a thread, so that a full disk
    shows up in a later call and as a traceback on stderr. Here records are collected in memory and written in
    one call when ``flush_seconds`` have passed; what goes wrong is raised by the call in which it went wrong.

    Args:
        folder: Where the file is made; it has to exist.
        flush_seconds: How long an event may wait in memory.
        purge_from: Hides the events of earlier files at this step and after it; None hides nothing.

    Raises:
        OSError: The file cannot be made.
    """

    def __init__(self, folder: Path, *, flush_seconds: float, purge_from: int | None = None) -> None:
        self._flush_seconds = flush_seconds
        self._pending = _Buffer()
        self._records = RecordWriter(self._pending)
        self._flushed = time.monotonic()
        self.path = folder / _next_name(folder)
        self._file = self.path.open("xb", buffering=0)
        self._add(Event(wall_time=time.time(), file_version="brain.Event:2"))
        if purge_from is not None:
            start = SessionLog(status=SessionLog.START)
            self._add(Event(wall_time=time.time(), step=purge_from, session_log=start))
        self.flush()

    def add(self, step: int, *values: Summary.Value) -> None:
        """Adds summary values of one step.

        Raises:
            OSError: The file cannot be written.
        """
        self._add(Event(wall_time=time.time(), step=step, summary=Summary(value=values)))
        if time.monotonic() - self._flushed >= self._flush_seconds:
            self.flush()

    def flush(self) -> None:
        """Writes what is pending.

        Raises:
            OSError: The file cannot be written; it is closed then.
        """
        self._flushed = time.monotonic()
        pending = memoryview(self._pending.take())
        try:
            while pending:
                pending = pending[self._file.write(pending) :]
        except OSError:
            self._file.close()
            raise

    def close(self) -> None:
        """Writes what is pending and closes the file."""
        self.flush()
        self._file.close()

    def _add(self, event: Event) -> None:
        self._records.write(event.SerializeToString())


class _Buffer:
    """The in-memory file that records are collected in."""

    def __init__(self) -> None:
        self._data = bytearray()

    def write(self, data: bytes) -> None:
        self._data += data

    def take(self) -> bytes:
        data, self._data = bytes(self._data), bytearray()
        return data


def _next_name(folder: Path) -> str:
    """Names a file that sorts after the folder's others: TensorBoard reads them in the order of names."""
    times = [path.name.removeprefix(_PREFIX).split(".")[0] for path in folder.glob(_PREFIX + "*")]
    latest = max((int(text) for text in times if text.isdigit()), default=0)
    return f"{_PREFIX}{max(int(time.time()), latest + 1):010d}.{socket.gethostname()}.{os.getpid()}"
