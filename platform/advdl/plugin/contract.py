"""The contract's version: which plugins fit this advdl. It is read from their metadata, before any code of theirs.

A distribution declares it beside its plugin::

    [project.entry-points."advdl.contract"]
    my-plugin = "1"

What is only added to the contract leaves its number as it is: a plugin that needs the addition asks pip for it,
``dependencies = ["advdl>=0.3"]``. What is changed or taken away, after a release that warned, makes it one more.
"""

from importlib.metadata import Distribution, EntryPoint

from advdl import __version__

CONTRACT = 1
"""The contract of this advdl."""

OLDEST_CONTRACT = 1
"""The oldest contract that this advdl still keeps."""

CONTRACT_GROUP = "advdl.contract"
"""The entry-point group in which plugins declare the contract that they are written for."""

FIRST = "1"
"""What a plugin is taken to be written for that declares nothing."""


def declared(point: EntryPoint) -> str:
    """Returns what a plugin declares, or else another of its distribution; the first contract where none does."""
    dist: Distribution | None = point.dist
    lines = {each.name: each.value for each in dist.entry_points if each.group == CONTRACT_GROUP} if dist else {}
    return lines.get(point.name) or next(iter(lines.values()), FIRST)


def misfit(point: EntryPoint, *, oldest: int = OLDEST_CONTRACT, newest: int = CONTRACT) -> str:
    """Says why a plugin does not fit this advdl; an empty string when it does.

    Args:
        point: The plugin's entry point.
        oldest: The oldest contract that is kept.
        newest: The newest.
    """
    written = declared(point)
    if not written.isdecimal():
        return f"it declares the contract {written!r}, which is no whole number"
    if oldest <= int(written) <= newest:
        return ""
    kept = f"contract {newest}" if oldest == newest else f"contracts {oldest} to {newest}"
    older = int(written) < oldest
    to_upgrade = point.dist.name if older and point.dist else "advdl"
    return (
        f"it is written for contract {written}, and advdl {__version__} keeps {kept}; "
        f"look for a {'newer plugin' if older else 'newer advdl'}: pip install --upgrade {to_upgrade}"
    )
