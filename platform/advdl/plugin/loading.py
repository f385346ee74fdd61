"""Loads plugins from entry points, each by itself: what is wrong with one is listed and the others work."""

import types
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import pluggy

from advdl.errors import nearest, unknown_name
from advdl.plugin.component import Component
from advdl.plugin.hookspecs import PluginHooks, RunHooks
from advdl.plugin.isolation import isolated

if TYPE_CHECKING:
    from importlib.metadata import EntryPoint

GROUP = "advdl"
"""The entry-point group of plugins."""


@dataclass(slots=True)
class PluginRecord:
    """One plugin, loaded or not.

    Attributes:
        name: The entry point's name.
        entry_point: Where it comes from; None for a name on the allow-list that is not installed.
        status: ``"ok"``, ``"failed"`` or ``"disabled"``.
        error: Why it failed, or an empty string.
        components: What it offers.
        commands: Names of the commands that it adds; known once the plugins were asked for them.
        problems: What is wrong although it works: name clashes, output on import.
    """

    name: str
    entry_point: "EntryPoint | None"
    status: str = "ok"
    error: str = ""
    components: list[Component] = field(default_factory=list)
    commands: list[str] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)

    @property
    def target(self) -> str:
        """The module that the entry point names, or an empty string."""
        return self.entry_point.value if self.entry_point else ""

    @property
    def distribution(self) -> str:
        """The name of the distribution that installed it, or an empty string."""
        dist = self.entry_point.dist if self.entry_point else None
        return dist.name if dist else ""

    @property
    def version(self) -> str:
        """The version of its distribution, or an empty string."""
        dist = self.entry_point.dist if self.entry_point else None
        return dist.version if dist else ""

    def note(self, problem: str) -> None:
        """Adds a problem, once."""
        if problem not in self.problems:
            self.problems.append(problem)

    def note_output(self, printed: str, when: str) -> None:
        """Notes what it wrote to stdout, which belongs to the user's data."""
        if printed.strip():
            self.note(f"it prints to stdout ({when}): {printed.strip().splitlines()[0][:60]!r}")


class Loader:
    """Registers plugins with pluggy, one at a time.

    Args:
        allow: Names of the only plugins to load, or None for all.
        deny: Names of plugins not to load.
    """

    def __init__(self, *, allow: Sequence[str] | None = None, deny: Sequence[str] = ()) -> None:
        self._allow, self._deny = allow, deny
        self._manager = pluggy.PluginManager(GROUP)
        self._manager.add_hookspecs(PluginHooks)
        self._manager.add_hookspecs(RunHooks)

    def load(self, entry_points: "Iterable[EntryPoint]") -> list[PluginRecord]:
        """Loads what is allowed and not denied; the lists are applied before anything is imported.

        Raises:
            UsageError: The deny-list names a plugin that is not there.
        """
        ordered = sorted(entry_points, key=lambda point: point.name)
        names = [point.name for point in ordered]
        for name in self._deny:
            if name not in names:
                raise unknown_name("plugin", name, names, command="advdl plugins list")
        records = [record for point in ordered for record in self._load_one(point)]
        absent = [name for name in self._allow or () if name not in names]
        records += [PluginRecord(name, None, "failed", _not_installed(name, names)) for name in absent]
        self._note_duplicates(records)
        return records

    def implementations(self, hook: str) -> dict[str, Callable[..., Any]]:
        """Returns each plugin's implementation of a hook, by the plugin's name."""
        implementations = getattr(self._manager.hook, hook).get_hookimpls()
        return {found.plugin_name: found.function for found in implementations}

    def run_modules(self, records: Iterable[PluginRecord]) -> Iterator[tuple[PluginRecord, object]]:
        """Yields the modules that implement a run hook."""
        hooks = [name for name in vars(RunHooks) if name.startswith("advdl_")]
        taking_part = {name for hook in hooks for name in self.implementations(hook)}
        for record in records:
            if record.name in taking_part:
                yield record, self._manager.get_plugin(record.name)

    def fail(self, record: PluginRecord, error: str) -> None:
        """Takes a plugin out: none of its hooks is called any more."""
        record.status, record.error, record.components = "failed", error, []
        if self._manager.has_plugin(record.name):
            self._manager.unregister(name=record.name)

    def _load_one(self, point: "EntryPoint") -> Iterator[PluginRecord]:
        record = PluginRecord(point.name, point)
        yield record
        if point.name in self._deny or (self._allow is not None and point.name not in self._allow):
            record.status = "disabled"
            return
        if self._manager.has_plugin(point.name):
            record.status, record.error = "failed", f"another plugin is called {point.name!r} too"
            return
        loaded = isolated(point.load)
        record.note_output(loaded.printed, "on import")
        outcome = loaded if loaded.error else isolated(self._register, point.name, loaded.value)
        if outcome.error:
            self.fail(record, outcome.error)
        elif isinstance(loaded.value, types.ModuleType):
            for problem in _unmarked_hooks(loaded.value):
                record.note(problem)

    def _register(self, name: str, plugin: object) -> None:
        try:
            self._manager.register(plugin, name)
        except pluggy.PluginValidationError as error:
            raise TypeError("; ".join(str(error).splitlines()[1:])) from error
        for caller in self._manager.get_hookcallers(plugin) or ():
            if not caller.has_spec():
                guess = nearest(caller.name, _HOOKS)
                self._manager.unregister(name=name)
                did_you_mean = f"; did you mean {guess!r}?" if guess else ""
                raise LookupError(f"there is no hook {caller.name!r}{did_you_mean}")

    def _note_duplicates(self, records: Sequence[PluginRecord]) -> None:
        for record in records:
            others = [other for other in records if other.name == record.name and other is not record]
            for other in others:
                owner = other.distribution
                record.note(f"{owner} has a plugin {other.name!r} too; only the first one is loaded")


_HOOKS = tuple(name for spec in (PluginHooks, RunHooks) for name in vars(spec) if name.startswith("advdl_"))


def _not_installed(name: str, names: Iterable[str]) -> str:
    guess = nearest(name, names)
    return "ADVDL_PLUGINS names it, but it is not installed" + (f"; did you mean {guess!r}?" if guess else "")


def _unmarked_hooks(module: types.ModuleType) -> Iterator[str]:
    """Finds functions that are named as hooks but that pluggy does not see, for want of ``@hookimpl``."""
    for name in _HOOKS:
        function = vars(module).get(name)
        if callable(function) and not hasattr(function, f"{GROUP}_impl"):
            yield f"its {name} is not called: it lacks @hookimpl"
