"""Runners in Ray actors: envs and policy in many processes, on this machine or on a cluster, in step with the learner.

A round is: the policy's weights go into Ray's object store once, every runner takes them from there and plays the
round's steps in its copies, and the learner takes in what all of them have played. So no step is played with weights
other than the newest, at most one round of each runner is under way, and the run is, bit for bit, the one that no
runner helps with. A runner that dies or does not come back is replaced by another, which plays the episodes under way
again from their seeds and actions, and then the round that was lost: nothing is missing and nothing counts twice.
"""

import itertools
import sys
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import gymnasium
import numpy as np
from numpy.typing import NDArray

from advdl.errors import RunError, UsageError
from advdl.rl.env_checks import leaf_rules
from advdl.rl.env_copies import Buffers, Care
from advdl.rl.env_copy import Factory
from advdl.rl.env_faults import CopyError, EnvFault
from advdl.rl.host_acting import HostActed, HostActing
from advdl.rl.runner import RunnerTask, transition
from advdl.rl.runner_actor import RunnerActor
from advdl.rl.spaces import Spaces
from advdl.training.ray_cluster import start_ray

_HOPELESS = 3
_START_UP = 180.0
"""Seconds that a runner may take to start, beyond the time-out."""

_STEP = 1.0
"""Seconds that a step of a round may take on average, beyond the time-out."""


