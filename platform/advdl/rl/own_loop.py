"""OwnLoopAgent: an agent that brings its own learning loop, such as another library's. Imports no TensorFlow.

A native agent says what to minimise and the platform trains it. This one trains itself: the platform tells it how far
to go, takes its metrics, evaluates it and keeps its state. Everything else of a run is the same for both.
"""

import abc
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar

from advdl.errors import UsageError
from advdl.rl.spaces import Spaces
from advdl.training.tensors import Array

Report = Callable[[str, float], None]
"""``report(name, value)`` adds a scalar to the interval's mean of that name."""

POLICY = "learner/"
"""Names of what the policy needs begin so; the rest of the state is needed to go on learning only."""


@dataclass(frozen=True, slots=True)
class Assignment:
    """What an agent with its own loop is built for.

    Attributes:
        spaces: What it sees and can do in one copy of the env.
        env_id: The Gymnasium id of the env to learn in.
        num_envs: Copies of the env.
        seed: The run's seed.
        total_steps: Env steps that the run will make; what schedules call the whole.
        env_options: Further arguments of ``gymnasium.make``.
        env_wrappers: What is around each copy, as ``rl.env_factory`` takes it.
    """

    spaces: Spaces
    env_id: str
    num_envs: int
    seed: int
    total_steps: int
    env_options: Mapping[str, Any] = field(default_factory=dict)
    env_wrappers: Sequence[Any] = ()


@dataclass(frozen=True, slots=True)
class Foreign:
    """An agent out of a file that the library itself wrote.

    Attributes:
        options: The options that make an agent like it.
        num_envs: Env copies that it learnt in.
        env_steps: Env steps that it made.
        adopt: Fills an agent that was built with these options with what it had learnt; raises a ``UsageError`` where
            they do not fit.
        lost: A sentence for each thing that the file does not hold.
    """

    options: Mapping[str, Any]
    num_envs: int
    env_steps: int
    adopt: Callable[[Any], None]
    lost: Sequence[str] = ()


class OwnLoopAgent(abc.ABC):
    """Acts in an env and learns from it in a loop of its own.

    A subclass is called as ``cls(assignment, **options)``; its keyword-only arguments are its options. Its component
    says ``details={"loop": "own", "backend": "torch"}`` (or another backend of Keras), so that the process can be set
    up before anything is imported. It refuses spaces that it cannot handle with a ``UsageError`` that says which
    agents can.

    Args:
        assignment: What it learns in, and for how long.
    """

    formats: ClassVar[Mapping[str, str]] = {}
    """What the policy can be exported as, and what a file of each format ends in."""

    def __init__(self, assignment: Assignment) -> None:
        self.assignment = assignment

    @property
    @abc.abstractmethod
    def env_steps(self) -> int:
        """Env steps made so far, all copies together."""

    @abc.abstractmethod
    def learn(self, until: int, report: Report) -> None:
        """Goes on learning until at least ``until`` env steps are made, then stops where it can go on exactly.

        How a run is cut into calls changes nothing: it draws from no random numbers but its own.

        Args:
            until: At least one more env step than made so far, and at most the whole.
            report: Takes metrics.
        """

    @abc.abstractmethod
    def act(self, observations: Any) -> Any:
        """Returns the policy's actions, without exploring, for a batch of any size; NumPy in, NumPy out."""

    @abc.abstractmethod
    def state(self) -> Mapping[str, Array]:
        """Returns everything that changes, as arrays of numbers by stable names; the policy's begin with ``POLICY``."""

    @abc.abstractmethod
    def facts(self) -> Mapping[str, Any]:
        """Returns what changes and is no array, such as counters, as data that JSON can hold."""

    @abc.abstractmethod
    def restore(self, arrays: Mapping[str, Array], facts: Mapping[str, Any]) -> Sequence[str]:
        """Takes a saved state back, so that learning goes on as if it had never stopped.

        Returns:
            A sentence for each thing that could not be taken back, such as an env whose state cannot be rebuilt.

        Raises:
            UsageError: The state does not fit this agent.
        """

    @abc.abstractmethod
    def restore_policy(self, arrays: Mapping[str, Array]) -> None:
        """Takes the policy alone from a saved state, for acting.

        Raises:
            UsageError: The state does not fit this agent.
        """

    def backbones(self) -> Sequence[Any]:
        """Returns the backbones that the agent sees through, as Keras models; none where it has its own networks."""
        return ()

    @classmethod
    def open_foreign(cls, path: Path) -> Foreign:
        """Reads a file that the library itself wrote. It may run code from the file: the user has agreed to that.

        Raises:
            UsageError: The library has no such files, or what it holds cannot be built from options.
            CorruptError: The file cannot be read.
        """
        raise UsageError(f"{cls.__name__} reads no foreign files, such as {path}")

    def export(self, target: Path, kind: str) -> None:
        """Writes the policy as a file that acts without advdl's training, seen to act as the live one where it can be.

        Args:
            target: The file; nothing is there yet, and its folder is.
            kind: One of ``formats``.

        Raises:
            UsageError: The policy cannot be written so.
            RunError: What was written does not act as the live policy.
        """
        raise UsageError(f"{type(self).__name__} has no format {kind!r} to export to")

    @abc.abstractmethod
    def close(self) -> None:
        """Closes the envs."""


def require_same(name: str, saved: Mapping[str, Array], live: Mapping[str, Any]) -> None:
    """Refuses arrays that do not fit the live ones, name by name and shape by shape.

    Args:
        name: What they are, for the error.
        saved: What was saved.
        live: Anything with a shape, by name.

    Raises:
        UsageError: Names or shapes differ.
    """
    for key in live:
        if key not in saved:
            raise _unfit(name, f"it has no {key!r}")
        if tuple(saved[key].shape) != tuple(live[key].shape):
            raise _unfit(name, f"{key!r} is {list(saved[key].shape)} in it and {list(live[key].shape)} here")
    surplus = [key for key in saved if key not in live]
    if surplus:
        raise _unfit(name, f"it has {surplus[0]!r}, which this run has not")


def _unfit(name: str, why: str) -> UsageError:
    return UsageError(
        f"the checkpoint does not fit {name}: {why}",
        hint="the agent, its options, the env or a plugin has changed since it was saved",
    )
