"""What plugin authors import: components, options, hooks, trackers. Nothing here imports TensorFlow."""

from advdl.plugin.component import KINDS, Component, Kind
from advdl.plugin.hookspecs import Check, hookimpl
from advdl.plugin.options import Choice, Factory, Option, Part, options_of
from advdl.plugin.tracker import Metrics, RunInfo, Tracker

__all__ = [
    "KINDS",
    "Check",
    "Choice",
    "Component",
    "Factory",
    "Kind",
    "Metrics",
    "Option",
    "Part",
    "RunInfo",
    "Tracker",
    "hookimpl",
    "options_of",
]
