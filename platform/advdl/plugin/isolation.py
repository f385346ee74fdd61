"""Runs a plugin's code so that what it does wrong stays its own problem: it raises, exits or prints."""

import contextlib
import io
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class Outcome:
    """What came of a call.

    Attributes:
        value: What it returned, or None.
        error: What it raised, in one line, or an empty string.
        cause: The exception itself.
        printed: What it wrote to stdout, which is kept from the user's own output.
    """

    value: Any = None
    error: str = ""
    cause: BaseException | None = None
    printed: str = ""


def isolated(function: Callable[..., Any], *arguments: Any) -> Outcome:
    """Calls a function and catches every exception but ``KeyboardInterrupt``, ``SystemExit`` included."""
    noise = io.StringIO()
    try:
        with contextlib.redirect_stdout(noise):
            value = function(*arguments)
    except (Exception, SystemExit) as error:
        return Outcome(error=reason(error), cause=error, printed=noise.getvalue())
    return Outcome(value=value, printed=noise.getvalue())


def reason(error: BaseException) -> str:
    """Says in one line what an exception is about."""
    if isinstance(error, SystemExit):
        return f"it called sys.exit({error.code!r})"
    if isinstance(error, SyntaxError):
        return f"SyntaxError: {error.msg} ({error.filename}, line {error.lineno})"
    lines = str(error).strip().splitlines()
    return f"{type(error).__name__}: {lines[0]}" if lines else type(error).__name__
