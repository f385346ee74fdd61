"""Launch: several workers of one job on this machine, watched until the first of them fails or all are done."""

import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from types import FrameType

from advdl.errors import ExitCode, RunError
from advdl.training.cluster import config_of

_COMMAND = (sys.executable, "-m", "advdl.cli.app")
# A worker needs up to this long to notice by itself that another is gone, and to record it.
_NOTICES = 30.0
_ENDS = 10.0


def launch(words: Sequence[str], workers: int, environ: Mapping[str, str]) -> int:
    """Runs ``advdl WORDS`` in several processes that train together, and waits for them.

    The chief has this process' output; the others are silent, and what they said is shown if one of them fails. A
    signal goes to the chief, which saves a checkpoint; then the others end.

    Args:
        words: What follows ``advdl``.
        workers: How many processes.
        environ: Their environment, to which ``TF_CONFIG`` is added.

    Returns:
        The chief's exit code.

    Raises:
        RunError: A worker that is not the chief failed, or any was killed.
    """
    with tempfile.TemporaryDirectory(prefix="advdl-launch-") as folder, ExitStack() as files:
        addresses = tuple(f"127.0.0.1:{port}" for port in files.enter_context(held_ports(workers)))
        logs = [Path(folder) / f"worker-{index}" for index in range(workers)]
        outputs = [None, *(files.enter_context(log.open("wb")) for log in logs[1:])]
        processes = [
            subprocess.Popen(
                [*_COMMAND, *words],
                env={**environ, "TF_CONFIG": config_of(addresses, index)},
                stdin=subprocess.DEVNULL if index else None,
                stdout=output,
                stderr=output,
                start_new_session=True,  # a terminal's Ctrl-C is for the chief alone
            )
            for index, output in enumerate(outputs)
        ]
        with _forwarding(processes[0]):
            return _wait(processes, logs)


def _wait(processes: Sequence[subprocess.Popen[bytes]], logs: Sequence[Path]) -> int:
    try:
        failed = _first_failure(processes)
        killed = failed is not None and processes[failed].returncode < 0
        _end(processes, patience=_NOTICES if failed or killed else _ENDS)
    finally:
        for process in processes:
            if process.poll() is None:
                process.kill()
                process.wait()
    if all(process.returncode == ExitCode.USAGE for process in processes):
        return int(ExitCode.USAGE)  # whichever was the first to refuse the command, the chief has said why
    if failed is not None and (failed or killed):
        # What the chief said is here already; if it was killed, another knows what that meant.
        sys.stderr.write(logs[failed or 1].read_text(errors="replace")[-4000:])
        raise RunError(
            f"worker {failed} {_how(processes[failed].returncode)}",
            hint="go on with: advdl launch --workers N -- runs resume latest",
        )
    return _code(processes[0].returncode)


def _first_failure(processes: Sequence[subprocess.Popen[bytes]]) -> int | None:
    """Waits until the chief is done, or a worker has failed, which it returns."""
    while True:
        for index, process in enumerate(processes):
            if process.poll() not in (None, 0):
                return index
        if processes[0].poll() == 0:
            return None
        time.sleep(0.1)


def _end(processes: Sequence[subprocess.Popen[bytes]], *, patience: float) -> None:
    until = time.monotonic() + patience
    while time.monotonic() < until and any(process.poll() is None for process in processes):
        time.sleep(0.1)


@contextmanager
def _forwarding(chief: subprocess.Popen[bytes]) -> Iterator[None]:
    def forward(number: int, frame: FrameType | None) -> None:
        del frame
        if chief.poll() is None:
            os.kill(chief.pid, number)

    before = {number: signal.signal(number, forward) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


@contextmanager
def held_ports(count: int) -> Iterator[list[int]]:
    """Finds free ports of the loopback address, and keeps others from being given them until the context ends.

    A socket that is bound and does not listen keeps Linux from handing its port out, while a server that asks for this
    very port still gets it. Elsewhere the ports are let go at once.
    """
    with ExitStack() as stack:
        sockets = [stack.enter_context(socket.socket()) for _ in range(count)]
        for each in sockets:
            each.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            each.bind(("127.0.0.1", 0))
        ports = [each.getsockname()[1] for each in sockets]
        if sys.platform != "linux":
            stack.close()
        yield ports


def _how(code: int) -> str:
    return f"was killed by {signal.Signals(-code).name}" if code < 0 else f"failed with exit code {code}"


def _code(code: int) -> int:
    return 128 - code if code < 0 else code