class RunnerPool:
    """Steps copies in Ray actors. Methods are those of ``EnvCopies``; ``play`` makes the steps that ``step`` gives.

    Args:
        factory: Makes one env; goes to the runners by cloudpickle.
        spaces: The env's.
        copies: How many.
        runners: How many actors; each has a run of neighbouring copies.
        seed: The run's seed.
        care: What is done about faults.
        say: Told of runners that were replaced.

    Raises:
        UsageError: Ray is not installed, or the cluster has no room.
    """

    def __init__(
        self,
        factory: Factory,
        spaces: Spaces,
        *,
        copies: int,
        runners: int,
        seed: int,
        care: Care,
        say: Callable[[str], None] = print,
    ) -> None:
        bounds = [copies * runner // runners for runner in range(runners + 1)]
        self._tasks = [
            RunnerTask(factory, spaces, copies, first, last, seed, care) for first, last in itertools.pairwise(bounds)
        ]
        self.buffers = Buffers.allocate(copies, leaf_rules(spaces.observation), spaces.action)
        self.notes: list[EnvFault] = []
        self._ray, self._started = start_ray(len(self._tasks))
        self._care, self._say, self._failures = care, say, 0
        self._actors: list[Any] = []
        self._snapshots: list[Sequence[Mapping[str, Any]]] = [[] for _ in self._tasks]
        self._policy: Any = None
        self._acted: list[NDArray[Any]] = []
        self._seen: list[NDArray[Any]] = []
        self._row = 0

    @property
    def pids(self) -> list[int]:
        """The runners' processes."""
        return [int(self._ray.get(actor.pid.remote())) for actor in self._actors]

    def open(self, space: gymnasium.Space[Any]) -> None:
        """Starts the runners.

        Raises:
            CopyError: An env cannot be made.
        """
        del space
        self._actors = [self._actor(task) for task in self._tasks]
        self._everyone(lambda actor: actor.ask.remote("open"), "make", _START_UP)

    def reset(self) -> None:
        """Begins a new episode in every copy."""
        for index, answer in enumerate(self._everyone(lambda actor: actor.ask.remote("reset"), "reset", _START_UP)):
            self._take_observation(index, answer)

    def play(self, acting: HostActing, first: int, count: int) -> None:
        """Plays the steps ``first`` to ``first + count`` in every copy, with the present weights.

        Raises:
            CopyError: A copy failed, and training is to stop.
            RunError: Runners die again and again.
            UsageError: The agent cannot act in runners.
        """
        program = acting.program
        if program is None or acting.has_memory:
            why = "it has a memory" if program else "its policy is not carried out by NumPy"
            raise UsageError(f"this agent cannot act in runners: {why}", hint="env.workers=N steps the envs alone")
        if self._policy is None:
            self._policy = self._ray.put(_portable(self._ray.cloudpickle, program.steps))
            self._everyone(lambda actor: actor.take_policy.remote(self._policy), "step", _START_UP)
        weights = self._ray.put(acting.weights)
        draws = [program.draws(first + row) for row in range(count)]
        columns = self._ray.put([np.stack(column) for column in zip(*draws, strict=True)])
        answers = self._rounds((weights, columns, first, count))
        for index, answer in enumerate(answers):
            self._snapshots[index] = answer["snapshot"]
        self._seen = [
            np.concatenate(parts, axis=1) for parts in zip(*(answer["seen"] for answer in answers), strict=True)
        ]
        self._acted = self._merged([answer["acted"] for answer in answers])
        self._row, self._failures = 0, 0

    def acted(self, acting: HostActing) -> HostActed:
        """Returns what was decided in the step that ``step`` gives next."""
        return acting.packed([array[self._row] for array in self._acted])

    def step(self) -> None:
        """Gives the next step of those that were played."""
        for array, rows in zip(transition(self.buffers), self._seen, strict=True):
            array[...] = rows[self._row]
        self._row += 1

    def snapshot(self) -> list[Mapping[str, Any]]:
        """Returns plain data of every copy."""
        return [copy for part in self._snapshots for copy in part]

    def restore(self, saved: Sequence[Mapping[str, Any]]) -> list[EnvFault]:
        """Plays every saved episode again, the runners side by side."""
        calls = []
        for task, actor in zip(self._tasks, self._actors, strict=True):
            rows = slice(task.first, task.last)
            seen = [leaf[rows].copy() for leaf in self.buffers.observation]
            calls.append(actor.ask.remote("restore", list(saved[rows]), seen))
        answers = [self._opened(self._ray.get(call)) for call in calls]
        for index, (task, answer) in enumerate(zip(self._tasks, answers, strict=True)):
            self._snapshots[index] = list(saved[task.first : task.last])
            del answer["observation"]
        return [EnvFault.from_plain(fault) for answer in answers for fault in answer["lost"]]

    def close(self) -> None:
        """Ends every runner, and Ray where this process has started it."""
        for actor in self._actors:
            self._ray.kill(actor)
        self._actors = []
        if self._started and self._ray.is_initialized():
            self._ray.shutdown()
            self._started = False

    def _actor(self, task: RunnerTask) -> Any:
        return self._ray.remote(num_cpus=1, max_restarts=0)(RunnerActor).remote(
            self._ray.cloudpickle.dumps(task), list(sys.path)
        )

    def _everyone(self, call: Callable[[Any], Any], where: str, extra: float) -> list[dict[str, Any]]:
        calls = [call(actor) for actor in self._actors]
        answers = []
        for index, pending in enumerate(calls):
            found = self._wait(pending, self._care.timeout + extra)
            if isinstance(found, str):
                raise CopyError(EnvFault(found, where, self._tasks[index].first))
            answers.append(self._opened(found))
        return answers

    def _rounds(self, arguments: tuple[Any, ...]) -> list[dict[str, Any]]:
        """Lets every runner play; one that is lost is replaced, and the other plays the same round."""
        patience = self._care.timeout + _STEP * arguments[-1]
        calls = [actor.play.remote(*arguments) for actor in self._actors]
        answers = []
        for index, pending in enumerate(calls):
            found = self._wait(pending, patience)
            while isinstance(found, str):
                self._replace(index, found)
                found = self._wait(self._actors[index].play.remote(*arguments), patience)
            answers.append(self._opened(found))
        return answers

    def _replace(self, index: int, why: str) -> None:
        """Starts another runner and brings its copies to where the lost one's were before this round."""
        self._failures += 1
        task = self._tasks[index]
        if self._failures > _HOPELESS:
            raise RunError(f"runners of copies {task.first} to {task.last - 1} die again and again: {why}")
        self._say(f"the runner of copies {task.first} to {task.last - 1} {why}; another one takes its place")
        self._ray.kill(self._actors[index])
        actor = self._actors[index] = self._actor(task)
        seen = [leaf[task.first : task.last].copy() for leaf in self.buffers.observation]
        for call in (
            actor.ask.remote("open"),
            actor.take_policy.remote(self._policy),
            actor.ask.remote("restore", list(self._snapshots[index]), seen),
        ):
            answer = self._wait(call, self._care.timeout + _START_UP)
            if isinstance(answer, str):
                raise RunError(f"a runner cannot be replaced: the new one {answer}")
            opened = self._opened(answer)
        for fault in opened["lost"]:
            raise CopyError(EnvFault.from_plain(fault))

    def _wait(self, pending: Any, seconds: float) -> dict[str, Any] | str:
        """Returns an answer, or what happened instead."""
        try:
            answer: dict[str, Any] = self._ray.get(pending, timeout=seconds)
        except self._ray.exceptions.GetTimeoutError:
            return f"did not come back within {seconds:g} s"
        except self._ray.exceptions.RayActorError:
            return "died"
        return answer

    def _opened(self, answer: dict[str, Any]) -> dict[str, Any]:
        if "fault" in answer:
            raise CopyError(EnvFault.from_plain(answer["fault"]))
        self.notes += [EnvFault.from_plain(fault) for fault in answer.get("notes", ())]
        return answer

    def _take_observation(self, index: int, answer: Mapping[str, Any]) -> None:
        task = self._tasks[index]
        self._snapshots[index] = answer["snapshot"]
        for leaf, part in zip(self.buffers.observation, answer["observation"], strict=True):
            leaf[task.first : task.last] = part

    def _merged(self, parts: Sequence[Sequence[NDArray[Any]]]) -> list[NDArray[Any]]:
        """Takes each runner's own rows of what it decided; a figure of the whole is the mean of theirs."""
        merged = []
        for arrays in zip(*parts, strict=True):
            if arrays[0].ndim > 1:
                rows = [array[:, task.first : task.last] for array, task in zip(arrays, self._tasks, strict=True)]
                merged.append(np.concatenate(rows, axis=1))
            else:
                same = all(np.array_equal(array, arrays[0]) for array in arrays)
                merged.append(arrays[0] if same else np.mean(arrays, axis=0).astype(arrays[0].dtype))
        return merged


def _portable(cloudpickle: Any, steps: Any) -> bytes:
    """Pickles a program with the code of its calls, so that whoever runs it imports no TensorFlow."""
    from advdl.rl import numpy_bound, numpy_ops

    for module in (numpy_bound, numpy_ops):
        cloudpickle.register_pickle_by_value(module)
    try:
        pickled: bytes = cloudpickle.dumps(steps)
        return pickled
    finally:
        for module in (numpy_bound, numpy_ops):
            cloudpickle.unregister_pickle_by_value(module)
