"""The composition root: from a resolved experiment to the parts that train."""

import contextlib
import functools
import logging
import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from advdl.errors import UsageError
from advdl.experiment.backbones import freeze_backbones
from advdl.experiment.config import Experiment
from advdl.experiment.schema import FAMILIES, Env, General
from advdl.experiment.schema import Trainer as TrainerSection
from advdl.rl.env_names import PARAMS, EnvFacts, compiled_twin, env_facts
from advdl.training.stopwatch import Stopwatch

if TYPE_CHECKING:
    import tensorflow as tf
    from gymnasium.vector import VectorEnv

    from advdl.plugin.component import Component
    from advdl.plugin.host import PluginHost
    from advdl.rl.agent import Agent
    from advdl.rl.engine import Engine
    from advdl.rl.functional import CompiledEnv
    from advdl.rl.policy import HostPolicy
    from advdl.rl.source import Source
    from advdl.training.compilation import Compilation
    from advdl.training.devices import Devices
    from advdl.training.learner import Batch, Learner
    from advdl.training.trainer import Trainer, Tuning
    from advdl.training.trust_region import TrustRegion


@dataclass(frozen=True, slots=True)
class Training:
    """The parts of a run.

    Attributes:
        facts: What is known of the env.
        agent: What is trained.
        trainer: Makes the updates.
        engine: Steps env and trainer.
        stopwatch: What the engine counts its parts' time with.
    """

    facts: EnvFacts
    agent: "Agent"
    trainer: "Trainer"
    engine: "Engine"
    stopwatch: Stopwatch = field(default_factory=Stopwatch)


def build_training(experiment: Experiment, host: "PluginHost", devices: "Devices | None" = None) -> Training:
    """Builds env, agent, trainer and engine.

    Args:
        experiment: The resolved configuration.
        host: The plugins.
        devices: What shares each update's batch; None for what the experiment says.

    Raises:
        UsageError: The parts do not fit each other.
        RunError: The env cannot be made.
    """
    general, env = experiment.section(General), experiment.section(Env)
    facts = env_facts(env.id, host, options=env.options, wrappers=env.wrappers)
    agent = build_agent(experiment, host, facts)
    if general.backbone_freeze:
        freeze_backbones(agent, experiment.get("agent.name"))
    source = agent.source(num_envs=env.num)
    updates, steps = source.updates_in(general.steps), general.steps
    trainer = build_trainer(experiment, host, agent, updates, devices, total_env_steps=steps)
    stopwatch = Stopwatch()
    engine = build_engine(experiment, host, facts, agent, trainer, source, stopwatch)
    return Training(facts, agent, trainer, engine, stopwatch)


def build_engine(
    experiment: Experiment,
    host: "PluginHost",
    facts: EnvFacts,
    agent: "Agent",
    trainer: "Trainer",
    source: "Source",
    stopwatch: Stopwatch | None = None,
) -> "Engine":
    """Builds the engine that steps the experiment's env: the compiled one where there is a twin.

    Raises:
        UsageError: The engine that is asked for does not fit the env.
        RunError: The env cannot be made.
    """
    env, component = experiment.section(Env), _compiled_component(experiment, host)
    if component is None:
        return _host_engine(experiment, facts, agent, trainer, source, stopwatch or Stopwatch())
    plain = {name: value for name, value in env.options.items() if name != PARAMS}
    compiled = host.build("env", {"name": component.name, **plain})
    return _compiled_engine(experiment, compiled, agent, trainer, source)


def build_policy(experiment: Experiment, host: "PluginHost") -> "tuple[Agent, HostPolicy, EnvFacts]":
    """Builds an agent without what trains it; its weights are still to be restored."""
    from advdl.rl.policy import HostPolicy
    from advdl.rl.spaces import Spaces

    env = experiment.section(Env)
    facts = env_facts(env.id, host, options=env.options, wrappers=env.wrappers)
    agent = build_agent(experiment, host, facts)
    return agent, HostPolicy(agent, Spaces(facts.observation, facts.action)), facts


