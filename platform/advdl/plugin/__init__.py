"""What plugin authors import: components, options, hooks, trackers, metrics. Nothing here imports TensorFlow."""

from advdl.plugin.component import KINDS, Component, Kind
from advdl.plugin.hookspecs import Check, hookimpl
from advdl.plugin.metric import Metric, Samples
from advdl.plugin.options import Choice, Factory, Option, Part, options_of
from advdl.plugin.tracker import Metrics, RunInfo, Tracker

__all__ = [
    "KINDS",
    "Check",
    "Choice",
    "Component",
    "Factory",
    "Kind",
    "Metric",
    "Metrics",
    "Option",
    "Part",
    "RunInfo",
    "Samples",
    "Tracker",
    "hookimpl",
    "options_of",
]
