"""Turns merged layers into validated plain data; its errors name where a value was written."""

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from advdl.errors import UsageError, nearest
from advdl.experiment.layers import (
    DEFAULT,
    SEE_KEYS,
    Leaf,
    Source,
    Tree,
    first_source,
    leaves,
    merge_values,
    tree_of,
    values_of,
)
from advdl.experiment.schema import COMPONENT_TABLES, DEFAULT_TRACKERS, FAMILIES, TRACKERS, Family, General, Section
from advdl.experiment.toml import KeyPath, format_path, format_value
from advdl.plugin.options import plain, validate

if TYPE_CHECKING:
    from advdl.plugin.host import PluginHost


def prepare(tree: Tree, family: Family) -> Tree:
    """Checks the top of a layer and writes its shorthands out: ``env = "X"`` becomes ``env.id = "X"``.

    Settings of other families are left out, so that one ``advdl.toml`` serves all.

    Raises:
        UsageError: A key is unknown, or a value stands where a table belongs.
    """
    others = {key for other in FAMILIES.values() for key in other.keys}
    unknown = [key for key in tree if key not in others]
    if unknown:
        raise _unknown_setting(unknown[0], tree, others)
    return {key: _prepare_value(key, value, family) for key, value in tree.items() if key in family.keys}


def component_name(tree: Tree, slot: str, default: str) -> str:
    """Returns the name of the component that a layer, or merged layers, put into a slot."""
    value = tree.get(slot)
    name = value.get("name") if isinstance(value, dict) else value
    return name.value if isinstance(name, Leaf) and isinstance(name.value, str) else default


def defaults(host: "PluginHost", named: Tree, family: Family) -> Tree:
    """Builds the weakest layer: the defaults of the components that the other layers name."""
    base: Tree = {
        key: _component_defaults(host, slot.kind, component_name(named, key, slot.default))
        for key, slot in family.slots.items()
    }
    installed = {component.name for component in host.components("tracker")}
    base[TRACKERS] = {name: {} for name in DEFAULT_TRACKERS if name in installed}
    return base


def fill_overrides(host: "PluginHost", tree: Tree, family: Family) -> Tree:
    """Puts what ``[optimizer]`` says under every ``[optimizers.NAME]`` that does not say otherwise."""
    filled = dict(tree)
    for key, slot in family.overrides.items():
        if key in tree:
            filled[key] = {name: _fill(host, tree, family, slot, own) for name, own in tree[key].items()}
    return filled


def validated(host: "PluginHost", tree: Tree, family: Family) -> dict[str, Any]:
    """Validates merged layers and fills every default in.

    Raises:
        UsageError: A setting is unknown, of the wrong type or out of range, and where it was written.
    """
    try:
        return _validated(host, tree, family)
    except UsageError as error:
        raise blame(error, tree) from error


def blame(error: UsageError, tree: Tree) -> UsageError:
    """Adds to an error where the value that it complains of was written, if somebody wrote it."""
    written = [(path, leaf) for path, leaf in leaves(tree) if isinstance(leaf, Leaf) and leaf.source != DEFAULT]
    about_it = [leaf for path, leaf in written if error.message.startswith(tuple(_starts(path)))]
    names_it = [leaf for _, leaf in written if _names_it(error.message, leaf.value)]
    guilty = next(iter([*about_it, *names_it]), None)
    return UsageError(f"{error.message} (from {guilty.source})", hint=error.hint) if guilty else error


def _validated(host: "PluginHost", tree: Tree, family: Family) -> dict[str, Any]:
    data = _section(General, {key: tree[key] for key in General.model_fields if key in tree}, "")
    plain_sections = {key: _section(section, tree.get(key, {}), key) for key, section in family.sections.items()}
    components = {
        key: plain(host.resolve(slot.kind, values_of(tree[key]) if key in tree else slot.default, where=key))
        for key, slot in family.slots.items()
    }
    for key, slot_key in family.overrides.items():
        kind = family.slots[slot_key].kind
        components[key] = {
            name: plain(host.resolve(kind, values_of(own), where=format_path([key, name])))
            for name, own in tree.get(key, {}).items()
        }
    tables = {
        section: {name: _table(host, section, name, value) for name, value in tree.get(section, {}).items()}
        for section in COMPONENT_TABLES
    }
    return {**data, **plain_sections, **components, **tables}


