"""The search space of a sweep: a range for each setting, as people write it and as Optuna takes it."""

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from advdl.errors import UsageError, nearest
from advdl.experiment.toml import format_path, format_value, parse_path, parse_value, read_toml

if TYPE_CHECKING:
    from optuna.distributions import BaseDistribution

_FORM = "write --search optimizer.learning_rate=log:1e-4:1e-2, int:32:256, float:0.9:0.999 or choice:a,b,c"
_RANGES = {"float": (False, False), "log": (False, True), "int": (True, False), "logint": (True, True)}


@dataclass(frozen=True, slots=True)
class Range:
    """Numbers between two bounds, both of them included.

    Attributes:
        low: The lower bound.
        high: The upper bound.
        integer: Whether only whole numbers are meant.
        log: Whether every order of magnitude is as likely.
        step: The distance of two values, or None.
    """

    low: float
    high: float
    integer: bool = False
    log: bool = False
    step: float | None = None

    @property
    def text(self) -> str:
        """The range as it is written."""
        kind = next(name for name, flags in _RANGES.items() if flags == (self.integer, self.log))
        return ":".join(
            [kind, *(self._number(value) for value in (self.low, self.high, self.step) if value is not None)]
        )

    def distribution(self) -> "BaseDistribution":
        """Returns it as Optuna takes it."""
        from optuna.distributions import FloatDistribution, IntDistribution

        if self.integer:
            return IntDistribution(int(self.low), int(self.high), log=self.log, step=int(self.step or 1))
        return FloatDistribution(self.low, self.high, log=self.log, step=self.step)

    def ends(self) -> list[str]:
        """Returns the values to try first whether they are allowed, as texts."""
        return [self._number(self.low), self._number(self.high)]

    def every(self) -> list[Any] | None:
        """Returns every value, or None where there is no end of them."""
        step = self.step or (1.0 if self.integer and not self.log else None)
        if step is None:
            return None
        count = math.floor((self.high - self.low) / step + 1e-9) + 1
        values = [self.low + index * step for index in range(count)]
        return [int(value) for value in values] if self.integer else values

    def _number(self, value: float) -> str:
        return str(int(value)) if self.integer else repr(float(value))


@dataclass(frozen=True, slots=True)
class Choices:
    """A few values, each as the text that would follow ``--set KEY=``."""

    values: tuple[str, ...]

    @property
    def text(self) -> str:
        """The choices as they are written."""
        return f"choice:{','.join(self.values)}"

    def distribution(self) -> "BaseDistribution":
        """Returns them as Optuna takes them."""
        from optuna.distributions import CategoricalDistribution

        return CategoricalDistribution(self.values)

    def ends(self) -> list[str]:
        """Returns every value."""
        return list(self.values)

    def every(self) -> list[Any]:
        """Returns every value."""
        return list(self.values)


Dimension = Range | Choices
Space = Mapping[str, Dimension]
"""A range for each setting, by the setting's dotted key."""


def parse_searches(texts: Sequence[str]) -> dict[str, Dimension]:
    """Reads what followed each ``--search``.

    Raises:
        UsageError: One of them is not ``KEY=RANGE``.
    """
    space = {}
    for text in texts:
        key, equals, written = text.partition("=")
        if not equals or not written.strip():
            raise UsageError(f"--search {text} has no range", hint=_FORM)
        space[_key(key, f"--search {text}")] = parse_dimension(written.strip(), where=f"--search {text}")
    return space


def read_space(path: Path) -> dict[str, Dimension]:
    """Reads a TOML file that looks like ``advdl.toml`` with a range, or an array of choices, for each value.

    Raises:
        UsageError: It cannot be read, or holds something else.
    """
    called = f"search file {path}"
    return {key: _from_file(value, f"{called}, {key}") for key, value in _leaves(read_toml(path, called=called), ())}


def parse_dimension(text: str, *, where: str) -> Dimension:
    """Reads a range such as ``log:1e-4:1e-2`` or ``choice:a,b,c``.

    Raises:
        UsageError: It is none.
    """
    kind, _, rest = text.partition(":")
    if kind == "choice":
        return _choices(_split(rest), where)
    if kind not in _RANGES:
        guess = nearest(kind, (*_RANGES, "choice"))
        hint = f"did you mean {guess!r}? " if guess else ""
        raise UsageError(f"{where}: there is no kind of range {kind!r}", hint=hint + _FORM)
    return _range(kind, rest, where)


def setting(value: Any) -> str:
    """Returns a value that Optuna chose as the text that follows ``--set KEY=``."""
    return value if isinstance(value, str) else repr(value)


def plain_setting(value: Any) -> Any:
    """Returns a value that Optuna chose as the plain data that it stands for."""
    return parse_value(value) if isinstance(value, str) else value


def _range(kind: str, rest: str, where: str) -> Range:
    integer, log = _RANGES[kind]
    parts = rest.split(":")
    if len(parts) not in (2, 3) or (log and len(parts) == 3):
        raise UsageError(
            f"{where}: a range is {kind}:LOW:HIGH{'' if log else ' or ' + kind + ':LOW:HIGH:STEP'}", hint=_FORM
        )
    low, high, *step = (_number(part, integer, where) for part in parts)
    if low >= high:
        raise UsageError(f"{where}: the lower bound {parts[0]} is not below the upper bound {parts[1]}")
    if log and low <= 0:
        raise UsageError(f"{where}: a logarithmic range begins above 0")
    if step and not 0 < step[0] <= high - low:
        raise UsageError(f"{where}: the step {parts[2]} is not within the range")
    return Range(low, high, integer, log, step[0] if step else None)


def _number(text: str, integer: bool, where: str) -> float:
    try:
        value = float(int(text)) if integer else float(text)
    except ValueError:
        raise UsageError(f"{where}: {text!r} is no {'whole ' if integer else ''}number", hint=_FORM) from None
    if not math.isfinite(value):
        raise UsageError(f"{where}: {text!r} is no finite number", hint=_FORM)
    return value


def _choices(values: Sequence[str], where: str) -> Choices:
    if len(values) < 2 or not all(values):
        raise UsageError(f"{where}: a choice needs two values or more, with commas between them", hint=_FORM)
    if len(set(values)) < len(values):
        raise UsageError(f"{where}: a value stands twice in the choice")
    return Choices(tuple(values))


def _split(text: str) -> list[str]:
    """Splits at the commas that are within no brackets, so that ``[64,64],[128]`` is two values."""
    parts, depth, start = [], 0, 0
    for index, letter in enumerate(text):
        depth += (letter in "[{") - (letter in "]}")
        if letter == "," and depth == 0:
            parts.append(text[start:index].strip())
            start = index + 1
    return [*parts, text[start:].strip()]


def _from_file(value: Any, where: str) -> Dimension:
    if isinstance(value, list):
        return _choices([item if isinstance(item, str) else format_value(item) for item in value], where)
    if isinstance(value, str):
        return parse_dimension(value, where=where)
    raise UsageError(f"{where}: {value!r} is no range", hint='a range is a text such as "log:1e-4:1e-2", or an array')


def _leaves(tree: Mapping[str, Any], path: tuple[str, ...]) -> Iterator[tuple[str, Any]]:
    for key, value in tree.items():
        if isinstance(value, Mapping):
            yield from _leaves(value, (*path, key))
        elif path or "." not in key:
            yield format_path((*path, key)), value
        else:
            yield _key(key, key), value


def _key(text: str, where: str) -> str:
    try:
        return format_path(parse_path(text.strip()))
    except ValueError:
        raise UsageError(f"{where} does not begin with a setting's name", hint=_FORM) from None
