"""What every conformance check is made of: clauses, and what builds the component."""

import contextlib
from collections.abc import Iterator
from typing import Any

from advdl.errors import UsageError
from advdl.plugin.host import PluginHost
from advdl.plugin.isolation import reason
from advdl.plugin.options import Factory
from advdl.testing.contract import ContractError


def component(kind: str, name: str, **options: Any) -> Factory:
    """Finds an installed component, as a user would by its name, and binds options to it.

    Raises:
        UsageError: There is no such component, or an option is wrong.
        PluginError: Its plugin is broken.
    """
    return PluginHost.from_environment().factory(kind, {"name": name, **options})


class Clauses:
    """The clauses of a contract, and the component that must keep them.

    Args:
        kind: The component's kind.
        factory: What builds it.
    """

    def __init__(self, kind: str, factory: Factory) -> None:
        self.kind = kind
        self.what = f"{kind} {getattr(factory, '__name__', type(factory).__name__)}"

    @contextlib.contextmanager
    def clause(self, clause: str) -> Iterator[None]:
        """Turns whatever is raised inside into a ``ContractError`` that names the clause."""
        try:
            yield
        except (ContractError, UsageError):
            raise
        except Exception as error:
            found = str(error) if isinstance(error, AssertionError) else reason(error)
            raise self.broken(clause, found) from error

    def require(self, holds: Any, clause: str, detail: str) -> None:
        """Raises a ``ContractError`` unless a clause holds."""
        if not holds:
            raise self.broken(clause, detail)

    def broken(self, clause: str, detail: str) -> ContractError:
        """Builds the error for a clause that is broken."""
        return ContractError(self.what, clause, detail, kind=self.kind)
