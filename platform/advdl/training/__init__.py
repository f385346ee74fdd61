"""The trainer and what it trains: learners, objectives, schedules, checkpoints. TensorFlow lives here."""

from typing import TYPE_CHECKING

from advdl.lazy import lazy_names

if TYPE_CHECKING:
    from advdl.training.data_learner import DataLearner, DataSpec
    from advdl.training.fused import FusedLoop
    from advdl.training.learner import Aux, Batch, Learner, Loss, Objective
    from advdl.training.metrics import RunningMeans
    from advdl.training.randomness import Stream, fold
    from advdl.training.sampler import SampleProgram, Sampler
    from advdl.training.trainer import Trainer, Tuning

__all__ = [
    "Aux",
    "Batch",
    "DataLearner",
    "DataSpec",
    "FusedLoop",
    "Learner",
    "Loss",
    "Objective",
    "RunningMeans",
    "SampleProgram",
    "Sampler",
    "Stream",
    "Trainer",
    "Tuning",
    "fold",
]

__getattr__ = lazy_names(
    __name__,
    {
        **dict.fromkeys(("DataLearner", "DataSpec"), "advdl.training.data_learner"),
        "FusedLoop": "advdl.training.fused",
        **dict.fromkeys(("Aux", "Batch", "Learner", "Loss", "Objective"), "advdl.training.learner"),
        "RunningMeans": "advdl.training.metrics",
        **dict.fromkeys(("Stream", "fold"), "advdl.training.randomness"),
        **dict.fromkeys(("SampleProgram", "Sampler"), "advdl.training.sampler"),
        **dict.fromkeys(("Trainer", "Tuning"), "advdl.training.trainer"),
    },
)
