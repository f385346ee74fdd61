"""How an optimizer is made from its configuration, for the variables of one objective."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import keras

from advdl.errors import UsageError
from advdl.plugin.host import PluginHost
from advdl.training.schedules import Schedule, as_schedule

# Inside a Keras optimizer these would run on each device's own gradient, or without the trainer knowing.
_TRAINERS_WORK = {
    "clipnorm": "trainer.clip_norm clips the gradient, once it is summed over all devices",
    "clipvalue": "trainer.clip_norm clips the gradient, once it is summed over all devices",
    "global_clipnorm": "trainer.clip_norm clips the gradient, once it is summed over all devices",
    "gradient_accumulation_steps": "trainer.accumulate averages gradients over batches",
    "loss_scale_factor": "precision scales the loss where that is needed",
}

_UNDECAYED = frozenset({"bias", "gamma", "beta", "scale"})


def build_optimizer(
    host: PluginHost,
    raw: str | Mapping[str, Any],
    variables: Sequence[keras.Variable],
    *,
    where: str = "optimizer",
    scales_loss: bool = False,
) -> tuple[keras.optimizers.Optimizer, Schedule]:
    """Builds an optimizer, its slots included, and the schedule of its learning rate.

    The optimizer's ``learning_rate`` is a plain variable: the trainer assigns ``schedule(step, total)`` to it
    before every update. Weight decay, where the optimizer has it, leaves biases and the scales and offsets of
    normalisations alone.

    Args:
        host: Where optimizers and schedules are found by name.
        raw: Its name, or a table of name and options; ``learning_rate`` is a number or a schedule.
        variables: The trainable variables that it will update, in the order in which gradients will come.
        where: The path to this setting, for errors.
        scales_loss: Whether it is wrapped in Keras' dynamic ``LossScaleOptimizer`` (Micikevicius et al. 2018,
            arXiv:1710.03740), as float16 needs it.

    Raises:
        UsageError: A name or an option is wrong, or an option is the trainer's work.
        PluginError: The optimizer's plugin is broken.
    """
    _refuse_trainers_work(raw, where)
    data = host.resolve("optimizer", raw, where=where)
    _refuse_trainers_work(data, where)
    schedule = _schedule(host, data.get("learning_rate"))
    optimizer = host.build("optimizer", data if schedule is None else {**data, "learning_rate": 1.0})
    schedule = schedule or as_schedule(float(optimizer.learning_rate))
    optimizer.learning_rate = float(schedule(0.0, 1.0))
    optimizer.exclude_from_weight_decay(var_list=list(undecayed(variables)))
    if scales_loss:
        optimizer = keras.optimizers.LossScaleOptimizer(optimizer)
    optimizer.build(list(variables))
    return optimizer, schedule


def undecayed(variables: Iterable[keras.Variable]) -> Iterable[keras.Variable]:
    """Picks what weight decay must leave alone: biases, and what scales or shifts a normalisation."""
    return (variable for variable in variables if len(variable.shape) < 2 or variable.name in _UNDECAYED)


def _schedule(host: PluginHost, rate: Any) -> Schedule | None:
    if isinstance(rate, str | Mapping):
        schedule: Schedule = host.build("schedule", rate)
        return schedule
    return None if rate is None else as_schedule(rate)


def _refuse_trainers_work(raw: str | Mapping[str, Any], where: str) -> None:
    settings = raw if isinstance(raw, Mapping) else {}
    for name, instead in _TRAINERS_WORK.items():
        if settings.get(name) is not None:
            raise UsageError(f"{where}.{name} cannot be set: {instead}", hint=f"leave {where}.{name} out")
