"""Options: a component's typed keyword-only arguments are its configuration schema.

There is no second config class: validation, ``advdl plugins info`` and the docs all read the one signature.
An argument that is itself a component is marked with ``Part``::

    def __init__(self, *, loss: Annotated[Factory, Part("loss")] = Choice("huber", {"delta": 2.0})): ...
"""

import collections.abc
import enum
import inspect
import types
import typing
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import PurePath
from typing import Any

from advdl.errors import PluginError, UsageError, nearest
from advdl.plugin.describe import argument_docs, constraint_text, type_text

Factory = Callable[..., Any]
"""Builds a nested component; its options are already bound."""


@dataclass(frozen=True, slots=True)
class Part:
    """Marks an option that is itself a component.

    Attributes:
        kind: The kind of component that it takes.
    """

    kind: str


@dataclass(frozen=True, slots=True)
class Choice:
    """The default of a ``Part`` option.

    Attributes:
        name: The component's name.
        options: Options that differ from the component's own defaults.
    """

    name: str
    options: Mapping[str, Any] = field(default_factory=dict)

    def __call__(self, *args: Any, **given: Any) -> Any:
        """Makes it a ``Factory`` for type checkers, as the argument is whose default it is; it builds nothing.

        Raises:
            TypeError: Always. Whoever builds a component by its class gives it factories: ``component`` of
                ``advdl.testing`` finds them, and so does ``PluginHost``.
        """
        raise TypeError(f"{self.name!r} is the default of a part and builds nothing: build by name, or give a factory")


@dataclass(frozen=True, slots=True)
class Option:
    """One option of a component.

    Attributes:
        name: What users write, as in ``--set agent.gamma=0.9``.
        type_name: Its type in words.
        default: The default as plain data; None when required.
        required: There is no default.
        constraint: What is allowed beyond the type, such as ``">= 0 and <= 1"``, or an empty string.
        doc: Its line in the docstring.
        part: The kind of component that it takes, or an empty string.
        hint: The annotation that validates it.
    """

    name: str
    type_name: str
    default: Any
    required: bool
    constraint: str
    doc: str
    part: str
    hint: Any = field(repr=False, compare=False)


def options_of(target: Callable[..., Any]) -> list[Option]:
    """Reads the options off a class (or a function that builds).

    They are the keyword-only arguments. A class that has none, such as those of Keras, offers every argument
    that has a default instead; an argument without annotation has the type of its default. ``name`` is never
    an option: it chooses the component.

    Raises:
        PluginError: An annotation cannot be resolved.
    """
    function = _constructor(target)
    docs = argument_docs(target)
    parameters = _option_parameters(inspect.signature(function).parameters.values())
    hints = _hints(target, function) if parameters else {}
    return [_option(parameter, hints.get(parameter.name), docs) for parameter in parameters]


def part_of(hint: Any) -> Part | None:
    """Returns the ``Part`` in an annotation, also in a union: ``Annotated[Factory, Part("loss")] | None``."""
    for item in getattr(hint, "__metadata__", ()):
        if isinstance(item, Part):
            return item
    if typing.get_origin(hint) in (None, collections.abc.Callable):
        return None
    return next((part for inner in typing.get_args(hint) if (part := part_of(inner))), None)


def is_part(option: Option, value: Any) -> bool:
    """Returns whether a value names a component; a ``Part`` may also allow, say, a number."""
    return bool(option.part) and isinstance(value, str | Mapping)


def validate(options: Iterable[Option], raw: Mapping[str, Any], *, where: str, command: str) -> dict[str, Any]:
    """Checks raw settings and fills in the defaults; a ``Part`` is left as it is.

    Args:
        options: What there is to set.
        raw: What was set.
        where: The path to these settings, such as ``agent.backbone``.
        command: The command that shows the options.

    Returns:
        A value for every option, of the annotated type.

    Raises:
        UsageError: An option is unknown, missing, of the wrong type or out of range.
    """
    known = {option.name: option for option in options}
    for name in raw:
        if name not in known:
            raise _unknown(name, known, where=where, command=command)
    missing = [name for name, option in known.items() if option.required and name not in raw]
    if missing:
        raise UsageError(f"{where} needs a value for {missing[0]!r}", hint=f"see its options: {command}")
    return {
        name: coerce(option, raw[name], where=where, command=command) if name in raw else option.default
        for name, option in known.items()
    }


