"""Every clause of every contract stands in the docs, and is broken by a test; what is broken leads to the page."""

import importlib.util
import re
from pathlib import Path
from typing import Any

import pytest

from advdl.plugin import KINDS
from advdl.testing import ContractError
from advdl.testing.contract import PAGE

ROOT = Path(__file__).parents[2]
TESTS = re.sub(
    r'"\s*\n\s*"', "", "\n".join(path.read_text(encoding="utf-8") for path in ROOT.glob("tests/*/test_*.py"))
)
PARTS_OF_CLAUSES = ("env", "sampler", "data", "tasks", "adapter")  # their tests match a part of the sentence


def clauses(module: str) -> list[str]:
    """Lists a contract's clauses as the docs' generator finds them."""
    spec = importlib.util.spec_from_file_location("docs_generate", ROOT / "docs/generate.py")
    assert spec is not None
    assert spec.loader is not None
    generate: Any = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(generate)
    return [line.removeprefix("- ") for line in generate.clause_list(module).splitlines()]


@pytest.mark.parametrize("kind", [*KINDS, "source"])
def test_the_page_explains_each_clause(kind: str) -> None:
    text = (ROOT / PAGE).read_text(encoding="utf-8")
    section = text.partition(f"\n### {kind}\n")[2].partition("\n#")[0]
    assert len(clauses(kind)) > 4
    assert [clause for clause in clauses(kind) if f"- {clause}\n" not in section] == []
    assert ContractError("it", "it works", "it does not", kind=kind).hint == f"the contract: {PAGE}#{kind}"


@pytest.mark.parametrize("kind", [kind for kind in (*KINDS, "source") if kind not in PARTS_OF_CLAUSES])
def test_each_clause_is_broken_by_a_test(kind: str) -> None:
    assert [clause for clause in clauses(kind) if not is_broken(clause)] == []


def is_broken(clause: str) -> bool:
    """Looks for the whole sentence; where something is filled in, for the rest of it."""
    return all(part in TESTS for part in clause.split("...") if len(part) > 3)
