"""Results that outlive the process: a line of JSON each, so that a long benchmark can be made in parts."""

import json
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

from measure import Row, journal, say


class Results:
    """The results so far, each written to a file when it is there; several threads may add to them.

    Args:
        path: The file, a line of JSON a result; None keeps them in memory alone.
        digest: What a result is good for: where it has changed since, the result is made anew.
    """

    def __init__(self, path: Path | None, digest: str = "") -> None:
        self._path, self._lock = path, threading.Lock()
        self._mark: Row = {"digest": digest} if digest else {}
        self._rows = journal(path) if path else []

    def find(self, **wanted: Any) -> Row | None:
        """Returns the newest result that has these values."""
        known = wanted | self._mark
        return next((row for row in reversed(self._rows) if known.items() <= row.items()), None)

    def add(self, row: Row) -> None:
        """Takes a result."""
        with self._lock:
            self._rows.append(row)
            if self._path:
                with self._path.open("a") as file:
                    file.write(json.dumps(row) + "\n")

    def row(self, make: Callable[[], Row], **wanted: Any) -> Row:
        """Returns the newest result with these values, or makes one, which must have them; says it."""
        row = self.find(**wanted)
        if row is None:
            row = {**make(), **wanted, **self._mark}
            self.add(row)
        say(str(row))
        return {key: value for key, value in row.items() if key not in self._mark}
