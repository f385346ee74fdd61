"""Backbones that come from another run, or stay as they are."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from advdl.errors import UsageError
from advdl.experiment.config import Experiment
from advdl.experiment.run_folder import RunFolder
from advdl.experiment.schema import FAMILIES, Backbone

if TYPE_CHECKING:
    import keras
    import numpy as np

    from advdl.plugin.host import PluginHost


class Seeing(Protocol):
    """What sees through backbones: every learner, and every agent with a loop of its own."""

    def backbones(self) -> "Sequence[keras.Model]":
        """Returns them; the one that acts first."""


def begin_backbones(learner: Seeing, experiment: Experiment, host: "PluginHost") -> UsageError | None:
    """Fills a new learner's backbones from another run and freezes them, as ``[backbone]`` says.

    Args:
        learner: What has just been built, before its objectives are asked for.
        experiment: Its configuration.
        host: The plugins.

    Returns:
        An error if the other run is gone: no obstacle to a run that goes on from a checkpoint.

    Raises:
        UsageError: The learner has no backbone, or another one than the other run.
    """
    section = experiment.section(Backbone)
    if not section.from_run and not section.freeze:
        return None
    name = experiment.get(f"{FAMILIES[experiment.family].main}.name")
    if not learner.backbones():
        raise UsageError(
            f"{name!r} sees through no backbone that could be {'frozen' if section.freeze else 'taken from a run'}",
            hint="backbones: advdl plugins list --kind backbone",
        )
    missing = _take(learner, section.from_run, name, host) if section.from_run else None
    for backbone in learner.backbones():
        backbone.trainable = not section.freeze
    return missing


def backbone_settings(folder: RunFolder) -> Mapping[str, Any]:
    """Returns a run's backbone, by name and options, as it stands in its configuration.

    Raises:
        UsageError: It has none.
    """
    main = folder.config()[FAMILIES[folder.record().family].main]
    settings: Mapping[str, Any] | None = main.get("backbone")
    if not isinstance(settings, Mapping):
        raise UsageError(f"run {folder.id} has no backbone: it trained {main['name']!r}", hint="advdl runs list")
    return settings


def _take(learner: Seeing, run: str, name: str, host: "PluginHost") -> UsageError | None:
    try:
        folder = RunFolder.open(run, Path(run).parent)
    except UsageError as error:
        return error
    givers, same = _backbones_of(folder, host), folder.config().get("agent", {}).get("name") == name
    takers = learner.backbones()
    for place, taker in enumerate(takers):
        # Between agents of one kind each network has its counterpart; otherwise what acts is what has learnt to see.
        giver = givers[place] if same and len(givers) == len(takers) else givers[0]
        _fill(taker, giver, folder)
    return None


def _backbones_of(folder: RunFolder, host: "PluginHost") -> "list[list[np.ndarray]]":
    """Rebuilds what a run has trained, fills it from its best checkpoint, and returns its backbones' weights."""
    import numpy as np

    from advdl.experiment.work import learnt_of

    backbones = learnt_of(folder, host).backbones()
    if not backbones:
        raise UsageError(f"run {folder.id} has no backbone", hint="advdl runs list")
    return [[np.asarray(weight) for weight in backbone.weights] for backbone in backbones]


def _fill(taker: "keras.Model", weights: "Sequence[np.ndarray]", folder: RunFolder) -> None:
    ours, theirs = ([tuple(weight.shape) for weight in each] for each in (taker.weights, weights))
    if ours != theirs:
        differs = next((pair for pair in zip(ours, theirs, strict=False) if pair[0] != pair[1]), None)
        why = (
            f"a weight is {list(differs[1])} there and {list(differs[0])} here"
            if differs
            else (f"it has {len(theirs)} weights there and {len(ours)} here")
        )
        raise UsageError(
            f"the backbone of run {folder.id} does not fit this one: {why}",
            hint="--backbone-from alone takes the run's backbone with its options; the observation must fit too",
        )
    for weight, value in zip(taker.weights, weights, strict=True):
        weight.assign(value)
