"""Seeds: the same run with several seeds, side by side, each in a process of its own.

A process is an ordinary command, such as ``advdl agent train --seed 3``. What it says on standard error and what it
writes into its run's folder is all that is known of it, so whatever a command trains can be trained with several seeds.
"""

import contextlib
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import FrameType

from advdl.errors import CorruptError, ExitCode
from advdl.experiment.run_folder import RunFolder

_PROGRAM = (sys.executable, "-m", "advdl.cli.app")
_LOOK_SECONDS = 0.25
_PATIENCE = 60.0
_RUN, _ERROR, _HINT = "run ", "error: ", "hint: "

Said = Sequence[tuple[int, str]]
"""New lines: the seed and what its process said."""


@dataclass(slots=True)
class SeedRun:
    """How the run of a seed stands.

    Attributes:
        seed: The seed.
        status: ``waiting``, ``running``, ``done``, ``failed``, ``diverged`` or ``interrupted``.
        folder: Its folder, once it has one.
        step: Steps made so far.
        steps: Steps that it is to make, once that is known.
        score: The score of its last evaluation.
        error: Why it failed, in a sentence.
        hint: What its process advised.
        code: The exit code of its process, once it has ended.
    """

    seed: int
    status: str = "waiting"
    folder: RunFolder | None = None
    step: int = 0
    steps: int | None = None
    score: float | None = None
    error: str = ""
    hint: str = ""
    code: int | None = None

    @property
    def refused(self) -> bool:
        """Whether it ended before it had a folder: its settings, which all seeds share, cannot be carried out."""
        return self.folder is None and self.code in (ExitCode.USAGE, ExitCode.PLUGIN)

    def look(self) -> None:
        """Reads how far its folder says that it is."""
        if self.folder is None:
            return
        with contextlib.suppress(CorruptError):
            record, (metrics, evaluation) = self.folder.record(), self.folder.last_lines()
            self.steps = record.steps
            self.step = max(record.step, *(line["step"] for line in (metrics, evaluation) if line), self.step)
            self.score = (evaluation or {}).get("score", self.score)


class Seeds:
    """Trains several seeds at once, until all have ended.

    The first SIGINT or SIGTERM goes on to every process, which saves a checkpoint and ends; what waits is not started.

    Args:
        commands: What follows ``advdl`` for each seed.
        jobs: How many processes there are at a time.
        folders: The folders of runs that go on, by seed.
        program: What ``advdl`` is.
    """

    def __init__(
        self,
        commands: Mapping[int, Sequence[str]],
        *,
        jobs: int,
        folders: Mapping[int, RunFolder] | None = None,
        program: Sequence[str] = _PROGRAM,
    ) -> None:
        self.runs = [SeedRun(seed, folder=(folders or {}).get(seed)) for seed in commands]
        self.stopped_by: int | None = None
        self._commands, self._jobs, self._program = commands, jobs, program
        self._processes: list[_Process] = []

    def train(self, watch: Callable[[Sequence[SeedRun], Said], None]) -> None:
        """Starts the processes, within ``jobs``, and waits for all.

        Args:
            watch: Told how the runs stand, a few times a second.
        """
        with tempfile.TemporaryDirectory(prefix="advdl-seeds-") as folder, self._forwarding():
            try:
                while self._start(Path(folder)):
                    time.sleep(_LOOK_SECONDS)
                    watch(self.runs, self._look())
            finally:
                self._end()

    def _start(self, logs: Path) -> bool:
        """Fills the free places; says whether there is anything left to wait for."""
        for run in self.runs:
            active = sum(process.active for process in self._processes)
            if run.status == "waiting" and active < self._jobs and self._may_start():
                command = [*self._program, *self._commands[run.seed]]
                self._processes.append(_Process(run, command, logs / f"seed-{run.seed}"))
        return any(process.active for process in self._processes)

    def _may_start(self) -> bool:
        return self.stopped_by is None and not any(run.refused for run in self.runs)

    def _look(self) -> Said:
        return [(process.run.seed, line) for process in self._processes if process.active for line in process.look()]

    @contextlib.contextmanager
    def _forwarding(self) -> Iterator[None]:
        def forward(number: int, frame: FrameType | None) -> None:
            del frame
            self.stopped_by = self.stopped_by or number
            for process in self._processes:
                process.send(number)

        before = {number: signal.signal(number, forward) for number in (signal.SIGINT, signal.SIGTERM)}
        try:
            yield
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)

    def _end(self) -> None:
        """Leaves no process behind where watching has failed."""
        for process in self._processes:
            process.send(signal.SIGTERM)
        for process in self._processes:
            process.wait(_PATIENCE)


class _Process:
    """The process of one seed."""

    def __init__(self, run: SeedRun, command: Sequence[str], log: Path) -> None:
        self.run, self._log, self._read = run, log, 0
        with log.open("wb") as stderr, log.with_suffix(".out").open("wb") as stdout:
            self._popen = subprocess.Popen(
                command,
                stdin=subprocess.DEVNULL,
                stdout=stdout,
                stderr=stderr,
                env=os.environ,
                start_new_session=True,  # a terminal's Ctrl-C reaches it once, through us
            )
        run.status = "running"
        self.active = True

    def send(self, number: int) -> None:
        """Sends it a signal, if it still runs."""
        self._popen.send_signal(number)

    def wait(self, patience: float) -> None:
        """Waits for its end; kills it when that takes too long."""
        try:
            self._popen.wait(patience)
        except subprocess.TimeoutExpired:
            self._popen.kill()
            self._popen.wait()

    def look(self) -> list[str]:
        """Notes what it has said and done since the last time; returns what is for people."""
        code = self._popen.poll()  # before reading: what is said in between is read the next time
        messages = [line for line in self._new_lines() if not self._noted(line)]
        self.run.look()
        if code is not None:
            self._ended(code, messages)
        return messages

    def _new_lines(self) -> list[str]:
        with self._log.open("rb") as file:
            file.seek(self._read)
            content = file.read()
        whole = content[: content.rfind(b"\n") + 1]
        self._read += len(whole)
        return [line for line in whole.decode(errors="replace").splitlines() if line.strip()]

    def _noted(self, line: str) -> bool:
        if line.startswith(_RUN) and Path(line.removeprefix(_RUN)).is_dir():
            self.run.folder = RunFolder(Path(line.removeprefix(_RUN)))
        elif line.startswith(_ERROR):
            self.run.error = line.removeprefix(_ERROR)
        elif line.startswith(_HINT):
            self.run.hint = line.removeprefix(_HINT)
        else:
            return False
        return True

    def _ended(self, code: int, messages: Sequence[str]) -> None:
        self.active = False
        run = self.run
        run.code = 128 - code if code < 0 else code
        run.status = _STATUSES.get(run.code, "failed")
        if run.status != "done" and not run.error:
            last = messages[-1] if messages else f"its process ended with exit code {run.code}"
            run.error = f"its process was killed by {signal.Signals(-code).name}" if code < 0 else last


_STATUSES: Mapping[int, str] = {
    ExitCode.DONE: "done",
    ExitCode.DIVERGED: "diverged",
    ExitCode.INTERRUPTED: "interrupted",
    ExitCode.TERMINATED: "interrupted",
}
