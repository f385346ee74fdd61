"""Stops a real training at random moments, goes on with it, and compares it with one that never stopped.

Needs no pytest, so that a benchmark can use it with more kills: put this folder on ``sys.path`` and import it.
"""

import json
import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

SETTINGS = {
    "checkpoint.every_seconds": "0.2",
    "checkpoint.max_share": "1.0",
    "log.every": "160",
    "evaluation.every": "1600",
    "evaluation.episodes": "5",
    "evaluation.stop_at": "never",
    "agent.backbone.units": "[16, 16]",
    "agent.buffer_size": "3000",
    "agent.learning_starts": "500",
    "agent.batch_size": "32",
    "agent.train_every": "16",
    "agent.updates": "4",
    "agent.target_every": "50",
    "env.num": "16",
}
"""A small run with everything in it: a replay that comes round, evaluations, a best checkpoint that moves."""

STEPS = 16_000
_ADVDL = Path(sys.executable).with_name("advdl")
_POLL = 0.002
_PATIENCE = 600.0


@dataclass(frozen=True, slots=True)
class Stop:
    """How a process was stopped.

    Attributes:
        number: The signal.
        seconds: After how long in that process.
        lines: Lines of metrics that the run had then.
        exit_code: What the process exited with; ``-9`` for SIGKILL.
    """

    number: signal.Signals
    seconds: float
    lines: int
    exit_code: int


@dataclass(slots=True)
class StoppedRun:
    """A run that was stopped again and again.

    Attributes:
        folder: Its folder.
        stops: How it was stopped, in order.
        outputs: What each process wrote to standard error.
    """

    folder: Path
    stops: list[Stop] = field(default_factory=list)
    outputs: list[str] = field(default_factory=list)


