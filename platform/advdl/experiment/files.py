"""Files that are never seen half-written, and journals of one JSON object a line."""

import contextlib
import json
import math
import os
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

from advdl.errors import CorruptError, RunError


def write_atomically(path: Path, content: bytes) -> None:
    """Writes a file so that a reader, or a crash at any moment, finds the old content or the new.

    Raises:
        RunError: The disk refuses, such as when it is full.
    """
    temporary = path.with_name(f".{path.name}.new")
    try:
        with temporary.open("wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
        sync_folder(path.parent)
    except OSError as error:
        raise RunError(f"{path} cannot be written: {error.strerror}") from error


def sync_folder(folder: Path) -> None:
    """Makes sure that a folder's list of names is on the disk."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


_TAIL = 65_536


class Journal:
    """A file of one JSON object a line, each with its ``step``; a line that was torn by a crash is not there.

    The JSON is strict: NaN and the infinities, which JSON does not know, are written as null and read as NaN.

    Args:
        path: The file; it need not exist.
    """

    def __init__(self, path: Path) -> None:
        self.path = path

    def append(self, line: Mapping[str, Any]) -> None:
        """Adds a line and hands it to the operating system; all of it or, if the disk refuses, nothing.

        Raises:
            RunError: The disk refuses, such as when it is full.
        """
        content = json.dumps(_strict(line), allow_nan=False).encode() + b"\n"
        try:
            with self.path.open("ab") as file:
                size = file.tell()
                try:
                    file.write(content)
                    file.flush()
                except OSError:
                    file.truncate(size)
                    raise
        except OSError as error:
            raise RunError(f"{self.path} cannot be written: {error.strerror}") from error

    def read(self) -> list[dict[str, Any]]:
        """Returns every whole line.

        Raises:
            CorruptError: A line other than a torn last one is no JSON object with a step.
        """
        return [line for line, _ in self._lines()]

    def last(self) -> dict[str, Any] | None:
        """Returns the last whole line, or None if there is none; reads no more of a long file than its end.

        Raises:
            CorruptError: As ``read``.
        """
        with contextlib.suppress(OSError), self.path.open("rb") as file:
            file.seek(max(0, file.seek(0, os.SEEK_END) - _TAIL))
            *_, raw, _torn = [b"", *file.read().split(b"\n")]
            with contextlib.suppress(CorruptError):  # a line that is longer than the end
                return self._parse(raw, 0)
        return next(iter(self.read()[-1:]), None)

    def truncate(self, after_step: int, keep: Callable[[Mapping[str, Any]], bool] = bool) -> None:
        """Drops the lines of later steps and a torn last line, at once or not at all.

        Args:
            after_step: The step that the run goes on from; its own lines stay.
            keep: Which of the lines up to that step stay; all, when left out.

        Raises:
            CorruptError: As ``read``.
            RunError: The disk refuses.
        """
        if self.path.exists():
            kept = [raw + b"\n" for line, raw in self._lines() if line["step"] <= after_step and keep(line)]
            write_atomically(self.path, b"".join(kept))

    def _lines(self) -> Iterator[tuple[dict[str, Any], bytes]]:
        try:
            content = self.path.read_bytes()
        except FileNotFoundError:
            return
        except OSError as error:
            raise CorruptError(f"{self.path} cannot be read: {error.strerror}") from error
        *whole, _torn = content.split(b"\n")
        for number, raw in enumerate(whole, start=1):
            yield self._parse(raw, number), raw

    def _parse(self, raw: bytes, number: int) -> dict[str, Any]:
        with contextlib.suppress(ValueError, RecursionError):
            line = json.loads(raw)
            if isinstance(line, dict) and isinstance(line.get("step"), int):
                return {key: _from_strict(value) for key, value in line.items()}
        raise CorruptError(f"{self.path} is damaged at line {number}")


def _strict(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {str(key): _strict(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_strict(item) for item in value]
    if value is None or isinstance(value, str | bool | int):
        return value
    number = float(value)  # numpy's and TensorFlow's scalars too
    return number if math.isfinite(number) else None


def _from_strict(value: Any) -> Any:
    if isinstance(value, list):
        return [_from_strict(item) for item in value]
    return math.nan if value is None else value
