"""Work: what a run drives from its first step to its last, whatever is trained.

The loop, the run folder, checkpoints, resume, signals and trackers know no more of a run than this file says. Each
family of experiments builds its own: an agent in an env, a model on data, a meta-learner on tasks.
"""

import importlib
import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Protocol

from advdl.experiment.backbones import check_freezing
from advdl.experiment.config import Experiment
from advdl.experiment.schema import FAMILIES
from advdl.training.backend import start_backend

if TYPE_CHECKING:
    from pathlib import Path

    import numpy as np

    from advdl.plugin.host import PluginHost
    from advdl.plugin.metric import Samples
    from advdl.training.checkpoint import CheckpointStore
    from advdl.training.state import State
    from advdl.training.stopwatch import Stopwatch


@dataclass(frozen=True, slots=True)
class Verdict:
    """What an evaluation found.

    Attributes:
        figures: Figures by name, for the trackers and ``evaluations.jsonl``.
        score: What decides which checkpoint is the best and when the run's target is reached; higher is better.
        text: The figures in one line, for people.
        details: Further plain data for ``evaluations.jsonl``, such as every episode's return.
        images: Pictures for the trackers, uint8 ``[height, width, 3]``, by name.
        samples: What the figures were computed of, for the run's metrics; None where there is no such thing.
    """

    figures: Mapping[str, float]
    score: float
    text: str
    details: Mapping[str, Any] = field(default_factory=dict)
    images: "Mapping[str, np.ndarray]" = field(default_factory=dict)
    samples: "Samples | None" = None


class Meter(Protocol):
    """Means of an interval; ``training.RunningMeans`` is one."""

    def read(self) -> dict[str, float]:
        """Returns the means of the interval."""

    def reset(self) -> None:
        """Starts a new interval."""

    def peek(self, name: str) -> float | None:
        """Returns one mean of the interval so far, or None."""


class Work(Protocol):
    """What a run drives."""

    @property
    def unit(self) -> str:
        """What a step is: ``"env steps"`` or ``"updates"``."""

    @property
    def step(self) -> int:
        """Steps made so far."""

    @property
    def target(self) -> float | None:
        """The score that ``evaluation.stop_at = "solved"`` asks for, or None."""

    @property
    def metrics(self) -> Meter:
        """What training reports."""

    @property
    def stopwatch(self) -> "Stopwatch":
        """Where the time went; the loop counts training, and a work that knows better counts its parts within."""

    @property
    def watched(self) -> str:
        """The metric that the progress line shows, such as ``"rollout/return"``."""

    def keep(self, folder: "Path") -> None:
        """Writes into the folder of a new run what a resume needs beside the checkpoints, such as collected data.

        Raises:
            RunError: The disk is full or broken.
        """

    def build(self) -> None:
        """Makes every variable of the run; after it a checkpoint can be restored."""

    def advance(self, until: int) -> None:
        """Trains for about a second, never past the step ``until``.

        Raises:
            DivergedError: A loss or a gradient was not finite.
            RunError: The env failed.
        """

    def state(self) -> "State":
        """Returns all that changes, by stable names: what a checkpoint holds."""

    def learnt(self) -> "State":
        """Returns the part of ``state`` that is evaluated and kept: the learner's variables."""

    def weights(self) -> "Mapping[str, np.ndarray]":
        """Returns the trainable variables, for histograms."""

    def store(self, folder: Any, *, keep_last: int) -> "CheckpointStore":
        """Returns the store of this run's checkpoints."""

    def judge(self, purpose: str) -> Verdict:
        """Evaluates what has been learnt so far.

        Args:
            purpose: ``"during"`` or ``"final"``; the final one uses data or episodes that nothing has seen before.
        """


def build_work(experiment: Experiment, host: "PluginHost", folder: "Path | None" = None) -> Work:
    """Builds what an experiment's run drives, on the backend that it needs.

    Args:
        experiment: The resolved configuration.
        host: The plugins.
        folder: The folder of a run that is gone on with, where ``Work.keep`` may have left something; None for a new
            one.

    Raises:
        UsageError: The parts do not fit each other.
    """
    check_freezing(experiment)
    trained = FAMILIES[experiment.family].main
    component = host.get(FAMILIES[experiment.family].slots[trained].kind, experiment.get(f"{trained}.name"))
    backend = component.details.get("backend", "tensorflow")
    start_backend(backend)
    if backend == "tensorflow":
        from advdl.training.devices import claim_devices, limit_threads

        limit_threads(experiment.data.get("trainer", {}).get("threads", 0))  # a loop of its own has no trainer
        claim_devices(experiment.get("devices"), os.environ)  # before anything is computed
    module, _, function = FAMILIES[experiment.family].work.partition(":")
    work: Work = getattr(importlib.import_module(module), function)(experiment, host, folder)
    return work