def coerce(option: Option, value: Any, *, where: str, command: str = "") -> Any:
    """Converts one value to its option's type.

    Only what loses nothing is converted: an integer to a float, ``1e6`` to an integer, a list to a tuple, and
    text to a path. Text is not a number, and a number is not a truth value.

    Raises:
        UsageError: The value is of the wrong type or out of range.
    """
    from pydantic import ValidationError

    if is_part(option, value) or (value is None and option.default is None and not option.required):
        return value
    reason = ""
    try:
        result = _adapter(option.hint).validate_python(value)
        if _same_nature(value, result):
            return result
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        if first["type"] in ("value_error", "assertion_error"):
            reason = f" ({first['msg'].removeprefix('Value error, ')})"
    raise UsageError(
        f"{where}.{option.name} cannot be {value!r}: it must be {allowed(option)}{reason}",
        hint=f"see its options: {command}" if command else "",
    )


def allowed(option: Option) -> str:
    """Says in words what an option takes."""
    return f"{option.type_name} {option.constraint}".rstrip()


def plain(value: Any) -> Any:
    """Turns a value into what TOML and JSON know: tuples become lists, paths text, enums their values."""
    if isinstance(value, Choice):
        return {"name": value.name, **plain(value.options)}
    if isinstance(value, Mapping):
        return {str(key): plain(inner) for key, inner in value.items()}
    if isinstance(value, list | tuple | set | frozenset):
        return [plain(inner) for inner in value]
    if isinstance(value, enum.Enum):
        return value.value
    return str(value) if isinstance(value, PurePath) else value


def _constructor(target: Any) -> Callable[..., Any]:
    function: Callable[..., Any] = getattr(target, "__init__") if isinstance(target, type) else target  # noqa: B009
    return function


def _option_parameters(parameters: Iterable[inspect.Parameter]) -> list[inspect.Parameter]:
    named = [parameter for parameter in parameters if parameter.name != "name"]
    keyword_only = [parameter for parameter in named if parameter.kind is parameter.KEYWORD_ONLY]
    if keyword_only:
        return keyword_only
    return [p for p in named if p.kind is p.POSITIONAL_OR_KEYWORD and p.default is not p.empty]


def _hints(target: Callable[..., Any], function: Callable[..., Any]) -> dict[str, Any]:
    try:
        return typing.get_type_hints(function, include_extras=True)
    except (NameError, TypeError, AttributeError) as error:
        raise PluginError(
            f"the options of {target.__module__}.{target.__qualname__} cannot be read: {error}",
            hint="annotations of options must be importable at run time, not only under TYPE_CHECKING",
        ) from error


def _option(parameter: inspect.Parameter, hint: Any, docs: Mapping[str, str]) -> Option:
    required = parameter.default is parameter.empty
    hint = _hint_of_default(parameter.default) if hint is None else hint
    part = part_of(hint)
    return Option(
        name=parameter.name,
        type_name=_part_text(hint, part) if part else type_text(hint),
        default=None if required else plain(parameter.default),
        required=required,
        constraint="" if part else constraint_text(hint),
        doc=docs.get(parameter.name, ""),
        part=part.kind if part else "",
        hint=hint,
    )


def _part_text(hint: Any, part: Part) -> str:
    """Says what a ``Part`` option takes: a component, and whatever else the annotation allows."""
    others = [
        type_text(member) for member in _members(hint) if typing.get_origin(member) is not collections.abc.Callable
    ]
    article = "an" if part.kind[0] in "aeiou" else "a"
    return " or ".join([f"{article} {part.kind}", *others])


def _members(hint: Any) -> list[Any]:
    if typing.get_origin(hint) is typing.Annotated:
        return _members(typing.get_args(hint)[0])
    if typing.get_origin(hint) in (typing.Union, types.UnionType):
        return [member for inner in typing.get_args(hint) for member in _members(inner)]
    return [hint]


def _hint_of_default(default: Any) -> Any:
    return type(default) if isinstance(default, bool | int | float | str) else Any


def _unknown(name: str, known: Iterable[str], *, where: str, command: str) -> UsageError:
    guess = nearest(name, known)
    did_you_mean = f"did you mean {guess!r}? " if guess else ""
    return UsageError(f"{where} has no option {name!r}", hint=f"{did_you_mean}see its options: {command}")


def _adapter(hint: Any) -> Any:
    from pydantic import ConfigDict, PydanticUserError, TypeAdapter

    try:
        return TypeAdapter(hint, config=ConfigDict(arbitrary_types_allowed=True))
    except PydanticUserError:  # a type that brings its own pydantic configuration
        return TypeAdapter(hint)


def _same_nature(raw: Any, result: Any) -> bool:
    """Returns whether pydantic converted nothing but what ``coerce`` promises."""
    if isinstance(result, bool) or isinstance(raw, bool):
        return isinstance(raw, bool) and isinstance(result, bool)
    if isinstance(result, int | float):
        return isinstance(raw, int | float)
    if isinstance(result, Mapping) and isinstance(raw, Mapping):
        return all(_same_nature(raw[key], result[key]) for key in raw if key in result)
    if isinstance(result, list | tuple) and isinstance(raw, list | tuple):
        return all(map(_same_nature, raw, result))
    return True
