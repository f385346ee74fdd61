"""What learns beside an agent: models of its env, with their trainer, and when they do."""

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from advdl.errors import UsageError
from advdl.experiment.build import build_compilation, building
from advdl.experiment.config import Experiment
from advdl.experiment.schema import FAMILIES, Env, General, Imagination
from advdl.experiment.schema import Trainer as TrainerSection

if TYPE_CHECKING:
    import tensorflow as tf

    from advdl.plugin.host import PluginHost
    from advdl.rl.dream_engine import Rhythm
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


def build_rhythm(experiment: Experiment, section: Imagination) -> "Rhythm":
    """Builds what says when the model is fitted and trained in.

    All copies step together, so every length is a multiple of their number.

    Raises:
        UsageError: The run is over before the first fit.
    """
    from advdl.rl.dream_engine import Rhythm

    copies = experiment.section(Env).num

    def whole(steps: int) -> int:
        return -(-steps // copies) * copies

    return Rhythm(
        warm_up=whole(section.warm_up),
        refit_every=whole(section.refit_every),
        round=whole(section.round),
        imagined=section.imagined,
        total=whole(experiment.section(General).steps),
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
