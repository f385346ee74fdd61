"""The work of an agent that trains in a model of its env, and is judged in the env itself."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from advdl.experiment.agent_work import AgentWork
from advdl.experiment.build import Training, build_agent, build_compilation, build_engine, build_trainer
from advdl.experiment.config import Experiment
from advdl.experiment.env_data import FILE, write_transitions
from advdl.experiment.model_parts import build_ensemble, build_fitting, build_rhythm, refuse_own_loops
from advdl.experiment.reuse import given_transitions, reward_function, start_model
from advdl.experiment.schema import Env, General, WorldModel
from advdl.experiment.schema import Trainer as TrainerSection
from advdl.rl.env_names import env_facts

if TYPE_CHECKING:
    import tensorflow as tf

    from advdl.plugin.host import PluginHost
    from advdl.rl.dream_engine import DreamEngine
    from advdl.rl.env_data import Transitions
    from advdl.rl.env_names import EnvFacts
    from advdl.rl.fitting import Ensemble, Fitting
    from advdl.rl.recording import Recording
    from advdl.rl.spaces import Spaces
    from advdl.rl.world_model import WorldModel as World
    from advdl.training.learner import Batch


class DreamWork(AgentWork):
    """An agent's work; the real transitions that it begins with, where there are any, are kept with the run.

    Args:
        experiment: The resolved configuration.
        training: The parts.
        given: The transitions.
    """

    def __init__(self, experiment: Experiment, training: Training, given: "Transitions | None") -> None:
        super().__init__(experiment, training)
        self._given = given

    def keep(self, folder: Path) -> None:
        """Keeps the transitions that another run has made: this one's memory has room for them."""
        if self._given is not None:
            write_transitions(folder / FILE, self._given)


_BEGINNINGS = 1_000
"""Real observations that are kept for episodes of the model to begin at."""


def build(experiment: Experiment, host: "PluginHost", folder: Path | None = None) -> DreamWork:
    """Builds the work of a run of the family ``dream``.

    Raises:
        UsageError: The env's transitions are no vectors, the parts do not fit each other, or what the model starts
            from is no run or does not fit it.
    """
    from advdl.rl.spaces import Spaces

    refuse_own_loops(experiment, host)
    env = experiment.section(Env)
    facts = env_facts(env.id, host, options=env.options, wrappers=env.wrappers)
    spaces = Spaces(facts.observation, facts.action)
    given = given_transitions(experiment.section(WorldModel), spaces, folder)
    training = _training(experiment, host, facts, given, begins=folder is None)
    return DreamWork(experiment, training, given)


def _training(
    experiment: Experiment, host: "PluginHost", facts: "EnvFacts", given: "Transitions | None", *, begins: bool
) -> Training:
    from advdl.rl.spaces import Spaces
    from advdl.rl.transitions import TransitionCodec

    general, section = experiment.section(General), experiment.section(WorldModel)
    codec = TransitionCodec(Spaces(facts.observation, facts.action))
    agent = build_agent(experiment, host, facts)
    source = agent.source(num_envs=section.envs)
    dreamt = general.steps * section.imagined
    trainer = build_trainer(experiment, host, agent, source.updates_in(dreamt))
    ensemble = build_ensemble(experiment, host, codec.outcome_spec, section.ensemble)
    recording = _recording(experiment, codec.spaces, given)
    parts = (agent, trainer, source)
    engine, fitting = _engine(experiment, host, facts, parts, ensemble, recording)
    if given is not None and begins:  # later its own checkpoint has both
        recording.recall(given)
        start_model(fitting, section.start_from)
    return Training(facts, agent, trainer, engine)


def _recording(experiment: Experiment, spaces: "Spaces", given: "Transitions | None") -> "Recording":
    from advdl.rl.recording import Recording

    copies, section = experiment.section(Env).num, experiment.section(WorldModel)
    before = 0 if given is None else len(given["reward"]) // copies * copies
    capacity = before + build_rhythm(experiment, section).total
    return Recording(spaces, num_envs=copies, capacity=capacity, batch_size=section.batch_size)


def _engine(
    experiment: Experiment,
    host: "PluginHost",
    facts: "EnvFacts",
    parts: tuple[Any, Any, Any],
    ensemble: "Ensemble",
    recording: "Recording",
) -> "tuple[DreamEngine, Fitting]":
    from advdl.rl.behaviour import Behaviour
    from advdl.rl.compiled import CompiledEngine
    from advdl.rl.dream_engine import DreamEngine
    from advdl.rl.spaces import Spaces
    from advdl.training.trainer import Trainer

    general, section = experiment.section(General), experiment.section(WorldModel)
    rhythm, spaces = build_rhythm(experiment, section), Spaces(facts.observation, facts.action)
    behaviour = Behaviour(spaces, parts[0], random=section.random, warm_up=rhythm.warm_up, explore=True)
    real = build_engine(experiment, host, facts, behaviour, Trainer(behaviour, {}, total_updates=1), recording)
    world = _world(ensemble, spaces, section)
    dream = CompiledEngine(
        world,
        *parts,
        num_envs=section.envs,
        total_steps=general.steps * section.imagined,
        seed=general.seed,
        jit=build_compilation(experiment, parts[0]),
        chunk_seconds=experiment.section(TrainerSection).chunk_seconds,
    )
    fitting = _fitting(experiment, host, ensemble, world, recording)
    return DreamEngine(real, recording, fitting, world, dream, rhythm=rhythm, seed=general.seed), fitting


def _fitting(
    experiment: Experiment, host: "PluginHost", ensemble: "Ensemble", world: "World", recording: "Recording"
) -> "Fitting":
    from advdl.training.randomness import Stream

    section, draws = experiment.section(WorldModel), Stream(experiment.section(General).seed, "fit")

    def batch(update: "tf.Tensor") -> "Batch":
        return world.codec.encode(recording.sample(draws.at(update), update))

    return build_fitting(
        experiment,
        host,
        ensemble,
        batch=batch,
        data=lambda: world.codec.encode(recording.transitions()),
        updates=0 if section.untrained else section.updates,
    )


def _world(ensemble: "Ensemble", spaces: "Spaces", section: WorldModel) -> "World":
    """Builds the env; it begins at nothing real until the first fit."""
    from advdl.rl.world_model import WorldModel as World

    blank = {
        name: np.zeros((_BEGINNINGS, *(space.shape or ())), space.dtype)
        for name, space in {
            "observation": spaces.observation,
            "next_observation": spaces.observation,
            "action": spaces.action,
        }.items()
    }
    blank |= {"reward": np.zeros(_BEGINNINGS, np.float32), "terminated": np.zeros(_BEGINNINGS, bool)}
    return World(
        ensemble.samplers,
        spaces,
        blank,
        horizon=section.horizon,
        max_uncertainty=section.max_uncertainty or float("inf"),
        penalty=section.penalty,
        margin=section.margin,
        reward=reward_function(section.reward) if section.reward else None,
    )
