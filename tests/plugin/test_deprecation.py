"""What is deprecated warns for a release: the plugin that uses it is named, and works but in strict mode."""

import ast
import subprocess
import sys
import warnings
from collections.abc import Iterator
from importlib.metadata import EntryPoint
from pathlib import Path
from typing import Any

import pytest
from packaging.version import Version
from plugin_packages import Packages, advdl, listed

from advdl import __version__
from advdl.deprecation import DeprecatedWarning, Deprecation
from advdl.lazy import lazy_names
from advdl.plugin.hookspecs import PluginHooks, RunHooks, hookspec
from advdl.plugin.loading import Loader

SOURCES = sorted((Path(__file__).parents[2] / "platform").rglob("*.py"))
OLD_HOOK = Deprecation("the hook advdl_old", "0.1", "0.3", "implement advdl_metrics")
OLD_ARGUMENT = Deprecation("the argument 'old' of advdl_news", "0.1", "0.3", "take 'new'")


class Hooks:
    @hookspec(warn_on_impl=OLD_HOOK.warning())
    def advdl_old(self) -> None: ...

    @hookspec(warn_on_impl_args={"old": OLD_ARGUMENT.warning()})
    def advdl_news(self, old: int, new: int) -> None: ...


def load(packages: Packages, source: str) -> Any:
    packages.add("user", source)
    (record,) = Loader(hooks=(PluginHooks, RunHooks, Hooks)).load([EntryPoint("user", "user", "advdl")])
    return record


def test_a_deprecated_hook_is_named_and_works(packages: Packages) -> None:
    record = load(packages, "\n@hookimpl\ndef advdl_old():\n    pass\n")
    assert record.status == "ok"
    assert record.problems == [
        "the hook advdl_old is deprecated since advdl 0.1 and gone in 0.3: implement advdl_metrics"
    ]


def test_a_deprecated_argument_is_named(packages: Packages) -> None:
    assert load(packages, "\n@hookimpl\ndef advdl_news(old, new):\n    pass\n").deprecated == [str(OLD_ARGUMENT)]


def test_the_new_form_warns_of_nothing(packages: Packages) -> None:
    assert load(packages, "\n@hookimpl\ndef advdl_news(new):\n    pass\n").problems == []


def test_a_deprecated_name_works_and_warns_who_uses_it() -> None:
    name = Deprecation("fractions.Fraction", "0.1", "0.3", "use decimal")
    get = lazy_names("here", {"Fraction": "fractions", "Decimal": "decimal"}, deprecated={"Fraction": name})
    with pytest.warns(DeprecatedWarning, match=r"fractions.Fraction is deprecated since advdl 0.1") as caught:
        assert get("Fraction").__name__ == "Fraction"
    assert caught[0].filename == __file__
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert get("Decimal").__name__ == "Decimal"


USER = """
from advdl.deprecation import Deprecation
Deprecation("the name X", "0.1", "0.3", "use Y").warn()
"""


def test_a_user_sees_whose_it_is_and_strict_mode_refuses(packages: Packages) -> None:
    packages.add("user", USER)
    sentence = "the name X is deprecated since advdl 0.1 and gone in 0.3: use Y"
    assert (listed(packages.folder)["user"]["status"], listed(packages.folder)["user"]["problems"]) == (
        "ok",
        [sentence],
    )
    used = advdl("plugins", "info", "loss:mse", path=packages.folder)
    assert (used.returncode, used.stderr) == (0, f"warning: plugin 'user': {sentence}\n")
    strict = advdl("plugins", "info", "loss:mse", path=packages.folder, ADVDL_STRICT_PLUGINS="1")
    assert (strict.returncode, sentence in strict.stderr) == (4, True)


def test_python_shows_the_warning_without_being_asked(packages: Packages) -> None:
    """Component code is imported late, outside of the host: Python's own default filters must let it through."""
    (packages.folder / "late.py").write_text(USER)
    code = f"import sys; sys.path.insert(0, {str(packages.folder)!r}); import late"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert "DeprecatedWarning: the name X is deprecated" in done.stderr


def deprecations(text: str) -> Iterator[tuple[Version, Version]]:
    """Yields since when, and until when, of each ``Deprecation(...)`` in a source text."""
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.Call) and getattr(node.func, "id", "") == "Deprecation":
            given = dict(zip(("what", "since", "removed", "instead"), node.args, strict=False))
            given |= {str(keyword.arg): keyword.value for keyword in node.keywords}
            since, removed = (ast.literal_eval(given[name]) for name in ("since", "removed"))
            yield Version(since), Version(removed)


def faults(text: str, now: str) -> list[str]:
    release = Version(now).release[:2]
    found = []
    for since, removed in deprecations(text):
        if removed.release[:2] <= release:
            found.append(f"due to be removed in {removed}")
        if removed.release[:2] <= since.release[:2]:
            found.append(f"warns for no release: since {since}, removed in {removed}")
    return found


def test_nothing_is_overdue_and_everything_warns_for_a_release() -> None:
    assert {str(path): found for path in SOURCES if (found := faults(path.read_text(), __version__))} == {}
    assert faults('Deprecation("x", "0.1", "0.2", "y")', "0.1.0") == []
    assert faults('Deprecation("x", "0.1", "0.2", "y")', "0.2.0") == ["due to be removed in 0.2"]
    assert faults('Deprecation("x", since="0.2", removed="0.2.1", instead="y")', "0.1.0") == [
        "warns for no release: since 0.2, removed in 0.2.1"
    ]
