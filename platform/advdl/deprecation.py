"""Deprecation: what a plugin may still use and will lose. It warns for at least one release before it goes."""

import warnings
from dataclasses import dataclass


class DeprecatedWarning(FutureWarning):
    """Something of advdl's is used that a release to come takes away."""


@dataclass(frozen=True, slots=True)
class Deprecation:
    """What goes, when, and what to use instead.

    A hook is deprecated with ``@hookspec(warn_on_impl=Deprecation(...).warning())``, one of its arguments with
    ``warn_on_impl_args``, and a public name of a package in ``lazy_names(..., deprecated=...)``. Anything else calls
    ``warn`` where the old form is met.

    Attributes:
        what: What it is, as the start of a sentence: ``"the hook advdl_saved"``.
        since: The release that warns first, such as ``"0.2"``.
        removed: The release that no longer has it; a later one than ``since``.
        instead: What to use, such as ``"implement advdl_checkpoint_saved"``.
    """

    what: str
    since: str
    removed: str
    instead: str

    def __str__(self) -> str:
        """The sentence that is shown."""
        return f"{self.what} is deprecated since advdl {self.since} and gone in {self.removed}: {self.instead}"

    def warning(self) -> DeprecatedWarning:
        """Returns the warning, for whoever issues it."""
        return DeprecatedWarning(str(self))

    def warn(self, *, stacklevel: int = 2) -> None:
        """Issues the warning; ``stacklevel`` 2 blames whoever called the function that warns."""
        warnings.warn(self.warning(), stacklevel=stacklevel + 1)
