"""What is shipped, what it needs, and what the pins say."""

import ast
import re
import subprocess
import sys
import tarfile
import tomllib
import zipfile
from collections.abc import Iterator
from configparser import ConfigParser
from email.parser import Parser
from importlib.metadata import PackageNotFoundError, distribution, packages_distributions
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).parent.parent
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
PACKAGES = [
    ROOT / folder
    for folder in tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["hatch"]["build"]["targets"]["wheel"][
        "packages"
    ]
]
EXTRAS: dict[str, list[str]] = PROJECT["optional-dependencies"]
RESOURCES = (".toml", ".txt", ".typed")


def build(target: str, source: Path, folder: Path) -> Path:
    """Builds with the backend that pip would call, without a network."""
    subprocess.run(
        [sys.executable, "-m", "hatchling", "build", "-t", target, "-d", folder],
        cwd=source,
        check=True,
        capture_output=True,
        timeout=120,
    )
    (built,) = folder.iterdir()
    return built


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> zipfile.ZipFile:
    return zipfile.ZipFile(build("wheel", ROOT, tmp_path_factory.mktemp("wheel")))


@pytest.fixture(scope="module")
def sdist(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The unpacked source distribution."""
    folder = tmp_path_factory.mktemp("sdist")
    with tarfile.open(build("sdist", ROOT, folder)) as archive:
        archive.extractall(folder / "unpacked", filter="data")
    (unpacked,) = (folder / "unpacked").iterdir()
    return unpacked


def shipped(wheel: zipfile.ZipFile) -> set[str]:
    return {name for name in wheel.namelist() if ".dist-info/" not in name}


def files_of(package: Path) -> Iterator[str]:
    for path in package.rglob("*"):
        if path.is_file() and "__pycache__" not in path.parts:
            yield str(path.relative_to(package.parent))


def test_the_wheel_holds_every_file_of_every_package_and_no_other(wheel: zipfile.ZipFile) -> None:
    assert shipped(wheel) == {name for package in PACKAGES for name in files_of(package)}


def test_the_wheel_holds_what_is_no_python_file(wheel: zipfile.ZipFile) -> None:
    resources = {name for name in shipped(wheel) if name.endswith(RESOURCES)}
    assert "advdl/py.typed" in resources
    assert "advdl/plugin/templates/plugin.py.txt" in resources
    assert "advdl_dqn/recipes/dqn/CartPole-v1.toml" in resources
    assert {name for name in shipped(wheel) if not name.endswith(".py")} == resources


def test_the_wheel_has_its_entry_points_and_its_licence(wheel: zipfile.ZipFile) -> None:
    info = next(name.split("/")[0] for name in wheel.namelist() if ".dist-info/" in name)
    points = ConfigParser(delimiters="=")
    points.optionxform = str  # type: ignore[assignment,method-assign]
    points.read_string(wheel.read(f"{info}/entry_points.txt").decode())
    assert dict(points["console_scripts"]) == PROJECT["scripts"]
    assert dict(points["advdl"]) == PROJECT["entry-points"]["advdl"]
    assert wheel.read(f"{info}/licenses/LICENSE").startswith(b"MIT License")
    metadata = Parser().parsestr(wheel.read(f"{info}/METADATA").decode())
    assert metadata["License-Expression"] == "MIT"
    assert set(metadata.get_all("Provides-Extra", [])) == set(EXTRAS)


def test_the_sdist_builds_the_same_wheel(sdist: Path, wheel: zipfile.ZipFile, tmp_path: Path) -> None:
    again = zipfile.ZipFile(build("wheel", sdist, tmp_path))
    assert {name: again.getinfo(name).CRC for name in again.namelist()} == {
        name: wheel.getinfo(name).CRC for name in wheel.namelist()
    }


def test_the_sdist_can_be_tested(sdist: Path) -> None:
    for name in (".ci/run", "README.md", "CHANGELOG.md", "CONTRIBUTING.md", "LICENSE", "constraints.txt", "docs"):
        assert (sdist / name).exists(), name
    tests = {str(path.relative_to(ROOT)) for path in (ROOT / "tests").rglob("*") if path.is_file()}
    tests = {name for name in tests if "__pycache__" not in name and ".pytest_cache" not in name}
    assert "tests/training/data/.gitattributes" in tests
    assert {name for name in tests if not (sdist / name).is_file()} == set()


def direct(*extras: str) -> set[str]:
    """Returns the names of the distributions that advdl and its extras ask for themselves."""
    lines = [*PROJECT["dependencies"], *(line for extra in extras for line in EXTRAS[extra])]
    return {canonicalize_name(Requirement(line).name) for line in lines}


def closure(*extras: str) -> set[str]:
    """Returns the names of all distributions that advdl and its extras bring here, those not installed too."""
    found: set[tuple[str, str]] = set()
    lines = [*PROJECT["dependencies"], *(line for extra in extras for line in EXTRAS[extra])]
    queue = [Requirement(line) for line in lines]
    while queue:
        requirement = queue.pop()
        name = canonicalize_name(requirement.name)
        for extra in {"", *requirement.extras}:
            if (name, extra) not in found:
                found.add((name, extra))
                queue += needs(name, extra)
    return {name for name, _ in found} - {"advdl"}


def needs(name: str, extra: str) -> list[Requirement]:
    if name == "advdl":
        return [Requirement(line) for line in EXTRAS.get(extra, [])]
    try:
        lines = distribution(name).requires or []
    except PackageNotFoundError:
        return []
    wanted = [Requirement(line) for line in lines]
    return [each for each in wanted if each.marker is None or each.marker.evaluate({"extra": extra})]


def imported(folders: list[Path]) -> dict[str, str]:
    """Returns the top-level modules that the files import, each with one file that does."""
    found: dict[str, str] = {}
    for path in (path for folder in folders for path in folder.rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
            names += [node.module or ""] if isinstance(node, ast.ImportFrom) else []
            found |= {name.split(".")[0]: str(path.relative_to(ROOT)) for name in names}
    own = {path.stem for path in (ROOT / "tests").rglob("*.py")} | {package.name for package in PACKAGES}
    return {name: path for name, path in found.items() if name not in sys.stdlib_module_names | own}


def unmet(modules: dict[str, str], allowed: set[str]) -> dict[str, str]:
    owners = packages_distributions()
    return {
        module: path
        for module, path in modules.items()
        if not {canonicalize_name(owner) for owner in owners.get(module, [module])} & allowed
    }


def test_what_the_code_imports_is_asked_for() -> None:
    assert unmet(imported(PACKAGES), direct(*EXTRAS)) == {}


def test_what_the_tests_import_comes_with_the_test_extra() -> None:
    modules = imported([ROOT / "tests"])
    assert {"pytest", "numpy", "tensorflow", "packaging"} <= set(modules)
    assert unmet(modules, closure("test")) == {}


def pins() -> dict[str, str]:
    lines = (ROOT / "constraints.txt").read_text().splitlines()
    found = [line for line in lines if line and not line.startswith("#")]
    assert [line for line in found if not re.fullmatch(r"[a-z0-9-]+==[0-9][0-9a-z.]*", line)] == []
    return dict(line.split("==") for line in found)


def test_everything_that_is_brought_is_pinned() -> None:
    left_to_torch = {name for name in closure("test", "sb3", "video") if re.match("(nvidia|cuda|triton)", name)}
    assert closure("test", "sb3", "video") - left_to_torch - set(pins()) == set()
    assert list(pins()) == sorted(pins())


def test_the_pins_are_what_the_project_allows() -> None:
    lines = [*PROJECT["dependencies"], *(line for extra in EXTRAS.values() for line in extra)]
    wanted = [requirement for requirement in map(Requirement, lines) if requirement.name != "advdl"]
    refused = [str(each) for each in wanted if not each.specifier.contains(pins()[canonicalize_name(each.name)])]
    assert refused == []
