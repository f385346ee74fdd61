"""SIGINT and SIGTERM ask a run to stop; it stops between two calls, with a checkpoint."""

import signal
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

from advdl.errors import AdvdlError, ExitCode

_EXIT_CODES = {signal.SIGINT: ExitCode.INTERRUPTED, signal.SIGTERM: ExitCode.TERMINATED}


class StoppedError(AdvdlError):
    """The run was stopped by a signal, after a checkpoint was written.

    Args:
        number: The signal.
        step: The step that the checkpoint holds, or what there is to say instead.
        hint: The command that goes on.
    """

    def __init__(self, number: int, step: int | str, *, hint: str) -> None:
        name = signal.Signals(number).name
        how = step if isinstance(step, str) else f"at step {step:,}; the checkpoint is saved"
        super().__init__(f"stopped by {name} {how}", hint=hint)
        self.exit_code = _EXIT_CODES[signal.Signals(number)]


class StopRequest:
    """Remembers the first signal; a second SIGINT interrupts at once, checkpoint or not."""

    def __init__(self) -> None:
        self.number: int | None = None

    @contextmanager
    def watching(self) -> Iterator["StopRequest"]:
        """Handles the two signals within the block and gives them back after it."""
        before = {number: signal.signal(number, self._receive) for number in _EXIT_CODES}
        try:
            yield self
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)

    def _receive(self, number: int, frame: FrameType | None) -> None:
        del frame
        if self.number is not None and number == signal.SIGINT:
            raise KeyboardInterrupt
        self.number = number
