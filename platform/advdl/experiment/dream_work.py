"""The work of an agent that trains in a model of its env, and is judged in the env itself."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from advdl.experiment.agent_work import AgentWork
from advdl.experiment.build import Training, build_agent, build_compilation, build_engine, build_trainer
from advdl.experiment.config import Experiment
from advdl.experiment.model_parts import build_ensemble, build_fitting, refuse_own_loops
from advdl.experiment.schema import Env, General, WorldModel
from advdl.experiment.schema import Trainer as TrainerSection
from advdl.rl.env_names import env_facts

if TYPE_CHECKING:
    import tensorflow as tf

    from advdl.plugin.host import PluginHost
    from advdl.rl.dream_engine import DreamEngine, Rhythm
    from advdl.rl.env_names import EnvFacts
    from advdl.rl.fitting import Ensemble, Fitting
    from advdl.rl.recording import Recording
    from advdl.rl.spaces import Spaces
    from advdl.rl.world_model import WorldModel as World
    from advdl.training.learner import Batch

_BEGINNINGS = 1_000
"""Real observations that are kept for episodes of the model to begin at."""


def build(experiment: Experiment, host: "PluginHost", folder: Path | None = None) -> AgentWork:
    """Builds the work of a run of the family ``dream``.

    Raises:
        UsageError: The env's transitions are no vectors, or the parts do not fit each other.
    """
    del folder
    refuse_own_loops(experiment, host)
    env = experiment.section(Env)
    facts = env_facts(env.id, host, options=env.options, wrappers=env.wrappers)
    return AgentWork(experiment, _training(experiment, host, facts))


def _training(experiment: Experiment, host: "PluginHost", facts: "EnvFacts") -> Training:
    from advdl.rl.spaces import Spaces
    from advdl.rl.transitions import TransitionCodec

    general, section = experiment.section(General), experiment.section(WorldModel)
    codec = TransitionCodec(Spaces(facts.observation, facts.action))
    agent = build_agent(experiment, host, facts)
    source = agent.source(num_envs=section.envs)
    dreamt = general.steps * section.imagined
    trainer = build_trainer(experiment, host, agent, source.updates_in(dreamt))
    ensemble = build_ensemble(experiment, host, codec.outcome_spec, section.ensemble)
    return Training(facts, agent, trainer, _engine(experiment, host, facts, (agent, trainer, source), ensemble))


def _engine(
    experiment: Experiment, host: "PluginHost", facts: "EnvFacts", parts: tuple[Any, Any, Any], ensemble: "Ensemble"
) -> "DreamEngine":
    from advdl.rl.behaviour import Behaviour
    from advdl.rl.compiled import CompiledEngine
    from advdl.rl.dream_engine import DreamEngine
    from advdl.rl.recording import Recording
    from advdl.rl.spaces import Spaces
    from advdl.training.trainer import Trainer

    general, section = experiment.section(General), experiment.section(WorldModel)
    rhythm, copies = _rhythm(experiment), experiment.section(Env).num
    spaces = Spaces(facts.observation, facts.action)
    behaviour = Behaviour(spaces, parts[0], random=section.random, warm_up=rhythm.warm_up, explore=True)
    recording = Recording(spaces, num_envs=copies, capacity=rhythm.total, batch_size=section.batch_size)
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
    return DreamEngine(real, recording, fitting, world, dream, rhythm=rhythm, seed=general.seed)


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


def _rhythm(experiment: Experiment) -> "Rhythm":
    """All copies step together, so every length is a multiple of their number."""
    from advdl.rl.dream_engine import Rhythm

    section, copies = experiment.section(WorldModel), experiment.section(Env).num

    def whole(steps: int) -> int:
        return -(-steps // copies) * copies

    return Rhythm(
        warm_up=whole(section.warm_up),
        refit_every=whole(section.refit_every),
        round=whole(section.round),
        imagined=section.imagined,
        total=whole(experiment.section(General).steps),
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
    )