class Harness:
    """Trains with one set of settings, stopped or not.

    Args:
        root: A folder for everything that is written, the compile cache included.
        settings: What is passed with ``--set``.
        steps: Env steps of the run.
        seed: Seed of the run.
        env: The env.
    """

    def __init__(
        self,
        root: Path,
        *,
        settings: Mapping[str, str] = SETTINGS,
        steps: int = STEPS,
        seed: int = 0,
        env: str = "CartPole",
    ) -> None:
        self._root = root
        sets = [word for key, value in settings.items() for word in ("--set", f"{key}={value}")]
        self._train = ["agent", "train", "--env", env, "--steps", str(steps), "--seed", str(seed), *sets]
        self._steps, self._lines = steps, steps // int(settings["log.every"])

    def undisturbed(self) -> Path:
        """Trains without a stop and returns the run's folder."""
        runs = self._runs("undisturbed")
        process = self._start([*self._train, "--runs-dir", str(runs)], runs)
        output = _output_of(process)
        if process.returncode != 0:
            raise RuntimeError(f"the run failed with {process.returncode}:\n{output}")
        return _only_run(runs)

    def stopped(
        self,
        signals: Sequence[signal.Signals],
        *,
        seed: int,
        name: str = "stopped",
        told: Callable[[Stop], None] | None = None,
    ) -> StoppedRun:
        """Trains, is stopped by each signal in turn at a random moment, and goes on until it is done.

        A quarter of the moments are anywhere in a process' first seconds, most of which is start-up; the others
        are within training. The first process is not stopped before its first checkpoint: there is no run yet.

        Args:
            signals: The signals, one for each process but the last.
            seed: Draws the moments.
            name: Names the folder.
            told: Told of each stop once it has happened.
        """
        draw = random.Random(seed)
        runs = self._runs(name)
        process = self._start([*self._train, "--runs-dir", str(runs)], runs)
        run = StoppedRun(_wait_for_checkpoint(runs, process))
        for left in range(len(signals), 0, -1):
            self._stop(run, process, signals[-left], draw, left=left)
            if told:
                told(run.stops[-1])
            if run.stops[-1].exit_code == 0:  # it was faster than the signal
                return run
            process = self._start(["runs", "resume", str(run.folder)], runs)
        run.outputs.append(_output_of(process))
        if process.returncode != 0:
            raise RuntimeError(f"the last resume failed with {process.returncode}:\n{run.outputs[-1]}")
        return run

    def _stop(
        self,
        run: StoppedRun,
        process: "subprocess.Popen[str]",
        number: signal.Signals,
        draw: random.Random,
        *,
        left: int,
    ) -> None:
        began, metrics = time.monotonic(), run.folder / "metrics.jsonl"
        if number == signal.SIGKILL and draw.random() < 0.25:
            moment = began + draw.uniform(0.0, 8.0)  # before the end, however fast the machine is
            _wait(process, lambda: time.monotonic() >= moment or _count_lines(metrics) >= self._lines - 10)
        else:
            saved = newest_step(run.folder) * self._lines // self._steps
            furthest = min(saved + 2 * (self._lines - saved) // (left + 1), self._lines - 10)
            stop_at = draw.randint(saved + 1, max(furthest, saved + 1))
            if run.stops:
                before = _identity(metrics)
                _wait(process, lambda: _identity(metrics) != before)  # it has resumed
            _wait(process, lambda: _count_lines(metrics) >= stop_at)
            time.sleep(draw.uniform(0.0, 0.03))
        process.send_signal(number)
        run.outputs.append(_output_of(process))
        seconds = time.monotonic() - began
        run.stops.append(Stop(number, seconds, _count_lines(metrics), process.returncode))

    def _start(self, words: Sequence[str], runs: Path) -> "subprocess.Popen[str]":
        environment = {
            **{name: value for name, value in os.environ.items() if not name.startswith("ADVDL_")},
            "ADVDL_XLA_CACHE": str(self._root / "xla"),
            "CUDA_VISIBLE_DEVICES": "-1",
        }
        return subprocess.Popen(
            [_ADVDL, *words],
            cwd=runs,
            env=environment,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )

    def _runs(self, name: str) -> Path:
        runs = self._root / name
        runs.mkdir(parents=True)
        return runs


def newest_step(folder: Path) -> int:
    """Returns the step of a run's newest checkpoint."""
    return max(int(path.name.removeprefix("step-")) for path in (folder / "checkpoints").glob("step-*"))


def differences(one: Path, two: Path) -> list[str]:
    """Says in what two runs differ that should be equal bit for bit; nothing if they are.

    Compared are every tensor of the last checkpoint (variables, optimizer slots, replay, counters, running
    means), the plan saved with it, every line of metrics but for times, and every evaluation.
    """
    if newest_step(one) != newest_step(two):
        return [f"the last checkpoints are of step {newest_step(one)} and of step {newest_step(two)}"]
    found = _tensor_differences(one, two)
    for name in ("metrics.jsonl", "evaluations.jsonl"):
        ours, theirs = read_journal(one / name), read_journal(two / name)
        if len(ours) != len(theirs):
            found.append(f"{name} has {len(ours)} and {len(theirs)} lines")
        pairs = enumerate(zip(ours, theirs, strict=False), start=1)
        found += [f"{name}, line {number}: {a} is not {b}" for number, (a, b) in pairs if a != b]
    return found


def read_journal(path: Path) -> list[dict[str, Any]]:
    """Reads a journal without what depends on the clock."""
    lines = [json.loads(line) for line in path.read_text().splitlines()]
    return [{key: value for key, value in line.items() if not key.startswith("time/")} for line in lines]


def _tensor_differences(one: Path, two: Path) -> list[str]:
    from advdl.training.checkpoint import CheckpointStore

    step = newest_step(one)
    (ours, our_plan), (theirs, their_plan) = (
        (store.read(step), {**store.meta(step), "seconds": None})
        for store in (CheckpointStore(run / "checkpoints") for run in (one, two))
    )
    names = [name for name in {**ours, **theirs} if name not in ours or name not in theirs]
    found = [f"{name} is in one checkpoint only" for name in names]
    for name in ours.keys() & theirs.keys():
        same_kind = (ours[name].dtype, ours[name].shape) == (theirs[name].dtype, theirs[name].shape)
        if not same_kind or ours[name].tobytes() != theirs[name].tobytes():
            found.append(f"{name} differs")
    return found + ([] if our_plan == their_plan else [f"the plan {our_plan} is not {their_plan}"])


def _only_run(runs: Path) -> Path:
    (record,) = runs.glob("*/*/*/run.json")
    return record.parent


def _wait_for_checkpoint(runs: Path, process: "subprocess.Popen[str]") -> Path:
    _wait(process, lambda: any(runs.glob("*/*/*/checkpoints/step-*")))
    return _only_run(runs)


def _wait(process: "subprocess.Popen[str]", happened: Callable[[], bool]) -> None:
    """Waits until something has happened or the process is over."""
    deadline = time.monotonic() + _PATIENCE
    while process.poll() is None and not happened():
        if time.monotonic() > deadline:
            process.kill()
            raise TimeoutError(f"nothing happened in {_PATIENCE:.0f} s:\n{_output_of(process)}")
        time.sleep(_POLL)


def _output_of(process: "subprocess.Popen[str]") -> str:
    return process.communicate(timeout=_PATIENCE)[1]


def _identity(path: Path) -> int:
    """A journal that a resumed run has cut is another file."""
    return path.stat().st_ino if path.exists() else 0


def _count_lines(path: Path) -> int:
    return path.read_bytes().count(b"\n") if path.exists() else 0
