"""Runs a plugin's code so that what it does wrong stays its own problem: it raises, exits or prints."""

import contextlib
import io
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from advdl.deprecation import DeprecatedWarning


@dataclass(frozen=True, slots=True)
class Outcome:
    """What came of a call.

    Attributes:
        value: What it returned, or None.
        error: What it raised, in one line, or an empty string.
        cause: The exception itself.
        printed: What it wrote to stdout, which is kept from the user's own output.
        deprecated: What it uses that a release to come takes away, a sentence each.
    """

    value: Any = None
    error: str = ""
    cause: BaseException | None = None
    printed: str = ""
    deprecated: tuple[str, ...] = ()


def isolated(function: Callable[..., Any], *arguments: Any) -> Outcome:
    """Calls a function and catches every exception but ``KeyboardInterrupt``, ``SystemExit`` included.

    Warnings of deprecations are collected, whatever the filters say; others are shown as ever.
    """
    noise = io.StringIO()
    value, failure = None, None
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always", DeprecatedWarning)
        try:
            with contextlib.redirect_stdout(noise):
                value = function(*arguments)
        except KeyboardInterrupt:
            raise
        except BaseException as error:
            failure = error
    deprecated = tuple(str(each.message) for each in caught if isinstance(each.message, DeprecatedWarning))
    for other in caught:
        if not isinstance(other.message, DeprecatedWarning):
            warnings.showwarning(other.message, other.category, other.filename, other.lineno)
    why = reason(failure) if failure else ""
    return Outcome(value=value, error=why, cause=failure, printed=noise.getvalue(), deprecated=deprecated)


def reason(error: BaseException) -> str:
    """Says in one line what an exception is about."""
    if isinstance(error, SystemExit):
        return f"it called sys.exit({error.code!r})"
    if isinstance(error, SyntaxError):
        return f"SyntaxError: {error.msg} ({error.filename}, line {error.lineno})"
    lines = str(error).strip().splitlines()
    return f"{type(error).__name__}: {lines[0]}" if lines else type(error).__name__
