"""ModelWork: a learner of data that trains on one part of a data set and is judged by the rest."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from advdl.errors import UsageError
from advdl.experiment.build import build_compilation, build_trainer, building
from advdl.experiment.config import Experiment
from advdl.experiment.env_data import Kept
from advdl.experiment.learnt import used_state
from advdl.experiment.policy import chosen_step
from advdl.experiment.run_folder import RunFolder
from advdl.experiment.schema import FAMILIES, General, Model
from advdl.experiment.schema import Trainer as TrainerSection
from advdl.experiment.update_work import UpdateWork
from advdl.experiment.work import Verdict
from advdl.plugin.metric import Samples

if TYPE_CHECKING:
    from advdl.plugin.host import PluginHost
    from advdl.training.data_learner import DataLearner
    from advdl.training.dataset import Dataset
    from advdl.training.held_out import HeldOut
    from advdl.training.update_engine import UpdateEngine


@dataclass(frozen=True, slots=True)
class ModelParts:
    """What a model is made of.

    Attributes:
        learner: What is trained.
        training: What it is trained on.
        held_out: What it is judged by.
        kept: The data, and what of them is kept with the run.
    """

    learner: "DataLearner"
    training: "Dataset"
    held_out: "Dataset"
    kept: "Kept"


class ModelWork(UpdateWork):
    """Drives an engine on a data set.

    Args:
        experiment: The resolved configuration.
        parts: Learner and data.
        engine: The engine.
    """

    unit = "updates"

    def __init__(self, experiment: Experiment, parts: ModelParts, engine: "UpdateEngine") -> None:
        from advdl.training.held_out import HeldOut

        super().__init__(engine, experiment.section(General).seed)
        self._parts, self._engine = parts, engine
        self._measure = HeldOut(parts.learner, parts.held_out, jit=experiment.section(TrainerSection).jit == "on")
        self.watched = f"learn/{parts.learner.objectives()[0].name}/loss"

    def keep(self, folder: Path) -> None:
        """Keeps data that were collected."""
        self._parts.kept.keep(folder)

    def judge(self, purpose: str) -> Verdict:
        """Measures what is held out."""
        with self._engine.trainer.averaged():
            return judged(self._parts, self._measure, seed=self.judging_seed(purpose))


def build(experiment: Experiment, host: "PluginHost", folder: Path | None = None) -> ModelWork:
    """Builds the work of a run of a family whose subject is data."""
    from advdl.training.batches import DataBatches
    from advdl.training.update_engine import UpdateEngine

    general, section = experiment.section(General), experiment.section(TrainerSection)
    parts = build_parts(experiment, host, folder)
    size = experiment.section(Model).batch_size
    batches = DataBatches(parts.training, batch_size=size, seed=general.seed)
    engine = UpdateEngine(
        batches,
        build_trainer(experiment, host, parts.learner, general.steps),
        seed=general.seed,
        jit=build_compilation(experiment, parts.learner, batches),
        chunk_seconds=section.chunk_seconds,
    )
    return ModelWork(experiment, parts, engine)


def build_parts(experiment: Experiment, host: "PluginHost", folder: Path | None = None) -> ModelParts:
    """Loads the data and builds the learner.

    Args:
        experiment: The resolved configuration.
        host: The plugins.
        folder: The run's folder, where data that were collected are kept; None for a run that has none yet.

    Raises:
        UsageError: The data are not there, or the learner cannot learn from them.
        CorruptError: The data are damaged.
    """
    import tensorflow as tf

    from advdl.training.dataset import split

    section, slot = experiment.section(Model), FAMILIES[experiment.family].main
    kept = Kept(host.build("data", experiment.data["data"]), host, folder)
    data = kept.dataset
    training, held_out = split(data, section.held_out, section.split)
    kind = FAMILIES[experiment.family].slots[slot].kind
    with building(experiment):
        learner: DataLearner = host.build(kind, experiment.data[slot], data.spec)
    some = training.take(slice(0, 10_000))
    fields = {"x": some.x} if some.c is None else {"x": some.x, "c": some.c}
    learner.adapt({name: tf.constant(values) for name, values in fields.items()})
    return ModelParts(learner, training, held_out, kept)


def load_model(
    folder: RunFolder, host: "PluginHost", checkpoint: str = "best", warn: Callable[[str], None] = print
) -> tuple[ModelParts, int]:
    """Rebuilds a run's model from its configuration and fills it from a checkpoint.

    Args:
        folder: The run.
        host: The plugins.
        checkpoint: ``"best"`` (the last where none is marked), ``"last"``, or a step.
        warn: Told when a damaged checkpoint is passed over.

    Returns:
        The parts and the checkpoint's step.

    Raises:
        UsageError: The run trained no model of data, or there is no such checkpoint.
        CorruptError: It is damaged, and so is every other.
    """
    family = folder.record().family
    if FAMILIES[family].subject != "data":
        raise UsageError(f"run {folder.id} has no model of data: it is a run of the family {family}", hint=_MAKES_ONE)
    from advdl.training.backend import start_tensorflow

    start_tensorflow()
    from advdl.training.checkpoint import CheckpointStore

    store = CheckpointStore(folder.checkpoints)
    experiment = folder.experiment(host)
    parts = build_parts(experiment, host, folder.path)
    step = chosen_step(store, checkpoint)
    return parts, store.restore(used_state(parts.learner, experiment), step, partial=True, warn=warn).step


def judged(parts: ModelParts, measure: "HeldOut", *, seed: int) -> Verdict:
    """Measures held-out data; the score is the learner's own."""
    samples = measure(seed)
    learner = parts.learner
    figures = {name: float(values.mean()) for name, values in samples.items()}
    sign = 1.0 if learner.better == "higher" else -1.0
    first = dict.fromkeys((learner.score, *figures))
    text = ", ".join(f"{name} {figures[name]:.4g}" for name in first)
    return Verdict(
        {**figures, "samples": float(len(parts.held_out))},
        sign * figures[learner.score],
        f"{text}; {len(parts.held_out)} held-out samples",
        images=learner.pictures(parts.held_out, seed),
        samples=Samples(samples, main=learner.score),
    )


_MAKES_ONE = "advdl model train classifier --data digits makes one"
