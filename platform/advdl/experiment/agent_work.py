"""AgentWork: an agent that trains in an env and is judged by its returns."""

import zlib
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from advdl.experiment.build import Training, build_training
from advdl.experiment.config import Experiment
from advdl.experiment.learnt import learnt_state
from advdl.experiment.schema import Env, Evaluation, General
from advdl.experiment.work import Verdict

if TYPE_CHECKING:
    import numpy as np

    from advdl.plugin.host import PluginHost
    from advdl.rl.agent import Agent
    from advdl.rl.engine import Meter
    from advdl.rl.evaluation import Evaluation as Episodes
    from advdl.training.checkpoint import CheckpointStore
    from advdl.training.state import State


class AgentWork:
    """Drives an engine; evaluates on Gymnasium's own env.

    Args:
        experiment: The resolved configuration.
        training: The parts.
    """

    unit, watched = "env steps", "rollout/return"

    def __init__(self, experiment: Experiment, training: Training) -> None:
        from advdl.rl.policy import HostPolicy
        from advdl.rl.spaces import Spaces

        facts = training.facts
        self._training, self._engine = training, training.engine
        self._act = HostPolicy(training.agent, Spaces(facts.observation, facts.action))
        self._seed = experiment.section(General).seed
        self._episodes = experiment.section(Evaluation).episodes
        self._env = experiment.section(Env)
        self.target = facts.reward_threshold
        self.metrics: Meter = training.engine.metrics
        self.stopwatch = training.stopwatch

    @property
    def agent(self) -> "Agent":
        """What is trained."""
        return self._training.agent

    @property
    def step(self) -> int:
        """Env steps made so far."""
        return self._engine.env_steps

    @property
    def updates(self) -> int:
        """Updates made so far."""
        return int(self._training.trainer.updates)

    def keep(self, folder: Path) -> None:
        """Puts a replay that is on the disk where it stays; nothing else is needed beside the checkpoints."""
        from advdl.rl.replay_disk import disk_of

        if disk := disk_of(getattr(self._engine, "source", None)):
            disk.keep(folder)

    def build(self) -> None:
        """Traces the engine's program."""
        self._engine.build()

    def advance(self, until: int) -> None:
        """Runs a chunk of the engine."""
        self._engine.advance(until)

    def state(self) -> "State":
        """Returns the engine's state, the trainer's and the source's in it."""
        return self._engine.state()

    def learnt(self) -> "State":
        """Returns the agent's variables, and their averages where there are any."""
        return learnt_state(self._training.trainer)

    def weights(self) -> "Mapping[str, np.ndarray]":
        """Returns the agent's trainable variables."""
        from advdl.training.trainer import learner_weights

        return learner_weights(self._training.agent)

    def store(self, folder: Any, *, keep_last: int) -> "CheckpointStore":
        """Returns a store of TensorFlow checkpoints."""
        from advdl.training.checkpoint import CheckpointStore

        return CheckpointStore(folder, keep_last=keep_last)

    def judge(self, purpose: str) -> Verdict:
        """Plays episodes whose seeds no other evaluation of the run has."""
        from advdl.rl.evaluation import evaluate

        seed = evaluation_seed(self._seed, purpose, self.step)
        with self._training.trainer.averaged():
            return verdict(
                evaluate(
                    self._act.at_present(),
                    self._training.facts.host_id,
                    episodes=self._episodes,
                    seed=seed,
                    env_options=self._env.options,
                    env_wrappers=self._env.wrappers,
                )
            )


def build(experiment: Experiment, host: "PluginHost", folder: Path | None = None) -> AgentWork:
    """Builds the work of a run of the family ``agent``."""
    work = AgentWork(experiment, build_training(experiment, host))
    if folder is not None:
        work.keep(folder)
    return work


def agent_state(agent: Any) -> "State":
    """Returns an agent's variables by the names that a run's checkpoint gives them."""
    from advdl.training.trainer import learner_variables

    return {f"trainer/{name}": variable for name, variable in learner_variables(agent).items()}


def evaluation_seed(seed: int, purpose: str, step: int) -> int:
    """Derives the seed of an evaluation: episodes differ from step to step and from purpose to purpose."""
    return zlib.crc32(f"{seed}/{purpose}/{step}".encode())


def verdict(episodes: "Episodes") -> Verdict:
    """Says what episodes are worth: the mean return is the score."""
    figures = episodes.figures()
    details = {"returns": episodes.returns.tolist()}
    return Verdict(figures, figures["return/mean"], describe(figures), details, samples=episodes.samples())


def describe(figures: Mapping[str, float]) -> str:
    """Says an evaluation in one line."""
    return (
        f"return {figures['return/mean']:.1f} (std {figures['return/std']:.1f}, IQM {figures['return/iqm']:.1f}, "
        f"95% {figures['return/low']:.1f} to {figures['return/high']:.1f}) over {figures['episodes']:.0f} episodes"
    )
