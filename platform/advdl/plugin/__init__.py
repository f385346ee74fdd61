"""What plugin authors import: components, hooks, trackers. Nothing here imports TensorFlow."""

from advdl.plugin.component import KINDS, Component, Kind
from advdl.plugin.hookspecs import Check, hookimpl
from advdl.plugin.tracker import Metrics, RunInfo, Tracker

__all__ = ["KINDS", "Check", "Component", "Kind", "Metrics", "RunInfo", "Tracker", "hookimpl"]
