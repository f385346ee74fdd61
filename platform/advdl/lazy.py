"""Lets a package offer names whose modules are imported on first use, so that light modules beside them stay light."""

import importlib
from collections.abc import Callable, Mapping
from typing import Any

from advdl.deprecation import Deprecation


def lazy_names(
    package: str, homes: Mapping[str, str], *, deprecated: Mapping[str, Deprecation] | None = None
) -> Callable[[str], Any]:
    """Builds a module's ``__getattr__`` (PEP 562).

    Args:
        package: The package's name.
        homes: Public name to the module that defines it.
        deprecated: Names that warn when they are used.
    """

    def get(name: str) -> Any:
        if name not in homes:
            raise AttributeError(f"module {package!r} has no attribute {name!r}")
        if deprecated is not None and name in deprecated:
            deprecated[name].warn()
        return getattr(importlib.import_module(homes[name]), name)

    return get
