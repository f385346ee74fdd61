"""Several copies of an env, stepped one after the other in one process; what they give goes into shared arrays."""

import traceback
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

import gymnasium
import numpy as np
from numpy.typing import NDArray

from advdl.rl.env_checks import Bounds, LeafRule, leaf_rules
from advdl.rl.env_copy import EnvCopy, Factory
from advdl.rl.env_faults import CopyError, EnvFault, HangError

OnFault = Literal["stop", "restart"]

_HOPELESS = 3
"""So many faults of a copy without a good step between them stop training in any case."""

Allocate = Callable[[tuple[int, ...], np.dtype[Any]], NDArray[Any]]


@dataclass(frozen=True, slots=True)
class Care:
    """What is done about faults.

    Attributes:
        on_fault: Whether training stops, or the copy is made anew and its episode counts as cut off.
        bounds: What follows a float outside of its space.
        timeout: Seconds that a step or a reset may take.
    """

    on_fault: OnFault = "stop"
    bounds: Bounds = "warn"
    timeout: float = 60.0


@dataclass(frozen=True, slots=True)
class Buffers:
    """What copies read and write, each array ``[copies, ...]``.

    Attributes:
        action: What the copies are to do.
        observation: A leaf each: what follows, after a new episode has begun where one ended.
        final: A leaf each: what an episode ended with; holds good where ``terminated`` or ``truncated``.
        reward: float32.
        terminated: bool.
        truncated: bool.
        at: int64 ``[copies, 3]``: episode, steps made, and whether the copy is being asked at this moment.
    """

    action: NDArray[Any]
    observation: Sequence[NDArray[Any]]
    final: Sequence[NDArray[Any]]
    reward: NDArray[np.float32]
    terminated: NDArray[np.bool_]
    truncated: NDArray[np.bool_]
    at: NDArray[np.int64]

    @classmethod
    def allocate(
        cls,
        copies: int,
        rules: Sequence[LeafRule],
        action_space: gymnasium.Space[Any],
        allocate: Allocate = np.zeros,
    ) -> "Buffers":
        """Makes arrays for so many copies.

        Args:
            copies: How many.
            rules: The observation's leaves.
            action_space: The space of one action.
            allocate: From shape and dtype to an array of zeros; one in shared memory for workers.
        """

        def leaves() -> list[NDArray[Any]]:
            return [allocate((copies, *rule.shape), rule.dtype) for rule in rules]

        return cls(
            allocate((copies, *(action_space.shape or ())), np.dtype(action_space.dtype)),
            leaves(),
            leaves(),
            allocate((copies,), np.dtype(np.float32)),
            allocate((copies,), np.dtype(np.bool_)),
            allocate((copies,), np.dtype(np.bool_)),
            allocate((copies, 3), np.dtype(np.int64)),
        )

    def part(self, rows: slice) -> "Buffers":
        """Returns the arrays of some copies; they share memory with these."""
        return Buffers(
            self.action[rows],
            [leaf[rows] for leaf in self.observation],
            [leaf[rows] for leaf in self.final],
            self.reward[rows],
            self.terminated[rows],
            self.truncated[rows],
            self.at[rows],
        )


