"""A file system that fails at the k-th call, before it or half-way through it."""

import errno
import os
import signal
from pathlib import Path

from advdl.training.disk import Disk


class FaultyDisk(Disk):
    def __init__(self, at=None, fault="EIO", torn=False):
        self.calls = []
        self._at = at
        self._fault = fault
        self._torn = torn

    def _strike(self):
        if self._fault == "SIGKILL":
            os.kill(os.getpid(), signal.SIGKILL)
        number = getattr(errno, self._fault)
        raise OSError(number, os.strerror(number))

    def _call(self, name, whole, torn=None):
        self.calls.append(name)
        if len(self.calls) != self._at:
            return whole()
        if self._torn:
            (torn or whole)()
        return self._strike()

    def mkdir(self, folder):
        return self._call("mkdir", lambda: Disk.mkdir(self, folder))

    def write_bytes(self, path, content):
        return self._call(
            "write_bytes",
            lambda: Disk.write_bytes(self, path, content),
            lambda: path.write_bytes(content[: len(content) // 2]),
        )

    def save_tensors(self, prefix, tensors):
        def half():
            Disk.save_tensors(self, prefix, tensors)
            data = Path(f"{prefix}.data-00000-of-00001")
            os.truncate(data, data.stat().st_size // 2)

        return self._call("save_tensors", lambda: Disk.save_tensors(self, prefix, tensors), half)

    def sync(self, path):
        return self._call("sync", lambda: Disk.sync(self, path))

    def sha256(self, path):
        return self._call("sha256", lambda: Disk.sha256(self, path))

    def rename(self, source, target):
        return self._call("rename", lambda: Disk.rename(self, source, target))

    def unlink(self, path):
        return self._call("unlink", lambda: Disk.unlink(self, path))

    def rmdir(self, folder):
        return self._call("rmdir", lambda: Disk.rmdir(self, folder))
