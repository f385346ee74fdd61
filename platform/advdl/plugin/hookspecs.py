"""Every hook that a plugin can implement, with its true signature."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import pluggy

from advdl.plugin.component import Component
from advdl.plugin.tracker import Metrics, RunInfo

if TYPE_CHECKING:
    import numpy as np
    import typer

hookspec = pluggy.HookspecMarker("advdl")
hookimpl = pluggy.HookimplMarker("advdl")


@dataclass(frozen=True, slots=True)
class Check:
    """A check for ``advdl doctor``.

    Attributes:
        name: What is checked, in two or three words.
        run: Returns one line about what was found; raises with the reason when something is wrong.
    """

    name: str
    run: Callable[[], str]


class PluginHooks:
    """Hooks that a plugin's module implements."""

    @hookspec
    def advdl_components(self) -> Iterable[Component]:  # type: ignore[empty-body]
        """Offers components: ``return [Component("agent", "sarsa", "my_plugin.sarsa:Sarsa", "...")]``."""

    @hookspec
    def advdl_commands(self, app: "typer.Typer") -> None:
        """Adds commands: ``app.add_typer(my_typer, name="mine")``."""

    @hookspec
    def advdl_checks(self) -> Iterable[Check]:  # type: ignore[empty-body]
        """Offers checks for ``advdl doctor``: ``return [Check("my server", ping)]``."""


class RunHooks:
    """Hooks of a run's life, for trackers and for plugins' modules."""

    @hookspec
    def advdl_run_started(self, run: RunInfo) -> None:
        """The run is about to make its first step, or to go on from ``run.resumed_from``."""

    @hookspec
    def advdl_metrics(self, run: RunInfo, step: int, metrics: Metrics) -> None:
        """Scalars of the interval that ended at ``step``."""

    @hookspec
    def advdl_evaluated(self, run: RunInfo, step: int, evaluation: Metrics) -> None:
        """An evaluation's figures."""

    @hookspec
    def advdl_histograms(self, run: RunInfo, step: int, arrays: "Mapping[str, np.ndarray]") -> None:
        """The learner's variables at ``step``; only gathered when a tracker's ``histograms`` is true."""

    @hookspec
    def advdl_images(self, run: RunInfo, step: int, images: "Mapping[str, np.ndarray]") -> None:
        """Pictures of an evaluation by name, each uint8 ``[height, width, 3]``: samples, a confusion matrix."""

    @hookspec
    def advdl_checkpoint_saved(self, run: RunInfo, step: int, folder: Path) -> None:
        """A checkpoint has been published in ``folder``."""

    @hookspec
    def advdl_run_finished(self, run: RunInfo, status: str, error: str) -> None:
        """The run ended with ``status``."""
