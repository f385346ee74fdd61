"""Results that outlive the process: a line of JSON each, so that a long benchmark can be made in parts."""

import json
import threading
from pathlib import Path
from typing import Any

from measure import Row, journal


class Results:
    """The results so far, each written to a file when it is there.

    Args:
        path: The file, a line of JSON a result; None keeps them in memory alone.
    """

    def __init__(self, path: Path | None) -> None:
        self._path, self._lock = path, threading.Lock()
        self._rows = journal(path) if path else []

    def find(self, **wanted: Any) -> Row | None:
        """Returns the newest result that has these values and did not fail."""
        known = {**wanted, "exit_code": 0}
        return next((row for row in reversed(self._rows) if known.items() <= row.items()), None)

    def add(self, row: Row) -> None:
        """Takes a result."""
        with self._lock:
            self._rows.append(row)
            if self._path:
                with self._path.open("a") as file:
                    file.write(json.dumps(row) + "\n")
