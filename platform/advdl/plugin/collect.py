"""Collects what a plugin's hooks return, all of it, and checks it."""

import re
from collections.abc import Callable, Iterable, Iterator

from advdl.errors import PluginError, nearest
from advdl.plugin.component import KINDS, Component
from advdl.plugin.hookspecs import Check
from advdl.plugin.isolation import isolated, reason

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._/-]*")
_TARGET = re.compile(r"[A-Za-z_][\w.]*:[A-Za-z_]\w*")


def collect_components(hook: Callable[[], Iterable[Component]]) -> list[Component]:
    """Runs a plugin's ``advdl_components`` to its end and checks what it offers.

    Raises:
        TypeError: It offers something that is no ``Component``.
        ValueError: A component is not well formed, or is offered twice.
    """
    components = list(hook())
    for component in components:
        _check(component)
    names = [(component.kind, component.name) for component in components]
    for kind, name in names:
        if names.count((kind, name)) > 1:
            raise ValueError(f"it offers {kind} {name!r} twice")
    return components


def collect_checks(hook: Callable[[], Iterable[Check]]) -> Iterator[Check]:
    """Runs a plugin's ``advdl_checks`` to its end; a hook that fails becomes a check that says so."""
    outcome = isolated(lambda: list(hook()))
    if outcome.cause is None:
        yield from outcome.value
    else:
        yield Check("advdl_checks", _raiser(outcome.cause))


def _check(component: Component) -> None:
    if not isinstance(component, Component):
        raise TypeError(f"it offers {component!r}, which is not a Component")
    if component.kind not in KINDS:
        guess = nearest(component.kind, KINDS)
        did_you_mean = f"; did you mean {guess!r}?" if guess else ""
        raise ValueError(f"{component.name!r} is of the unknown kind {component.kind!r}{did_you_mean}")
    if not _NAME.fullmatch(component.name):
        raise ValueError(f"{component.name!r} is no name for a component: letters, digits, and . _ - /")
    if not _TARGET.fullmatch(component.target):
        raise ValueError(f"{component.name!r} needs a target 'module:Attr', not {component.target!r}")


def _raiser(error: BaseException) -> Callable[[], str]:
    def run() -> str:
        raise PluginError(reason(error)) from error

    return run
