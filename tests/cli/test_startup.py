"""Help and listings start fast: nothing heavy is imported for them."""

import json
import subprocess
import sys
from typing import Any

import pytest

from advdl.cli.lazy import NOUNS

HEAVY = ("tensorflow", "keras", "torch", "numpy", "gymnasium", "pandas", "matplotlib")

RUN = """
import contextlib, io, json, sys
from advdl.cli.app import main
out = io.StringIO()
with contextlib.redirect_stdout(out):
    code = main({words!r})
heavy = [name for name in {heavy!r} if name in sys.modules]
print(json.dumps({{"code": code, "out": out.getvalue(), "heavy": heavy}}))
"""

WALK = """
import contextlib, io, json, sys
from advdl.cli.app import main
from advdl.cli.lazy import NOUNS, load_noun
seen = []
for noun in NOUNS:
    verbs = getattr(load_noun(noun), "commands", {{}})
    for words in [[noun.name], *([noun.name, verb] for verb in verbs)]:
        with contextlib.redirect_stdout(io.StringIO()) as out:
            assert main([*words, "--help"]) == 0, words
        assert out.getvalue().startswith("Usage: advdl " + " ".join(words)), words
        seen.append(words)
print(json.dumps({{"seen": seen, "heavy": [m for m in {heavy!r} if m in sys.modules]}}))
"""


def run(code: str, **values: Any) -> dict[str, Any]:
    done = subprocess.run(
        [sys.executable, "-c", code.format(heavy=HEAVY, **values)],
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""
    result: dict[str, Any] = json.loads(done.stdout)
    return result


@pytest.mark.parametrize("words", [["--help"], ["--version"], ["plugins", "list"], ["plugins", "list", "--json"]])
def test_nothing_heavy_is_imported(words: list[str]) -> None:
    result = run(RUN, words=words)
    assert result["code"] == 0
    assert result["out"]
    assert result["heavy"] == []


def test_the_help_of_every_noun_and_verb_is_light() -> None:
    result = run(WALK)
    assert [words for words in result["seen"] if len(words) == 1] == [[noun.name] for noun in NOUNS]
    assert ["agent", "train"] in result["seen"]
    assert result["heavy"] == []


def test_the_root_knows_every_nouns_own_help_line() -> None:
    from advdl.cli.lazy import load_noun

    help_text = run(RUN, words=["--help"])["out"]
    for noun in NOUNS:
        assert f"{noun.name} " in help_text
        assert noun.help in help_text
        assert load_noun(noun).help


def test_completion_offers_the_commands_without_importing_them() -> None:
    environment = {"_ADVDL_COMPLETE": "complete_bash", "COMP_WORDS": "advdl ru", "COMP_CWORD": "1"}
    code = f"import os; os.environ.update({environment!r})\nfrom advdl.cli.app import main\nmain([])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60)
    assert done.stdout.strip() == "runs"
