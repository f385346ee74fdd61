"""Loads plugins from entry points, each by itself: what is wrong with one is listed and the others work."""

import re
import types
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import pluggy

from advdl.errors import nearest, unknown_name
from advdl.plugin.component import Component
from advdl.plugin.contract import CONTRACT, OLDEST_CONTRACT, declared, misfit
from advdl.plugin.hookspecs import PluginHooks, RunHooks
from advdl.plugin.isolation import Outcome, isolated
from advdl.plugin.lists import PluginLists

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
        status: ``"ok"``, ``"failed"``, ``"incompatible"`` or ``"disabled"``; only ``"ok"`` is loaded.
        error: Why it is not loaded, or an empty string.
        components: What it offers.
        commands: Names of the commands that it adds; known once the plugins were asked for them.
        problems: What is wrong although it works: name clashes, output on import, use of what is deprecated.
        deprecated: What it uses that a release to come takes away, a sentence each; they are problems too.
    """

    name: str
    entry_point: "EntryPoint | None"
    status: str = "ok"
    error: str = ""
    components: list[Component] = field(default_factory=list)
    commands: list[str] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)
    deprecated: list[str] = field(default_factory=list)

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

    @property
    def contract(self) -> str:
        """The contract that it is written for."""
        return declared(self.entry_point) if self.entry_point else ""

    @property
    def broken(self) -> bool:
        """Whether it was to be loaded and is not."""
        return self.status in ("failed", "incompatible")

    def note(self, problem: str) -> None:
        """Adds a problem, once."""
        if problem not in self.problems:
            self.problems.append(problem)

    def note_outcome(self, outcome: Outcome, when: str) -> None:
        """Notes what it wrote to stdout, which belongs to the user's data, and what it uses that will go."""
        if outcome.printed.strip():
            self.note(f"it prints to stdout ({when}): {outcome.printed.strip().splitlines()[0][:60]!r}")
        for sentence in outcome.deprecated:
            self.note(sentence)
            self.deprecated.append(sentence)


class Loader:
    """Registers plugins with pluggy, one at a time.

    Args:
        lists: What may be loaded.
        contracts: The oldest and the newest contract that are kept.
        hooks: Classes that specify the hooks.
    """

    def __init__(
        self,
        lists: PluginLists | None = None,
        *,
        contracts: tuple[int, int] = (OLDEST_CONTRACT, CONTRACT),
        hooks: Sequence[type] = (PluginHooks, RunHooks),
    ) -> None:
        self._lists = lists or PluginLists()
        self._contracts = contracts
        self._manager = pluggy.PluginManager(GROUP)
        self._hooks = tuple(name for specified in hooks for name in vars(specified) if name.startswith("advdl_"))
        for specified in hooks:
            self._manager.add_hookspecs(specified)

    def survey(self, entry_points: "Iterable[EntryPoint]") -> list[PluginRecord]:
        """Finds the plugins and sorts out those that are not to be loaded; no code of theirs runs.

        Raises:
            UsageError: The deny-list names a plugin that is not there.
        """
        ordered = sorted(entry_points, key=lambda point: point.name)
        names = [name for point in ordered for name in names_of(point)]
        for name in self._lists.deny:
            if not is_named(name, names):
                raise unknown_name("plugin", name, names, command="advdl plugins list")
        records = [PluginRecord(point.name, point) for point in ordered]
        self._refuse(records)
        absent = [name for name in self._lists.allow or () if not is_named(name, names)]
        return records + [PluginRecord(name, None, "failed", _not_installed(name, names)) for name in absent]

    def load(self, entry_points: "Iterable[EntryPoint]") -> list[PluginRecord]:
        """Loads what is allowed, not denied, and written for a contract that is kept.

        Raises:
            UsageError: As ``survey``.
        """
        records = self.survey(entry_points)
        for record in records:
            if record.status == "ok":
                self._load(record)
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

    def _refuse(self, records: Sequence[PluginRecord]) -> None:
        """Sorts out, before any code runs, what is not to be loaded."""
        for record in records:
            assert record.entry_point is not None
            if not self._lists_allow(names_of(record.entry_point)):
                record.status = "disabled"
            elif reason := misfit(record.entry_point, oldest=self._contracts[0], newest=self._contracts[1]):
                record.status, record.error = "incompatible", reason
        wanted = [record for record in records if record.status == "ok"]
        for record in wanted:
            others = [other for other in wanted if other.name == record.name and other is not record]
            if others:
                record.status, record.error = "failed", _shared_name(record, others)

    def _lists_allow(self, names: Sequence[str]) -> bool:
        lists = self._lists
        allowed = lists.allow is None or any(is_named(name, names) for name in lists.allow)
        return allowed and not any(is_named(name, names) for name in (*lists.deny, *lists.deny_if_there))

    def _load(self, record: PluginRecord) -> None:
        assert record.entry_point is not None
        loaded = isolated(record.entry_point.load)
        record.note_outcome(loaded, "on import")
        if loaded.error:
            self.fail(record, loaded.error)
            return
        registered = isolated(self._register, record.name, loaded.value)
        record.note_outcome(registered, "when it is registered")
        if registered.error:
            self.fail(record, registered.error)
        elif isinstance(loaded.value, types.ModuleType):
            for problem in self._unmarked(loaded.value):
                record.note(problem)

    def _register(self, name: str, plugin: object) -> None:
        try:
            self._manager.register(plugin, name)
        except pluggy.PluginValidationError as error:
            raise TypeError("; ".join(str(error).splitlines()[1:])) from error
        for caller in self._manager.get_hookcallers(plugin) or ():
            if not caller.has_spec():
                guess = nearest(caller.name, self._hooks)
                self._manager.unregister(name=name)
                did_you_mean = f"; did you mean {guess!r}?" if guess else ""
                raise LookupError(f"there is no hook {caller.name!r}{did_you_mean}")

    def _unmarked(self, module: types.ModuleType) -> Iterator[str]:
        """Finds functions that are named as hooks but that pluggy does not see, for want of ``@hookimpl``."""
        for name in self._hooks:
            function = vars(module).get(name)
            if callable(function) and not hasattr(function, f"{GROUP}_impl"):
                yield f"its {name} is not called: it lacks @hookimpl"


def names_of(point: "EntryPoint") -> tuple[str, ...]:
    """Returns the names by which a plugin is allowed and denied: its own and its distribution's."""
    return (point.name, *([point.dist.name] if point.dist else []))


def is_named(name: str, names: Iterable[str]) -> bool:
    """Returns whether a name is among others, spelt as it is or as distributions' names may be spelt."""
    return name in names or _folded(name) in map(_folded, names)


def _folded(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


def _shared_name(record: PluginRecord, others: Sequence[PluginRecord]) -> str:
    def origin(each: PluginRecord) -> str:
        return each.distribution or each.target

    owners = " and ".join(origin(other) for other in others)
    return (
        f"another plugin is called {record.name!r} too, of {owners}; neither is loaded. "
        f"Leave one out: advdl --no-plugin {origin(others[0])} ..."
    )


def _not_installed(name: str, names: Iterable[str]) -> str:
    guess = nearest(name, names)
    return "the allow-list names it, but it is not installed" + (f"; did you mean {guess!r}?" if guess else "")
