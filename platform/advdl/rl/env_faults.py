"""Env faults: what a copy of an env did wrong, with all that is needed to see it happen again."""

import contextlib
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, replace
from typing import Any

from advdl.errors import RunError


@dataclass(frozen=True, slots=True)
class EnvFault:
    """One fault of one copy.

    Attributes:
        what: What happened, such as ``"raised ValueError: boom"``.
        where: ``"make"``, ``"reset"`` or ``"step"``.
        index: Which copy; -1 where a library steps all of them and does not tell.
        step: Steps that the episode had made.
        seed: What the episode was reset with, or None where copies have no seed of their own.
        action: The action, as text; empty outside of ``step``.
        traceback: The env's own traceback, or an empty string.
    """

    what: str
    where: str
    index: int
    step: int = 0
    seed: int | None = None
    action: str = ""
    traceback: str = ""

    def sentence(self, env_id: str) -> str:
        """Says it in one sentence."""
        at = {"make": "when it was made", "reset": "in reset()"}.get(self.where, f"in step {self.step}")
        who = "some copy" if self.index < 0 else f"copy {self.index}"
        seed = "" if self.seed is None else f" of the episode with seed {self.seed}"
        action = f" on action {self.action}" if self.action else ""
        return f"env {env_id!r}, {who}, {self.what} {at}{seed}{action}"

    def as_plain(self) -> dict[str, Any]:
        """Returns plain data, for the way from a worker."""
        return asdict(self)

    @classmethod
    def from_plain(cls, data: Mapping[str, Any]) -> "EnvFault":
        """Builds a fault from what ``as_plain`` returned."""
        return cls(**data)


class EnvFaultError(RunError):
    """An env failed, and training stopped.

    Attributes:
        fault: What happened.
        traceback: The env's own traceback, from whichever process it ran in.
    """

    def __init__(self, fault: EnvFault, env_id: str) -> None:
        super().__init__(
            fault.sentence(env_id),
            hint="training is as it was at the last checkpoint; to go on without the copy's episode: "
            "--set env.on_fault=restart",
        )
        self.fault = fault
        self.traceback = fault.traceback


class CopyError(Exception):
    """Carries a fault from where it is found to where it is dealt with."""

    def __init__(self, fault: EnvFault) -> None:
        super().__init__(fault.what)
        self.fault = fault

    def seen_at(self, trace: str) -> "CopyError":
        """Returns the same fault with a traceback."""
        return CopyError(replace(self.fault, traceback=trace))


class HangError(BaseException):
    """Raised by an alarm inside of an env that does not come back; envs do not catch it by mistake."""

    def __init__(self, error: CopyError) -> None:
        super().__init__(str(error))
        self.error = error


@contextlib.contextmanager
def naming(env_id: str) -> Iterator[None]:
    """Gives the faults of copies their env's name.

    Raises:
        EnvFaultError: A copy failed within.
    """
    try:
        yield
    except CopyError as error:
        raise EnvFaultError(error.fault, env_id) from error.__cause__