def _compiled_component(experiment: Experiment, host: "PluginHost") -> "Component | None":
    """Returns the compiled env that is trained in; None for the host engine."""
    env, engine = experiment.section(Env), experiment.section(General).engine
    twin = compiled_twin(env.id, host)
    asked_for_host = [name for name in ("wrappers", "workers", "runners", "overlap") if getattr(env, name)]
    asked_for_host += ["vector"] if env.vector != "copies" else []
    if engine == "host" or (engine == "auto" and (twin is None or asked_for_host)):
        return None
    if twin is None:
        raise UsageError(
            f"engine 'compiled' is asked for, and env {env.id!r} has no compiled twin",
            hint="engine=auto takes the host engine; envs that have one: advdl env list --compiled",
        )
    if asked_for_host:
        raise UsageError(
            f"engine 'compiled' knows no env.{asked_for_host[0]}", hint="engine=auto takes the host engine then"
        )
    return twin


def _compiled_engine(
    experiment: Experiment, env: "CompiledEnv", agent: "Agent", trainer: "Trainer", source: "Source"
) -> "Engine":
    from advdl.rl.compiled import CompiledEngine

    section = experiment.section(Env)
    params = env.get_default_params(**section.options.get(PARAMS, {}))
    return CompiledEngine(env, agent, trainer, source, num_envs=section.num, params=params, **_pace(experiment, agent))


def _host_engine(
    experiment: Experiment,
    facts: EnvFacts,
    agent: "Agent",
    trainer: "Trainer",
    source: "Source",
    stopwatch: Stopwatch,
) -> "Engine":
    from advdl.rl.host_engine import HostEngine

    say, section = logging.getLogger("advdl").warning, experiment.section(Env)
    if section.overlap and section.runners:
        raise UsageError("env.overlap and env.runners exclude each other", hint="runners act by themselves")
    env = _vector_env(experiment, facts, say)
    pace = {"overlap": section.overlap, "stopwatch": stopwatch, **_pace(experiment, agent)}
    return HostEngine(env, agent, trainer, source, say=say, **pace)


def _vector_env(experiment: Experiment, facts: EnvFacts, say: Callable[[str], None]) -> "VectorEnv[Any, Any, Any]":
    from advdl.rl.env_copies import Care
    from advdl.rl.env_factory import EnvFactory
    from advdl.rl.host_vector import HostVectorEnv

    env = experiment.section(Env)
    if env.vector != "copies":
        return _native_env(env, facts, say)
    if env.vector_options:
        raise UsageError("env.vector_options is for another env.vector than 'copies'", hint="copies take env.options")
    if env.workers and env.runners:
        raise UsageError("env.workers and env.runners exclude each other", hint="a runner is a process already")
    return HostVectorEnv(
        EnvFactory.of(facts.host_id, env.options, env.wrappers),
        env.num,
        seed=experiment.section(General).seed,
        workers=env.workers,
        runners=int(env.runners.removeprefix("ray:") or 0),
        care=Care(env.on_fault, env.bounds, env.timeout),
        say=say,
    )


def _native_env(env: Env, facts: EnvFacts, say: Callable[[str], None]) -> "VectorEnv[Any, Any, Any]":
    from advdl.rl.native_steppers import make_stepper
    from advdl.rl.native_vector import NativeVectorEnv
    from advdl.rl.spaces import Spaces

    for name in ("workers", "runners"):
        if getattr(env, name):
            raise UsageError(f"env.vector={env.vector} and env.{name} exclude each other", hint="it has threads itself")
    if env.on_fault == "restart":
        raise UsageError(f"env.on_fault=restart cannot be with env.vector={env.vector}: no copy can be made anew")
    stepper = make_stepper(env.vector, facts.host_id, env.num, env.vector_options)
    spaces = Spaces(facts.observation, facts.action)
    return NativeVectorEnv(stepper, spaces, env_id=facts.host_id, num_envs=env.num, bounds=env.bounds, say=say)


def _pace(experiment: Experiment, agent: "Agent") -> dict[str, Any]:
    general, section = experiment.section(General), experiment.section(TrainerSection)
    return {
        "total_steps": general.steps,
        "seed": general.seed,
        "jit": build_compilation(experiment, agent),
        "chunk_seconds": section.chunk_seconds,
    }


