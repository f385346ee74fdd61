"""Benchmarks of turns: contestants are processes side by side, each of which trains only while it is told to."""

import json
import logging
import resource
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

Turn = Callable[[int], None]
"""Makes so many steps."""

Contestant = Callable[[str], tuple[Turn, int, str]]
"""From what is trained to its turn, its number of parameters, and what there is to say about it."""


def serve(contestants: Mapping[str, Contestant]) -> None:
    """The contestants' side: says by a line of JSON that it is ready, and with each further one how a turn went."""
    logging.basicConfig(level=logging.ERROR)
    contestant, trained = sys.argv[1:]
    turn, parameters, said = contestants[contestant](trained)
    turn(3)  # compiles, and warms up
    print(json.dumps({"parameters": parameters, "said": said}), flush=True)
    for line in sys.stdin:
        began = time.perf_counter()
        turn(int(line))
        seconds = time.perf_counter() - began
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 / 1e6
        print(json.dumps({"seconds": seconds, "peak_mb": peak}), flush=True)


class Process:
    """The measuring side: a script of this folder that serves contestants, in a process of its own.

    Args:
        script: The script.
        contestant: Its contestant.
        trained: What is trained.
    """

    def __init__(self, script: str, contestant: str, trained: str) -> None:
        command = [sys.executable, str(Path(__file__).with_name(script)), contestant, trained]
        self._process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        self.facts = self._answer()

    def milliseconds(self, steps: int) -> float:
        """Trains; returns the time of a step."""
        print(steps, file=self._process.stdin, flush=True)
        answer = self._answer()
        self.peak_mb: float = answer["peak_mb"]
        return float(1e3 * answer["seconds"] / steps)

    def close(self) -> None:
        """Ends the process."""
        self._process.communicate()

    def _answer(self) -> dict[str, Any]:
        line = self._process.stdout.readline() if self._process.stdout else ""
        if not line:
            raise SystemExit(f"{self._process.args} ended with {self._process.wait()}")
        answer: dict[str, Any] = json.loads(line)
        return answer
