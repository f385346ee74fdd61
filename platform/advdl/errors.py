"""Every error that a user can meet: one sentence, a hint, and the exit code of the command that failed.

A message says what is wrong and where; the hint is the next command or the nearest right name.
"""

import difflib
from collections.abc import Iterable
from enum import IntEnum


class ExitCode(IntEnum):
    """The exit codes of every ``advdl`` command."""

    DONE = 0
    RUN_FAILED = 1
    USAGE = 2
    CORRUPT = 3
    PLUGIN = 4
    DIVERGED = 5
    INTERRUPTED = 130
    TERMINATED = 143


class AdvdlError(Exception):
    """An error with a sentence for the user.

    Attributes:
        message: What is wrong and where, in one sentence.
        hint: What to do next, or an empty string.
        exit_code: What the command line exits with.
    """

    exit_code = ExitCode.RUN_FAILED

    def __init__(self, message: str, *, hint: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint


class RunError(AdvdlError):
    """The run failed: its env, its disk or its code."""


class UsageError(AdvdlError):
    """A command, an option or a configuration that cannot be carried out as written."""

    exit_code = ExitCode.USAGE


class CorruptError(AdvdlError):
    """A file that is damaged, or that advdl refuses to read."""

    exit_code = ExitCode.CORRUPT


class PluginError(AdvdlError):
    """A plugin that cannot be loaded or that broke its contract."""

    exit_code = ExitCode.PLUGIN


class DivergedError(AdvdlError):
    """Training produced a NaN or an infinity."""

    exit_code = ExitCode.DIVERGED


# The fewest letters of a name that a longer word beginning with them is taken for.
_STEM = 4


def nearest(name: str, known: Iterable[str]) -> str | None:
    """Returns the known name closest to a misspelt one, or None if none is close; ``norm`` for ``normalisation``."""
    by_folded = {candidate.casefold(): candidate for candidate in known}
    folded = name.casefold()
    matches = (
        difflib.get_close_matches(folded, by_folded, n=1, cutoff=0.8)
        or [candidate for candidate in by_folded if len(candidate) >= _STEM and folded.startswith(candidate)]
        or difflib.get_close_matches(folded, by_folded, n=1, cutoff=0.6)
    )
    return by_folded[max(matches, key=len)] if matches else None


def unknown_name(what: str, name: str, known: Iterable[str], *, command: str) -> UsageError:
    """Builds the error for a name that does not exist.

    Args:
        what: What was looked up, such as ``"agent"``.
        name: The name that was given.
        known: The names that exist.
        command: The command that lists them.
    """
    guess = nearest(name, known)
    did_you_mean = f"did you mean {guess!r}? " if guess else ""
    return UsageError(f"there is no {what} {name!r}", hint=f"{did_you_mean}see them all: {command}")
