"""Words: the command line that was given, as words again, with some of its options changed."""

from collections.abc import Iterator
from typing import Any

import typer


def command_words(context: typer.Context, **changed: Any) -> list[str]:
    """Returns what follows ``advdl`` in a command like the one that is running.

    Args:
        context: The running command's.
        changed: Values for its parameters, by the names of the function's arguments; None leaves an option out.

    Returns:
        The root's options, noun and verb, the options that were given, and the arguments.
    """
    chain = [context]
    while chain[0].parent is not None:
        chain.insert(0, chain[0].parent)
    words: list[str] = []
    for each in chain:
        words += [each.info_name or ""] if each is not chain[0] else []
        values = {**each.params, **(changed if each is context else {})}
        words += [word for parameter in each.command.params for word in _words_of(parameter, values)]
    return words


def _words_of(parameter: Any, values: dict[str, Any]) -> Iterator[str]:
    value = values.get(parameter.name)
    for each in value if isinstance(value, list | tuple) else [value]:
        if each is None or each is False or each == "":
            continue
        if parameter.param_type_name == "argument":
            yield str(each)
        elif parameter.is_flag:
            yield parameter.opts[0]
        else:
            yield f"{parameter.opts[0]}={each}" if str(each).startswith("-") else parameter.opts[0]
            if not str(each).startswith("-"):
                yield str(each)
