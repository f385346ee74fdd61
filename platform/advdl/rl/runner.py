"""Runner: copies of an env and the policy that acts in them, which play whole rounds by themselves. No TensorFlow."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from advdl.rl.env_checks import leaf_rules
from advdl.rl.env_copies import Buffers, Care, EnvCopies
from advdl.rl.env_copy import Factory
from advdl.rl.env_faults import CopyError
from advdl.rl.numpy_steps import NumpySteps
from advdl.rl.spaces import Spaces, leaves, stored_dtype

Arrays = list[NDArray[Any]]


@dataclass(frozen=True, slots=True)
class RunnerTask:
    """What a runner is told at its start; picklable.

    Attributes:
        factory: Makes one env.
        spaces: The env's.
        copies: Copies of all runners together: the policy is a program for so many.
        first: The first copy of this runner.
        last: The copy after its last.
        seed: The run's seed.
        care: What is done about faults.
    """

    factory: Factory
    spaces: Spaces
    copies: int
    first: int
    last: int
    seed: int
    care: Care


class Runner:
    """Plays rounds in some of the copies; every answer is plain data and arrays.

    The policy is a program for all copies: the draws of each step are those of all of them, of which this runner's rows
    are used. So what a copy does depends neither on the number of runners nor on which of them has it.

    Args:
        task: What it is.
    """

    def __init__(self, task: RunnerTask) -> None:
        self._task = task
        rules = leaf_rules(task.spaces.observation)
        self._buffers = Buffers.allocate(task.last - task.first, rules, task.spaces.action)
        self._copies = EnvCopies(task.factory, task.first, task.seed, self._buffers, task.care)
        self._dtypes = [stored_dtype(leaf) for _, leaf in leaves(task.spaces.observation)]
        self._policy: NumpySteps | None = None

    def open(self) -> dict[str, Any]:
        """Makes the envs."""
        return self._answer(lambda: self._copies.open(self._task.spaces.observation))

    def take_policy(self, policy: NumpySteps) -> None:
        """Takes the program that decides."""
        self._policy = policy

    def reset(self) -> dict[str, Any]:
        """Begins a new episode in every copy; answers with the observation and a snapshot."""
        return self._answer(self._copies.reset)

    def restore(self, saved: Sequence[Mapping[str, Any]], observation: Sequence[NDArray[Any]]) -> dict[str, Any]:
        """Plays every saved episode again; answers with the faults of those that cannot be brought back."""
        for leaf, part in zip(self._buffers.observation, observation, strict=True):
            leaf[...] = part
        faults: list[Any] = []
        answer = self._answer(lambda: faults.extend(self._copies.restore(saved)))
        return {**answer, "lost": [fault.as_plain() for fault in faults]}

    def play(
        self, weights: Sequence[NDArray[Any]], draws: Sequence[NDArray[Any]], first: int, count: int
    ) -> dict[str, Any]:
        """Plays a round.

        Args:
            weights: The values of the policy's variables.
            draws: The random draws of each step, each ``[count, ...]``.
            first: The number of the first step.
            count: How many steps.

        Returns:
            ``acted``: the policy's outputs, each ``[count, ...]`` with a row a copy of all runners, of which this
            runner's rows are good; ``seen``: what followed each step; and what every answer has.
        """
        policy = self._policy
        if policy is None:
            raise RuntimeError("take_policy has not been called")
        policy.refresh(weights)
        acted: list[Arrays] = []
        steps: list[Arrays] = []

        def round_of_steps() -> None:
            for row in range(count):
                outputs = policy(self._inputs(), first + row, [draw[row] for draw in draws])
                acted.append([np.array(output) for output in outputs])
                self._buffers.action[...] = outputs[0][self._rows]
                self._copies.step()
                steps.append([np.array(array) for array in transition(self._buffers)])

        answer = self._answer(round_of_steps)
        if "fault" in answer:
            return answer
        return {**answer, "acted": _stacked(acted), "seen": _stacked(steps)}

    def close(self) -> None:
        """Closes every env."""
        self._copies.close()

    @property
    def _rows(self) -> slice:
        return slice(self._task.first, self._task.last)

    def _inputs(self) -> Arrays:
        """Returns what is seen in the shape for all copies; the rows of the others are filled with these again."""
        own = self._task.last - self._task.first
        rows = (np.arange(self._task.copies) - self._task.first) % own
        return [
            np.asarray(leaf, dtype)[rows] for leaf, dtype in zip(self._buffers.observation, self._dtypes, strict=True)
        ]

    def _answer(self, work: Any) -> dict[str, Any]:
        try:
            work()
        except CopyError as error:
            return {"fault": error.fault.as_plain()}
        notes = [fault.as_plain() for fault in self._copies.notes]
        self._copies.notes.clear()
        observation = [leaf.copy() for leaf in self._buffers.observation]
        return {"notes": notes, "snapshot": self._copies.snapshot(), "observation": observation}


def transition(buffers: Buffers) -> Arrays:
    """Returns what a step leaves in the buffers: observation and final leaves, reward, terminated, truncated."""
    return [*buffers.observation, *buffers.final, buffers.reward, buffers.terminated, buffers.truncated]


def _stacked(rows: Sequence[Arrays]) -> Arrays:
    return [np.stack(column) for column in zip(*rows, strict=True)]
