"""The experiment's configuration: layers in, validated plain data out, with the origin of every value."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar, cast

from advdl.errors import CorruptError, UsageError, nearest
from advdl.experiment.layers import (
    DEFAULT,
    SEE_KEYS,
    Leaf,
    Source,
    Tree,
    command_line_layer,
    environment_layer,
    first_source,
    leaves,
    merge,
    source_of,
    tree_of,
)
from advdl.experiment.recipes import load_recipe
from advdl.experiment.schema import (
    ASKED_BY,
    COMPONENT_TABLES,
    FAMILIES,
    METRICS,
    TRACKERS,
    Env,
    Family,
    General,
    Section,
)
from advdl.experiment.toml import format_path, parse_path, parse_toml, read_toml, write_toml
from advdl.experiment.validation import blame, component_name, defaults, fill_overrides, prepare, validated
from advdl.plugin.component import Component
from advdl.plugin.lists import PROJECT_FILE
from advdl.plugin.lists import SECTION as PLUGIN_LISTS
from advdl.training.backend import start_backend

if TYPE_CHECKING:
    from advdl.plugin.host import PluginHost

S = TypeVar("S", bound=Section)


@dataclass(frozen=True, slots=True)
class Experiment:
    """A fully resolved, validated configuration.

    Attributes:
        data: Plain data (dicts, lists, scalars); every default is filled in. Not to be changed.
        origins: Where each value came from, by dotted key: ``"command line"``, ``"default"``, ...
        family: The kind of experiment.
    """

    data: Mapping[str, Any]
    origins: Mapping[str, str]
    family: str = "agent"

    def get(self, path: str) -> Any:
        """Returns the value, or the table, at a dotted key such as ``"agent.gamma"``.

        Raises:
            UsageError: There is none.
        """
        node: Any = self.data
        try:
            for key in parse_path(path):
                node = node[key]
        except (ValueError, KeyError, TypeError):
            raise _no_such_key(path, self.flat()) from None
        return node

    def section(self, kind: type[S]) -> S:
        """Returns a plain section, typed: ``experiment.section(Evaluation).episodes``."""
        sections = {section: key for key, section in FAMILIES[self.family].sections.items()}
        if kind in sections:
            return kind.model_validate(self.data[sections[kind]])
        return kind.model_validate({key: self.data[key] for key in General.model_fields})

    def flat(self) -> dict[str, Any]:
        """Returns every value by dotted key."""
        return flatten(self.data)

    @property
    def trackers(self) -> dict[str, dict[str, Any]]:
        """The trackers that are on, each the way ``PluginHost.build`` takes it: ``{"name": ..., ...}``."""
        return self._on(TRACKERS)

    @property
    def metrics(self) -> dict[str, dict[str, Any]]:
        """The metrics that are on, likewise."""
        return self._on(METRICS)

    def with_steps(self, steps: int) -> "Experiment":
        """Returns the experiment with another budget, for a run that goes on.

        Raises:
            UsageError: ``steps`` is not positive.
        """
        if steps < 1:
            raise UsageError(f"steps cannot be {steps}: it must be a whole number >= 1 (from --steps)")
        return replace(self, data={**self.data, "steps": steps}, origins={**self.origins, "steps": "command line"})

    def _on(self, section: str) -> dict[str, dict[str, Any]]:
        tables = self.data[section]
        return {name: {"name": name, **options} for name, options in tables.items() if options is not False}

    def diff(self, other: "Experiment") -> list[tuple[str, Any, Any]]:
        """Lists the settings that differ: dotted key, value here, value there; None where there is none."""
        mine, theirs = self.flat(), other.flat()
        keys = dict.fromkeys((*mine, *theirs))
        return [(key, mine.get(key), theirs.get(key)) for key in keys if mine.get(key) != theirs.get(key)]

    def to_toml(self) -> str:
        """Writes the experiment so that ``read_experiment``, or ``--config``, gives the same one again."""
        return f"# Every setting of the run; --config takes this file.\n{write_toml(self.data)}"


def resolve_experiment(
    host: "PluginHost",
    *,
    command_line: Mapping[str, Any],
    sets: Sequence[str],
    config_file: Path | None,
    environ: Mapping[str, str],
    folder: Path,
    family: str = "agent",
    canonical_env: Callable[[str], str] | None = None,
    before_import: Callable[[str], None] | None = None,
    control_of: str = "",
) -> Experiment:
    """Merges the layers and validates the result.

    From the strongest: command line, ``ADVDL_*`` variables, ``config_file``, ``advdl.toml`` in ``folder``,
    the agent's recipe for the env, defaults.

    Args:
        host: Knows the components.
        command_line: What options of their own said, by dotted key: ``{"seed": 1, "env": "CartPole-v1",
            "agent.backbone": "resnet"}``. None means that an option was not given.
        sets: What followed each ``--set``.
        config_file: What ``--config`` said.
        environ: The environment.
        folder: Where ``advdl.toml`` is looked for.
        family: The kind of experiment.
        canonical_env: Turns what a user wrote into an env's id (``CartPole`` into ``CartPole-v1``), or raises
            UsageError.
        before_import: Called once, before the first component's code is imported and after what is wrong
            without it has been found, with the backend that the run needs: starts TensorFlow, or torch.
        control_of: A family that this run is the control of: its settings may be given too.

    Raises:
        UsageError: Something is not a setting, belongs to another family, or cannot have the value that it was given.
        PluginError: A component or its recipe cannot be loaded.
    """
    kind = FAMILIES[family]
    written = [
        _project_layer(folder),
        _config_layer(config_file),
        environment_layer(environ, kind.keys, kind.shorthands),
        command_line_layer(command_line, sets, kind.shorthands),
    ]
    kind = _family_of(host, _merge([prepare(layer, kind) for layer in written], kind), kind)
    for layer in (written[1], written[-1]):  # the other two serve every family
        _refuse_foreign(layer, kind, control_of)
    layers = [prepare(layer, kind) for layer in written]
    user = _merge(layers, kind)
    subject = _subject(user, kind, canonical_env)
    layers.insert(0, prepare(_recipe_layer(host, user, str(subject.value), kind), kind))
    layers[1:1] = [_beside_layer(host, user, kind), tree_of(kind.own, DEFAULT)]
    if before_import is not None:
        before_import(backend_of(host, user, kind))
    tree = _merge([defaults(host, _merge(layers, kind), kind), *layers], kind)
    if kind.subject in kind.sections:
        tree[kind.subject] = {**tree.get(kind.subject, {}), "id": subject}
    return _experiment(host, fill_overrides(host, tree, kind), kind)


def read_experiment(host: "PluginHost", path: Path, *, family: str = "agent") -> Experiment:
    """Reads a run's ``experiment.toml`` and validates it again.

    Raises:
        CorruptError: It cannot be read, is not TOML or does not hold a valid experiment.
        UsageError: A component that it names is not installed.
    """
    kind = FAMILIES[family]
    try:
        tree = tree_of(parse_toml(path.read_bytes()), Source(f"{path.parent.name}/{path.name}"))
    except (OSError, ValueError) as error:
        raise CorruptError(f"{path} cannot be read: {error}", hint="advdl runs list") from error
    _require_components(host, tree, kind)
    start_backend(backend_of(host, tree, kind))
    try:
        return _experiment(host, prepare(tree, kind), kind)
    except UsageError as error:
        raise CorruptError(f"{path} is damaged: {error.message}", hint="advdl runs list") from error


def flatten(data: Mapping[str, Any]) -> dict[str, Any]:
    """Returns every value of nested tables by dotted key."""
    return {format_path(path): value for path, value in leaves(data)}


def render_dry_run(experiment: Experiment) -> list[tuple[str, Any, str]]:
    """Lists every setting of a resolved experiment: dotted key, value, origin."""
    return [(key, value, experiment.origins[key]) for key, value in experiment.flat().items()]


def dry_run_json(experiment: Experiment) -> dict[str, Any]:
    """Returns a resolved experiment and the origins of its values as plain data for ``--json``."""
    return {
        "family": experiment.family,
        "experiment": dict(experiment.data),
        "origins": dict(experiment.origins),
    }


def _project_layer(folder: Path) -> Tree:
    path = folder / PROJECT_FILE
    if not path.exists():
        return {}
    settings = read_toml(path, called=PROJECT_FILE)
    settings.pop(PLUGIN_LISTS, None)  # no setting of an experiment: which plugins may be loaded
    return tree_of(settings, Source(PROJECT_FILE))


def _config_layer(path: Path | None) -> Tree:
    if path is None:
        return {}
    called = f"config file {path}"
    return tree_of(read_toml(path, called=called), Source(called))


def backend_of(host: "PluginHost", tree: Tree, family: Family) -> str:
    """Returns the backend of Keras that the component which is trained runs on."""
    return _trained(host, tree, family).details.get("backend", "tensorflow")


def _trained(host: "PluginHost", tree: Tree, family: Family) -> Component:
    slot = family.slots[family.main]
    try:
        return host.get(slot.kind, component_name(tree, family.main, slot.default))
    except UsageError as error:
        raise blame(error, tree) from error


def _family_of(host: "PluginHost", tree: Tree, family: Family) -> Family:
    """Returns the family of what is trained: an agent with its own learning loop has no trainer of ours."""
    own = family.name == "agent" and _trained(host, tree, family).details.get("loop") == "own"
    return FAMILIES["own_loop"] if own else family


def _refuse_foreign(layer: Tree, family: Family, control_of: str) -> None:
    """Refuses settings of other families, which would be left out: whoever wrote them meant another run."""
    also = FAMILIES[control_of].keys if control_of else ()
    foreign = [key for key in layer if key not in family.keys and key not in also]
    if not foreign:
        return
    key = foreign[0]
    source = layer[key].source if isinstance(layer[key], Leaf) else first_source(layer[key])
    if family.name == "own_loop":
        raise UsageError(
            f"an agent with its own learning loop has no section {key!r} (from {source})",
            hint="its own options are agent.NAME: advdl plugins info AGENT",
        )
    raise UsageError(f"{key!r} says nothing of this run (from {source})", hint=ASKED_BY.get(key, SEE_KEYS))


def _recipe_layer(host: "PluginHost", tree: Tree, subject: str, family: Family) -> Tree:
    return load_recipe(_trained(host, tree, family), subject)


def _beside_layer(host: "PluginHost", tree: Tree, family: Family) -> Tree:
    """Returns what recipes say of components beside the one that is trained, and of their optimizers."""
    layer: Tree = {}
    for slot, subject in family.beside.items():
        kind = family.slots[slot]
        recipe = load_recipe(host.get(kind.kind, component_name(tree, slot, kind.default)), subject)
        renamed = {slot: slot, "optimizer": f"{slot}_optimizer"}
        layer |= {renamed[key]: value for key, value in recipe.items() if key in renamed}
    return layer


def _subject(tree: Tree, family: Family, canonical_env: Callable[[str], str] | None) -> Leaf:
    """Returns what is trained on: an env's id, spelt in full, or the name of a component."""
    if family.subject not in family.sections:
        slot = family.slots[family.subject]
        return Leaf(component_name(tree, family.subject, slot.default), DEFAULT)
    leaf = tree.get("env", {}).get("id", Leaf(Env.model_fields["id"].default, DEFAULT))
    if canonical_env is None or not isinstance(leaf, Leaf) or not isinstance(leaf.value, str):
        return cast(Leaf, leaf)  # what is no text is left to validation
    try:
        return Leaf(canonical_env(leaf.value), leaf.source)
    except UsageError as error:
        raise blame(error, tree) from error


def _merge(layers: Sequence[Tree], family: Family) -> Tree:
    return merge(layers, component_sections=family.component_sections)


def _experiment(host: "PluginHost", tree: Tree, family: Family) -> Experiment:
    data = validated(host, tree, family)
    origins = {format_path(path): source_of(tree, path).origin for path, _ in leaves(data)}
    return Experiment(data=data, origins=origins, family=family.name)


def _require_components(host: "PluginHost", tree: Tree, family: Family) -> None:
    """A run whose plugin is missing is not damaged: says which component is not there."""
    for key, slot in family.slots.items():
        host.get(slot.kind, component_name(tree, key, slot.default))
    for section, kind in COMPONENT_TABLES.items():
        for name in _active(tree, section):
            host.get(kind, name)


def _active(tree: Tree, section: str) -> Iterator[str]:
    table = tree.get(section, {})
    if isinstance(table, dict):
        yield from (name for name, value in table.items() if isinstance(value, dict))


def _no_such_key(path: str, known: Mapping[str, Any]) -> UsageError:
    guess = nearest(path, known)
    did_you_mean = f"did you mean {guess!r}? " if guess else ""
    return UsageError(f"there is no setting {path!r}", hint=did_you_mean + SEE_KEYS)
