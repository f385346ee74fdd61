"""The docs are true: commands, links, signatures and tables; and the chapter "Write a plugin" is carried out."""

import ast
import inspect
import re
import shlex
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from doc_blocks import Block, blocks
from fresh_environment import FreshEnvironment

from advdl.errors import ExitCode
from advdl.plugin import KINDS
from advdl.plugin.hookspecs import PluginHooks, RunHooks

ROOT = Path(__file__).parent.parent
CHAPTER = ROOT / "docs/plugins.md"
PAGES = sorted([*ROOT.glob("*.md"), *ROOT.glob("docs/*.md"), ROOT / "tests/README.md"])
TRAIN = "pip install -c constraints.txt . && advdl agent train --env CartPole"
TEST = "pip install -c constraints.txt -e '.[test]' && pytest"


def name_of(page: Path) -> str:
    return str(page.relative_to(ROOT))


def test_the_readme_opens_with_the_two_commands() -> None:
    first = next(blocks(ROOT / "README.md"))
    assert first.commands == [TRAIN, TEST]
    assert first.line < 10


def test_the_readmes_python_works() -> None:
    (block,) = [block for block in blocks(ROOT / "README.md") if block.language == "python"]
    subprocess.run([sys.executable, "-c", f"{block.text}\nenv.reset(seed=0); env.close()"], check=True, timeout=120)


def test_ci_runs_the_second_command_and_nothing_else_tests() -> None:
    lines = (ROOT / ".ci/run").read_text().splitlines()
    assert lines[-1] == TEST, "pip's failure must be the script's: the last command is the one that counts"
    assert "set -euo pipefail" in lines
    assert (ROOT / ".github/workflows/ci.yml").read_text().count("run: ") == 1
    assert "run: bash .ci/run" in (ROOT / ".github/workflows/ci.yml").read_text()


