"""What learns beside an agent: samplers of its transitions, with their trainer."""

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from advdl.errors import UsageError
from advdl.experiment.build import build_compilation, building
from advdl.experiment.config import Experiment
from advdl.experiment.schema import FAMILIES, General
from advdl.experiment.schema import Trainer as TrainerSection

if TYPE_CHECKING:
    import tensorflow as tf

    from advdl.plugin.host import PluginHost
    from advdl.rl.fitting import Ensemble, Fitting
    from advdl.training.data_learner import DataSpec
    from advdl.training.learner import Batch, Learner


def refuse_own_loops(experiment: Experiment, host: "PluginHost") -> None:
    """Refuses agents that bring a learning loop of their own.

    Raises:
        UsageError: The agent is one.
    """
    name = experiment.get(f"{FAMILIES[experiment.family].main}.name")
    if host.get("agent", name).details.get("loop") == "own":
        raise UsageError(
            f"{name!r} has a learning loop of its own, and so learns from no model",
            hint="agents that do: dqn, ppo, a2c, reinforce",
        )


def build_ensemble(experiment: Experiment, host: "PluginHost", spec: "DataSpec", count: int) -> "Ensemble":
    """Builds samplers that differ in their first weights.

    Raises:
        UsageError: The sampler cannot learn such data.
    """
    from advdl.rl.fitting import Ensemble

    with building(experiment):
        return Ensemble([host.build("sampler", experiment.data["sampler"], spec) for _ in range(count)])


def build_fitting(
    experiment: Experiment,
    host: "PluginHost",
    model: "Learner",
    *,
    batch: "Callable[[tf.Tensor], Batch]",
    data: "Callable[[], Batch]",
    updates: int,
    optimizer: str = "sampler_optimizer",
) -> "Fitting":
    """Builds what fits a model, with optimizers of its own.

    Args:
        experiment: The resolved configuration.
        host: The plugins.
        model: What is fitted; it has ``adapt``.
        batch: Makes the batch of an update.
        data: Returns data of which the scales are read.
        updates: Updates in a fit; 0 fits nothing.
        optimizer: The section of its optimizer.
    """
    from advdl.rl.fitting import EachFit, Fitting
    from advdl.training.optimizers import build_optimizer
    from advdl.training.trainer import Trainer, Tuning

    section, raw = experiment.section(TrainerSection), experiment.data[optimizer]
    tunings: dict[str, Any] = {}
    for objective in model.objectives():
        built, schedule = build_optimizer(host, raw, objective.variables, where=optimizer)
        tunings[objective.name] = Tuning(built, EachFit(schedule, max(updates, 1)))
    trainer = Trainer(model, tunings, total_updates=max(updates, 1), clip_norm=10.0)
    return Fitting(
        trainer,
        batch,
        data,
        updates=updates,
        seed=experiment.section(General).seed,
        jit=build_compilation(experiment, model),
        chunk_seconds=section.chunk_seconds,
    )
