"""Scaffold: writes a new plugin as an installable package with a working component and a passing test."""

import importlib.util
import keyword
import re
import shutil
import sys
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path
from string import Template

from advdl.errors import RunError, UsageError, unknown_name
from advdl.plugin.contract import CONTRACT

_NAME = re.compile(r"[a-z][a-z0-9]*(-[a-z0-9]+)*")

_SUMMARIES: Mapping[str, str] = {
    "adapter": "MAML whose inner steps are clipped",
    "agent": "Q-learning without a target network",
    "backbone": "two fully connected layers",
    "command": "says hello",
    "data": "two half circles that grip each other",
    "dynamics": "the last few observations say what follows",
    "env": "a point on a line walks to the middle",
    "layer": "adds a small learned step to its input",
    "learner": "a classifier: a backbone and a linear layer",
    "loss": "squared error, heavier above the target",
    "metric": "between which values the middle samples lie",
    "optimizer": "normalised gradient descent with momentum",
    "sampler": "a normal distribution, given a condition",
    "schedule": "falls along a power of progress",
    "tasks": "lines of any slope",
    "tracker": "writes every metric to a CSV file",
}

_USAGE: Mapping[str, str] = {
    "adapter": "advdl meta train --tasks sinusoid --adapter {component}",
    "agent": "advdl agent train --env CartPole --agent {component}",
    "backbone": "advdl agent train --env CartPole --backbone {component}",
    "command": "advdl {component} hello",
    "data": "advdl model train classifier --backbone mlp --data {component}",
    "dynamics": "advdl agent train --env CartPole --world-model {component}",
    "env": "advdl agent train --env {component}",
    "layer": "advdl agent train --env CartPole --set agent.backbone.layer.name={component}",
    "learner": "advdl model train {component} --data digits",
    "loss": "advdl agent train --env CartPole --set agent.loss.name={component}",
    "metric": "advdl agent train --env CartPole --set metrics.{component}=true",
    "optimizer": "advdl agent train --env CartPole --set optimizer.name={component}",
    "sampler": "advdl model train {component} --data my-vectors.npz",
    "schedule": "advdl agent train --env CartPole --set optimizer.learning_rate.name={component}",
    "tasks": "advdl meta train --tasks {component} --adapter maml",
    "tracker": "advdl agent train --env CartPole --set trackers.{component}.evaluations=true",
}


@dataclass(frozen=True, slots=True)
class Scaffolded:
    """What was written.

    Attributes:
        folder: The package's folder.
        files: Every file in it, relative to the folder.
        next_commands: What to run next.
    """

    folder: Path
    files: tuple[Path, ...]
    next_commands: tuple[str, ...]

    def describe(self) -> str:
        """Says what was written and what to run next."""
        listing = [f"  {self.folder / file}" for file in self.files]
        return "\n".join(["wrote", *listing, "next", *(f"  {command}" for command in self.next_commands)])


def kinds() -> tuple[str, ...]:
    """Returns the kinds of plugin that can be written."""
    return tuple(_SUMMARIES)


def scaffold(name: str, kind: str, path: Path) -> Scaffolded:
    """Writes a package.

    Args:
        name: The package's name, such as ``my-plugin``; the module is ``my_plugin``.
        kind: What it offers, one of ``kinds()``.
        path: The folder to put the package's folder in.

    Raises:
        UsageError: There is no such kind, the name is no good, or the folder exists.
        RunError: The folder cannot be written.
    """
    if kind not in kinds():
        raise unknown_name("kind of plugin", kind, kinds(), command="advdl plugins new --help")
    _check_name(name)
    folder = path / name
    if folder.exists():
        raise UsageError(f"{str(folder)!r} exists already", hint="choose another name, or another --path")
    contents = _contents(name, kind)
    try:
        _write(folder, contents)
    except OSError as error:
        raise RunError(f"{str(folder)!r} cannot be written: {error.strerror}") from error
    usage = _words(name, kind)["usage_command"]
    check = () if kind == "command" else (f"advdl plugins check {name}",)
    commands = (f"pip install -e {folder}", *check, f"pytest {folder}", usage)
    return Scaffolded(folder, tuple(sorted(map(Path, contents))), commands)


def _check_name(name: str) -> None:
    if not _NAME.fullmatch(name):
        better = re.sub(r"[^a-z0-9]+", "-", name.lower()).strip("-0123456789")
        hint = "small letters, digits and single dashes, a letter first"
        raise UsageError(f"{name!r} is no name for a package", hint=f"{hint}: {better}" if better else hint)
    module = name.replace("-", "_")
    if keyword.iskeyword(module) or module in sys.stdlib_module_names:
        raise UsageError(f"{name!r} is a name of Python's own", hint=f"for example: my-{name}")
    if importlib.util.find_spec(module) is not None:
        raise UsageError(f"there is a module {module!r} already", hint=f"for example: my-{name}")


def _words(name: str, kind: str) -> dict[str, str]:
    module = name.replace("-", "_")
    class_name = "".join(part.capitalize() for part in name.split("-"))
    component = f"{name}/{class_name}-v0" if kind == "env" else name
    usage = _USAGE[kind].format(component=component)
    return {
        "name": name,
        "module": module,
        "class": class_name,
        "component": component,
        "kind": kind,
        "an_kind": f"{'An' if kind[0] in 'aeiou' else 'A'} {kind}",
        "file": kind,
        "summary": _SUMMARIES[kind],
        "details": '\n            details={"max_episode_steps": "50"},' if kind == "env" else "",
        "usage_command": usage,
        "usage": f"Use it: `{usage}`",
        "checks": usage if kind == "command" else f"advdl plugins check {name}",
        "contract": str(CONTRACT),
    }


def _contents(name: str, kind: str) -> dict[str, str]:
    """Returns the text of every file, by its path in the package."""
    module = name.replace("-", "_")
    templates = {
        "pyproject.toml": "pyproject.toml",
        "README.md": "README.md",
        ".gitignore": "gitignore",
        ".github/workflows/test.yml": "workflow.yml",
        f"src/{module}/plugin.py": "plugin_command.py" if kind == "command" else "plugin.py",
        f"src/{module}/{kind}.py": f"{kind}.py",
        f"tests/test_{module}.py": f"test_{kind}.py" if kind in ("command", "env") else "test.py",
    }
    words = _words(name, kind)
    folder = files("advdl.plugin") / "templates"
    contents = {
        path: Template((folder / f"{template}.txt").read_text(encoding="utf-8")).substitute(words)
        for path, template in templates.items()
    }
    docstring = f'"""{words["an_kind"]} plugin for advdl."""\n'
    return contents | {f"src/{module}/__init__.py": docstring, f"src/{module}/py.typed": ""}


def _write(folder: Path, contents: Mapping[str, str]) -> None:
    """Writes beside the folder and renames, so that there is a whole package or none."""
    folder.parent.mkdir(parents=True, exist_ok=True)
    draft = Path(tempfile.mkdtemp(prefix=f".{folder.name}-", dir=folder.parent))
    try:
        for path, text in contents.items():
            file = draft / path
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(text, encoding="utf-8")
        draft.chmod(0o755)
        draft.rename(folder)
    except BaseException:
        shutil.rmtree(draft, ignore_errors=True)
        raise
