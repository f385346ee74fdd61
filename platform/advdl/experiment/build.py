"""The composition root: from a resolved experiment to the parts that train."""

import os
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from advdl.errors import UsageError
from advdl.experiment.config import Experiment
from advdl.experiment.schema import Env, General
from advdl.experiment.schema import Trainer as TrainerSection
from advdl.rl.env_names import EnvFacts, compiled_twin, env_facts
from advdl.rl.evaluation import make_env

if TYPE_CHECKING:
    from advdl.plugin.host import PluginHost
    from advdl.rl.agent import Agent
    from advdl.rl.compiled import CompiledEngine
    from advdl.rl.functional import CompiledEnv
    from advdl.rl.policy import HostPolicy
    from advdl.training.devices import Devices
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
    from advdl.training.devices import claim_devices

    general, env = experiment.section(General), experiment.section(Env)
    section = experiment.section(TrainerSection)
    devices = claim_devices(general.devices, os.environ)
    compiled = _compiled_env(experiment, host)
    facts = env_facts(env.id, host)
    make_env(facts.host_id, env.options).close()  # options that the evaluation's env refuses are refused now
    agent = _agent(experiment, host, facts)
    source = agent.source(num_envs=env.num)
    trainer = _trainer(experiment, host, agent, source.updates_in(general.steps), devices)
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

    facts = env_facts(experiment.section(Env).id, host)
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
    from advdl.training.precision import built_with, precision_of

    general = experiment.section(General)
    keras.utils.set_random_seed(general.seed)  # initial weights are the only draws that use it
    with built_with(precision_of(general.precision)):
        agent: Agent = host.build("agent", experiment.data["agent"], Spaces(facts.observation, facts.action))
    return agent


def _trainer(
    experiment: Experiment, host: "PluginHost", learner: "Learner", total_updates: int, devices: "Devices | None"
) -> "Trainer":
    from advdl.training.precision import precision_of
    from advdl.training.replicas import Replicas
    from advdl.training.trainer import Trainer

    section = experiment.section(TrainerSection)
    precision = precision_of(experiment.section(General).precision)
    accumulate, jit = section.accumulate, section.jit != "off"
    return Trainer(
        learner,
        _tunings(experiment.data, host, learner, scales_loss=precision.scales_loss),
        total_updates=total_updates,
        clip_norm=section.clip_norm,
        accumulate=accumulate,
        ema=section.ema,
        noise_scale=section.noise_scale,
        log_norms=section.log_norms,
        replicas=None if devices is None else Replicas(devices, learner, accumulate=accumulate, jit=jit),
    )


def _tunings(data: Any, host: "PluginHost", learner: "Learner", *, scales_loss: bool) -> "dict[str, Tuning]":
    """Gives each objective its own optimizer: ``[optimizers.NAME]``, or else ``[optimizer]``."""
    from advdl.training.optimizers import build_optimizer
    from advdl.training.trainer import Tuning

    objectives = {objective.name: objective for objective in learner.objectives()}
    own = data.get("optimizers", {})
    for name in own:
        if name not in objectives:
            raise UsageError(
                f"[optimizers.{name}] fits no objective of {data['agent']['name']!r}",
                hint=f"its objectives: {', '.join(objectives)}",
            )
    built = {
        name: build_optimizer(
            host,
            own.get(name, data["optimizer"]),
            objective.variables,
            where=f"optimizers.{name}" if name in own else "optimizer",
            scales_loss=scales_loss,
        )
        for name, objective in objectives.items()
    }
    return {name: Tuning(optimizer, schedule) for name, (optimizer, schedule) in built.items()}