def _section(section: type[Section], tree: Tree, where: str) -> dict[str, Any]:
    try:
        return plain(  # type: ignore[no-any-return]
            validate(section.describe(), values_of(tree), where=where, command="advdl config keys")
        )
    except UsageError as error:
        raise UsageError(error.message.removeprefix("."), hint=error.hint) from error


def _table(host: "PluginHost", section: str, name: str, value: Any) -> Any:
    if isinstance(value, Leaf):
        return False
    where = format_path([section, name])
    resolved = host.resolve(COMPONENT_TABLES[section], {**values_of(value), "name": name}, where=where)
    return {key: option for key, option in plain(resolved).items() if key != "name"}


def _component_defaults(host: "PluginHost", kind: str, name: str) -> Tree:
    try:
        return tree_of(plain(host.resolve(kind, name, where=name)), DEFAULT)
    except UsageError:  # such as an option without default; validating all layers together says it better
        return {"name": Leaf(name, DEFAULT)}


def _fill(host: "PluginHost", tree: Tree, family: Family, slot: str, own: Any) -> Any:
    shared = component_name(tree, slot, family.slots[slot].default)
    name = component_name({slot: own}, slot, shared)
    layers = [tree[slot], own] if slot in tree else [own]
    if name != shared:
        layers.insert(0, _component_defaults(host, family.slots[slot].kind, name))
    return merge_values(layers, components=True)


def _prepare_value(key: str, value: Any, family: Family) -> Any:
    if key in General.model_fields and not isinstance(value, Leaf):
        raise UsageError(f"{key} is one value, not a table (from {first_source(value)})", hint=SEE_KEYS)
    if isinstance(value, Leaf) and key in family.shorthands and isinstance(value.value, str):
        return {family.shorthands[key]: value}
    if isinstance(value, Leaf) and key in (*family.sections, *family.overrides, *COMPONENT_TABLES):
        raise _not_a_table(key, value)
    if key in COMPONENT_TABLES:
        return {name: _prepare_table(key, name, table) for name, table in value.items()}
    return value


def _prepare_table(section: str, name: str, value: Any) -> Any:
    if isinstance(value, Leaf) and value.value is True:
        return {}
    if isinstance(value, Leaf) and value.value is not False:
        raise _not_a_table(format_path([section, name]), value, "true, false or a table of options")
    return value


def _not_a_table(key: str, leaf: Leaf, wanted: str = "a table of settings") -> UsageError:
    value = format_value(leaf.value)
    return UsageError(f"{key} cannot be {value}: it must be {wanted} (from {leaf.source})", hint=SEE_KEYS)


def _unknown_setting(key: str, tree: Tree, known: set[str]) -> UsageError:
    source: Source = tree[key].source if isinstance(tree[key], Leaf) else first_source(tree[key])
    guess = nearest(key, known)
    did_you_mean = f"did you mean {guess!r}? " if guess else ""
    return UsageError(f"there is no setting {key!r} (from {source})", hint=did_you_mean + SEE_KEYS)


def _names_it(message: str, value: Any) -> bool:
    """Whether an error is about a name that does not exist or cannot be used: ``there is no agent 'dqm'``."""
    about_a_setting = " cannot be " in message or " has no option " in message
    return isinstance(value, str) and not about_a_setting and f" {value!r}" in message


def _starts(path: KeyPath) -> Iterator[str]:
    """How sentences about a setting, or about a table above it that should not be there, begin."""
    for length in range(1, len(path) + 1):
        parent, last = format_path(path[: length - 1]), path[length - 1]
        yield f"{parent} has no option {last!r}"
        yield f"{format_path(path[:length])} cannot be "
