"""Layers of settings: where each value was written, and which one wins.

A layer is a tree of dicts whose leaves know where they came from. ``merge`` joins layers, the weakest first.
A table of a component's options belongs to the component that the layer names, or else to the one that the
weaker layers name: options of a component that a stronger layer replaces are dropped.
"""

import difflib
from collections.abc import Collection, Container, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from advdl.errors import UsageError, nearest
from advdl.experiment.toml import KeyPath, parse_path, parse_value

PREFIX = "ADVDL_"
"""How the variables begin that set something; ``__`` stands for the dot."""

OTHER_VARIABLES = ("ADVDL_RUNS", "ADVDL_PLUGINS", "ADVDL_STRICT_PLUGINS", "ADVDL_XLA_CACHE")
"""Variables that advdl reads and that are no settings of an experiment."""

SEE_KEYS = "see all settings: advdl config keys"


@dataclass(frozen=True, slots=True)
class Source:
    """Where a value was written.

    Attributes:
        origin: The layer, such as ``"command line"`` or ``"config file fast.toml"``.
        written: How to find it for mending, such as ``"--set agent.gama=0.9"``; the origin where empty.
    """

    origin: str
    written: str = ""

    def __str__(self) -> str:
        return self.written or self.origin


DEFAULT = Source("default")


@dataclass(frozen=True, slots=True)
class Leaf:
    """A value and where it was written."""

    value: Any
    source: Source


Tree = dict[str, Any]
"""Settings by key: each value is a ``Tree`` or a ``Leaf``."""


def tree_of(data: Mapping[str, Any], source: Source) -> Tree:
    """Marks every leaf of plain data with where it was written."""
    return {
        key: tree_of(value, source) if isinstance(value, Mapping) else Leaf(value, source)
        for key, value in data.items()
    }


def values_of(tree: Any) -> Any:
    """Returns the plain data of a tree."""
    if isinstance(tree, Leaf):
        return tree.value
    return {key: values_of(child) for key, child in tree.items()}


def put(tree: Tree, path: KeyPath, value: Any, source: Source, shorthands: Mapping[str, str]) -> None:
    """Sets a value in one layer; what was written later wins.

    A bare name and what belongs to it come in any order: ``backbone=mlp`` and ``backbone.units=[8]``.

    Args:
        tree: The layer.
        path: Where.
        value: What.
        source: Who wrote it.
        shorthands: What a bare value of a section at the top means, ``{"env": "id"}``; elsewhere it is a ``name``.
    """
    *parents, last = path
    bare = shorthands.get(path[0], "name")
    for key in parents:
        child = tree.get(key)
        if isinstance(child, Leaf):
            child = _named(child, bare)
        tree[key] = tree = child if child is not None else {}
        bare = "name"  # below the top, a bare value is always a component's name
    old = tree.get(last)
    if isinstance(value, Mapping):
        base = _named(old, bare) if isinstance(old, Leaf) else (old or {})
        tree[last] = base | tree_of(value, source)
    elif isinstance(old, dict) and isinstance(value, str):
        old[bare] = Leaf(value, source)
    else:
        tree[last] = Leaf(value, source)


def command_line_layer(options: Mapping[str, Any], sets: Sequence[str], shorthands: Mapping[str, str]) -> Tree:
    """Builds the layer of ``--seed 1`` and the like and of every ``--set a.b=c``.

    Args:
        options: Values by dotted key; a None was not given. ``{"env": "CartPole-v1", "seed": 1}``.
        sets: What followed each ``--set``.
        shorthands: As for ``put``.

    Raises:
        UsageError: A ``--set`` is not written as ``a.b=c``.
    """
    tree: Tree = {}
    for key, value in options.items():
        if value is not None:
            put(tree, parse_path(key), value, Source("command line", f"--{key.rpartition('.')[2]} {value}"), shorthands)
    for text in sets:
        path, value = _parse_set(text)
        put(tree, path, value, Source("command line", f"--set {text}"), shorthands)
    return tree


def environment_layer(environ: Mapping[str, str], keys: Collection[str], shorthands: Mapping[str, str]) -> Tree:
    """Builds the layer of ``ADVDL_SEED``, ``ADVDL_AGENT__GAMMA`` and the like.

    An empty variable counts as not set.

    Args:
        environ: The environment.
        keys: The keys that may stand at the top of a configuration.
        shorthands: As for ``put``.

    Raises:
        UsageError: A variable means a setting that does not exist, or is one letter away from a known one.
    """
    tree: Tree = {}
    for variable in sorted(environ):
        if not variable.startswith(PREFIX) or not environ[variable]:
            continue
        path = tuple(variable.removeprefix(PREFIX).lower().split("__"))
        if path[0] in keys and all(path):
            put(tree, path, parse_value(environ[variable]), Source(variable), shorthands)
        elif variable not in OTHER_VARIABLES:
            _refuse_misspelt(variable, path, keys)
    return tree