def test_ci_fails_when_pip_fails(tmp_path: Path) -> None:
    """The copy has no constraints.txt, which is the first thing that pip opens."""
    (tmp_path / ".ci").mkdir()
    script = shutil.copy(ROOT / ".ci/run", tmp_path / ".ci/run")
    done = subprocess.run(["bash", script], capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode != 0
    assert "constraints.txt" in done.stderr
    assert "test session starts" not in done.stdout


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_links_lead_somewhere(page: Path) -> None:
    for target in re.findall(r"\]\(([^)\s]+)\)", page.read_text(encoding="utf-8")):
        if "://" in target:
            continue
        path, _, anchor = target.partition("#")
        file = (page.parent / path).resolve() if path else page
        assert file.exists(), f"{name_of(page)} links to {target}"
        if anchor:
            assert anchor in anchors(file), f"{name_of(page)} links to {target}"


def anchors(page: Path) -> set[str]:
    headings = re.findall(r"^#+ (.*)$", page.read_text(encoding="utf-8"), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


def advdl_commands() -> Iterator[tuple[str, list[str]]]:
    """Yields every advdl command in the pages' shell blocks, with where it stands."""
    for page in PAGES:
        for block in blocks(page):
            for line in block.commands if block.language == "sh" else ():
                for part in re.split(r"&&|\|", line):
                    words = shlex.split(part)
                    while words and re.fullmatch(r"[A-Z_]+=\S*", words[0]):
                        words.pop(0)
                    if words and words[0] == "advdl":
                        yield f"{name_of(page)}:{block.line}", words[1:]


def test_every_command_in_the_docs_exists_with_its_options() -> None:
    found = list(advdl_commands())
    assert len(found) > 20
    wrong = [f"{where}: advdl {' '.join(words)}: {fault}" for where, words in found if (fault := fault_in(words))]
    assert wrong == []


def fault_in(words: list[str]) -> str:
    """Looks a command up as the command line would; says what does not exist, or nothing."""
    import typer

    from advdl.cli.app import app

    command: Any = typer.main.get_command(app)
    context = typer.Context(command)
    rest = list(words)
    options = {name for param in command.params for name in param.opts}
    while hasattr(command, "commands") and rest:
        word = rest.pop(0)
        if word in options:
            continue
        child = command.get_command(context, word)
        if child is None:
            return "" if word == "notes" else f"there is no {word!r}"  # the chapter's own command
        command, context = child, typer.Context(child, parent=context)
        options |= {name for param in command.params for name in (*param.opts, *param.secondary_opts)}
    if "--" in rest:  # what stands behind it is another command
        behind = rest[rest.index("--") + 1 :]
        rest = rest[: rest.index("--")]
        if fault := fault_in(behind):
            return fault
    unknown = [word for word in rest if word.startswith("--") and word.partition("=")[0] not in options | {"--help"}]
    return f"no option {unknown[0]}" if unknown else ""


def test_a_wrong_command_would_be_seen() -> None:
    assert fault_in(["agent", "trian"])
    assert fault_in(["agent", "train", "--stps", "3"])
    assert fault_in(["--debug", "agent", "train", "--steps", "3"]) == ""


def test_the_generated_parts_are_fresh() -> None:
    done = subprocess.run(
        [sys.executable, ROOT / "docs/generate.py", "--check"], capture_output=True, text=True, timeout=120
    )
    assert done.returncode == 0, done.stdout + done.stderr


def test_the_exit_codes_are_listed() -> None:
    text = (ROOT / "docs/cli.md").read_text(encoding="utf-8")
    listed = re.findall(r"^\| (\d+) \|", text, re.MULTILINE)
    assert [int(code) for code in listed] == [int(code) for code in ExitCode]


def specified(hooks: type) -> list[str]:
    """Returns the signatures of hook specifications as their source has them, without ``self``."""
    (tree,) = ast.parse(inspect.getsource(hooks)).body
    assert isinstance(tree, ast.ClassDef)
    return [signature(node, skip=1) for node in tree.body if isinstance(node, ast.FunctionDef)]


def signature(function: ast.FunctionDef, skip: int = 0) -> str:
    def written(annotation: ast.expr | None) -> str:
        assert annotation is not None, f"{function.name} has an argument without a type"
        return str(annotation.value) if isinstance(annotation, ast.Constant) else ast.unparse(annotation)

    arguments = [f"{arg.arg}: {written(arg.annotation)}" for arg in function.args.args[skip:]]
    return f"def {function.name}({', '.join(arguments)}) -> {written(function.returns)}"


@pytest.mark.parametrize("hooks", [PluginHooks, RunHooks])
def test_every_hook_is_documented_with_its_true_signature(hooks: type) -> None:
    (block,) = [block for block in blocks(CHAPTER) if block.title == hooks.__name__]
    documented = [signature(node) for node in ast.parse(block.text).body if isinstance(node, ast.FunctionDef)]
    assert documented == specified(hooks)
    text = CHAPTER.read_text(encoding="utf-8")
    for name in re.findall(r"def (\w+)", block.text):
        assert f"- `{name}`: " in text, f"{name} is not explained"


def test_every_kind_is_listed_with_its_contract() -> None:
    text = CHAPTER.read_text(encoding="utf-8")
    rows = re.findall(r"^\| `(\w+)` \| `[^`]*` \| `([^`]*)` \| `([^`]*)` \|$", text, re.MULTILINE)
    assert rows == [(kind.name, kind.contract, kind.check) for kind in KINDS.values()]


class Reader:
    """Somebody who follows a page in a virtual environment of their own, in which advdl is installed.

    The environment sees this one's packages, so that nothing is downloaded; what the page installs goes into it.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder / "work"
        self.folder.mkdir()
        self._environment = FreshEnvironment(folder / "venv").variables

    def follow(self, page: Path) -> int:
        """Carries out every block; returns how many."""
        output, count = "", 0
        for block in blocks(page):
            if block.title in ("PluginHooks", "RunHooks"):
                continue
            count += 1
            if block.language == "text":
                self._compare(block, output)
            elif block.title:
                self._write(block)
            else:
                output = self._run(block)
        return count

    def _write(self, block: Block) -> None:
        file = self.folder / block.title
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(block.text, encoding="utf-8")

    def _run(self, block: Block) -> str:
        words = ["bash", "-euo", "pipefail", "-c"] if block.language == "sh" else ["python", "-c"]
        done = subprocess.run(
            [*words, block.text],
            cwd=self.folder,
            env=self._environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=300,
        )
        expected = int(block.attributes.get("exit", "0"))
        assert done.returncode == expected, f"line {block.line}: exit {done.returncode}\n{done.stdout}"
        return done.stdout

    def _compare(self, block: Block, output: str) -> None:
        printed = " ".join(output.split())
        for line in block.text.splitlines():
            assert " ".join(line.split()) in printed, f"line {block.line} is not what was printed:\n{output}"


def test_the_chapter_write_a_plugin_can_be_followed(tmp_path: Path) -> None:
    assert Reader(tmp_path).follow(CHAPTER) > 20
