"""RunDispatcher: tells plugins and trackers what happens in a run, and shields the run from them."""

from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pluggy

from advdl.errors import nearest
from advdl.plugin.hookspecs import RunHooks
from advdl.plugin.tracker import Metrics, RunInfo, Tracker

if TYPE_CHECKING:
    import numpy as np

_PREFIX = "advdl_"
_HOOKS = tuple(name for name in dir(RunHooks) if name.startswith(_PREFIX))


class _TrackerManager(pluggy.PluginManager):
    """Takes every method that is named like a hook for an implementation: a tracker decorates nothing."""

    def parse_hookimpl_opts(self, plugin: Any, name: str) -> pluggy.HookimplOpts | None:
        decorated = super().parse_hookimpl_opts(plugin, name)
        if decorated is not None or name not in _HOOKS or not callable(getattr(plugin, name)):
            return decorated
        return pluggy.HookimplOpts(
            wrapper=False, hookwrapper=False, optionalhook=False, tryfirst=False, trylast=False, specname=None
        )


class _Listener:
    """One plugin or tracker with a plugin manager of its own.

    pluggy stops a call at the first implementation that raises; one manager each keeps the others going.
    """

    def __init__(self, label: str, target: Any, manager: pluggy.PluginManager) -> None:
        self.label = label
        self.target = target
        self.on = True
        self._manager = manager

    def register(self) -> None:
        """Lets pluggy look for the implementations and check their arguments."""
        self._manager.add_hookspecs(RunHooks)
        self._manager.register(self.target, name=self.label)

    def call(self, hook: str, arguments: Mapping[str, Any]) -> None:
        """Calls the implementations of one hook."""
        getattr(self._manager.hook, hook)(**arguments)

    @property
    def wants_histograms(self) -> bool:
        """Whether the learner's variables shall be gathered for it."""
        return self.on and bool(getattr(self.target, "histograms", False))


class RunDispatcher:
    """Calls the run's hooks on every plugin and tracker.

    Whatever one of them raises (``SystemExit`` too) is reported once, and that one is switched off for the
    rest of the run; the others and the run go on. ``KeyboardInterrupt`` passes through.

    Args:
        host_modules: Plugins' names and modules, as ``PluginHost.run_implementations()`` gives them.
        trackers: This run's trackers by component name. Their methods need no decorator.
        warn: Takes one sentence about what went wrong.
    """

    def __init__(
        self,
        host_modules: Iterable[tuple[str, Any]],
        trackers: Mapping[str, Tracker],
        warn: Callable[[str], None],
    ) -> None:
        self._warn = warn
        plugins = (
            _Listener(f"plugin {name!r}", module, pluggy.PluginManager("advdl")) for name, module in host_modules
        )
        own = [_Listener(f"tracker {name!r}", tracker, _TrackerManager("advdl")) for name, tracker in trackers.items()]
        for listener in own:
            self._report_misspelt(listener)
        self._listeners = [listener for listener in (*plugins, *own) if self._registered(listener)]

    @property
    def wants_histograms(self) -> bool:
        """Whether a tracker that is still on wants ``histograms``."""
        return any(listener.wants_histograms for listener in self._listeners)

    def started(self, run: RunInfo) -> None:
        """The run is about to make its first step, or to go on from ``run.resumed_from``."""
        self._call("advdl_run_started", run=run)

    def metrics(self, run: RunInfo, step: int, metrics: Metrics) -> None:
        """Scalars of the interval that ended at ``step``."""
        self._call("advdl_metrics", run=run, step=step, metrics=metrics)

    def evaluated(self, run: RunInfo, step: int, evaluation: Metrics) -> None:
        """An evaluation's figures."""
        self._call("advdl_evaluated", run=run, step=step, evaluation=evaluation)

    def histograms(self, run: RunInfo, step: int, arrays: "Mapping[str, np.ndarray]") -> None:
        """The learner's variables; gather them only if ``wants_histograms``."""
        self._call("advdl_histograms", run=run, step=step, arrays=arrays)

    def images(self, run: RunInfo, step: int, images: "Mapping[str, np.ndarray]") -> None:
        """Pictures of an evaluation, each uint8 ``[height, width, 3]``."""
        self._call("advdl_images", run=run, step=step, images=images)

    def checkpoint_saved(self, run: RunInfo, step: int, folder: Path) -> None:
        """A checkpoint has been published in ``folder``."""
        self._call("advdl_checkpoint_saved", run=run, step=step, folder=folder)

    def finished(self, run: RunInfo, status: str, error: str = "") -> None:
        """The run ended with ``status``."""
        self._call("advdl_run_finished", run=run, status=status, error=error)

    def _call(self, hook: str, **arguments: Any) -> None:
        for listener in self._listeners:
            if not listener.on:
                continue
            try:
                listener.call(hook, arguments)
            except (Exception, SystemExit) as error:
                listener.on = False
                self._warn(f"{listener.label} is switched off for this run: {hook} raised {_describe(error)}")

    def _registered(self, listener: _Listener) -> bool:
        try:
            listener.register()
        except (Exception, SystemExit) as error:
            self._warn(f"{listener.label} is switched off for this run: {_describe(error)}")
            return False
        return True

    def _report_misspelt(self, listener: _Listener) -> None:
        for name in dir(listener.target):
            if name.startswith(_PREFIX) and name not in _HOOKS:
                guess = nearest(name, _HOOKS)
                hint = f"; did you mean {guess!r}?" if guess else ""
                self._warn(f"{listener.label}: there is no run hook {name!r}{hint}")


def _describe(error: BaseException) -> str:
    text = " ".join(str(error).split())
    return f"{type(error).__name__}: {text}" if text else type(error).__name__
