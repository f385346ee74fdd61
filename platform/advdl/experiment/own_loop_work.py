"""OwnLoopWork: an agent with its own learning loop, in a run like any other. Imports no TensorFlow."""

import warnings
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from advdl.errors import UsageError
from advdl.experiment.agent_work import evaluation_seed, verdict
from advdl.experiment.config import Experiment
from advdl.experiment.schema import Evaluation, General, OwnLoopEnv
from advdl.experiment.work import Verdict
from advdl.rl.env_names import EnvFacts, env_facts
from advdl.rl.evaluation import evaluate
from advdl.rl.own_loop import POLICY, Assignment, OwnLoopAgent
from advdl.rl.spaces import Spaces
from advdl.training.checkpoint import CheckpointStore, Restored
from advdl.training.means import Means
from advdl.training.stopwatch import Stopwatch
from advdl.training.tensor_format import array_file

if TYPE_CHECKING:
    import numpy as np

    from advdl.plugin.host import PluginHost
    from advdl.training.state import State

_FACTS, _MEANS = "agent", "metrics"


class OwnLoopWork:
    """Drives an agent that trains itself; evaluates on Gymnasium's own env.

    Args:
        experiment: The resolved configuration.
        agent: What is trained.
        facts: What is known of the env.
    """

    unit, watched = "env steps", "rollout/return"

    def __init__(self, experiment: Experiment, agent: OwnLoopAgent, facts: EnvFacts) -> None:
        self.agent, self._facts = agent, facts
        self._seed = experiment.section(General).seed
        self._episodes = experiment.section(Evaluation).episodes
        self._env = experiment.section(OwnLoopEnv)
        self.target = facts.reward_threshold
        self.metrics = Means()
        self.stopwatch = Stopwatch()

    @property
    def step(self) -> int:
        """Env steps made so far."""
        return self.agent.env_steps

    def keep(self, folder: Path) -> None:
        """Nothing is needed beside the checkpoints."""

    def build(self) -> None:
        """Nothing is left to build."""

    def advance(self, until: int) -> None:
        """Lets the agent learn; it stops at the first place after ``until`` where it can go on exactly."""
        self.agent.learn(until, self.metrics.add)

    def state(self) -> "State":
        """Returns the agent's arrays; what is no array is added by the store."""
        return self.agent.state()

    def learnt(self) -> "State":
        """Returns the policy's arrays."""
        return {name: array for name, array in self.agent.state().items() if name.startswith(POLICY)}

    def weights(self) -> "Mapping[str, np.ndarray]":
        """Returns the policy's arrays of floats, for histograms."""
        return {name.removeprefix(POLICY): array for name, array in self.learnt().items() if array.dtype.kind == "f"}

    def store(self, folder: Any, *, keep_last: int) -> CheckpointStore:
        """Returns a store that keeps the agent's facts beside its arrays."""
        return OwnLoopStore(folder, self.agent, self.metrics, keep_last=keep_last)

    def judge(self, purpose: str) -> Verdict:
        """Plays episodes whose seeds no other evaluation of the run has."""
        return verdict(
            evaluate(
                self.agent.act,
                self._facts.host_id,
                episodes=self._episodes,
                seed=evaluation_seed(self._seed, purpose, self.step),
                env_options=self._env.options,
                env_wrappers=self._env.wrappers,
            )
        )


class OwnLoopStore(CheckpointStore):
    """Checkpoints of an agent whose state is arrays and plain facts.

    Args:
        folder: Where the steps' folders are.
        agent: Whose state it is.
        metrics: The means of the interval that has begun.
        keep_last: How many of the newest steps pruning keeps.
    """

    def __init__(self, folder: Path, agent: OwnLoopAgent, metrics: Means, *, keep_last: int) -> None:
        super().__init__(folder, keep_last=keep_last, tensor_format=array_file())
        self._agent, self._metrics = agent, metrics

    def save(self, step: int, state: "State", meta: Mapping[str, Any]) -> Path:
        """Publishes the agent's arrays and facts."""
        facts = {_FACTS: dict(self._agent.facts()), _MEANS: self._metrics.facts()}
        return super().save(step, state, {**meta, **facts})

    def restore(
        self,
        state: "State",
        step: int | None = None,
        *,
        partial: bool = False,
        warn: Callable[[str], None] = warnings.warn,
    ) -> Restored:
        """Gives the agent a saved state, or, where ``partial``, the policy alone; warns of what is lost."""
        del state
        loaded = self.load(step, prefix=POLICY if partial else "", warn=warn)
        plan = {name: value for name, value in loaded.meta.items() if name not in (_FACTS, _MEANS)}
        if partial:
            self._agent.restore_policy(loaded.arrays)
        else:
            for sentence in self._agent.restore(loaded.arrays, loaded.meta[_FACTS]):
                warn(sentence)
            self._metrics.restore(loaded.meta[_MEANS])
        return Restored(loaded.step, plan)


def build(experiment: Experiment, host: "PluginHost", folder: Path | None = None) -> OwnLoopWork:
    """Builds the work of a run of the family ``own_loop``."""
    del folder
    _refuse_what_is_not_its_own(experiment)
    agent, facts = build_agent(experiment, host)
    return OwnLoopWork(experiment, agent, facts)


def _refuse_what_is_not_its_own(experiment: Experiment) -> None:
    """Refuses general settings that mean nothing to a loop which is not the platform's."""
    for key, usual in {"engine": ("auto", "host"), "precision": ("float32",), "devices": (1,)}.items():
        value = experiment.get(key)
        if value not in usual:
            name = experiment.get("agent.name")
            raise UsageError(
                f"{key} cannot be {value!r}: {name!r} has a learning loop of its own",
                hint=f"leave it out: --set {key}={usual[0]}",
            )


def build_agent(experiment: Experiment, host: "PluginHost") -> tuple[OwnLoopAgent, EnvFacts]:
    """Builds the agent of a run, whose state is still to be restored."""
    general, env = experiment.section(General), experiment.section(OwnLoopEnv)
    facts = env_facts(env.id, host, options=env.options, wrappers=env.wrappers)
    spaces = Spaces(facts.observation, facts.action)
    assignment = Assignment(
        spaces, facts.host_id, env.num, general.seed, general.steps, env_options=env.options, env_wrappers=env.wrappers
    )
    agent: OwnLoopAgent = host.build("agent", experiment.data["agent"], assignment)
    return agent, facts
