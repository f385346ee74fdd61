"""The composition root: from a resolved experiment to the parts that train."""

from dataclasses import dataclass
from typing import TYPE_CHECKING

from advdl.errors import UsageError
from advdl.experiment.config import Experiment
from advdl.experiment.schema import FAMILIES, Env, General
from advdl.experiment.schema import Trainer as TrainerSection
from advdl.rl.env_names import EnvFacts, compiled_twin, env_facts
from advdl.rl.evaluation import make_env

if TYPE_CHECKING:
    from advdl.plugin.host import PluginHost
    from advdl.rl.agent import Agent
    from advdl.rl.compiled import CompiledEngine
    from advdl.rl.functional import CompiledEnv
    from advdl.rl.policy import HostPolicy
    from advdl.training.learner import Learner
    from advdl.training.trainer import Trainer, Tuning


@dataclass(frozen=True, slots=True)
class Training:
    """The parts of a run.

    Attributes:
        facts: What is known of the env.
        agent: What is trained.
        trainer: Makes the updates.
        engine: Steps env and trainer.
    """

    facts: EnvFacts
    agent: "Agent"
    trainer: "Trainer"
    engine: "CompiledEngine"


def build_training(experiment: Experiment, host: "PluginHost") -> Training:
    """Builds env, agent, trainer and engine.

    Raises:
        UsageError: The parts do not fit each other.
    """
    from advdl.rl.compiled import CompiledEngine

    general, env = experiment.section(General), experiment.section(Env)
    section = experiment.section(TrainerSection)
    compiled = _compiled_env(experiment, host)
    facts = env_facts(env.id, host, env.options)
    make_env(facts.host_id, env.options).close()  # options that the evaluation's env refuses are refused now
    agent = _agent(experiment, host, facts)
    source = agent.source(num_envs=env.num)
    trainer = build_trainer(experiment, host, agent, source.updates_in(general.steps))
    engine = CompiledEngine(
        compiled,
        agent,
        trainer,
        source,
        num_envs=env.num,
        total_steps=general.steps,
        seed=general.seed,
        jit=section.jit != "off",
        chunk_seconds=section.chunk_seconds,
    )
    return Training(facts, agent, trainer, engine)


def build_policy(experiment: Experiment, host: "PluginHost") -> "tuple[Agent, HostPolicy, EnvFacts]":
    """Builds an agent without what trains it; its weights are still to be restored."""
    from advdl.rl.policy import HostPolicy
    from advdl.rl.spaces import Spaces

    env = experiment.section(Env)
    facts = env_facts(env.id, host, env.options)
    agent = _agent(experiment, host, facts)
    return agent, HostPolicy(agent, Spaces(facts.observation, facts.action)), facts


def _compiled_env(experiment: Experiment, host: "PluginHost") -> "CompiledEnv":
    env, engine = experiment.section(Env), experiment.section(General).engine
    twin = compiled_twin(env.id, host)
    if engine == "host" or twin is None:
        what = "engine 'host' is asked for" if engine == "host" else f"env {env.id!r} has no compiled twin"
        raise UsageError(
            f"{what}, and this version trains in compiled envs only",
            hint="envs that it trains in: advdl env list --compiled",
        )
    compiled: CompiledEnv = host.build("env", {"name": twin.name, **env.options})
    return compiled


def _agent(experiment: Experiment, host: "PluginHost", facts: EnvFacts) -> "Agent":
    import keras

    from advdl.rl.spaces import Spaces

    keras.utils.set_random_seed(experiment.section(General).seed)  # initial weights are the only draws that use it
    agent: Agent = host.build("agent", experiment.data["agent"], Spaces(facts.observation, facts.action))
    return agent


def build_trainer(experiment: Experiment, host: "PluginHost", learner: "Learner", total_updates: int) -> "Trainer":
    """Builds the trainer of a learner, with an optimizer for each of its objectives.

    Raises:
        UsageError: ``[optimizers.NAME]`` fits no objective.
    """
    from advdl.training.trainer import Trainer

    section = experiment.section(TrainerSection)
    return Trainer(
        learner,
        _tunings(experiment, host, learner),
        total_updates=total_updates,
        clip_norm=section.clip_norm,
        accumulate=section.accumulate,
    )


def _tunings(experiment: Experiment, host: "PluginHost", learner: "Learner") -> "dict[str, Tuning]":
    """Gives each objective its own optimizer: ``[optimizers.NAME]``, or else ``[optimizer]``."""
    from advdl.training.optimizers import build_optimizer
    from advdl.training.trainer import Tuning

    objectives = {objective.name: objective for objective in learner.objectives()}
    data = experiment.data
    own = data.get("optimizers", {})
    for name in own:
        if name not in objectives:
            raise UsageError(
                f"[optimizers.{name}] fits no objective of {data[FAMILIES[experiment.family].main]['name']!r}",
                hint=f"its objectives: {', '.join(objectives)}",
            )
    built = {
        name: build_optimizer(
            host,
            own.get(name, data["optimizer"]),
            objective.variables,
            where=f"optimizers.{name}" if name in own else "optimizer",
        )
        for name, objective in objectives.items()
    }
    return {name: Tuning(optimizer, schedule) for name, (optimizer, schedule) in built.items()}
