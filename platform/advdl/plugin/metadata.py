"""What a distribution adds, read from its metadata: none of its code is imported."""

import json
from collections.abc import Iterable
from dataclasses import dataclass
from importlib.metadata import Distribution, EntryPoint
from pathlib import Path

from advdl.plugin.loading import GROUP, is_named


@dataclass(frozen=True, slots=True)
class AddedFile:
    """A file that a distribution installed.

    Attributes:
        path: Where it is, relative to the environment's packages.
        size: Its size in bytes, or None where the metadata do not say.
    """

    path: str
    size: int | None


@dataclass(frozen=True, slots=True)
class DistributionFacts:
    """What is known of an installed distribution that offers plugins.

    Attributes:
        name: Its name.
        version: Its version.
        summary: Its line about itself.
        requires: What it asks pip for.
        source: Where it was installed from, if not from an index: a folder or an address.
        editable: Whether its code is read from ``source``, where it can change at any time.
        files: What it installed.
        entry_points: Everything that it adds to other programs, commands included: group, name, target.
        plugins: The names of its plugins.
    """

    name: str
    version: str
    summary: str
    requires: tuple[str, ...]
    source: str
    editable: bool
    files: tuple[AddedFile, ...]
    entry_points: tuple[tuple[str, str, str], ...]
    plugins: tuple[str, ...]


def find_distribution(name: str, points: Iterable[EntryPoint]) -> Distribution | None:
    """Returns the distribution that has a name, or that offers a plugin of that name.

    Args:
        name: A plugin's or a distribution's name.
        points: The plugins' entry points.
    """
    dists = [(point.name, point.dist) for point in points if point.dist is not None]
    by_name = [dist for _, dist in dists if is_named(name, [dist.name])]
    by_plugin = [dist for plugin, dist in dists if plugin == name]
    return next(iter((*by_name, *by_plugin)), None)


def facts_of(dist: Distribution) -> DistributionFacts:
    """Reads a distribution's metadata."""
    source, editable = _source(dist)
    points = sorted((point.group, point.name, point.value) for point in dist.entry_points)
    return DistributionFacts(
        name=dist.name,
        version=dist.version,
        summary=str(dist.metadata.json.get("summary", "")),
        requires=tuple(dist.requires or ()),
        source=source,
        editable=editable,
        files=tuple(sorted(_files(dist, editable=editable), key=lambda file: file.path)),
        entry_points=tuple(points),
        plugins=tuple(name for group, name, _ in points if group == GROUP),
    )


def _files(dist: Distribution, *, editable: bool) -> Iterable[AddedFile]:
    """Lists what the installer recorded; of an editable installation also the modules that it points to."""
    for file in dist.files or ():
        yield AddedFile(str(file), file.size)
        if editable and file.suffix == ".pth":
            yield from _pointed_to(Path(str(file.locate())))


def _pointed_to(pth: Path) -> Iterable[AddedFile]:
    lines = pth.read_text(encoding="utf-8").splitlines() if pth.is_file() else []
    for folder in (Path(line) for line in lines if Path(line).is_dir()):
        for path in folder.rglob("*.py"):
            yield AddedFile(str(path), path.stat().st_size)


def _source(dist: Distribution) -> tuple[str, bool]:
    """Reads ``direct_url.json`` (PEP 610); a file's address becomes a path."""
    try:
        text = dist.read_text("direct_url.json")
        data = json.loads(text) if text else {}
        url, editable = str(data.get("url", "")), bool(data.get("dir_info", {}).get("editable", False))
    except (OSError, ValueError, AttributeError):
        return "", False
    return url.removeprefix("file://"), editable
