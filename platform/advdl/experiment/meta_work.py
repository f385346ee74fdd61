"""MetaWork: a meta-learner that trains on tasks and is judged by how it adapts to held-out ones."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from advdl.errors import UsageError
from advdl.experiment.build import build_trainer, building
from advdl.experiment.config import Experiment
from advdl.experiment.learnt import used_state
from advdl.experiment.policy import chosen_step
from advdl.experiment.run_folder import RunFolder
from advdl.experiment.schema import General, Meta, MetaEvaluation
from advdl.experiment.schema import Trainer as TrainerSection
from advdl.experiment.update_work import UpdateWork
from advdl.experiment.work import Verdict
from advdl.plugin.metric import Samples

if TYPE_CHECKING:
    from advdl.plugin.host import PluginHost
    from advdl.rl.acting_meta import ActingMetaEngine
    from advdl.rl.host_meta import HostMetaEngine
    from advdl.rl.task_player import PlayedJudge
    from advdl.training.adapter import Adapter
    from advdl.training.meta_engine import Judge, MetaEngine
    from advdl.training.state import Array
    from advdl.training.trainer import Trainer

    Engine = MetaEngine | ActingMetaEngine | HostMetaEngine
    AnyJudge = Judge | PlayedJudge

_INTERVAL = 1.96  # standard errors of a 95% interval


@dataclass(frozen=True, slots=True)
class MetaParts:
    """What a meta-learner is made of.

    Attributes:
        tasks: What it adapts to: ``Tasks`` that are drawn, or ``PlayedTasks``.
        adapter: What is trained.
    """

    tasks: Any
    adapter: "Adapter"


class MetaWork(UpdateWork):
    """Drives a meta-engine.

    Args:
        experiment: The resolved configuration.
        parts: Tasks and adapter.
        engine: The engine.
    """

    unit, watched = "meta-updates", "learn/meta/loss"

    def __init__(self, experiment: Experiment, parts: MetaParts, engine: "Engine") -> None:
        super().__init__(engine, experiment.section(General).seed)
        self._parts, self._engine = parts, engine
        self._evaluation = experiment.section(MetaEvaluation)

    def judge(self, purpose: str) -> Verdict:
        """Adapts to held-out tasks that no other evaluation of the run has."""
        seed, evaluation = self.judging_seed(purpose), self._evaluation
        with self._engine.trainer.averaged():
            return judged(self._parts, self._engine.judge, count=evaluation.tasks, steps=evaluation.steps, seed=seed)


def build(experiment: Experiment, host: "PluginHost", folder: Path | None = None) -> MetaWork:
    """Builds the work of a run of the family ``meta``."""
    del folder
    from advdl.rl.env_tasks import EnvTasks
    from advdl.rl.host_tasks import HostTasks

    parts = build_parts(experiment, host)
    if isinstance(parts.tasks, HostTasks):
        return MetaWork(experiment, parts, _host_engine(experiment, host, parts))
    played = isinstance(parts.tasks, EnvTasks)
    return MetaWork(experiment, parts, (_acting_engine if played else _engine)(experiment, host, parts))


def _engine(experiment: Experiment, host: "PluginHost", parts: MetaParts) -> "MetaEngine":
    from advdl.training.meta_engine import MetaEngine

    general, section = experiment.section(General), experiment.section(TrainerSection)
    return MetaEngine(
        parts.tasks,
        parts.adapter,
        build_trainer(experiment, host, parts.adapter, general.steps),
        meta_batch=experiment.section(Meta).batch,
        seed=general.seed,
        jit=section.jit != "off",
        chunk_seconds=section.chunk_seconds,
    )


def _acting_engine(experiment: Experiment, host: "PluginHost", parts: MetaParts) -> "ActingMetaEngine":
    from advdl.rl.acting_meta import ActingMetaEngine

    general, section = experiment.section(General), experiment.section(TrainerSection)
    trainer, epochs = _played_trainer(experiment, host, parts)
    return ActingMetaEngine(
        parts.tasks,
        parts.adapter,
        trainer,
        meta_batch=experiment.section(Meta).batch,
        epochs=epochs,
        seed=general.seed,
        jit=section.jit != "off",
        chunk_seconds=section.chunk_seconds,
    )


def _host_engine(experiment: Experiment, host: "PluginHost", parts: MetaParts) -> "HostMetaEngine":
    from advdl.rl.host_meta import HostMetaEngine

    trainer, epochs = _played_trainer(experiment, host, parts)
    return HostMetaEngine(
        parts.tasks,
        parts.adapter,
        trainer,
        meta_batch=experiment.section(Meta).batch,
        epochs=epochs,
        seed=experiment.section(General).seed,
        jit=experiment.section(TrainerSection).jit != "off",
    )


def _played_trainer(experiment: Experiment, host: "PluginHost", parts: MetaParts) -> "tuple[Trainer, int]":
    """Builds the trainer of what is played, and says how many updates a meta-batch serves for."""
    general, meta = experiment.section(General), experiment.section(Meta)
    if meta.outer == "clipped":
        return build_trainer(experiment, host, parts.adapter, general.steps * meta.epochs), meta.epochs
    from advdl.training.trust_region import TrustRegion

    region = TrustRegion(meta.divergence)
    return build_trainer(experiment, host, parts.adapter, general.steps, trust_region=region), 1


def build_judge(parts: MetaParts) -> "AnyJudge":
    """Builds what judges a meta-learner that is not in training."""
    from advdl.rl.acting_meta import ActingJudge
    from advdl.rl.env_tasks import EnvTasks
    from advdl.rl.host_tasks import HostTasks
    from advdl.training.meta_engine import Judge

    if isinstance(parts.tasks, HostTasks):
        from advdl.rl.host_meta import HostJudge, HostPlayer

        return HostJudge(HostPlayer(parts.tasks, parts.adapter))
    return (ActingJudge if isinstance(parts.tasks, EnvTasks) else Judge)(parts.tasks, parts.adapter)


def build_parts(experiment: Experiment, host: "PluginHost") -> MetaParts:
    """Builds tasks, learner and adapter.

    Raises:
        UsageError: They do not fit each other.
    """
    with building(experiment):
        tasks = host.build("tasks", experiment.data["tasks"])
        learner = host.build("learner", experiment.data["learner"], tasks.spec)
        adapter: Adapter = host.build("adapter", experiment.data["adapter"], learner)
    return MetaParts(tasks, adapter)


def load_meta(
    folder: RunFolder, host: "PluginHost", checkpoint: str = "best", warn: Callable[[str], None] = print
) -> tuple[MetaParts, int]:
    """Rebuilds a run's meta-learner and fills it from a checkpoint.

    Args:
        folder: The run.
        host: The plugins.
        checkpoint: ``"best"`` (the last where none is marked), ``"last"``, or a step.
        warn: Told when a damaged checkpoint is passed over.

    Returns:
        The parts and the checkpoint's step.

    Raises:
        UsageError: The run trained no meta-learner, or there is no such checkpoint.
        CorruptError: It is damaged, and so is every other.
    """
    family = folder.record().family
    if family != "meta":
        raise UsageError(
            f"run {folder.id} was not meta-trained: it trained a {family}",
            hint="advdl meta train --tasks sinusoid --adapter maml",
        )
    from advdl.training.backend import start_tensorflow

    start_tensorflow()
    from advdl.training.checkpoint import CheckpointStore

    store = CheckpointStore(folder.checkpoints)
    experiment = folder.experiment(host)
    parts = build_parts(experiment, host)
    step = chosen_step(store, checkpoint)
    return parts, store.restore(used_state(parts.adapter, experiment), step, partial=True, warn=warn).step


def judged(parts: MetaParts, judge: "AnyJudge", *, count: int, steps: Sequence[int], seed: int) -> Verdict:
    """Adapts to held-out tasks; the score, and a metric's samples (a task each), are those after training's steps."""
    from advdl.experiment.adaptation_curve import curve
    from advdl.experiment.task_pictures import pictures

    adapter = parts.adapter
    measured = sorted({*steps, adapter.steps})
    found = judge(count=count, steps=measured, seed=seed)
    figures = {"tasks": float(count)}
    for name, values in found.items():
        for column, step in enumerate(measured):
            figures |= _mean(f"{name}/after_{step}", values[:, column])
    name, sign = judge.score, 1.0 if judge.better == "higher" else -1.0
    text = ", ".join(
        f"{step}: {figures[f'{name}/after_{step}']:.3f} ± {figures[f'{name}/after_{step}/interval']:.3f}"
        for step in measured
    )
    return Verdict(
        figures,
        sign * figures[f"{name}/after_{adapter.steps}"],
        f"{name} by inner steps {text}; {count} held-out tasks",
        {"steps": measured, "score": name},
        {**pictures(parts.tasks, adapter, steps=measured, seed=seed), **curve(name, figures, measured)},
        Samples({name: values[:, measured.index(adapter.steps)] for name, values in found.items()}, main=judge.score),
    )


def _mean(name: str, values: "Array") -> dict[str, float]:
    """Returns the mean over tasks and half the width of its 95% interval; inner steps may lead out to infinity."""
    import numpy as np

    with np.errstate(invalid="ignore", over="ignore"):
        interval = _INTERVAL * float(values.std()) / len(values) ** 0.5
    return {name: float(values.mean()), f"{name}/interval": interval}
