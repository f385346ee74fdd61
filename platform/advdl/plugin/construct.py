"""Constructs components: what chooses one, importing its class, calling it with its options."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from advdl.errors import AdvdlError, PluginError, UsageError
from advdl.plugin.component import Component
from advdl.plugin.isolation import reason

_TRACEBACK = "the traceback: run again with --debug"


def split_choice(kind: str, raw: object, where: str) -> tuple[str, dict[str, Any]]:
    """Splits what chooses a component into its name and its settings.

    Raises:
        UsageError: It is neither a name nor a table with a name.
    """
    hint = f"see them all: advdl plugins list --kind {kind}"
    if isinstance(raw, str):
        return raw, {}
    if not isinstance(raw, Mapping):
        wanted = f"the name of one ({kind}), or a table with a name"
        raise UsageError(f"{where} cannot be {raw!r}: it must be {wanted}", hint=hint)
    if not isinstance(raw.get("name"), str):
        raise UsageError(f"{where} needs a name: which {kind}?", hint=hint)
    return raw["name"], {key: value for key, value in raw.items() if key != "name"}


def load_component(component: Component) -> Any:
    """Imports a component's class.

    Raises:
        PluginError: Its module cannot be imported, whatever the reason.
    """
    try:
        return component.load()
    except AdvdlError:
        raise
    except (Exception, SystemExit) as error:
        called = f"{component.kind} {component.name!r}"
        message = f"{called} cannot be loaded from {component.target!r}: {reason(error)}"
        raise PluginError(message, hint=_TRACEBACK) from error


@dataclass(frozen=True, slots=True)
class Bound:
    """A component with its options: call it with the contract's arguments to build one.

    Attributes:
        component: The component.
        options: Its options, validated; nested components are ``Bound`` themselves.
    """

    component: Component
    options: Mapping[str, Any]

    @property
    def __name__(self) -> str:
        """The component's name, for errors."""
        return repr(self.component.name)

    def __call__(self, *args: Any, **given: Any) -> Any:
        """Builds the component; ``given`` is what the contract says and no option, such as a layer's name."""
        return construct(self.component, args, {**self.options, **given})


def construct(component: Component, args: tuple[Any, ...], options: Mapping[str, Any]) -> Any:
    """Calls a component's class.

    Raises:
        UsageError: The constructor refuses a value.
        PluginError: The constructor fails in another way.
    """
    target = load_component(component)
    called = f"{component.kind} {component.name!r}"
    try:
        return target(*args, **options)
    except AdvdlError:
        raise
    except (TypeError, ValueError) as error:
        command = f"advdl plugins info {component.kind}:{component.name}"
        message = f"{called} refuses what it was built with: {reason(error)}"
        raise UsageError(message, hint=f"see its options: {command}") from error
    except (Exception, SystemExit) as error:
        raise PluginError(f"{called} cannot be built: {reason(error)}", hint=_TRACEBACK) from error
