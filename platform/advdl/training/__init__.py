"""The trainer and what it trains: learners, objectives, schedules, checkpoints. TensorFlow lives here."""

from typing import TYPE_CHECKING

from advdl.lazy import lazy_names

if TYPE_CHECKING:
    from advdl.training.adapter import Adapter, TaskLoss, Values, scalars
    from advdl.training.batch_norm import BatchNorm
    from advdl.training.data_learner import DataLearner, DataSpec
    from advdl.training.dataset import Data, Dataset
    from advdl.training.fused import FusedLoop
    from advdl.training.learner import Aux, Batch, Learner, Loss, Objective
    from advdl.training.meta_engine import Judge, MetaEngine
    from advdl.training.metrics import RunningMeans
    from advdl.training.narrow import NarrowDense
    from advdl.training.pure_learner import Fast, PureLearner
    from advdl.training.randomness import Stream, fold
    from advdl.training.sampler import SampleProgram, Sampler
    from advdl.training.sliced import SlicedDense
    from advdl.training.tasks import Tasks
    from advdl.training.trainer import Trainer, Tuning

__all__ = [
    "Adapter",
    "Aux",
    "Batch",
    "BatchNorm",
    "Data",
    "DataLearner",
    "DataSpec",
    "Dataset",
    "Fast",
    "FusedLoop",
    "Judge",
    "Learner",
    "Loss",
    "MetaEngine",
    "NarrowDense",
    "Objective",
    "PureLearner",
    "RunningMeans",
    "SampleProgram",
    "Sampler",
    "SlicedDense",
    "Stream",
    "TaskLoss",
    "Tasks",
    "Trainer",
    "Tuning",
    "Values",
    "fold",
    "scalars",
]

__getattr__ = lazy_names(
    __name__,
    {
        **dict.fromkeys(("Adapter", "TaskLoss", "Values", "scalars"), "advdl.training.adapter"),
        "BatchNorm": "advdl.training.batch_norm",
        **dict.fromkeys(("DataLearner", "DataSpec"), "advdl.training.data_learner"),
        **dict.fromkeys(("Data", "Dataset"), "advdl.training.dataset"),
        "FusedLoop": "advdl.training.fused",
        **dict.fromkeys(("Aux", "Batch", "Learner", "Loss", "Objective"), "advdl.training.learner"),
        **dict.fromkeys(("Judge", "MetaEngine"), "advdl.training.meta_engine"),
        "RunningMeans": "advdl.training.metrics",
        "NarrowDense": "advdl.training.narrow",
        **dict.fromkeys(("Fast", "PureLearner"), "advdl.training.pure_learner"),
        **dict.fromkeys(("Stream", "fold"), "advdl.training.randomness"),
        "SlicedDense": "advdl.training.sliced",
        "Tasks": "advdl.training.tasks",
        **dict.fromkeys(("SampleProgram", "Sampler"), "advdl.training.sampler"),
        **dict.fromkeys(("Trainer", "Tuning"), "advdl.training.trainer"),
    },
)
