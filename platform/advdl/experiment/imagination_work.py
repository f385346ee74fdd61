"""The work of an agent that trains in a model with a memory, such as one of frames, and is judged in the env itself."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

from advdl.errors import UsageError
from advdl.experiment.agent_work import AgentWork
from advdl.experiment.build import Training, build_agent, build_compilation, build_engine, build_trainer, building
from advdl.experiment.config import Experiment
from advdl.experiment.model_parts import build_fitting, build_rhythm, refuse_own_loops
from advdl.experiment.schema import Env, General, Imagination
from advdl.experiment.schema import Trainer as TrainerSection
from advdl.rl.env_names import env_facts

if TYPE_CHECKING:
    import tensorflow as tf

    from advdl.plugin.host import PluginHost
    from advdl.rl.compiled import CompiledEngine
    from advdl.rl.dream_engine import DreamEngine, Rhythm
    from advdl.rl.dynamics import Dynamics
    from advdl.rl.dynamics_env import DynamicsEnv
    from advdl.rl.env_names import EnvFacts
    from advdl.rl.fitting import Fitting
    from advdl.rl.segments import SegmentRecording
    from advdl.training.learner import Batch

Parts = tuple[Any, Any, Any]
"""An agent, its trainer and its source."""


def build(experiment: Experiment, host: "PluginHost", folder: Path | None = None) -> AgentWork:
    """Builds the work of a run of the family ``imagination``.

    Raises:
        UsageError: The model cannot learn the env, or the parts do not fit each other.
    """
    from advdl.rl.spaces import Spaces

    del folder
    refuse_own_loops(experiment, host)
    env, section = experiment.section(Env), experiment.section(Imagination)
    facts = env_facts(env.id, host, options=env.options, wrappers=env.wrappers)
    spaces = Spaces(facts.observation, facts.action)
    with building(experiment):
        dynamics: Dynamics = host.build("dynamics", experiment.data["dynamics"], spaces)
    agent = build_agent(experiment, host, facts)
    source = agent.source(num_envs=section.envs)
    updates = source.updates_in(experiment.section(General).steps * section.imagined)
    trainer = build_trainer(experiment, host, agent, updates)
    engine = _engine(experiment, host, facts, (agent, trainer, source), dynamics)
    return AgentWork(experiment, Training(facts, agent, trainer, engine))


def _engine(
    experiment: Experiment, host: "PluginHost", facts: "EnvFacts", parts: Parts, dynamics: "Dynamics"
) -> "DreamEngine":
    from advdl.rl.behaviour import Behaviour
    from advdl.rl.dream_engine import DreamEngine
    from advdl.rl.dynamics_env import DynamicsEnv
    from advdl.training.trainer import Trainer

    section = experiment.section(Imagination)
    rhythm = _rhythm(experiment, max(dynamics.length, dynamics.context))
    recording = _recording(experiment, dynamics, rhythm.total)
    behaviour = Behaviour(dynamics.spaces, parts[0], random=section.random, warm_up=rhythm.warm_up, explore=True)
    real = build_engine(experiment, host, facts, behaviour, Trainer(behaviour, {}, total_updates=1), recording)
    world = DynamicsEnv(dynamics, horizon=section.horizon)
    return DreamEngine(
        real,
        recording,
        _fitting(experiment, host, dynamics, recording),
        world,
        _dream(experiment, world, parts, dynamics),
        rhythm=rhythm,
        seed=experiment.section(General).seed,
    )


def _dream(experiment: Experiment, world: "DynamicsEnv", parts: Parts, dynamics: "Dynamics") -> "CompiledEngine":
    from advdl.rl.compiled import CompiledEngine
    from advdl.training.compilation import convolves

    general, section = experiment.section(General), experiment.section(Imagination)
    return CompiledEngine(
        world,
        *parts,
        num_envs=section.envs,
        total_steps=general.steps * section.imagined,
        seed=general.seed,
        jit=build_compilation(experiment, parts[0], apart=convolves(dynamics)),
        chunk_seconds=experiment.section(TrainerSection).chunk_seconds,
    )


def _recording(experiment: Experiment, dynamics: "Dynamics", capacity: int) -> "SegmentRecording":
    from advdl.rl.segments import SegmentRecording

    return SegmentRecording(
        dynamics.spaces,
        num_envs=experiment.section(Env).num,
        capacity=capacity,
        length=max(dynamics.length, 2),
        batch_size=experiment.section(Imagination).batch_size,
    )


def _fitting(
    experiment: Experiment, host: "PluginHost", dynamics: "Dynamics", recording: "SegmentRecording"
) -> "Fitting":
    from advdl.training.randomness import Stream

    section, draws = experiment.section(Imagination), Stream(experiment.section(General).seed, "fit")

    def batch(update: "tf.Tensor") -> "Batch":
        drawn = recording.sample(draws.at(update), update)
        return {name: value[:, -dynamics.length :] for name, value in drawn.items()}

    def data() -> "Batch":
        """All copies' steps, each copy a segment."""
        return {name: value.swapaxes(0, 1) for name, value in recording.transitions().items()}

    return build_fitting(
        experiment,
        host,
        dynamics,
        batch=batch,
        data=data,
        updates=0 if section.untrained else section.updates,
        optimizer="dynamics_optimizer",
    )


def _rhythm(experiment: Experiment, length: int) -> "Rhythm":
    """Says when the model is fitted and trained in.

    Raises:
        UsageError: At the first fit there would be no whole segment.
    """
    section, copies = experiment.section(Imagination), experiment.section(Env).num
    if section.warm_up < length * copies:
        raise UsageError(
            f"{section.warm_up} steps of warm-up on {copies} copies are less than a segment of {length} steps each",
            hint=f"give world_model.warm_up={length * copies} or more, or fewer env.num",
        )
    return build_rhythm(experiment, section)
