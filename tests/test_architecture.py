"""Tests about the project: who imports whom, what is shipped, what is tested."""

import ast
import inspect
import subprocess
import sys
import tomllib
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

from advdl.plugin.hookspecs import PluginHooks, RunHooks

ROOT = Path(__file__).parent.parent
PLATFORM = ROOT / "platform/advdl"
PACKAGES = sorted(path.parent for folder in ("plugins", "envs") for path in ROOT.glob(f"{folder}/*/__init__.py"))
SOURCES = sorted(path for folder in (PLATFORM, *PACKAGES) for path in folder.rglob("*.py"))
ROOMS = ("plugin", "training", "rl", "testing", "experiment", "cli")  # the lowest first
HEAVY = {"tensorflow", "keras", "torch", "numpy", "gymnasium", "pandas", "matplotlib", "tensorboard"}
HOOKS = [
    (name, function)
    for spec in (PluginHooks, RunHooks)
    for name, function in vars(spec).items()
    if name.startswith("advdl_")
]


def imports_of(path: Path) -> Iterator[str]:
    """Yields every module that a file imports, inside functions too, as a full dotted name."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: relative import"
            yield node.module or ""
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def rank(module: str) -> int:
    """Says how high a module of advdl's is; what lies in no room, such as errors, is below all."""
    parts = module.split(".")
    if module == "advdl.__main__":
        return len(ROOMS)
    return ROOMS.index(parts[1]) + 1 if len(parts) > 1 and parts[1] in ROOMS else 0


def name_of(path: Path) -> str:
    return ".".join(("advdl", *path.relative_to(PLATFORM).with_suffix("").parts))


def upward(path: Path) -> list[str]:
    own = rank(name_of(path))
    return [name for name in imports_of(path) if name.split(".")[0] == "advdl" and rank(name) > own]


def test_the_walker_sees_an_upward_import(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(globals(), "PLATFORM", tmp_path)
    (tmp_path / "plugin").mkdir()
    for text in (
        "import advdl.rl.agent",
        "def f():\n    from advdl.training import Trainer",
        "from advdl import cli",
    ):
        (tmp_path / "plugin/bad.py").write_text(text)
        assert upward(tmp_path / "plugin/bad.py")
    (tmp_path / "plugin/bad.py").write_text("from advdl.errors import UsageError\nimport advdl.plugin.host")
    assert upward(tmp_path / "plugin/bad.py") == []


def test_imports_only_go_downwards() -> None:
    found = {name_of(path): upward(path) for path in SOURCES if path.is_relative_to(PLATFORM)}
    assert len(found) > 20
    assert {name: names for name, names in found.items() if names} == {}


def test_the_platform_imports_no_plugin() -> None:
    for path in SOURCES:
        if path.is_relative_to(PLATFORM):
            assert [name for name in imports_of(path) if name.startswith("advdl_")] == [], path


def test_plugins_import_neither_each_other_nor_what_is_above_them() -> None:
    for path in SOURCES:
        if path.is_relative_to(PLATFORM):
            continue
        own = path.relative_to(ROOT).parts[1]
        for name in imports_of(path):
            top = name.split(".")[0]
            assert not (top.startswith("advdl_") and top != own), f"{path} imports {name}"
            assert not (top == "advdl" and rank(name) >= rank("advdl.experiment")), f"{path} imports {name}"


def light_modules() -> list[str]:
    rooms = ("plugin", "cli")
    own = [name_of(path) for path in SOURCES if path.is_relative_to(PLATFORM) and path.parent.name in rooms]
    points = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["entry-points"]["advdl"]
    return ["advdl.errors", *own, *points.values()]


@pytest.mark.parametrize("module", light_modules())
def test_light_modules_import_nothing_heavy(module: str) -> None:
    code = f"import sys, {module}; print(*sorted({HEAVY!r} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == ""


def test_every_package_is_shipped() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())
    shipped = project["tool"]["hatch"]["build"]["targets"]["wheel"]["packages"]
    there = [str(folder.relative_to(ROOT)) for folder in (PLATFORM, *PACKAGES)]
    assert sorted(shipped) == sorted(there)


def test_every_plugin_has_its_entry_point() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())
    points = project["project"]["entry-points"]["advdl"]
    there = {f"{folder.name.removeprefix('advdl_')}": f"{folder.name}.plugin" for folder in PACKAGES}
    assert points == there


def test_rooms_are_no_packages() -> None:
    """`platform/__init__.py` would shadow the standard library's module and break Python at start-up."""
    rooms = ("platform", "plugins", "envs", "tests")
    assert [room for room in rooms if (ROOT / room / "__init__.py").exists()] == []


@pytest.mark.parametrize(("name", "function"), HOOKS)
def test_every_hook_is_documented_typed_and_tested(name: str, function: object) -> None:
    assert inspect.getdoc(function)
    assert callable(function)
    parameters = list(inspect.signature(function).parameters.values())[1:]
    assert all(parameter.annotation is not parameter.empty for parameter in parameters)
    tests = [path for path in (ROOT / "tests").rglob("test_*.py") if path != Path(__file__)]
    assert any(f"def {name}(" in path.read_text(encoding="utf-8") for path in tests), f"no test implements {name}"


def test_no_source_file_is_too_long() -> None:
    lengths = {str(path.relative_to(ROOT)): len(path.read_text(encoding="utf-8").splitlines()) for path in SOURCES}
    assert {path: length for path, length in lengths.items() if length > 600} == {}


def test_test_files_have_names_of_their_own() -> None:
    counts = Counter(path.name for path in (ROOT / "tests").rglob("*.py") if path.name != "conftest.py")
    assert [name for name, count in counts.items() if count > 1] == []
