"""Lock: at most one process writes to a run; the system releases the lock when the process dies."""

import fcntl
import os
import time
import weakref
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path

from advdl.errors import RunError, UsageError

_PATIENCE = 0.2
"""Seconds to wait for a lock: a reader that asks who writes holds it for a moment."""


class _Held:
    """An open, locked file. A forked child closes its copy: it would keep the lock of a parent that died."""

    def __init__(self, descriptor: int) -> None:
        self.descriptor = descriptor
        os.register_at_fork(after_in_child=partial(_close_if_alive, weakref.ref(self)))

    def close(self) -> None:
        """Releases the lock in this process."""
        if self.descriptor >= 0:
            os.close(self.descriptor)
            self.descriptor = -1


def _close_if_alive(reference: "weakref.ref[_Held]") -> None:
    held = reference()
    if held is not None:
        held.close()


@contextmanager
def locked(path: Path, *, what: str) -> Iterator[None]:
    """Holds a lock file for the time of a ``with`` block.

    Args:
        path: The lock file; it is created, and stays.
        what: What is locked, for the error: ``"run 2026..."``.

    Raises:
        UsageError: Another process, or another block of this one, holds it.
        RunError: The file cannot be opened.
    """
    try:
        held = _Held(os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644))
    except OSError as error:
        raise RunError(f"{path} cannot be opened: {error.strerror}") from error
    try:
        if not _acquire(held.descriptor, fcntl.LOCK_EX):
            raise UsageError(f"{what} is in use by process {_pid(path)}", hint="wait for it, or stop it")
        os.ftruncate(held.descriptor, 0)
        os.pwrite(held.descriptor, str(os.getpid()).encode(), 0)
        yield
    finally:
        held.close()


def holder(path: Path) -> str | None:
    """Returns the id of the process that holds a lock file, or None if nobody does."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    except OSError:
        return None
    try:
        fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except OSError:
        return _pid(path)
    finally:
        os.close(descriptor)
    return None


def _acquire(descriptor: int, operation: int) -> bool:
    deadline = time.monotonic() + _PATIENCE
    while True:
        try:
            fcntl.flock(descriptor, operation | fcntl.LOCK_NB)
        except BlockingIOError:
            if time.monotonic() > deadline:
                return False
            time.sleep(0.01)
        else:
            return True


def _pid(path: Path) -> str:
    try:
        return path.read_text() or "unknown"
    except (OSError, UnicodeDecodeError):
        return "unknown"
