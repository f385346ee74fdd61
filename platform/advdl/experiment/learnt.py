"""The part of a run's state that was learnt, by the names that the run's checkpoints give it."""

from typing import TYPE_CHECKING

from advdl.experiment.config import Experiment
from advdl.experiment.schema import Trainer as TrainerSection

if TYPE_CHECKING:
    from advdl.training.learner import Learner
    from advdl.training.state import State
    from advdl.training.trainer import Trainer


def learnt_state(trainer: "Trainer") -> "State":
    """Returns a learner's variables, and their averages where its trainer keeps them."""
    return {f"trainer/{name}": variable for name, variable in trainer.learnt().items()}


def used_state(learner: "Learner", experiment: Experiment) -> "State":
    """Returns the variables of a learner without a trainer, each by the name of the value that is to be used."""
    from advdl.training.averages import used_variables

    averaged = experiment.section(TrainerSection).ema > 0
    return {f"trainer/{name}": variable for name, variable in used_variables(learner, averaged=averaged).items()}
