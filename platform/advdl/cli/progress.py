"""Progress: one live line on a terminal, plain lines elsewhere, nothing when quiet."""

import shutil
import sys
import time
from collections import deque
from collections.abc import Callable
from types import TracebackType
from typing import Self, TextIO

_LIVE_SECONDS = 0.1
_RATE_SECONDS = 10.0
_WIDTH = 80


class Progress:
    """Shows how far a run is on stderr.

    On a terminal one line is written over and over; elsewhere a plain line every ``every_seconds``. There are
    no colours and no escape codes, so ``NO_COLOR`` has nothing to switch off and a log stays readable. A line
    has at most 79 characters, fewer where the terminal is narrower: fields are left out from the right.

    Args:
        total: Steps that the run will have made when it is done.
        watched: What the watched metric is called.
        quiet: Whether to write nothing at all.
        stream: Where to write; stderr when None.
        every_seconds: Time between plain lines.
        clock: Seconds that only grow.
    """

    def __init__(
        self,
        total: int,
        *,
        watched: str = "return",
        quiet: bool = False,
        stream: TextIO | None = None,
        every_seconds: float = 10.0,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._total = total
        self._watched = watched
        self._stream = sys.stderr if stream is None else stream
        self._off = quiet
        self._live = self._stream.isatty()
        self._every = _LIVE_SECONDS if self._live else every_seconds
        self._clock = clock
        # Empty until the first update: what goes before is compiling, and would make the end seem days away.
        self._seen: deque[tuple[float, int]] = deque()
        self._written: float | None = None
        self._shown = ""
        self._value: float | None = None
        self._saved: float | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def update(self, step: int, *, value: float | None = None) -> None:
        """Takes note of progress and shows it if it is time to.

        Args:
            step: Steps made so far.
            value: The watched metric; None keeps the one before.
        """
        now = self._clock()
        self._value = self._value if value is None else value
        self._seen.append((now, step))
        while len(self._seen) > 2 and now - self._seen[1][0] >= _RATE_SECONDS:
            self._seen.popleft()
        if self._written is None or now - self._written >= self._every:
            self._show(now)

    def checkpoint_saved(self) -> None:
        """Takes note that a checkpoint has just been written."""
        self._saved = self._clock()

    def message(self, text: str) -> None:
        """Writes a line of its own; the live line goes on below it. Written also when quiet."""
        self._erase()
        self._write(text + "\n")

    def close(self) -> None:
        """Shows the last state and ends the live line."""
        if self._written is not None and self._seen[-1][0] != self._written:
            self._show(self._clock())
        if self._shown:
            self._write("\n")
            self._shown = ""
        self._off = True

    def _show(self, now: float) -> None:
        self._written = now
        if self._off:
            return
        line = self._line(now)
        if self._live:
            self._write("\r" + line.ljust(len(self._shown)))
            self._shown = line
        else:
            self._write(line + "\n")

    def _line(self, now: float) -> str:
        step, rate = self._seen[-1][1], self._rate()
        fields = [f"{step:,}/{self._total:,}", f"{step / max(self._total, 1):4.0%}"]
        if self._value is not None:
            fields.append(f"{self._watched} {_short(self._value)}")
        if rate > 0.0:
            fields.append(f"{rate:,.0f} steps/s" if rate >= 10.0 else f"{rate:.2g} steps/s")
            fields.append(f"eta {duration(max(self._total - step, 0) / rate)}")
        if self._saved is not None:
            fields.append(f"saved {duration(now - self._saved)} ago")
        return _fit(fields, self._width())

    def _rate(self) -> float:
        (began, first), (now, last) = self._seen[0], self._seen[-1]
        return (last - first) / (now - began) if now > began else 0.0

    def _width(self) -> int:
        # One column is left free: a full line would wrap on some terminals.
        return min(_WIDTH, shutil.get_terminal_size((_WIDTH, 24)).columns if self._live else _WIDTH) - 1

    def _erase(self) -> None:
        if self._shown:
            self._write("\r" + " " * len(self._shown) + "\r")
            self._shown = ""

    def _write(self, text: str) -> None:
        try:
            self._stream.write(text)
            self._stream.flush()
        except (OSError, ValueError):  # whoever read it has gone; that must not end the run
            self._off = True


def _fit(fields: list[str], width: int) -> str:
    while len(fields) > 1 and len("  ".join(fields)) > width:
        fields.pop()
    return "  ".join(fields)[: max(width, 1)]


def _short(value: float) -> str:
    """One decimal for returns; small values, such as losses, keep three figures."""
    return f"{value:.1f}" if abs(value) >= 10 or value == 0 else f"{value:.3g}"


def duration(seconds: float) -> str:
    """Says a time as people do: ``42s``, ``3m05s``, ``2h10m``, ``3d04h``."""
    whole = round(seconds)
    if whole < 60:
        return f"{whole}s"
    minutes, rest = divmod(whole, 60)
    if minutes < 60:
        return f"{minutes}m{rest:02d}s"
    hours, minutes = divmod(minutes, 60)
    return f"{hours}h{minutes:02d}m" if hours < 48 else f"{hours // 24}d{hours % 24:02d}h"
