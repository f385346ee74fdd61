"""HostVectorEnv: copies of any Gymnasium env as one vector env, which names its faults and can be restored."""

import contextlib
import json
import signal
import threading
from collections.abc import Callable, Iterator
from types import FrameType
from typing import TYPE_CHECKING, Any

import numpy as np
from gymnasium import spaces
from gymnasium.vector import AutoresetMode, VectorEnv
from gymnasium.vector.utils import batch_space
from numpy.typing import NDArray

from advdl.errors import UsageError
from advdl.rl.env_checks import leaf_rules
from advdl.rl.env_copies import Buffers, Care, EnvCopies
from advdl.rl.env_factory import EnvFactory
from advdl.rl.env_faults import CopyError, EnvFault, EnvFaultError, HangError, naming
from advdl.rl.env_workers import WorkerPool
from advdl.rl.spaces import Spaces, flatten, unflatten

if TYPE_CHECKING:
    from advdl.rl.host_acting import HostActing
    from advdl.rl.runner_pool import RunnerPool

Say = Callable[[str], None]


class HostVectorEnv(VectorEnv[Any, Any, Any]):
    """Copies of an env, in this process or in workers. Autoreset is Gymnasium's ``SAME_STEP``.

    Every episode of every copy is reset with a seed of its own, derived from the run's. So a fault's message is
    enough to see it again, and ``snapshot`` needs no more than the episode's number and its actions.

    Args:
        factory: Makes one copy.
        num_envs: How many.
        seed: The run's seed.
        workers: Processes; 0 steps the copies in this one.
        runners: Ray actors that step the copies and act in them; 0 for none.
        care: What is done about faults.
        say: Told of faults that stop nothing.

    Raises:
        RunError: The env cannot be made.
        UsageError: Its spaces are of kinds that cannot be stored.
    """

    def __init__(
        self,
        factory: EnvFactory,
        num_envs: int,
        *,
        seed: int,
        workers: int = 0,
        runners: int = 0,
        care: Care | None = None,
        say: Say = print,
    ) -> None:
        self.num_envs, self.metadata = num_envs, {"autoreset_mode": AutoresetMode.SAME_STEP}
        self._id, self._say, self._care = factory.id, say, care or Care()
        with factory.checked() as env:
            self.single_observation_space, self.single_action_space = env.observation_space, env.action_space
        self._nested = isinstance(self.single_observation_space, spaces.Dict | spaces.Tuple)
        self.observation_space = batch_space(self.single_observation_space, num_envs)
        self.action_space = batch_space(self.single_action_space, num_envs)
        self._runners: RunnerPool | None = None
        self._copies = self._make(factory, seed, min(workers, num_envs), min(runners, num_envs))
        self._alarm = _Alarm(self._copies, self._care.timeout)
        with self._named():
            self._copies.open(self.single_observation_space)

    def reset(self, *, seed: Any = None, options: dict[str, Any] | None = None) -> tuple[Any, dict[str, Any]]:
        """Begins a new episode in every copy; seeds come from the run's seed alone."""
        del seed, options
        with self._named(), self._alarm:
            self._copies.reset()
        return self._observation(), {}

    def step(
        self, actions: Any
    ) -> tuple[Any, NDArray[np.float32], NDArray[np.bool_], NDArray[np.bool_], dict[str, Any]]:
        """Makes a step in every copy; ``info["final_obs"]`` is a batch, good where an episode has ended.

        Raises:
            EnvFaultError: A copy failed, and training is to stop.
        """
        buffers = self._copies.buffers
        buffers.action[...] = actions
        try:
            with self._alarm:
                self._copies.step()
        except CopyError as error:
            raise EnvFaultError(error.fault, self._id) from error.__cause__
        if self._copies.notes:
            self._say_notes()
        terminated, truncated = buffers.terminated.copy(), buffers.truncated.copy()
        info = {}
        if 1 in terminated.tobytes() or 1 in truncated.tobytes():
            info["final_obs"] = unflatten(self.single_observation_space, buffers.final)
        return self._observation(), buffers.reward.copy(), terminated, truncated, info

    def watched(self) -> contextlib.AbstractContextManager[None]:
        """Returns a context around many steps: watching over each of them by itself takes longer than a short step."""
        return self._alarm

    def snapshot(self) -> bytes:
        """Returns all that ``restore`` needs, as JSON."""
        return json.dumps(self._copies.snapshot(), sort_keys=True).encode()

    def restore(self, saved: bytes, observation: Any) -> None:
        """Brings the copies back to where they were saved.

        Args:
            saved: What ``snapshot`` returned.
            observation: The batch of observations that was the last then. A copy that cannot be brought back to its
                row is said; its episode counts as cut off there, and a new one begins with the next step.
        """
        parts = flatten(self.single_observation_space, observation)
        for leaf, part in zip(self._copies.buffers.observation, parts, strict=True):
            leaf[...] = part
        with self._named():
            faults = self._copies.restore(json.loads(saved))
        for fault in faults:
            self._say(f"env {self._id!r}, copy {fault.index}, {fault.what}; it begins a new episode")

    def close_extras(self, **kwargs: Any) -> None:
        """Closes every copy, and ends the workers."""
        del kwargs
        self._copies.close()

    @property
    def runners(self) -> "RunnerPool | None":
        """What acts in the copies by itself, where there is such a thing."""
        return self._runners

    def play(self, acting: "HostActing", first: int, count: int) -> None:
        """Lets the runners play a round, whose steps ``step`` then gives.

        Raises:
            EnvFaultError: A copy failed, and training is to stop.
            RunError: Runners die again and again.
            UsageError: The agent cannot act in runners.
        """
        if self._runners:
            with self._named():
                self._runners.play(acting, first, count)

    def _make(
        self, factory: EnvFactory, seed: int, workers: int, runners: int
    ) -> "EnvCopies | WorkerPool | RunnerPool":
        spaces = Spaces(self.single_observation_space, self.single_action_space)
        try:
            rules = leaf_rules(spaces.observation)
        except TypeError as error:
            raise UsageError(
                f"env {self._id!r} cannot be trained in: its observation {error}",
                hint="gymnasium.wrappers.FlattenObservation, or another in env.wrappers, may make one of it",
            ) from error
        if runners:
            self._runners = self._make_runners(factory, spaces, seed, runners)
            return self._runners
        if workers:
            return WorkerPool(factory, spaces, copies=self.num_envs, workers=workers, seed=seed, care=self._care)
        buffers = Buffers.allocate(self.num_envs, rules, spaces.action)
        return EnvCopies(factory, 0, seed, buffers, self._care)

    def _make_runners(self, factory: EnvFactory, spaces: Spaces, seed: int, runners: int) -> "RunnerPool":
        from advdl.rl.runner_pool import RunnerPool

        return RunnerPool(
            factory,
            spaces,
            copies=self.num_envs,
            runners=runners,
            seed=seed,
            care=self._care,
            say=lambda text: self._say(f"env {self._id!r}: {text}"),
        )

    def _observation(self) -> Any:
        copies = [leaf.copy() for leaf in self._copies.buffers.observation]
        return unflatten(self.single_observation_space, copies) if self._nested else copies[0]

    @contextlib.contextmanager
    def _named(self) -> Iterator[None]:
        """Gives faults the env's name, and says those that stop nothing."""
        with naming(self._id):
            yield
        self._say_notes()

    def _say_notes(self) -> None:
        for fault in self._copies.notes:
            self._say(self._note(fault))
        self._copies.notes.clear()

    def _note(self, fault: EnvFault) -> str:
        if "out of bounds" in fault.what and self._care.bounds == "warn":
            return f"{fault.sentence(self._id)}; said once (env.bounds=stop ends training, env.bounds=ignore is silent)"
        return f"{fault.sentence(self._id)}; a new episode begins"


