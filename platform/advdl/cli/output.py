"""What commands print: data on standard output, as a table for people or as JSON for programs."""

import dataclasses
import json as json_module
import math
import os
import shutil
import sys
import textwrap
from collections.abc import Callable, Mapping, Sequence
from typing import Any, TextIO

_CODES = {"bold": "1", "dim": "2", "red": "31", "green": "32", "yellow": "33"}
_GAP = "  "
_NARROWEST = 8
_NARROWEST_TEXT = 24


def emit(data: Any, *, json: bool, table: str | Callable[[], str]) -> None:
    """Prints a result.

    Args:
        data: The result as plain data, for ``--json``.
        json: Whether the user asked for JSON.
        table: The result as text, or a function that makes it.
    """
    print(to_json(data) if json else (table() if callable(table) else table))


def to_json(data: Any) -> str:
    """Returns strict JSON: NaN and infinities become null, paths text, dataclasses objects."""
    return json_module.dumps(_plain(data), indent=2, ensure_ascii=False, allow_nan=False)


def table(
    columns: Sequence[str],
    rows: Sequence[Sequence[Any]],
    *,
    styles: Sequence[str] | None = None,
    width: int | None = None,
) -> str:
    """Lays out a table; cells wrap, widest column first, so that it fits the terminal or 80 columns.

    Args:
        columns: The headings.
        rows: A cell a column each.
        styles: ``bold``, ``dim``, ``red``, ``green``, ``yellow`` or ``""`` for each row.
        width: The width to fit, or None for the terminal's.
    """
    texts = [[_cell(cell) for cell in row] for row in rows]
    widths = _fit([columns, *texts], width or shutil.get_terminal_size((80, 24)).columns)
    lines = _lay_out(columns, widths, "bold")
    for row, style in zip(texts, styles or [""] * len(texts), strict=True):
        lines += _lay_out(row, widths, style)
    return "\n".join(lines)


def style(text: str, name: str, *, stream: TextIO | None = None) -> str:
    """Colours text for a terminal; leaves it as it is for a pipe, a dumb terminal or ``NO_COLOR``."""
    code = _CODES.get(name)
    if not code or not text or not _takes_colour(stream or sys.stdout):
        return text
    return f"\x1b[{code}m{text}\x1b[0m"


def warn(text: str) -> None:
    """Prints a warning to standard error."""
    print(f"{style('warning:', 'yellow', stream=sys.stderr)} {text}", file=sys.stderr)


def _takes_colour(stream: TextIO) -> bool:
    if os.environ.get("NO_COLOR") or os.environ.get("TERM") == "dumb":
        return False
    return stream.isatty()


def _cell(value: Any) -> str:
    if value is None:
        return "-"
    if isinstance(value, float):
        return f"{value:.6g}"
    return ("yes" if value else "no") if isinstance(value, bool) else str(value)


def _fit(rows: Sequence[Sequence[str]], width: int) -> list[int]:
    widths = [max(len(line) for row in rows for line in row[i].split("\n")) for i in range(len(rows[0]))]
    room = width - len(_GAP) * (len(widths) - 1)
    widths[-1] = max(room - sum(widths[:-1]), min(widths[-1], _NARROWEST_TEXT))  # names are not broken if text is
    while sum(widths) > room and max(widths) > _NARROWEST:
        widths[widths.index(max(widths))] -= 1
    return widths


def _lay_out(row: Sequence[str], widths: Sequence[int], style_name: str) -> list[str]:
    cells = [
        [line for part in text.split("\n") for line in textwrap.wrap(part, width, break_on_hyphens=False) or [""]]
        for text, width in zip(row, widths, strict=True)
    ]
    height = max(len(cell) for cell in cells)
    padded = [cell + [""] * (height - len(cell)) for cell in cells]
    lines = [
        _GAP.join(part.ljust(width) for part, width in zip(parts, widths, strict=True)).rstrip()
        for parts in zip(*padded, strict=True)
    ]
    return [style(line, style_name) for line in lines]


def _plain(value: Any) -> Any:
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {field.name: _plain(getattr(value, field.name)) for field in dataclasses.fields(value)}
    if isinstance(value, Mapping):
        return {str(key): _plain(inner) for key, inner in value.items()}
    if isinstance(value, list | tuple | set | frozenset):
        return [_plain(inner) for inner in value]
    if hasattr(value, "item") and callable(value.item):  # a numpy scalar
        value = value.item()
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value if value is None or isinstance(value, bool | int | float | str) else str(value)
