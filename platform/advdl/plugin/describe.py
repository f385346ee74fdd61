"""Puts annotations and docstrings into words, for errors, ``advdl plugins info`` and the docs."""

import collections.abc
import enum
import inspect
import re
import types
import typing
from collections.abc import Callable, Iterator
from typing import Annotated, Any, Literal, Union

_NAMES = {float: "a number", int: "a whole number", bool: "true or false", str: "text", type(None): "nothing"}
_SEQUENCES = (list, tuple, set, frozenset, collections.abc.Sequence)
_WORDS = {
    "gt": "> {}",
    "ge": ">= {}",
    "lt": "< {}",
    "le": "<= {}",
    "multiple_of": "a multiple of {}",
    "min_length": "with {} or more items",
    "max_length": "with at most {} items",
}
_ENTRY = re.compile(r"^\*{0,2}`?(\w+)`?(?:\s*\([^)]*\))?:\s*(.*)$")


def type_text(hint: Any) -> str:
    """Says what an annotation takes, such as ``"a list of whole numbers"``, without its own constraints."""
    origin, arguments = typing.get_origin(hint), typing.get_args(hint)
    if origin is Annotated:
        return type_text(arguments[0])
    if origin is Literal:
        return "one of " + ", ".join(repr(choice) for choice in arguments)
    if origin in (Union, types.UnionType):
        return " or ".join(_with_constraint(argument) for argument in arguments)
    if origin in _SEQUENCES:
        return _sequence_text(arguments)
    if origin in (dict, collections.abc.Mapping):
        return f"a table of {_plural(arguments[1])}"
    return _name(hint)


def constraint_text(hint: Any) -> str:
    """Says what ``annotated_types`` demand of an annotation, such as ``">= 0 and <= 1"``."""
    if typing.get_origin(hint) is not Annotated:
        return ""
    return " and ".join(text for item in hint.__metadata__ for text in _constraints(item))


def argument_docs(target: Callable[..., Any]) -> dict[str, str]:
    """Reads the ``Args:`` sections of a class and of its ``__init__``, one paragraph an argument."""
    docs: dict[str, str] = {}
    for owner in (getattr(target, "__init__", None), target):
        docs |= _parse_arguments(inspect.cleandoc(getattr(owner, "__doc__", None) or ""))
    return docs


def _parse_arguments(docstring: str) -> dict[str, str]:
    docs: dict[str, str] = {}
    current = ""
    for indent, line in _section(docstring, "Args:"):
        entry = _ENTRY.match(line)
        if indent == 0 and entry:
            current = entry[1]
            docs[current] = entry[2]
        elif current:
            docs[current] = f"{docs[current]} {line}".strip()
    return docs


def _section(docstring: str, title: str) -> Iterator[tuple[int, str]]:
    """Yields the lines of a Google style section with their indentation relative to its first line."""
    lines = iter(docstring.splitlines())
    for line in lines:
        if line.strip() == title:
            break
    base: int | None = None
    for line in lines:
        indent = len(line) - len(line.lstrip())
        if line.strip() and indent == 0:
            return
        if line.strip():
            base = indent if base is None else base
            yield indent - base, line.strip()


def _sequence_text(arguments: tuple[Any, ...]) -> str:
    if not arguments:
        return "a list"
    if len(arguments) > 1 and arguments[1] is not Ellipsis:
        items = ", ".join(_with_constraint(argument) for argument in arguments)
        return f"a list of {len(arguments)}: {items}"
    return f"a list of {_plural(arguments[0])}"


def _plural(hint: Any) -> str:
    text = _with_constraint(hint)
    for article in ("a number", "a whole number"):
        if text.startswith(article):
            return text.replace(article, article[2:] + "s", 1)
    return text.removeprefix("a ")


def _with_constraint(hint: Any) -> str:
    return f"{type_text(hint)} {constraint_text(hint)}".rstrip()


def _name(hint: Any) -> str:
    if hint is Any:
        return "anything"
    if isinstance(hint, type) and issubclass(hint, enum.Enum):
        return "one of " + ", ".join(repr(member.value) for member in hint)
    return _NAMES.get(hint) or f"a {getattr(hint, '__name__', str(hint))}"


def _constraints(item: Any) -> Iterator[str]:
    """Reads what ``annotated_types`` sets; importing it here would slow every command down."""
    for name, words in _WORDS.items():
        bound = getattr(item, name, None)
        if isinstance(bound, int | float) and not (name == "min_length" and bound == 0):
            yield words.format(bound)
