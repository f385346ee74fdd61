"""SeedTable: how the runs of several seeds stand, as a live table on a terminal and as plain lines elsewhere."""

import os
import shutil
import sys
import time
from collections import deque
from collections.abc import Callable, Sequence
from typing import Any, TextIO

from advdl.cli.output import table
from advdl.cli.progress import duration
from advdl.experiment.seeds import Said, SeedRun

_RATE_SECONDS = 30.0
_WIDTH = 80
_COLUMNS = ("seed", "status", "step", "of", "score", "steps/s", "eta")
_ABOVE = "\x1b[{}A\x1b[J"
"""Goes up so many lines and clears what is below."""


class SeedTable:
    """Shows what several seeds do, on stderr, in at most 80 columns.

    On a terminal the table is drawn over and over, with what the runs say above it. Elsewhere, and where ``TERM`` is
    ``dumb``, a line says now and then how far each seed is.

    Args:
        quiet: Whether to show no progress; what the runs say is shown all the same.
        stream: Where to write; stderr when None.
        live_seconds: Time between two drawings.
        every_seconds: Time between two plain lines.
        clock: Seconds that only grow.
    """

    def __init__(
        self,
        *,
        quiet: bool = False,
        stream: TextIO | None = None,
        live_seconds: float = 0.5,
        every_seconds: float = 10.0,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._stream = sys.stderr if stream is None else stream
        self._live = not quiet and self._stream.isatty() and os.environ.get("TERM") != "dumb"
        self._every = live_seconds if self._live else every_seconds
        self._quiet, self._clock = quiet, clock
        self._seen: dict[int, deque[tuple[float, int]]] = {}
        self._drawn = 0
        self._written = clock() if not self._live else float("-inf")

    def show(self, runs: Sequence[SeedRun], said: Said) -> None:
        """Takes note of how the runs stand, and shows it if it is time to.

        Args:
            runs: How each seed stands.
            said: New lines of their processes.
        """
        now = self._clock()
        for run in runs:
            self._note(run, now)
        for seed, line in said:
            self._write(self._erased() + f"seed {seed}: {line}\n")
        if not self._quiet and (now - self._written >= self._every or (self._live and said)):
            self._written = now
            self._write(self._erased() + self._drawing(runs) if self._live else self._line(runs))

    def close(self, runs: Sequence[SeedRun]) -> None:
        """Shows the last state."""
        if self._live:
            self._write(self._erased() + self._drawing(runs))
            self._drawn = 0

    def _note(self, run: SeedRun, now: float) -> None:
        seen = self._seen.setdefault(run.seed, deque())
        if run.status == "running" and run.step:
            seen.append((now, run.step))
            while len(seen) > 2 and now - seen[1][0] >= _RATE_SECONDS:
                seen.popleft()

    def _drawing(self, runs: Sequence[SeedRun]) -> str:
        columns, lines = shutil.get_terminal_size((_WIDTH, 24))
        room = max(lines - 3, 1)
        shown = runs if len(runs) <= room else sorted(runs, key=lambda run: run.status != "running")[:room]
        text = table(_COLUMNS, [self._row(run) for run in shown], width=min(columns, _WIDTH) - 1) + "\n"
        text += f"and {len(runs) - len(shown)} more\n" if len(shown) < len(runs) else ""
        self._drawn = text.count("\n")
        return text

    def _row(self, run: SeedRun) -> list[Any]:
        rate = self._rate(run) if run.status == "running" else 0.0
        left = duration((run.steps - run.step) / rate) if rate > 0.0 and run.steps else None
        steps = None if run.steps is None else f"{run.steps:,}"
        speed = None if rate <= 0.0 else f"{rate:,.0f}" if rate >= 10.0 else f"{rate:.2g}"
        score = None if run.score is None else f"{run.score:.6g}"
        return [run.seed, run.status, f"{run.step:,}", steps, score, speed, left]

    def _line(self, runs: Sequence[SeedRun]) -> str:
        running = [f"{run.seed} {run.step / run.steps:.0%}" for run in runs if run.status == "running" and run.steps]
        starting = sum(run.status == "running" and not run.steps for run in runs)
        counts = {name: sum(run.status == name for run in runs) for name in ("waiting", "done", "failed", "diverged")}
        fields = [f"{count} {name}" for name, count in {"starting": starting, **counts}.items() if count]
        line = f"seeds: {', '.join([*fields, *running])}"
        return (line if len(line) < _WIDTH else f"{line[: _WIDTH - 5]} ...") + "\n"

    def _rate(self, run: SeedRun) -> float:
        seen = self._seen[run.seed]
        if len(seen) < 2 or seen[-1][0] <= seen[0][0]:
            return 0.0
        return (seen[-1][1] - seen[0][1]) / (seen[-1][0] - seen[0][0])

    def _erased(self) -> str:
        drawn, self._drawn = self._drawn, 0
        return _ABOVE.format(drawn) if drawn else ""

    def _write(self, text: str) -> None:
        try:
            self._stream.write(text)
            self._stream.flush()
        except (OSError, ValueError):  # whoever read it has gone; that must not end the runs
            self._quiet = True