class _Alarm:
    """Interrupts an env in this process that does not come back. Only a main thread can be interrupted.

    May be entered again while it is on: it stays on until it is left as often.
    """

    def __init__(self, copies: "EnvCopies | WorkerPool | RunnerPool", seconds: float) -> None:
        reachable = hasattr(signal, "setitimer") and threading.current_thread() is threading.main_thread()
        self._copies = copies if isinstance(copies, EnvCopies) and reachable else None
        self._seconds, self._seen, self._depth = seconds, -1, 0
        self._before: Any = None

    def __enter__(self) -> None:
        self._depth += 1
        if self._copies and self._depth == 1:
            self._seen = -1
            self._before = signal.signal(signal.SIGALRM, self._ring)
            signal.setitimer(signal.ITIMER_REAL, self._seconds, self._seconds)

    def __exit__(self, *exception: object) -> None:
        self._depth -= 1
        if self._copies and not self._depth:
            signal.setitimer(signal.ITIMER_REAL, 0)
            signal.signal(signal.SIGALRM, self._before or signal.SIG_DFL)

    def _ring(self, number: int, frame: FrameType | None) -> None:
        """Rings a first time to see which call it is, and a second time if it still is the same one."""
        del number, frame
        copies = self._copies
        if copies is None or copies.calls != self._seen:
            self._seen = copies.calls if copies else -1
            return
        error = copies.hanging()
        if error is not None:
            raise HangError(error)
