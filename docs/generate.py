"""Writes the generated parts of the docs: ``python docs/generate.py``; ``--check`` only says whether they are stale.

A generated part stands between ``<!-- generated: NAME -->`` and ``<!-- end -->``.
"""

import ast
import contextlib
import io
import os
import re
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

DOCS = Path(__file__).parent
PART = re.compile(r"(?<=<!-- generated: )(\w+)( -->\n).*?(?=<!-- end -->)", re.DOTALL)


def keys() -> str:
    """Every key of each kind of experiment, as ``advdl config keys`` knows it."""
    from advdl.cli.config_report import keys_data
    from advdl.experiment.schema import FAMILIES
    from advdl.plugin.host import PluginHost

    host = PluginHost.from_environment
    return "\n".join(f"### Family `{name}`\n\n{key_table(keys_data(host, None, name))}" for name in FAMILIES)


def components() -> str:
    """The options of every component that advdl itself brings."""
    from advdl.plugin.component import KINDS
    from advdl.plugin.host import PluginHost
    from advdl.plugin.options import Option
    from advdl.training.backend import start_tensorflow

    start_tensorflow()
    host = PluginHost.from_environment()
    own = [component for record in host.plugins if record.distribution == "advdl" for component in record.components]

    def entry(option: Option) -> dict[str, Any]:
        names = ("default", "required", "constraint")
        facts = {"key": option.name, "type": option.type_name, "description": option.doc}
        return facts | {name: getattr(option, name) for name in names}

    def part(kind: str, name: str, summary: str) -> str:
        options = [entry(option) for option in host.options(kind, name)]
        table = key_table(options) if options else "It has no options.\n"
        return f"### {kind} `{name}`\n\n{summary[:1].upper()}{summary[1:]}.\n\n{table}"

    order = {kind: index for index, kind in enumerate(KINDS)}
    own.sort(key=lambda component: order[component.kind])
    return "\n".join(part(component.kind, component.name, component.summary) for component in own)


def clauses() -> str:
    """The clauses of every kind's contract, as the conformance kit has them."""
    from advdl.plugin.component import KINDS

    modules = {kind.name: kind.check.rpartition("check_")[2] for kind in KINDS.values()} | {"source": "source"}
    return "\n".join(f"### {name}\n\n{clause_list(module)}" for name, module in modules.items())


def clause_list(module: str) -> str:
    """Lists the clauses that a module of the conformance kit checks, those that it shares with others too."""
    found = dict.fromkeys(clause for name in (module, *SHARED_CLAUSES.get(module, ())) for clause in clauses_in(name))
    return "".join(f"- {clause}\n" for clause in found)


SHARED_CLAUSES = {
    "agent": ("learner_parts",),
    "backbone": ("keras_parts",),
    "dynamics": ("learner_parts",),
    "env": ("twin",),
    "layer": ("keras_parts",),
    "learner": ("learner_parts",),
}


def clauses_in(module: str) -> Iterator[str]:
    """Yields the clauses that stand in a module's source, in their order."""
    from advdl.plugin.component import __file__ as inside

    source = Path(inside).parents[1] / "testing" / f"{module}.py"
    found = []
    for node in ast.walk(ast.parse(source.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Call):
            called = getattr(node.func, "attr", getattr(node.func, "id", ""))
            if called in CLAUSE_ARGUMENT and len(node.args) > CLAUSE_ARGUMENT[called]:
                found.append(node.args[CLAUSE_ARGUMENT[called]])
        elif isinstance(node, ast.Assign) and getattr(node.targets[0], "id", "") in CLAUSE_NAMES:
            found.append(node.value)
    found.sort(key=lambda node: (node.lineno, node.col_offset))
    yield from (text for node in found for text in clause_text(node))


CLAUSE_ARGUMENT = {"clause": 0, "broken": 0, "require": 1, "_require": 1, "ContractError": 1, "_fail": 0}
CLAUSE_NAMES = ("clause", "_REFUSAL", "_FIGURES", "_NUMBERS")


def clause_text(node: ast.expr) -> Iterator[str]:
    """Yields a clause's text; what is filled in when it is broken is an ellipsis."""
    if isinstance(node, ast.Constant) and isinstance(node.value, str):
        yield node.value
    elif isinstance(node, ast.IfExp):
        yield from (*clause_text(node.body), *clause_text(node.orelse))
    elif isinstance(node, ast.JoinedStr):
        parts = [str(part.value) if isinstance(part, ast.Constant) else "..." for part in node.values]
        yield "".join(parts)


def commands() -> str:
    """The help of every command of advdl's own."""
    from advdl.cli.lazy import NOUNS, load_noun

    words = [[noun.name, *verb] for noun in NOUNS for verb in verbs(load_noun(noun))]
    return "\n".join(f"## advdl {' '.join(each)}\n\n```text\n{help_of(each)}```\n" for each in words)


def verbs(command: Any) -> Iterator[list[str]]:
    """Yields what may follow a noun: its verbs, or nothing where the noun is a command."""
    yield from [[name] for name in getattr(command, "commands", {})] or [[]]


def help_of(words: Sequence[str]) -> str:
    """Returns what ``--help`` prints."""
    from advdl.cli.app import main

    with contextlib.redirect_stdout(io.StringIO()) as out:
        if main([*words, "--help"]) != 0:
            raise RuntimeError(f"advdl {' '.join(words)} --help failed")
    return re.sub(r" +$", "", out.getvalue(), flags=re.MULTILINE).rstrip() + "\n"


def key_table(entries: Iterable[Mapping[str, Any]]) -> str:
    """Lays keys out as a table in Markdown."""
    from advdl.experiment.toml import format_value
    from advdl.plugin.options import plain

    rows = ["| key | default | takes | what it is |", "|---|---|---|---|"]
    for entry in entries:
        default = "" if entry["default"] is None else f"`{format_value(plain(entry['default']))}`"
        takes = f"{entry['type']} {entry['constraint']}".strip()
        cells = (f"`{entry['key']}`", "required" if entry["required"] else default, takes, entry["description"])
        rows.append("| " + " | ".join(cell.replace("|", "\\|").rstrip(".") for cell in cells) + " |")
    return "\n".join(rows) + "\n"


PARTS: Mapping[str, Callable[[], str]] = {
    "clauses": clauses,
    "keys": keys,
    "components": components,
    "commands": commands,
}


def renewed(text: str) -> str:
    """Returns a page with its generated parts written anew."""
    return PART.sub(lambda found: f"{found[1]}{found[2]}\n{PARTS[found[1]]()}\n", text)


def main(arguments: Sequence[str]) -> int:
    """Writes the pages that are stale, or with ``--check`` names them and returns 1."""
    os.environ.update(COLUMNS="80", NO_COLOR="1")
    stale = []
    for page in sorted(DOCS.glob("*.md")):
        text = page.read_text(encoding="utf-8")
        if (new := renewed(text)) != text:
            stale.append(page.name)
            if "--check" not in arguments:
                page.write_text(new, encoding="utf-8")
    print("\n".join(f"docs/{name} is stale: python docs/generate.py" for name in stale), end="\n" if stale else "")
    return 1 if stale and "--check" in arguments else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