def merge(trees: Sequence[Tree], *, component_sections: Container[str]) -> Tree:
    """Joins whole layers, the weakest first.

    Args:
        trees: One tree a layer.
        component_sections: The sections in which a ``name`` names a component.
    """
    keys = dict.fromkeys(key for tree in trees for key in tree)
    return {
        key: merge_values([tree[key] for tree in trees if key in tree], components=key in component_sections)
        for key in keys
    }


def merge_values(values: Sequence[Any], *, components: bool) -> Any:
    """Joins what stands at one place in each layer, the weakest first.

    Tables are joined, other values replace what is weaker. Where components are named, a bare text beside a
    table is the name of the component.
    """
    if not any(isinstance(value, dict) for value in values):
        return values[-1]
    tables: list[Tree] = []
    for value in values:
        if isinstance(value, dict):
            tables.append(value)
        elif components and isinstance(value.value, str):
            tables.append(_named(value, "name"))
        else:
            tables.clear()
    return _merge_tables(tables, components) if tables else values[-1]


def leaves(tree: Any, path: KeyPath = ()) -> Iterator[tuple[KeyPath, Any]]:
    """Walks plain data or a tree: every path with its value. An empty table counts as a value."""
    if not isinstance(tree, Mapping) or (not tree and path):
        yield path, tree
        return
    for key, child in tree.items():
        yield from leaves(child, (*path, key))


def source_of(tree: Tree, path: KeyPath) -> Source:
    """Returns where the value at a path was written; values that nobody wrote are defaults.

    A path below a bare value, such as ``optimizer.learning_rate.name`` below ``learning_rate = "linear"``,
    comes from that value if it is the name, or if the value is no name.
    """
    node: Any = tree
    for depth, key in enumerate(path):
        if isinstance(node, Leaf):
            is_name = path[depth:] == ("name",)
            return node.source if is_name or not isinstance(node.value, str) else DEFAULT
        node = node.get(key)
        if node is None:
            return DEFAULT
    return node.source if isinstance(node, Leaf) else first_source(node)


def first_source(tree: Any) -> Source:
    """Returns where the first leaf that somebody wrote is from."""
    sources = [leaf.source for _, leaf in leaves(tree) if isinstance(leaf, Leaf)]
    return next((source for source in sources if source != DEFAULT), DEFAULT)


def _refuse_misspelt(variable: str, path: KeyPath, keys: Collection[str]) -> None:
    """Refuses what is surely a setting; plugins may read variables of their own."""
    known = [*OTHER_VARIABLES, *(PREFIX + key.upper() for key in keys)]
    first = PREFIX + path[0].upper()
    close = difflib.get_close_matches(first, known, n=1, cutoff=0.9)
    if close or len(path) > 1:
        guess = close[0] if close else nearest(first, known)
        did_you_mean = f"did you mean {guess}{variable.removeprefix(first)}? " if guess else ""
        raise UsageError(f"variable {variable} sets nothing that exists", hint=f"{did_you_mean}{SEE_KEYS}")


def _parse_set(text: str) -> tuple[KeyPath, Any]:
    key, equals, value = text.partition("=")
    if not equals:
        raise UsageError(f"--set {text} has no value", hint=f"write --set {text or 'KEY'}=VALUE")
    try:
        return parse_path(key), parse_value(value.strip())
    except ValueError:
        raise UsageError(
            f"--set {text} does not begin with a setting's name", hint="write it as --set agent.gamma=0.9"
        ) from None


def _merge_tables(tables: Sequence[Tree], components: bool) -> Tree:
    if components:
        tables = _of_last_owner(tables)
    keys = dict.fromkeys(key for table in tables for key in table)
    return {key: merge_values([table[key] for table in tables if key in table], components=components) for key in keys}


def _of_last_owner(trees: Sequence[Tree]) -> list[Tree]:
    """Keeps the tables that belong to the component that the strongest layer means."""
    owners: list[Any] = []
    for tree in trees:
        name = tree.get("name")
        inherited = owners[-1] if owners else None
        owners.append(name.value if isinstance(name, Leaf) else inherited)
    return [tree for tree, owner in zip(trees, owners, strict=True) if owner == owners[-1]]


def _named(leaf: Leaf, key: str) -> Tree:
    return {key: leaf} if isinstance(leaf.value, str) else {}
