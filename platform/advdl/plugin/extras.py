"""Extras: what a component needs that is not installed, and how to install it."""

import importlib.util
import sys

from advdl.errors import UsageError
from advdl.plugin.component import Component


def missing_modules(component: Component) -> list[str]:
    """Returns the required modules that are not installed; imports none of them."""
    return [module for module in component.requires if not _is_installed(module)]


def install_line(component: Component) -> str:
    """Returns the command that installs what a component needs."""
    if component.extra:
        return f"pip install '{component.extra}'"
    return "pip install " + " ".join(component.requires)


def require_installed(component: Component) -> None:
    """Refuses a component whose extra is missing.

    Raises:
        UsageError: With the exact ``pip install`` line as its hint.
    """
    missing = missing_modules(component)
    if missing:
        raise UsageError(
            f"{component.kind} {component.name!r} needs {', '.join(missing)}, which is not installed",
            hint=install_line(component),
        )


def _is_installed(module: str) -> bool:
    top = module.partition(".")[0]  # find_spec("a.b") would import a
    if top in sys.modules:
        return sys.modules[top] is not None
    return importlib.util.find_spec(top) is not None
