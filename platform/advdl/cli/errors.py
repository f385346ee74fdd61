"""The one form of an error on the command line: a sentence, a hint, and an exit code."""

import re
import sys
import traceback
from typing import Any

from advdl.errors import AdvdlError, ExitCode, nearest


def report(error: BaseException, *, debug: bool) -> int:
    """Prints an error to standard error and returns the exit code."""
    message, hint, code = _describe(error)
    if debug:
        traceback.print_exception(error, file=sys.stderr)
    print(f"error: {message}", file=sys.stderr)
    if hint:
        print(f"hint: {hint}", file=sys.stderr)
    return code


def _describe(error: BaseException) -> tuple[str, str, int]:
    if isinstance(error, AdvdlError):
        return _one_line(error.message), error.hint, int(error.exit_code)
    if hasattr(error, "format_message"):  # typer's own errors; it vendors the classes under a private name
        message, hint = _usage(error)
        return message, hint, int(getattr(error, "exit_code", ExitCode.USAGE))
    what = _one_line(f"{type(error).__name__}: {error}")
    return (
        f"unexpected {what}",
        "this is a bug in advdl or in a plugin; the traceback: run again with --debug",
        int(ExitCode.RUN_FAILED),
    )


def _usage(error: Any) -> tuple[str, str]:
    context = getattr(error, "ctx", None)
    path = context.command_path if context is not None else "advdl"
    see = f"see: {path} --help"
    if hasattr(error, "option_name") and hasattr(error, "possibilities"):
        return _unknown_option(error, path, see)
    command = re.fullmatch(r"No such command '(.*)'\..*", str(error.message), re.DOTALL)
    if command and context is not None:
        return _unknown_command(command[1], context, see)
    message = _one_line(error.format_message()).rstrip(".").replace("argument(s)", "arguments")
    message = re.sub(r"Input should be ([^,]*).*", r"it must be \1", message)
    return message[:1].lower() + message[1:], see


def _unknown_option(error: Any, path: str, see: str) -> tuple[str, str]:
    known = [name for param in error.ctx.command.params for name in param.opts] if error.ctx else []
    guess = nearest(error.option_name, known) or next(iter(error.possibilities or ()), None)
    did_you_mean = f"did you mean {guess}? " if guess else ""
    return f"{path} has no option {error.option_name}", did_you_mean + see


def _unknown_command(name: str, context: Any, see: str) -> tuple[str, str]:
    guess = nearest(name, context.command.list_commands(context))
    did_you_mean = f"did you mean {guess!r}? " if guess else ""
    return f"{context.command_path} has no command {name!r}", did_you_mean + see


def _one_line(text: str) -> str:
    return " ".join(text.split())
