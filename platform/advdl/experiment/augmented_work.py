"""The work of an agent whose memory a model tops up, stepping its env or learning from fixed transitions."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

from advdl.errors import UsageError
from advdl.experiment.agent_work import AgentWork
from advdl.experiment.build import Training, build_agent, build_compilation, build_engine, build_trainer
from advdl.experiment.config import Experiment
from advdl.experiment.env_data import FILE, is_data, read_transitions, write_transitions
from advdl.experiment.model_parts import build_ensemble, build_fitting, refuse_own_loops
from advdl.experiment.schema import DataModel, Env, General
from advdl.experiment.schema import Trainer as TrainerSection
from advdl.rl.env_names import env_facts

if TYPE_CHECKING:
    from advdl.plugin.host import PluginHost
    from advdl.rl.agent import Agent
    from advdl.rl.engine import Engine
    from advdl.rl.env_data import Transitions
    from advdl.rl.env_names import EnvFacts
    from advdl.rl.source import Source
    from advdl.training.trainer import Trainer

_SCALES = 20
"""Batches of the memory that the model's scales are read off."""


class AugmentedWork(AgentWork):
    """An agent's work; where it learns offline, a step is an update, and the transitions are kept with the run.

    Args:
        experiment: The resolved configuration.
        training: The parts.
        transitions: What it learns from offline; None where it steps its env.
    """

    def __init__(self, experiment: Experiment, training: Training, transitions: "Transitions | None") -> None:
        super().__init__(experiment, training)
        self._transitions = transitions
        if transitions is not None:
            self.unit, self.watched = "updates", f"learn/{training.agent.objectives()[0].name}/loss"

    def keep(self, folder: Path) -> None:
        """Keeps the transitions that it learns from offline."""
        if self._transitions is not None:
            write_transitions(folder / FILE, self._transitions)


def build(experiment: Experiment, host: "PluginHost", folder: Path | None = None) -> AugmentedWork:
    """Builds the work of a run of the family ``augmented``.

    Raises:
        UsageError: The env's transitions are no vectors, the agent has no replay, or there are no transitions.
        CorruptError: The file of transitions is damaged.
    """
    refuse_own_loops(experiment, host)
    env, general = experiment.section(Env), experiment.section(General)
    transitions = _offline(experiment.section(DataModel).offline, host, folder)
    facts = env_facts(env.id, host, options=env.options, wrappers=env.wrappers)
    agent = build_agent(experiment, host, facts)
    memory = _memory(agent, env.num, transitions)
    source, top_up = _topped_up(experiment, host, facts, memory)
    updates = general.steps if transitions is not None else source.updates_in(general.steps)
    trainer = build_trainer(experiment, host, agent, updates)
    engine = _engine(experiment, host, facts, (agent, trainer, source), offline=transitions is not None)
    return AugmentedWork(experiment, Training(facts, agent, trainer, top_up(engine)), transitions)


def _offline(given: str, host: "PluginHost", folder: Path | None) -> "Transitions | None":
    """Reads the transitions of an offline run: its own, or those of the file, the run or the data that is named."""
    if not given:
        return None
    own = folder / FILE if folder else None
    if own is not None and own.exists():
        return read_transitions(own)
    if is_data(given, host):
        return _recorded(given, host)
    return read_transitions(Path(given) / FILE if Path(given).is_dir() else Path(given))


def _recorded(given: str, host: "PluginHost") -> "Transitions":
    name, _, rest = given.partition(":")
    data: Any = host.build("data", {"name": name, host.get("data", name).details["named"]: rest})
    if not hasattr(data, "transitions"):
        raise UsageError(f"{given!r} has no recorded transitions", hint="minari:ID has, and a run of --data env:ID")
    return data.transitions()  # type: ignore[no-any-return]


def _memory(agent: "Agent", copies: int, transitions: "Transitions | None") -> "Source":
    from advdl.rl.offline import filled_memory

    return agent.source(num_envs=copies) if transitions is None else filled_memory(agent, transitions)


def _engine(
    experiment: Experiment, host: "PluginHost", facts: "EnvFacts", parts: tuple[Any, "Trainer", Any], *, offline: bool
) -> "Engine":
    if not offline:
        return build_engine(experiment, host, facts, *parts)
    from advdl.rl.offline import OfflineEngine

    agent, trainer, source = parts
    return OfflineEngine(
        trainer,
        source,
        seed=experiment.section(General).seed,
        jit=build_compilation(experiment, agent),
        chunk_seconds=experiment.section(TrainerSection).chunk_seconds,
    )


def _topped_up(experiment: Experiment, host: "PluginHost", facts: "EnvFacts", memory: "Source") -> tuple["Source", Any]:
    """Returns what the agent learns from, and what makes of its engine one that fits the model."""
    from advdl.rl.augmented_engine import AugmentedEngine, memory_batches
    from advdl.rl.spaces import Spaces
    from advdl.rl.synthetic import SyntheticReplay
    from advdl.rl.transitions import TransitionCodec

    section, general = experiment.section(DataModel), experiment.section(General)
    if not section.ratio:
        return memory, lambda engine: engine
    spaces = Spaces(facts.observation, facts.action)
    codec = TransitionCodec(spaces)
    ensemble = build_ensemble(experiment, host, codec.transition_spec, 1)
    jit = experiment.section(TrainerSection).jit != "off"
    replay = SyntheticReplay(
        memory, ensemble.samplers[0], spaces, ratio=section.ratio, capacity=section.store, seed=general.seed, jit=jit
    )
    fitting = build_fitting(
        experiment,
        host,
        ensemble,
        batch=memory_batches(memory, codec, size=section.batch_size, seed=general.seed),
        data=lambda: _some(memory_batches(memory, codec, size=section.batch_size, seed=general.seed + 1)),
        updates=0 if section.untrained else section.updates,
    )
    warm_up, refit_every = _cadence(experiment, section)
    return replay, lambda engine: AugmentedEngine(engine, replay, fitting, warm_up=warm_up, refit_every=refit_every)


def _some(batches: Any) -> dict[str, Any]:
    import tensorflow as tf

    return {"x": tf.concat([batches(tf.constant(index, tf.int64))["x"] for index in range(_SCALES)], axis=0)}


def _cadence(experiment: Experiment, section: DataModel) -> tuple[int, int]:
    """Offline the model is fitted once, before the first update."""
    if section.offline:
        return 0, 0
    copies = experiment.section(Env).num
    if section.warm_up < experiment.section(General).steps:
        return -(-section.warm_up // copies) * copies, -(-section.refit_every // copies) * copies
    raise UsageError(
        f"{section.warm_up} steps of warm-up are more than the {experiment.section(General).steps} steps of the run",
        hint="give more --steps, or fewer data_model.warm_up",
    )
