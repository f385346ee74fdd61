"""Policies of runs: an agent rebuilt from its configuration, filled from a checkpoint."""

from collections.abc import Callable
from typing import TYPE_CHECKING

from advdl.errors import UsageError
from advdl.experiment.agent_work import agent_state
from advdl.experiment.build import build_policy
from advdl.experiment.run_folder import RunFolder
from advdl.training.backend import start_tensorflow

if TYPE_CHECKING:
    from advdl.plugin.host import PluginHost
    from advdl.rl.env_names import EnvFacts
    from advdl.rl.evaluation import Act
    from advdl.training.checkpoint import CheckpointStore


def load_policy(
    folder: RunFolder, host: "PluginHost", checkpoint: str = "best", warn: Callable[[str], None] = print
) -> "tuple[Act, EnvFacts, int]":
    """Rebuilds a run's policy from its configuration and fills it from a checkpoint.

    Args:
        folder: The run.
        host: The plugins.
        checkpoint: ``"best"`` (the last where none is marked), ``"last"``, or a step.
        warn: Told when a damaged checkpoint is passed over.

    Returns:
        The policy, the env's facts and the checkpoint's step.

    Raises:
        UsageError: The run has no agent, or there is no such checkpoint.
        CorruptError: It is damaged, and so is every other.
    """
    if folder.record().family != "agent":
        raise UsageError(f"run {folder.id} has no agent: it trained a {folder.record().family}", hint="advdl runs list")
    start_tensorflow()
    from advdl.training.checkpoint import CheckpointStore

    store = CheckpointStore(folder.checkpoints)
    experiment = folder.experiment(host)
    agent, act, facts = build_policy(experiment, host)
    step = chosen_step(store, checkpoint)
    restored = store.restore(agent_state(agent, experiment), step, partial=True, warn=warn)
    return act, facts, restored.step


def chosen_step(store: "CheckpointStore", checkpoint: str) -> int | None:
    """Returns the step that ``--checkpoint`` means; None for the newest.

    Raises:
        UsageError: It means none.
    """
    if checkpoint == "best":
        return store.best()
    if checkpoint == "last":
        return None
    if checkpoint.isdecimal():
        return int(checkpoint)
    raise UsageError(f"--checkpoint takes best, last or a step, not {checkpoint!r}")
