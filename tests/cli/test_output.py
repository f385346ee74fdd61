import json
import math
from dataclasses import dataclass
from pathlib import Path

import pytest

from advdl.cli.output import emit, style, table, to_json

ROWS = [
    ["advdl/MountainCarContinuous-v0", 1.23456789, "a long sentence that goes on and on " * 3],
    ["b", None, True],
]


def test_a_table_fits_and_loses_nothing() -> None:
    text = table(["name", "value", "what"], ROWS, width=80)
    assert max(map(len, text.splitlines())) <= 80
    assert text.split().count("sentence") == 3
    assert "advdl/MountainCarContinuous-v0" in text
    assert "1.23457" in text
    last = text.splitlines()[-1].split()
    assert last == ["b", "-", "yes"]


@pytest.mark.parametrize("width", [20, 40, 200])
def test_a_table_fits_any_width_it_can(width: int) -> None:
    text = table(["name", "value", "what"], ROWS, width=width)
    assert max(map(len, text.splitlines())) <= max(width, 3 * 8 + 4)


def test_columns_line_up() -> None:
    lines = table(["a", "b"], [["xx", "1"], ["y", "2"]], width=80).splitlines()
    assert lines == ["a   b", "xx  1", "y   2"]


def test_json_is_strict() -> None:
    @dataclass
    class Thing:
        path: Path
        value: float

    data = {"thing": Thing(Path("a/b"), math.nan), "list": (1, math.inf, None), "text": "é"}
    assert json.loads(to_json(data)) == {
        "thing": {"path": "a/b", "value": None},
        "list": [1, None, None],
        "text": "é",
    }


def test_numpy_scalars_are_numbers() -> None:
    import numpy as np

    assert json.loads(to_json([np.float32(0.5), np.int64(3), np.bool_(True)])) == [0.5, 3, True]


def test_emit_makes_the_table_only_when_it_is_wanted(capsys: pytest.CaptureFixture[str]) -> None:
    emit([1], json=True, table=lambda: pytest.fail("not wanted"))
    emit([1], json=False, table=lambda: "a table")
    assert capsys.readouterr().out == "[\n  1\n]\na table\n"


class Terminal:
    def isatty(self) -> bool:
        return True


def test_colour_is_for_terminals_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("NO_COLOR", raising=False)
    monkeypatch.setenv("TERM", "xterm")
    assert style("x", "red") == "x"  # pytest's stdout is none
    assert style("x", "red", stream=Terminal()) == "\x1b[31mx\x1b[0m"  # type: ignore[arg-type]
    monkeypatch.setenv("NO_COLOR", "1")
    assert style("x", "red", stream=Terminal()) == "x"  # type: ignore[arg-type]
