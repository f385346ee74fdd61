"""Conformance of trackers."""

import inspect
import tempfile
from pathlib import Path
from typing import Any

import numpy as np

from advdl.errors import nearest
from advdl.plugin.hookspecs import RunHooks
from advdl.plugin.options import Factory
from advdl.plugin.tracker import RunInfo
from advdl.testing.clauses import Clauses

_HOOKS = tuple(name for name in vars(RunHooks) if name.startswith("advdl_"))
_EXPERIMENT = {"seed": 0, "agent": {"name": "dqn", "gamma": 0.99}, "env": {"id": "CartPole-v1"}}


def check_tracker(factory: Factory) -> None:
    """Checks a tracker: it takes part in a run from start to end, and in one that is resumed.

    Args:
        factory: The class, or what ``component`` returns; called without arguments, once a run.

    Raises:
        ContractError: Names the clause that is broken.
    """
    clauses = Clauses("tracker", factory)
    with clauses.clause("it can be built from its options alone"):
        tracker = factory()
    _check_signatures(clauses, tracker)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        _play(clauses, tracker, RunInfo(folder, folder.name, _EXPERIMENT), status="interrupted")
        _play(clauses, factory(), RunInfo(folder, folder.name, _EXPERIMENT, resumed_from=200), status="done")


def _check_signatures(clauses: Clauses, tracker: Any) -> None:
    found = [name for name in dir(tracker) if name.startswith("advdl_")]
    clauses.require(found, "it has a method for at least one of a run's hooks", f"known: {', '.join(_HOOKS)}")
    for name in found:
        guess = nearest(name, _HOOKS)
        hint = f"did you mean {guess}?" if guess else f"known: {', '.join(_HOOKS)}"
        clauses.require(name in _HOOKS, "its advdl_ methods are hooks", f"there is no hook {name}; {hint}")
        allowed = list(inspect.signature(getattr(RunHooks, name)).parameters)[1:]
        asked = list(inspect.signature(getattr(tracker, name)).parameters)
        unknown = [argument for argument in asked if argument not in allowed]
        detail = f"{name} asks for {', '.join(unknown)}; there is {', '.join(allowed)}"
        clauses.require(not unknown, "its methods take the hooks' arguments", detail)


def _play(clauses: Clauses, tracker: Any, run: RunInfo, *, status: str) -> None:
    step = (run.resumed_from or 0) + 100
    evaluation = {"return/mean": 475.0, "return/std": 1.5, "episodes": 10.0}
    checkpoint = run.folder / "checkpoints" / f"step-{step}"
    checkpoint.mkdir(parents=True)
    _call(clauses, tracker, "advdl_run_started", run=run)
    _call(clauses, tracker, "advdl_metrics", run=run, step=step, metrics={"loss/q": 0.5, "epsilon": 0.1})
    _call(clauses, tracker, "advdl_metrics", run=run, step=step + 1, metrics={"loss/q": float("nan")})
    _call(clauses, tracker, "advdl_evaluated", run=run, step=step, evaluation=evaluation)
    if getattr(tracker, "histograms", False):
        arrays = {"online/dense/kernel": np.zeros((3, 4), np.float32)}
        _call(clauses, tracker, "advdl_histograms", run=run, step=step, arrays=arrays)
    _call(clauses, tracker, "advdl_checkpoint_saved", run=run, step=step, folder=checkpoint)
    _call(clauses, tracker, "advdl_run_finished", run=run, status=status, error="")


def _call(clauses: Clauses, tracker: Any, hook: str, **arguments: Any) -> None:
    method = getattr(tracker, hook, None)
    if method is None:
        return
    asked = inspect.signature(method).parameters
    resumed = "" if arguments["run"].resumed_from is None else " of a resumed run"
    with clauses.clause(f"{hook}{resumed} does not raise"):
        method(**{name: value for name, value in arguments.items() if name in asked})
