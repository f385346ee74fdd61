"""PluginHost: finds plugins, loads each one by itself, and hands out what they offer."""

import os
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from advdl.errors import AdvdlError, PluginError, nearest, unknown_name
from advdl.plugin.collect import collect_checks, collect_components
from advdl.plugin.component import KINDS, Component
from advdl.plugin.construct import Bound, load_component, split_choice
from advdl.plugin.extras import require_installed
from advdl.plugin.hookspecs import Check
from advdl.plugin.isolation import isolated
from advdl.plugin.lists import PluginLists, plugin_lists
from advdl.plugin.loading import GROUP, Loader, PluginRecord

if TYPE_CHECKING:
    from importlib.metadata import EntryPoint

    import typer

    from advdl.plugin.options import Factory, Option


class PluginHost:
    """Every plugin that is installed, and what can be built from what they offer.

    Args:
        entry_points: Where the plugins are; those of the group ``advdl`` when None.
        lists: What may be loaded; everything when None.
        strict: Raise for a plugin that has a problem instead of listing it.

    Raises:
        PluginError: In strict mode, a plugin has a problem.
        UsageError: The deny-list names a plugin that is not installed.
    """

    def __init__(
        self,
        entry_points: "Iterable[EntryPoint] | None" = None,
        *,
        lists: PluginLists | None = None,
        strict: bool = False,
    ) -> None:
        self._loader = Loader(lists)
        self._records = self._loader.load(installed() if entry_points is None else entry_points)
        self._owners: dict[tuple[str, str], list[PluginRecord]] = {}
        self._collect_components()
        self._command_owners: dict[str, list[PluginRecord]] = {}
        if strict:
            self._raise_first_problem()

    @classmethod
    def from_environment(cls, *, no_plugin: Sequence[str] = (), strict: bool | None = None) -> "PluginHost":
        """Loads what is installed, as ``ADVDL_PLUGINS``, ``advdl.toml`` and ``ADVDL_STRICT_PLUGINS`` say.

        Args:
            no_plugin: Plugins not to load.
            strict: Overrides ``ADVDL_STRICT_PLUGINS``.

        Raises:
            UsageError: The lists cannot be read, or ``no_plugin`` names a plugin that is not installed.
        """
        if strict is None:
            strict = os.environ.get("ADVDL_STRICT_PLUGINS", "") not in ("", "0")
        return cls(lists=plugin_lists(os.environ, Path.cwd(), no_plugin=no_plugin), strict=strict)

    @property
    def plugins(self) -> Sequence[PluginRecord]:
        """Every plugin that was found, in name order, the failed and the disabled included."""
        return tuple(self._records)

    def components(self, kind: str | None = None) -> list[Component]:
        """Returns what can be used by name; of a name that two plugins claim, neither's."""
        return [
            next(component for component in owners[0].components if (component.kind, component.name) == key)
            for key, owners in sorted(self._owners.items())
            if len(owners) == 1 and kind in (None, key[0])
        ]

    def get(self, kind: str, name: str) -> Component:
        """Returns the component of a name, ready to be used.

        Raises:
            UsageError: There is none, or the extra that it needs is not installed.
            PluginError: Two plugins claim the name.
        """
        owners = self._owners.get((kind, name), [])
        if len(owners) > 1:
            raise _ambiguous(kind, name, owners)
        if not owners:
            raise self._unknown(kind, name)
        component = next(c for c in owners[0].components if (c.kind, c.name) == (kind, name))
        require_installed(component)
        return component

    def options(self, kind: str, name: str) -> "list[Option]":
        """Imports a component and returns its options.

        Raises:
            UsageError: As ``get``.
            PluginError: The component cannot be imported, or its options cannot be read.
        """
        from advdl.plugin.options import options_of

        return options_of(load_component(self.get(kind, name)))

    def resolve(self, kind: str, raw: str | Mapping[str, Any], *, where: str = "") -> dict[str, Any]:
        """Validates what chooses a component and fills in every default, those of nested components too.

        Args:
            kind: The kind of component.
            raw: Its name, or a table of ``name`` and options.
            where: The path to this setting, for errors; the kind when empty.

        Returns:
            Plain data: ``{"name": ..., option: value, ...}``.

        Raises:
            UsageError: A name or an option is unknown, of the wrong type or out of range, or an extra is
                missing.
            PluginError: The component is broken or two plugins claim its name.
        """
        from advdl.plugin.options import is_part, plain, validate

        where = where or kind
        name, settings = split_choice(kind, raw, where)
        options = self.options(kind, name)
        values = validate(options, settings, where=where, command=f"advdl plugins info {kind}:{name}")
        for option in options:
            if is_part(option, values[option.name]):
                path = f"{where}.{option.name}"
                values[option.name] = self.resolve(option.part, values[option.name], where=path)
        return {"name": name, **plain(values)}

    def build(self, kind: str, raw: str | Mapping[str, Any], *args: Any) -> Any:
        """Validates, imports and constructs a component: ``cls(*args, **options)``.

        A nested component reaches the constructor as a ``Factory``.

        Raises:
            UsageError: As ``resolve``, or the constructor refuses a value.
            PluginError: As ``resolve``, or the constructor fails.
        """
        return self.factory(kind, raw)(*args)

    def factory(self, kind: str, raw: str | Mapping[str, Any]) -> "Factory":
        """Validates what ``build`` would build, and returns a function of ``*args`` that builds it."""
        from advdl.plugin.options import coerce, is_part

        data = self.resolve(kind, raw)
        component = self.get(kind, data["name"])
        bound: dict[str, Any] = {}
        for option in self.options(kind, data["name"]):
            value = data[option.name]
            bound[option.name] = (
                self.factory(option.part, value) if is_part(option, value) else coerce(option, value, where=kind)
            )
        return Bound(component, bound)

    def add_commands(self, app: "typer.Typer", *, reserved: Iterable[str] = ()) -> None:
        """Lets every plugin add its commands to an app; each is asked by itself.

        A command that two plugins add is left out, and so is one with a reserved name; both are listed as
        problems.

        Args:
            app: The app that gets the commands.
            reserved: Names that no plugin may take.
        """
        from advdl.plugin.commands import collect, extend

        offered = collect(self._implementations("advdl_commands"))
        self._command_owners = {}
        for offer in offered:
            for name in offer.names:
                self._command_owners.setdefault(name, []).append(offer.record)
        self._note_command_clashes(reserved)
        shared = {name for name, owners in self._command_owners.items() if len(owners) > 1}
        for offer in offered:
            if shared.union(reserved).isdisjoint(offer.names):
                extend(app, offer)
                offer.record.commands += offer.names

    def require_command(self, name: str) -> None:
        """Refuses a command that two plugins added.

        Raises:
            PluginError: Names both.
        """
        owners = self._command_owners.get(name, [])
        if len(owners) > 1:
            raise _ambiguous("command", name, owners)

    def checks(self) -> list[tuple[str, Check]]:
        """Returns the plugins' checks for ``advdl doctor``; a hook that fails becomes one that says so."""
        hooks = self._implementations("advdl_checks")
        return [(record.name, check) for record, hook in hooks for check in collect_checks(hook)]

    def run_implementations(self) -> list[tuple[str, object]]:
        """Returns the plugin modules that take part in a run's life, with their plugins' names."""
        return [(record.name, module) for record, module in self._loader.run_modules(self._records)]

    def _implementations(self, hook: str) -> "list[tuple[PluginRecord, Callable[..., Any]]]":
        functions = self._loader.implementations(hook)
        return [(record, functions[record.name]) for record in self._records if record.name in functions]

    def _collect_components(self) -> None:
        for record, hook in self._implementations("advdl_components"):
            outcome = isolated(collect_components, hook)
            record.note_outcome(outcome, "advdl_components")
            if outcome.error:
                self._loader.fail(record, f"advdl_components: {outcome.error}")
            else:
                record.components = outcome.value
        for record in self._records:
            for component in record.components:
                self._owners.setdefault((component.kind, component.name), []).append(record)
        for (kind, name), owners in self._owners.items():
            if len(owners) > 1:
                _note_clash(kind, name, owners)

    def _note_command_clashes(self, reserved: Iterable[str]) -> None:
        for name in set(reserved) & set(self._command_owners):
            for record in self._command_owners[name]:
                record.note(f"its command {name!r} is left out: advdl has a command of that name")
        for name, owners in self._command_owners.items():
            if len(owners) > 1:
                _note_clash("command", name, owners)

    def _raise_first_problem(self) -> None:
        for record in self._records:
            problems = [record.error] if record.broken else record.problems
            if problems:
                raise PluginError(
                    f"plugin {record.name!r} has a problem: {problems[0]}",
                    hint=f"leave it out with --no-plugin {record.name}, or unset ADVDL_STRICT_PLUGINS",
                )

    def _unknown(self, kind: str, name: str) -> AdvdlError:
        if kind not in KINDS:
            return unknown_name("kind of component", kind, KINDS, command="advdl plugins list")
        known = [known for of_kind, known in self._owners if of_kind == kind]
        error = unknown_name(kind, name, known, command=f"advdl plugins list --kind {kind}")
        broken = [record.name for record in self._records if record.broken]
        if broken and nearest(name, known) is None:
            error.hint += f" (not loaded: {', '.join(broken)})"
        return error


def installed() -> "Iterable[EntryPoint]":
    """Returns the entry points of every installed plugin; nothing is imported."""
    from importlib.metadata import entry_points

    return entry_points(group=GROUP)


def _note_clash(kind: str, name: str, owners: Sequence[PluginRecord]) -> None:
    for record in owners:
        others = ", ".join(repr(other.name) for other in owners if other is not record)
        record.note(f"its {kind} {name!r} cannot be used: plugin {others} offers one of that name too")


def _ambiguous(kind: str, name: str, owners: Sequence[PluginRecord]) -> PluginError:
    names = [record.name for record in owners]
    return PluginError(
        f"the {kind} {name!r} is offered by the plugins {' and '.join(map(repr, names))}",
        hint=f"leave one out: advdl --no-plugin {names[-1]} ...",
    )