def build_compilation(
    experiment: Experiment,
    learner: "Learner",
    batches: "Callable[[tf.Tensor], Batch] | None" = None,
    *,
    apart: bool = False,
) -> "Compilation":
    """Builds what decides whether XLA compiles the updates.

    Args:
        experiment: The resolved configuration.
        learner: What is trained.
        batches: Where the learner has no backbone by which to decide, the batches of which updates are measured.
        apart: Whether steps and updates are programs of their own even where its networks do not ask for it.
    """
    from advdl.training.compilation import Compilation, convolves

    setting = {"on": True, "off": False}.get(experiment.section(TrainerSection).jit)
    say = logging.getLogger("advdl").warning
    probe = None
    if batches is not None and convolves(learner):
        probe = functools.partial(_measured, learner, batches)
    size = {"batch_size": given} if (given := experiment.data.get("agent", {}).get("batch_size")) else {}
    return Compilation(setting, learner.backbones(), say, apart=apart or convolves(learner), probe=probe, **size)


def _measured(learner: "Learner", batches: "Callable[[tf.Tensor], Batch]") -> tuple[float, float]:
    import tensorflow as tf

    from advdl.training.compilation import measure_updates

    return measure_updates(learner, batches(tf.constant(0, tf.int64)))


def build_agent(experiment: Experiment, host: "PluginHost", facts: EnvFacts) -> "Agent":
    """Builds the experiment's agent for an env."""
    from advdl.rl.spaces import Spaces

    with building(experiment):
        agent: Agent = host.build("agent", experiment.data["agent"], Spaces(facts.observation, facts.action))
    return agent


@contextlib.contextmanager
def building(experiment: Experiment) -> Iterator[None]:
    """Surrounds the making of a learner: its seed and its precision; the first variables are made here."""
    import keras

    from advdl.training.precision import built_with, precision_of

    general = experiment.section(General)
    keras.utils.set_random_seed(general.seed)  # initial weights are the only draws that use it
    with built_with(precision_of(general.precision)):
        yield


def build_trainer(
    experiment: Experiment,
    host: "PluginHost",
    learner: "Learner",
    total_updates: int,
    devices: "Devices | None" = None,
    trust_region: "TrustRegion | None" = None,
    *,
    total_env_steps: int | None = None,
) -> "Trainer":
    """Builds the trainer of a learner, with an optimizer for each of its objectives.

    Args:
        experiment: The resolved configuration.
        host: The plugins.
        learner: What is trained.
        total_updates: How many updates the run will make.
        devices: What shares each update's batch; None for what the experiment says.
        trust_region: Makes every step instead of the optimizers; None for them.
        total_env_steps: How many env steps the run will make; None where it makes none that updates know of.

    Raises:
        UsageError: ``[optimizers.NAME]`` fits no objective, a trust region is to be shared or to be in float16, or
            rates are to count env steps that there are none of.
    """
    from advdl.training.devices import claim_devices
    from advdl.training.precision import precision_of
    from advdl.training.replicas import Replicas
    from advdl.training.trainer import Trainer

    section = experiment.section(TrainerSection)
    general = experiment.section(General)
    precision = precision_of(general.precision)
    devices = devices or claim_devices(general.devices, os.environ)
    accumulate, jit = section.accumulate, section.jit != "off"
    tunings = _tunings(experiment, host, learner, scales_loss=precision.scales_loss)
    if trust_region is not None:
        if devices is not None or precision.scales_loss:
            raise UsageError("a step in a trust region is made on one device, and not in float16", hint="devices=1")
        tunings = {name: replace(tuning, trust_region=trust_region) for name, tuning in tunings.items()}
    by_env_steps = section.rate_counts == "env_steps"
    if by_env_steps and total_env_steps is None:
        raise UsageError(
            "trainer.rate_counts is 'env_steps', and this run counts its steps in updates",
            hint="leave trainer.rate_counts out; it is for agents",
        )
    return Trainer(
        learner,
        tunings,
        total_updates=total_updates,
        total_env_steps=total_env_steps if by_env_steps else None,
        clip_norm=section.clip_norm,
        accumulate=accumulate,
        ema=section.ema,
        noise_scale=section.noise_scale,
        log_norms=section.log_norms,
        replicas=None if devices is None else Replicas(devices, learner, accumulate=accumulate, jit=jit),
    )


def _tunings(
    experiment: Experiment, host: "PluginHost", learner: "Learner", *, scales_loss: bool
) -> "dict[str, Tuning]":
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
            scales_loss=scales_loss,
        )
        for name, objective in objectives.items()
    }
    return {name: Tuning(optimizer, schedule) for name, (optimizer, schedule) in built.items()}
