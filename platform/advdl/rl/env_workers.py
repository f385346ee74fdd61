"""Copies of an env in worker processes: slow envs run side by side, and a crash ends a worker and not the training.

Observations, actions and flags lie in memory that parent and workers share; a pipe carries the word that a step is due
and the word that it is made, and tells at once when a worker has died.
"""

import contextlib
import faulthandler
import itertools
import json
import math
import multiprocessing
import os
import signal
import tempfile
import time
import weakref
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any, cast

import gymnasium
import numpy as np
from gymnasium.vector.utils import CloudpickleWrapper
from numpy.typing import NDArray

from advdl.rl.env_checks import leaf_rules
from advdl.rl.env_copies import Buffers, Care, EnvCopies
from advdl.rl.env_copy import Factory, copy_seed
from advdl.rl.env_faults import CopyError, EnvFault
from advdl.rl.spaces import Spaces

_ALIGNMENT = 64
_START_UP = 120.0
"""Seconds that a worker may take to import and make its envs, beyond the time-out."""

_HOPELESS = 3
_SILENT = "did not come back"


class Arena:
    """Hands out arrays of one block of memory, in the same order in every process.

    Args:
        block: The memory, or None to count only what would be needed.
    """

    def __init__(self, block: Any = None) -> None:
        self._block = block
        self.used = 0

    def allocate(self, shape: tuple[int, ...], dtype: np.dtype[Any]) -> NDArray[Any]:
        """Returns the next array."""
        start, count = self.used, math.prod(shape)
        self.used += -(-count * dtype.itemsize // _ALIGNMENT) * _ALIGNMENT
        if self._block is None:
            return np.zeros(shape, dtype)
        return np.frombuffer(self._block, dtype, count, start).reshape(shape)


@dataclass(frozen=True, slots=True)
class Task:
    """What a worker is told at its start; picklable."""

    factory: Factory
    spaces: Spaces
    copies: int
    first: int
    last: int
    seed: int
    care: Care


class WorkerPool:
    """Steps copies in ``workers`` processes. Methods are those of ``EnvCopies``.

    Args:
        factory: Makes one env; goes to the workers by cloudpickle.
        spaces: The env's.
        copies: How many.
        workers: How many processes; each has a run of neighbouring copies.
        seed: The run's seed.
        care: What is done about faults.
    """

    def __init__(self, factory: Factory, spaces: Spaces, *, copies: int, workers: int, seed: int, care: Care) -> None:
        bounds = [copies * worker // workers for worker in range(workers + 1)]
        self._tasks = [
            Task(factory, spaces, copies, first, last, seed, care) for first, last in itertools.pairwise(bounds)
        ]
        # Not fork: TensorFlow's threads hold locks that a forked child would wait for.
        methods = multiprocessing.get_all_start_methods()
        self._context = multiprocessing.get_context("forkserver" if "forkserver" in methods else "spawn")
        counted = Arena()
        _buffers(spaces, copies, counted)
        self._block = self._context.RawArray("b", counted.used)
        self.buffers = _buffers(spaces, copies, Arena(self._block))
        self._care, self._seed, self._failures = care, seed, 0
        self._workers: list[_Worker] = []
        self.notes: list[EnvFault] = []

    def open(self, space: gymnasium.Space[Any]) -> None:
        """Starts the workers.

        Raises:
            CopyError: An env cannot be made.
        """
        del space
        self._workers = [_Worker(self._context, self._block, task) for task in self._tasks]
        self._collect("make", _START_UP)

    def reset(self) -> None:
        """Begins a new episode in every copy."""
        self._everyone("reset")

    def step(self) -> None:
        """Makes the step that ``buffers.action`` asks for."""
        before = [leaf.copy() for leaf in self.buffers.observation] if self._care.on_fault == "restart" else []
        lost = self._ask("step", "step")
        for index, fault in lost.items():
            self._replace(index, fault, before)
        if not lost:
            self._failures = 0

    def snapshot(self) -> list[dict[str, Any]]:
        """Returns plain data of every copy."""
        return [copy for part in self._everyone("snapshot") for copy in part]

    def restore(self, saved: Sequence[Mapping[str, Any]]) -> list[EnvFault]:
        """Plays every saved episode again, the workers side by side."""
        for worker in self._workers:
            worker.send("restore", list(saved[worker.task.first : worker.task.last]))
        parts = self._collect("reset", float("inf"))
        return [EnvFault.from_plain(fault) for part in parts for fault in part]

    def close(self) -> None:
        """Ends every worker."""
        for worker in self._workers:
            worker.end()
        self._workers = []

    def _everyone(self, command: str) -> list[Any]:
        for worker in self._workers:
            worker.send(command)
        return self._collect(command, self._care.timeout)

    def _collect(self, where: str, extra: float) -> list[Any]:
        answers = []
        for worker in self._workers:
            answer = worker.answer(time.monotonic() + self._care.timeout + extra)
            if isinstance(answer, str):
                raise CopyError(self._fault_of(worker, answer, where))
            answers.append(self._open_answer(answer))
        return answers

    def _ask(self, command: str, where: str) -> dict[int, EnvFault]:
        """Asks everybody; returns the fault of each worker that was lost."""
        for worker in self._workers:
            worker.send(command)
        deadline, lost = time.monotonic() + self._care.timeout, {}
        for index, worker in enumerate(self._workers):
            answer = worker.answer(deadline)
            if isinstance(answer, str):
                lost[index] = self._fault_of(worker, answer, where)
            else:
                self._open_answer(answer)
        return lost

    def _open_answer(self, answer: Mapping[str, Any]) -> Any:
        self.notes += [EnvFault.from_plain(fault) for fault in answer.get("notes", ())]
        if "fault" in answer:
            raise CopyError(EnvFault.from_plain(answer["fault"]))
        return answer.get("data")

    def _fault_of(self, worker: "_Worker", what: str, where: str) -> EnvFault:
        trace = worker.stack() if what == _SILENT else ""
        what = f"{what} within {self._care.timeout:g} s" if what == _SILENT else what
        rows = range(worker.task.first, worker.task.last)
        asked = [row for row in rows if self.buffers.at[row, 2]]
        row = asked[0] if asked else rows[0]
        episode, step, _ = (int(value) for value in self.buffers.at[row])
        action = repr(self.buffers.action[row].tolist()) if where == "step" else ""
        where = "reset" if where == "step" and not step else where
        return EnvFault(what, where, row, step, copy_seed(self._seed, row, episode), action, trace)

    def _replace(self, index: int, fault: EnvFault, before: Sequence[NDArray[Any]]) -> None:
        """Starts another worker in the place of one that was lost; its copies' episodes are cut off."""
        self._failures += 1
        if self._care.on_fault == "stop" or self._failures > _HOPELESS:
            raise CopyError(fault)
        self.notes.append(fault)
        task, buffers = self._tasks[index], self.buffers
        rows = slice(task.first, task.last)
        self._workers[index].end()
        for final, last in zip(buffers.final, before, strict=True):
            final[rows] = last[rows]
        buffers.at[rows, 2] = 0
        worker = self._workers[index] = _Worker(self._context, self._block, task)
        for command, data in ((None, None), ("go_on_from", buffers.at[rows, 0].tolist()), ("reset", None)):
            if command:
                worker.send(command, data)
            answer = worker.answer(time.monotonic() + self._care.timeout + _START_UP)
            if isinstance(answer, str):
                raise CopyError(self._fault_of(worker, answer, "reset"))
            self._open_answer(answer)
        buffers.reward[rows], buffers.terminated[rows], buffers.truncated[rows] = 0.0, False, True


class _Worker:
    """The parent's side of one worker."""

    def __init__(self, context: Any, block: Any, task: Task) -> None:
        self.task = task
        self._pipe, theirs = context.Pipe()
        name = f"advdl-env-{task.first}"
        descriptor, self._stack = tempfile.mkstemp(prefix="advdl-stack-")
        os.close(descriptor)
        weakref.finalize(self, Path(self._stack).unlink, missing_ok=True)
        wrapped = CloudpickleWrapper(cast(Any, task))
        self._process = context.Process(target=_main, args=(theirs, block, wrapped, self._stack), name=name)
        self._process.daemon = True
        self._process.start()
        theirs.close()

    def send(self, command: str, data: Any = None) -> None:
        with contextlib.suppress(OSError):  # a dead worker is found when its answer is waited for
            self._pipe.send_bytes(json.dumps([command, data]).encode() if data is not None else command.encode())

    def answer(self, deadline: float) -> dict[str, Any] | str:
        """Waits for the answer; returns what happened, as text, where there is none."""
        try:
            if not self._pipe.poll(None if math.isinf(deadline) else max(deadline - time.monotonic(), 0)):
                return _SILENT
            content = self._pipe.recv_bytes()
        except (EOFError, OSError):
            return self._how_it_ended()
        answer: dict[str, Any] = json.loads(content) if content else {}
        return answer

    def stack(self) -> str:
        """Asks a worker that does not come back where it is; an empty string where it does not say even that."""
        if self._process.pid is None or not hasattr(faulthandler, "register"):
            return ""
        with contextlib.suppress(OSError):
            os.kill(self._process.pid, signal.SIGUSR1)
        deadline, size = time.monotonic() + 2.0, -1
        while time.monotonic() < deadline and (size <= 0 or size != os.path.getsize(self._stack)):
            size = os.path.getsize(self._stack)
            time.sleep(0.02)
        return Path(self._stack).read_text(errors="replace")

    def end(self) -> None:
        """Lets the worker go, by force where it does not listen."""
        self.send("close")
        with contextlib.suppress(OSError):
            self._pipe.close()
        self._process.join(1.0)
        if self._process.is_alive():
            self._process.kill()
            self._process.join()

    def _how_it_ended(self) -> str:
        self._process.join(5.0)
        code = self._process.exitcode
        if code is not None and code < 0:
            return f"was killed by {signal.Signals(-code).name}"
        return f"ended its process with exit code {code}"


def _main(pipe: Connection, block: Any, wrapped: CloudpickleWrapper, stack: str) -> None:
    """A worker's life: do what the pipe says until it is closed."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is the parent's business
    if hasattr(faulthandler, "register"):
        file = Path(stack).open("w")  # noqa: SIM115 - open as long as the process lives
        faulthandler.register(signal.SIGUSR1, file)  # for one that hangs
    task = cast(Task, wrapped.fn)
    buffers = _buffers(task.spaces, task.copies, Arena(block)).part(slice(task.first, task.last))
    copies = EnvCopies(task.factory, task.first, task.seed, buffers, task.care)
    command: str = "open"
    data: Any = task.spaces.observation
    with contextlib.suppress(EOFError, OSError):
        while command != "close":
            pipe.send_bytes(_carry_out(copies, command, data))
            content = pipe.recv_bytes()
            command, data = json.loads(content) if content[:1] == b"[" else (content.decode(), None)
    copies.close()
    os._exit(0)  # whatever threads an env has left behind


def _carry_out(copies: EnvCopies, command: str, data: Any) -> bytes:
    answer: dict[str, Any] = {}
    try:
        method = getattr(copies, command)
        result = method() if data is None else method(data)
        if result is not None:
            plain = [item.as_plain() if isinstance(item, EnvFault) else item for item in result]
            answer["data"] = plain
    except CopyError as error:
        answer["fault"] = error.fault.as_plain()
    if copies.notes:
        answer["notes"] = [fault.as_plain() for fault in copies.notes]
        copies.notes.clear()
    return json.dumps(answer).encode() if answer else b""


def _buffers(spaces: Spaces, copies: int, arena: Arena) -> Buffers:
    return Buffers.allocate(copies, leaf_rules(spaces.observation), spaces.action, arena.allocate)
