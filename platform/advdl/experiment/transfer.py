"""Starts a run's backbone from another run's, whichever of the two has a learning loop of its own."""

import os
from typing import TYPE_CHECKING, Any

from advdl.errors import UsageError
from advdl.experiment.config import Experiment
from advdl.experiment.find_runs import runs_root
from advdl.experiment.run_folder import RunFolder
from advdl.experiment.work import Work
from advdl.training.backend import start_tensorflow
from advdl.training.transfer import backbone_arrays, positions, signature

if TYPE_CHECKING:
    from advdl.plugin.host import PluginHost


def start_backbone(work: Work, experiment: Experiment, host: "PluginHost") -> str:
    """Fills every backbone of a run that has not begun with the weights of another run's.

    Args:
        work: What is about to be trained; built.
        experiment: Its configuration; ``backbone_from`` names the other run.
        host: The plugins.

    Returns:
        What was done, in a sentence; empty where nothing was asked for.

    Raises:
        UsageError: There is no such run or checkpoint, or the backbones are not alike.
        CorruptError: The checkpoint is damaged.
    """
    from advdl.training.checkpoint import CheckpointStore

    ref = experiment.get("backbone_from")
    if not ref:
        return ""
    source = RunFolder.open(ref, runs_root(None, os.environ))
    store = CheckpointStore(source.checkpoints)
    if source.record().family != "own_loop":
        start_tensorflow()  # reads its own files, and quietly
    backbones = _backbones(work, experiment, host)
    loaded = store.load(store.best())
    arrays = backbone_arrays(loaded.arrays, signature(backbones[0])) if backbones else None
    if arrays is None:
        name = (experiment.data.get("agent", {}).get("backbone") or {}).get("name")
        raise UsageError(
            f"run {source.id} has no backbone like this run's ({name or 'it has none'})",
            hint="both need the same agent.backbone with the same options, and observations of the same shape",
        )
    for backbone in backbones:
        for variable, array in zip(backbone, arrays, strict=True):
            variable.assign(array)
    return f"the backbone starts from run {source.id}, step {loaded.step:,}"


def _backbones(work: Work, experiment: Experiment, host: "PluginHost") -> list[list[Any]]:
    """Returns the variables of each backbone of an agent."""
    agent = getattr(work, "agent", None)
    if experiment.family == "own_loop" and agent is not None:
        return [list(model.variables) for model in agent.backbones()]
    chosen = experiment.data.get("agent", {}).get("backbone")
    if agent is None or not chosen:
        return []
    wanted = signature(host.build("backbone", chosen, agent.spaces.observation).variables)
    found = []
    for model in agent.models.values():
        variables = list(model.variables)
        found += [variables[at : at + len(wanted)] for at in positions(signature(variables), wanted)]
    return found
