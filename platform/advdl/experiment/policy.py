"""Policies of runs: an agent rebuilt from its configuration, filled from a checkpoint."""

from collections.abc import Callable
from typing import TYPE_CHECKING

from advdl.errors import UsageError
from advdl.experiment.build import build_policy
from advdl.experiment.learnt import used_state
from advdl.experiment.run_folder import RunFolder
from advdl.experiment.schema import FAMILIES

if TYPE_CHECKING:
    from advdl.plugin.host import PluginHost
    from advdl.rl.agent import Agent
    from advdl.rl.env_names import EnvFacts
    from advdl.rl.evaluation import Act
    from advdl.rl.own_loop import OwnLoopAgent
    from advdl.rl.policy import HostPolicy
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
    family = folder.record().family
    if family == "own_loop":
        return _load_own_loop(folder, host, checkpoint, warn)
    if FAMILIES[family].main != "agent":
        raise UsageError(f"run {folder.id} has no agent: it trained a {family}", hint="advdl runs list")
    _, act, facts, step = _load(folder, host, checkpoint, warn)
    return act.at_present(), facts, step


def load_agent(
    folder: RunFolder, host: "PluginHost", checkpoint: str = "best", warn: Callable[[str], None] = print
) -> "tuple[Agent, int]":
    """Rebuilds a run's agent as ``load_policy`` does; returns it and the checkpoint's step.

    Raises:
        UsageError: The run has no agent of advdl's own, or there is no such checkpoint.
        CorruptError: It is damaged, and so is every other.
    """
    family = folder.record().family
    if FAMILIES[family].main != "agent" or family == "own_loop":
        what = "an agent with its own loop" if family == "own_loop" else f"a {family}"
        raise UsageError(f"run {folder.id} cannot be exported: it trained {what}", hint="advdl runs list")
    agent, _, _, step = _load(folder, host, checkpoint, warn)
    return agent, step


def _load(
    folder: RunFolder, host: "PluginHost", checkpoint: str, warn: Callable[[str], None]
) -> "tuple[Agent, HostPolicy, EnvFacts, int]":
    from advdl.training.checkpoint import CheckpointStore

    store = CheckpointStore(folder.checkpoints)
    experiment = folder.experiment(host)
    agent, act, facts = build_policy(experiment, host)
    step = chosen_step(store, checkpoint)
    restored = store.restore(used_state(agent, experiment), step, partial=True, warn=warn)
    return agent, act, facts, restored.step


def _load_own_loop(
    folder: RunFolder, host: "PluginHost", checkpoint: str, warn: Callable[[str], None]
) -> "tuple[Act, EnvFacts, int]":
    agent, facts, step = load_own_loop(folder, host, checkpoint, warn)
    return agent.act, facts, step


def load_own_loop(
    folder: RunFolder, host: "PluginHost", checkpoint: str = "best", warn: Callable[[str], None] = print
) -> "tuple[OwnLoopAgent, EnvFacts, int]":
    """Rebuilds an agent with its own loop as ``load_policy`` does; also returns the env's facts and the step.

    Raises:
        UsageError: There is no such checkpoint.
        CorruptError: It is damaged, and so is every other.
    """
    from advdl.experiment.own_loop_work import build_agent
    from advdl.rl.own_loop import POLICY
    from advdl.training.checkpoint import CheckpointStore

    store = CheckpointStore(folder.checkpoints)
    step = chosen_step(store, checkpoint)
    loaded = store.load(step, prefix=POLICY, warn=warn)
    agent, facts = build_agent(folder.experiment(host), host)
    agent.restore_policy(loaded.arrays)
    return agent, facts, loaded.step


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
