"""TOML in and out: files, single values and dotted keys, each failure in one sentence."""

import datetime
import json
import re
import tomllib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from advdl.errors import UsageError
from advdl.plugin.options import plain

KeyPath = tuple[str, ...]
"""A setting's place in the tree: ``("agent", "gamma")``."""

_BARE_KEY = re.compile(r"[A-Za-z0-9_-]+")
# Numbers that people write and TOML does not know: ".5" and "5.".
_LOOSE_NUMBER = re.compile(r"[+-]?(\d+\.|\.\d+)([eE][+-]?\d+)?")


def read_toml(path: Path, *, called: str) -> dict[str, Any]:
    """Reads a TOML file.

    Args:
        path: The file.
        called: What the user knows it as, such as ``"config file fast.toml"``.

    Raises:
        UsageError: It does not exist, cannot be read or is not TOML; then the sentence has the line.
    """
    try:
        return parse_toml(path.read_bytes())
    except FileNotFoundError:
        raise UsageError(f"{called} does not exist", hint=f"looked for {path.absolute()}") from None
    except OSError as error:
        raise UsageError(f"{called} cannot be read: {error.strerror}") from error
    except ValueError as error:
        raise UsageError(f"{called} is not TOML: {error}", hint="see https://toml.io for the format") from error


def parse_toml(content: bytes) -> dict[str, Any]:
    """Parses TOML.

    Raises:
        ValueError: It is not TOML; the message says at which line and column.
    """
    try:
        return tomllib.loads(content.decode())
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        raise ValueError(f"it is not UTF-8 text (at line {line})") from error
    except RecursionError:
        raise ValueError("it is nested too deeply") from None


def write_toml(data: Mapping[str, Any]) -> str:
    """Writes plain data as TOML. A None is left out, since TOML has none."""
    import tomli_w

    return tomli_w.dumps(_without_none(data))


def parse_value(text: str) -> Any:
    """Reads what stands behind ``--set a.b=`` or in a variable: a TOML value, or else the text itself."""
    try:
        parsed = tomllib.loads(f"value = {text}")
    except (ValueError, RecursionError):
        return float(text) if _LOOSE_NUMBER.fullmatch(text) else text
    value = parsed.pop("value")
    is_date = isinstance(value, datetime.date | datetime.time)
    return text if parsed or is_date else value


def parse_path(text: str) -> KeyPath:
    """Reads a dotted key such as ``agent.gamma``.

    Raises:
        ValueError: It is not one.
    """
    node: Any = tomllib.loads(f"{text} = 0")
    path: list[str] = []
    while isinstance(node, dict):
        if len(node) != 1:
            raise ValueError(f"{text!r} is not one key")
        key = next(iter(node))
        path.append(key)
        node = node[key]
    return tuple(path)


def format_path(path: Sequence[str]) -> str:
    """Writes a path as a dotted key, with quotes where TOML needs them."""
    return ".".join(key if _BARE_KEY.fullmatch(key) else json.dumps(key) for key in path)


def format_value(value: Any) -> str:
    """Writes a value on one line, as it would follow ``--set a.b=``."""
    if value is None:
        return "none"
    if isinstance(value, list | tuple):
        return f"[{', '.join(format_value(item) for item in value)}]"
    if isinstance(value, Mapping):
        pairs = (f"{format_path([key])} = {format_value(item)}" for key, item in value.items())
        return f"{{{', '.join(pairs)}}}"
    return write_toml({"v": value}).partition("=")[2].strip()


def _without_none(data: Mapping[str, Any]) -> dict[str, Any]:
    return {
        key: _without_none(value) if isinstance(value, Mapping) else plain(value)
        for key, value in data.items()
        if value is not None
    }
