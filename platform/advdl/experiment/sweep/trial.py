"""A trial's process: an ordinary run, started by an ordinary command, and what it has written so far."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol

from advdl.errors import AdvdlError, ExitCode, UsageError
from advdl.experiment.files import Journal
from advdl.experiment.run_folder import RunFolder

_TETHERED = (sys.executable, "-m", "advdl.cli.tethered")
_THREADS = ("OMP_NUM_THREADS", "TF_NUM_INTRAOP_THREADS", "TF_NUM_INTEROP_THREADS")
STOPPED = (int(ExitCode.TERMINATED), -signal.SIGTERM)
"""Exit codes of a run that was asked to stop, and did."""


class RunningTrial(Protocol):
    """A trial that is under way, wherever it is."""

    @property
    def code(self) -> int | None:
        """The exit code, negative for a signal; None while it runs."""

    @property
    def was_stopped(self) -> bool:
        """Whether it ended because it was asked to."""

    def stop(self) -> None:
        """Asks the run to stop; it saves a checkpoint."""

    def wait(self, seconds: float) -> None:
        """Waits for its end, then ends it."""

    def kill(self) -> None:
        """Ends it at once."""

    def problem(self) -> str:
        """Says why it failed, in its own words."""


class TrialProcess:
    """Runs ``advdl WORDS``; the run ends, with a checkpoint, when this process does.

    Args:
        words: The command.
        log: Where what it says goes.
        threads: Threads that it may compute with; 0 leaves it to TensorFlow.
        folder: Where it works; here when None.
        environ: Variables beyond this process' own.
    """

    def __init__(
        self,
        words: Sequence[str],
        log: Path,
        threads: int = 0,
        *,
        folder: str | None = None,
        environ: Mapping[str, str] | None = None,
    ) -> None:
        limits = {name: str(threads) for name in _THREADS if threads and name not in os.environ}
        self._log = log
        log.parent.mkdir(parents=True, exist_ok=True)
        with log.open("ab") as output:
            self._process = subprocess.Popen(
                [*_TETHERED, *words],
                cwd=folder,
                env={**os.environ, **limits, **(environ or {})},
                stdin=subprocess.PIPE,  # its other end closes when this process dies, however that is
                stdout=output,
                stderr=output,
                start_new_session=True,  # a terminal's Ctrl-C is for the sweep alone
            )

    @property
    def code(self) -> int | None:
        """The exit code, negative for a signal; None while it runs."""
        return self._process.poll()

    @property
    def was_stopped(self) -> bool:
        """Whether it ended because it was asked to."""
        return self.code in STOPPED

    def stop(self) -> None:
        """Asks the run to stop; it saves a checkpoint."""
        if self.code is None:
            self._process.terminate()

    def wait(self, seconds: float) -> None:
        """Waits for its end, then ends it."""
        try:
            self._process.wait(seconds)
        except subprocess.TimeoutExpired:
            self.kill()

    def kill(self) -> None:
        """Ends it at once."""
        if self.code is None:
            self._process.kill()
            self._process.wait()

    def problem(self) -> str:
        """Says why it failed, in its own words."""
        return problem_of(self.code or 0, self._log)


def problem_of(code: int, log: Path) -> str:
    """Says why a trial failed, from its exit code and what it said."""
    if code < 0:
        return f"was killed by {signal.Signals(-code).name}"
    lines = log.read_text(errors="replace").splitlines()
    errors = [line.removeprefix("error: ") for line in lines if line.startswith("error: ")]
    return errors[-1] if errors else f"failed with exit code {code}; see {log}"


def dry_runs(commands: Sequence[Sequence[str]]) -> dict[str, Any]:
    """Resolves the settings of several commands in one process, and trains nothing.

    Returns:
        What the last one's ``--dry-run --json`` printed.

    Raises:
        UsageError: One of them is refused, with its own sentence.
    """
    done = subprocess.run(
        [sys.executable, "-m", "advdl.cli.dry_runs"],
        input=json.dumps([list(words) for words in commands]),
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode == 0:
        data: dict[str, Any] = json.loads(done.stdout)
        return data
    said = {kind: text for kind, _, text in (line.partition(": ") for line in done.stderr.splitlines())}
    raise UsageError(
        said.get("error") or f"the settings cannot be resolved: {done.stderr[-500:]}", hint=said.get("hint", "")
    )


def tagged_run(root: Path, tags: Sequence[str], *, since: float = 0.0) -> RunFolder | None:
    """Finds the newest run that has all of these marks.

    Args:
        root: The folder of all runs.
        tags: The marks.
        since: Runs that were made before, in seconds since the epoch, are not looked at.
    """
    stamp = time.strftime("%Y%m%d-%H%M%S", time.gmtime(since))
    paths = [path for path in root.glob("[!.]*/[!.]*/[!.]*") if path.name >= stamp and (path / "run.json").is_file()]
    for path in sorted(paths, key=lambda path: path.name, reverse=True):
        folder = RunFolder(path)
        try:
            if set(tags) <= set(folder.record().tags):
                return folder
        except AdvdlError:
            continue
    return None


def evaluations(folder: RunFolder) -> list[Mapping[str, Any]]:
    """Returns the evaluations that a run, which may be writing another one, has made."""
    return [line for line in Journal(folder.path / "evaluations.jsonl").read() if "score" in line]