@dataclass(slots=True)
class EnvCopies:
    """Steps copies in turn.

    Attributes:
        factory: Makes one env.
        first: The index of the first copy.
        seed: The run's seed.
        buffers: Where everything is read from and written to.
        care: What is done about faults.
        calls: How often an env has been asked; one that hangs does not let it grow.
        notes: Faults that stopped nothing, until they are taken.
    """

    factory: Factory
    first: int
    seed: int
    buffers: Buffers
    care: Care
    calls: int = 0
    notes: list[EnvFault] = field(default_factory=list)
    _copies: list[EnvCopy] = field(default_factory=list)
    _rows: list[tuple[list[NDArray[Any]], memoryview]] = field(default_factory=list)
    _rules: list[LeafRule] = field(default_factory=list)
    _lost: set[int] = field(default_factory=set)
    _failures: dict[int, int] = field(default_factory=dict)
    _warned: set[str] = field(default_factory=set)

    def open(self, space: gymnasium.Space[Any]) -> None:
        """Makes the envs.

        Raises:
            CopyError: One cannot be made.
        """
        self._rules = leaf_rules(space)
        count = len(self.buffers.reward)
        observation, at = self.buffers.observation, self.buffers.at
        self._rows = [([leaf[row, ...] for leaf in observation], at[row].data) for row in range(count)]
        self._copies = [EnvCopy(self.factory, self.first + row, self.seed, self._rules) for row in range(count)]

    def reset(self) -> None:
        """Begins a new episode in every copy.

        Raises:
            CopyError: A copy failed.
        """
        for row in range(len(self._copies)):
            self._begin(row)

    def step(self) -> None:
        """Makes the step that ``buffers.action`` asks for; begins new episodes where one has ended.

        Raises:
            CopyError: A copy failed, and training is to stop.
        """
        buffers = self.buffers
        actions = list(buffers.action.copy())  # the engine writes the next ones into the same memory
        before = [leaf.copy() for leaf in buffers.observation] if self.care.on_fault == "restart" else []
        failed = self._step_all(actions)
        if not self._sound(buffers.observation):
            failed |= {row: error for row, error in self._wrong_values().items() if row not in failed}
        for row, error in failed.items():
            self._recover(row, error, [leaf[row] for leaf in before])
        if 1 in buffers.terminated.tobytes() or 1 in buffers.truncated.tobytes():
            done = np.flatnonzero(buffers.terminated | buffers.truncated).tolist()
            self._finish_all(row for row in done if row not in failed)

    def snapshot(self) -> list[dict[str, Any]]:
        """Returns plain data of every copy."""
        return [copy.snapshot() for copy in self._copies]

    def restore(self, saved: Sequence[Mapping[str, Any]]) -> list[EnvFault]:
        """Plays every saved episode again; ``buffers.observation`` holds where they had come to.

        A copy that cannot be brought back keeps the observation; its next step is an episode's cut end, and a new
        episode begins there.

        Returns:
            Which copies cannot be brought back, and why.
        """
        faults = []
        for row, (copy, data) in enumerate(zip(self._copies, saved, strict=True)):
            why = copy.restore(data, [leaf[row] for leaf in self.buffers.observation])
            self._locate(row)
            if why:
                self._lost.add(row)
                faults.append(copy.fault(f"cannot be brought back: {why}", "reset").fault)
        return faults

    def go_on_from(self, episodes: Sequence[int]) -> None:
        """Numbers the episodes onwards from what another process had come to."""
        for copy, episode in zip(self._copies, episodes, strict=True):
            copy.episode = int(episode)

    def close(self) -> None:
        """Closes every env."""
        for copy in self._copies:
            copy.close()

    def hanging(self) -> CopyError | None:
        """Returns the fault of the copy that is being asked at this moment."""
        for row in np.flatnonzero(self.buffers.at[:, 2]):
            what = f"did not come back within {self.care.timeout:g} s"
            return self._copies[int(row)].fault(what, "step" if self.buffers.at[row, 1] else "reset")
        return None

    def _step_all(self, actions: Sequence[Any]) -> dict[int, CopyError]:
        """Asks one copy after the other; returns which failed. One loop: calls cost as much as a small env does."""
        failed: dict[int, CopyError] = {}
        buffers = self.buffers
        reward: Any = buffers.reward.data  # a memoryview takes a number in half of the time
        terminated, truncated = buffers.terminated.data, buffers.truncated.data
        for row, copy in enumerate(self._copies):
            if row in self._lost:
                self._write_end(row)
                continue
            leaves, at = self._rows[row]
            self.calls += 1
            at[1] += 1
            at[2] = 1
            try:
                parts, reward[row], terminated[row], truncated[row] = copy.step(actions[row])
                for index, leaf in enumerate(leaves):
                    leaf[...] = parts[index]
            except CopyError as error:
                failed[row] = error
            except HangError as hang:
                failed[row] = hang.error.seen_at(traceback.format_exc())
            finally:
                at[2] = 0
        return failed

    def _write_end(self, row: int) -> None:
        """An episode whose env was lost ends where it was seen last."""
        self._lost.discard(row)
        self.buffers.reward[row], self.buffers.terminated[row], self.buffers.truncated[row] = 0.0, False, True

    def _sound(self, observation: Sequence[NDArray[Any]]) -> bool:
        for index, rule in enumerate(self._rules):  # noqa: SIM110 - a generator costs as much as a check
            if not rule.sound(observation[index]):
                return False
        return True

    def _wrong_values(self, rows: slice = slice(None)) -> dict[int, CopyError]:
        wrong: dict[int, CopyError] = {}
        for rule, leaf in zip(self._rules, self.buffers.observation, strict=True):
            row = rule.not_finite(leaf[rows])
            if row is not None:
                wrong[row + (rows.start or 0)] = self._value_fault(row + (rows.start or 0), rule, leaf, "not finite")
            row = rule.outside(leaf[rows])
            if row is not None and (rule.strict or self.care.bounds != "ignore"):
                self._outside(row + (rows.start or 0), rule, leaf, wrong)
        return wrong

    def _outside(self, row: int, rule: LeafRule, leaf: NDArray[Any], wrong: dict[int, CopyError]) -> None:
        error = self._value_fault(row, rule, leaf, "out of bounds")
        if rule.strict or self.care.bounds == "stop":
            wrong.setdefault(row, error)
        elif rule.path not in self._warned:
            self._warned.add(rule.path)
            self.notes.append(error.fault)

    def _value_fault(self, row: int, rule: LeafRule, leaf: NDArray[Any], what: str) -> CopyError:
        copy, value = self._copies[row], leaf[row]
        bad = ~np.isfinite(value) if what == "not finite" else (value < rule.low) | (value > rule.high)
        place = np.argwhere(bad)[0].tolist()
        shown = f"{value[tuple(place)]:g} at {place}" if place else f"{value}"
        where = "step" if self.buffers.at[row, 1] else "reset"
        return copy.fault(f"gave {rule.name} that is {what} ({shown})", where)

    def _recover(self, row: int, error: CopyError, before: list[NDArray[Any]]) -> None:
        self._failures[row] = self._failures.get(row, 0) + 1
        if self.care.on_fault == "stop" or self._failures[row] > _HOPELESS:
            raise error
        self.notes.append(error.fault)
        for final, leaf, last in zip(self.buffers.final, self.buffers.observation, before, strict=True):
            leaf[row] = final[row] = last
        self._write_end(row)
        self._copies[row].again()
        self._begin(row)

    def _finish_all(self, rows: Iterable[int]) -> None:
        for row in rows:
            for final, leaf in zip(self.buffers.final, self.buffers.observation, strict=True):
                final[row] = leaf[row]
            self._failures.pop(row, None)
            self._begin(row)

    def _begin(self, row: int) -> None:
        copy, buffers = self._copies[row], self.buffers
        self.calls += 1
        buffers.at[row, 1:] = 0, 1
        try:
            parts = copy.reset()
        except HangError as hang:
            raise hang.error.seen_at(traceback.format_exc()) from None
        finally:
            buffers.at[row, 2] = 0
        self._locate(row)
        for leaf, part in zip(buffers.observation, parts, strict=True):
            leaf[row] = part
        part = slice(row, row + 1)
        if not self._sound([leaf[part] for leaf in buffers.observation]):
            wrong = self._wrong_values(part)
            if wrong:
                raise wrong[row]

    def _locate(self, row: int) -> None:
        self.buffers.at[row, :2] = self._copies[row].episode, self._copies[row].steps
