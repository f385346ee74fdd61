"""What trackers are told of a sweep: a row for each trial, with the searched settings alone."""

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from advdl.experiment.sweep.space import plain_setting
from advdl.experiment.sweep.spec import SweepFolder
from advdl.plugin.run_hooks import RunDispatcher
from advdl.plugin.tracker import RunInfo

if TYPE_CHECKING:
    from advdl.plugin.host import PluginHost

_STATUS = {"done": "done", "pruned": "done", "failed": "failed"}


class TrialTrackers:
    """Reports trials that have ended to the trackers that their runs have, as small runs of their own.

    The trial's own run has all its settings and curves; here TensorBoard's HPARAMS table gets a row with the settings
    that were searched and what they led to, and nothing else.

    Args:
        folder: The sweep.
        host: Builds the trackers.
        trackers: Options by name, as an experiment has them.
        say: Told of a tracker that fails.
    """

    def __init__(
        self,
        folder: SweepFolder,
        host: "PluginHost",
        trackers: Mapping[str, Mapping[str, Any]],
        say: Callable[[str], None],
    ) -> None:
        self._folder, self._host, self._trackers, self._say = folder, host, trackers, say

    def ended(
        self, number: int, params: Mapping[str, Any], status: str, value: float | None, problem: str = ""
    ) -> None:
        """Reports one trial.

        Args:
            number: The trial's.
            params: The settings that were searched, by dotted key.
            status: ``"done"``, ``"pruned"`` or ``"failed"``.
            value: What it is worth, or None.
            problem: Why it failed.
        """
        path = self._folder.trials / f"{number:04d}"
        path.mkdir(parents=True, exist_ok=True)
        plain = {key: plain_setting(setting) for key, setting in params.items()}
        run = RunInfo(path, f"{self._folder.name}/{number:04d}", plain)
        trackers = {name: self._host.build("tracker", {"name": name, **raw}) for name, raw in self._trackers.items()}
        hooks = RunDispatcher((), trackers, self._say)
        hooks.started(run)
        if value is not None:
            hooks.evaluated(run, 0, {"objective": value})
        hooks.finished(run, _STATUS[status], problem)
