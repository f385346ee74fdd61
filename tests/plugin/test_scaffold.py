import os
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
from plugin_packages import Packages, advdl

from advdl.errors import RunError, UsageError
from advdl.plugin.component import KINDS
from advdl.plugin.contract import CONTRACT
from advdl.plugin.scaffold import kinds, scaffold


def test_every_kind_gives_a_package_whose_test_passes_untouched(packages: Packages, tmp_path: Path) -> None:
    """One run of pytest for all: TensorFlow is imported once."""
    search = [str(packages.folder)]
    for kind in kinds():
        made = scaffold(f"toy-{kind}", kind, tmp_path)
        packages.add_metadata(f"toy-{kind}", {f"toy-{kind}": f"toy_{kind}.plugin"})
        search.append(str(made.folder / "src"))
    search += [entry for entry in os.environ.get("PYTHONPATH", "").split(os.pathsep) if entry]
    done = subprocess.run(
        [
            sys.executable,
            "-m",
            "pytest",
            "-q",
            "--import-mode=importlib",
            "-p",
            "no:cacheprovider",
            str(tmp_path),
        ],
        env=os.environ | {"PYTHONPATH": os.pathsep.join(search)},
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=1200,
    )
    assert done.returncode == 0, done.stdout[-5000:]
    assert f"{len(kinds())} passed" in done.stdout


def test_the_package_is_complete(tmp_path: Path) -> None:
    made = scaffold("my-layers", "layer", tmp_path)
    assert sorted(map(str, made.files)) == [
        ".github/workflows/test.yml",
        ".gitignore",
        "README.md",
        "pyproject.toml",
        "src/my_layers/__init__.py",
        "src/my_layers/layer.py",
        "src/my_layers/plugin.py",
        "src/my_layers/py.typed",
        "tests/test_my_layers.py",
    ]
    assert all((made.folder / file).is_file() for file in made.files)
    project = tomllib.loads((made.folder / "pyproject.toml").read_text())
    assert project["project"]["entry-points"]["advdl"] == {"my-layers": "my_layers.plugin"}
    assert "${{ matrix.python-version }}" in (made.folder / ".github/workflows/test.yml").read_text()
    assert [path.name for path in tmp_path.iterdir()] == ["my-layers"]


@pytest.mark.parametrize("kind", kinds())
def test_what_is_written_is_formatted_and_linted_as_it_says_itself(kind: str, tmp_path: Path) -> None:
    for index, name in enumerate((f"toy-{kind}", f"q{kind[0]}", f"a-plugin-with-a-longer-name-{kind}")):
        made = scaffold(name, kind, tmp_path / str(index))
        for check in (["check"], ["format", "--check"]):
            words = [sys.executable, "-m", "ruff", *check, "--no-cache"]
            done = subprocess.run(words, cwd=made.folder, capture_output=True, text=True, check=False)
            assert done.returncode == 0, done.stdout


def test_every_kind_of_component_can_be_written() -> None:
    assert set(kinds()) == {*KINDS, "command"}


def test_it_declares_the_contract_of_this_advdl(tmp_path: Path) -> None:
    project = tomllib.loads((scaffold("toy-loss", "loss", tmp_path).folder / "pyproject.toml").read_text())["project"]
    assert project["entry-points"]["advdl.contract"] == {"toy-loss": str(CONTRACT)}


def test_nothing_is_overwritten(tmp_path: Path) -> None:
    scaffold("toy-loss", "loss", tmp_path)
    with pytest.raises(UsageError, match="exists already"):
        scaffold("toy-loss", "backbone", tmp_path)
    assert (tmp_path / "toy-loss/src/toy_loss/loss.py").is_file()


@pytest.mark.parametrize(
    ("name", "hint"),
    [
        ("My Plugin", "a letter first: my-plugin"),
        ("2fast", "a letter first: fast"),
        ("a--b", "a letter first: a-b"),
        ("../up", "a letter first: up"),
        ("class", "for example: my-class"),
        ("json", "for example: my-json"),
        ("pytest", "for example: my-pytest"),
        ("advdl", "for example: my-advdl"),
    ],
)
def test_a_name_that_cannot_be_is_refused(name: str, hint: str, tmp_path: Path) -> None:
    with pytest.raises(UsageError) as caught:
        scaffold(name, "loss", tmp_path)
    assert caught.value.hint.endswith(hint)
    assert list(tmp_path.iterdir()) == []


def test_an_unknown_kind_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="there is no kind of plugin 'bakbone'") as caught:
        scaffold("toy", "bakbone", tmp_path)
    assert "did you mean 'backbone'?" in caught.value.hint


def test_a_file_in_the_way_is_one_sentence(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(RunError, match="cannot be written: "):
        scaffold("toy-loss", "loss", tmp_path / "file" / "below")


def test_the_command_says_what_it_wrote_and_what_to_do_next(tmp_path: Path) -> None:
    done = advdl("plugins", "new", "toy-tracker", "--kind", "tracker", "--path", str(tmp_path))
    assert (done.returncode, done.stderr) == (0, "")
    assert str(tmp_path / "toy-tracker/src/toy_tracker/tracker.py") in done.stdout
    assert done.stdout.splitlines()[-4:] == [
        f"  pip install -e {tmp_path / 'toy-tracker'}",
        "  advdl plugins check toy-tracker",
        f"  pytest {tmp_path / 'toy-tracker'}",
        "  advdl agent train --env CartPole --set trackers.toy-tracker.evaluations=true",
    ]
    again = advdl("plugins", "new", "toy-tracker", "--kind", "tracker", "--path", str(tmp_path))
    assert (again.returncode, again.stdout) == (2, "")
