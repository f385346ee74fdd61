"""Console: what a run says to whoever watches it. The command line's progress line is one."""

from typing import Protocol


class Console(Protocol):
    """Shows a run's progress and its messages; nothing of it goes to standard output."""

    def update(self, step: int, *, value: float | None = None) -> None:
        """Takes note of progress; ``value`` is the watched metric, None keeps the one before."""

    def checkpoint_saved(self) -> None:
        """Takes note that a checkpoint has just been written."""

    def message(self, text: str) -> None:
        """Writes a line of its own: an evaluation, a warning."""


class Silent:
    """A console for tests and for other programs: shows nothing, keeps the messages."""

    def __init__(self) -> None:
        self.messages: list[str] = []

    def update(self, step: int, *, value: float | None = None) -> None:
        """Shows nothing."""

    def checkpoint_saved(self) -> None:
        """Shows nothing."""

    def message(self, text: str) -> None:
        """Keeps the message."""
        self.messages.append(text)
