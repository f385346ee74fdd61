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
    from advdl.training.learner import Batch


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
    ensemble: "Ensemble",
    *,
    batch: "Callable[[tf.Tensor], Batch]",
    data: "Callable[[], Batch]",
    updates: int,
) -> "Fitting":
    """Builds what fits samplers, with optimizers of their own.

    Args:
        experiment: The resolved configuration.
        host: The plugins.
        ensemble: The samplers.
        batch: Makes the batch of an update.
        data: Returns data of which the scales are read.
        updates: Updates in a fit; 0 fits nothing.
    """
    from advdl.rl.fitting import EachFit, Fitting
    from advdl.training.optimizers import build_optimizer
    from advdl.training.trainer import Trainer, Tuning

    section, raw = experiment.section(TrainerSection), experiment.data["sampler_optimizer"]
    tunings: dict[str, Any] = {}
    for objective in ensemble.objectives():
        optimizer, schedule = build_optimizer(host, raw, objective.variables, where="sampler_optimizer")
        tunings[objective.name] = Tuning(optimizer, EachFit(schedule, max(updates, 1)))
    trainer = Trainer(ensemble, tunings, total_updates=max(updates, 1), clip_norm=10.0)
    return Fitting(
        trainer,
        batch,
        data,
        updates=updates,
        seed=experiment.section(General).seed,
        jit=build_compilation(experiment, ensemble),
        chunk_seconds=section.chunk_seconds,
    )
