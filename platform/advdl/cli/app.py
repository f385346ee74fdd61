"""The root of the command line."""

import os
import sys
from collections.abc import Sequence
from typing import Annotated

import typer

from advdl import __version__
from advdl.cli.errors import report
from advdl.cli.lazy import LazyGroup
from advdl.cli.state import State, state_of
from advdl.errors import ExitCode

_DEBUG = "--debug"


def _show_version(wanted: bool) -> None:
    if wanted:
        print(f"advdl {__version__}")
        raise typer.Exit


def _leave_out(context: typer.Context, names: list[str] | None) -> list[str]:
    """Notes the plugins to leave out before ``--help`` lists the commands."""
    context.obj = State(no_plugin=tuple(names or ()))
    return names or []


def root(
    context: typer.Context,
    no_plugin: Annotated[
        list[str] | None,
        typer.Option(
            metavar="NAME",
            help="Leave a plugin out, by its name or its distribution's; may be repeated.",
            callback=_leave_out,
            is_eager=True,
            show_default=False,
        ),
    ] = None,
    debug: Annotated[bool, typer.Option(_DEBUG, help="Show the traceback of an error.")] = False,
    version: Annotated[
        bool, typer.Option("--version", help="Show the version.", callback=_show_version, is_eager=True)
    ] = False,
) -> None:
    """Train agents in TensorFlow and Keras; every part is a plugin."""
    del no_plugin, debug, version
    state_of(context)


app = typer.Typer(
    name="advdl",
    cls=LazyGroup,
    callback=root,
    no_args_is_help=True,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    suggest_commands=False,
)


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs the command line and returns the exit code.

    Args:
        arguments: What follows ``advdl``; the process' own when None.
    """
    given = list(sys.argv[1:] if arguments is None else arguments)
    debug = _DEBUG in given[: given.index("--")] if "--" in given else _DEBUG in given
    words = [word for word in given if word != _DEBUG] if debug else given
    try:
        code = _run(words)
        sys.stdout.flush()
    except BrokenPipeError:
        return _reader_is_gone()
    except (KeyboardInterrupt, SystemExit) as signal:
        if isinstance(signal.__context__, BrokenPipeError):  # typer has seen it first
            return _reader_is_gone()
        return _code_of(signal)
    except Exception as error:
        return report(error, debug=debug)
    return code


def _run(words: list[str]) -> int:
    command = typer.main.get_command(app)
    try:
        result = command.main(args=words, prog_name="advdl", standalone_mode=False)
    except Exception as error:
        if type(error).__name__ == "NoArgsIsHelpError":
            print(getattr(error, "message", ""), file=sys.stderr)
            return int(ExitCode.USAGE)
        raise
    return int(result) if isinstance(result, int) else int(ExitCode.DONE)


def _code_of(signal: BaseException) -> int:
    if isinstance(signal, SystemExit) and (signal.code is None or isinstance(signal.code, int)):
        return signal.code or 0
    return int(ExitCode.INTERRUPTED if isinstance(signal, KeyboardInterrupt) else ExitCode.RUN_FAILED)


def _reader_is_gone() -> int:
    """``advdl ... | head`` is no failure; keep Python from flushing into the closed pipe at exit."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    return int(ExitCode.DONE)


if __name__ == "__main__":
    sys.exit(main())
