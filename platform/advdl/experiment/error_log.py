"""The log of what ended a run: the whole traceback, and the one of the process in which it began."""

import contextlib
import traceback
from pathlib import Path

NAME = "error.log"


def write_error_log(folder: Path, error: BaseException) -> None:
    """Writes ``error.log``; a disk that refuses is not worth hiding the error for.

    Args:
        folder: The run's folder.
        error: What ended it. Where it has a ``traceback``, as an env's fault has, that comes first.
    """
    own = getattr(error, "traceback", "")
    parts = [f"{error}\n", f"In the env's own process:\n\n{own}" if own else ""]
    parts.append("".join(traceback.format_exception(error)))
    with contextlib.suppress(OSError):
        (folder / NAME).write_text("\n".join(part for part in parts if part))
