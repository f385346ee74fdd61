"""NativeVectorEnv: envs that another library steps all together, such as EnvPool, for the host engine."""

import traceback
from collections.abc import Callable
from typing import Any

import gymnasium
import numpy as np
from gymnasium.spaces import Discrete, MultiDiscrete
from gymnasium.vector import AutoresetMode, VectorEnv
from gymnasium.vector.utils import batch_space
from numpy.typing import NDArray

from advdl.errors import UsageError
from advdl.rl.env_checks import Bounds, leaf_rules
from advdl.rl.env_copy import copy_seed
from advdl.rl.env_faults import EnvFault, EnvFaultError
from advdl.rl.spaces import Spaces, flatten, leaves
from advdl.rl.stepper import Step, Stepper

_EVERY_COPY = -1


class NativeVectorEnv(VectorEnv[Any, Any, Any]):
    """A library's vector env as the host engine takes it, with autoreset mode ``SAME_STEP``.

    What copies it has, and when they are, is the library's own: they cannot be saved. So at a resume their episodes
    count as cut off, new ones begin, and the run is not the one that never stopped. Nor can a copy be made anew, or an
    env that hangs be interrupted.

    Args:
        stepper: The library's env.
        spaces: Those of the env that the agent is evaluated in, of the same structure, shapes and dtypes.
        env_id: The env.
        num_envs: How many copies.
        bounds: What follows a float outside of its space.
        say: Told what a user should know.

    Raises:
        UsageError: The library's observations or actions are others than the agent's.
    """

    def __init__(
        self,
        stepper: Stepper,
        spaces: Spaces,
        *,
        env_id: str,
        num_envs: int,
        bounds: Bounds = "warn",
        say: Callable[[str], None] = print,
    ) -> None:
        self._stepper, self._id, self._bounds, self._say = stepper, env_id, bounds, say
        _require_alike(env_id, Spaces(stepper.observation_space, stepper.action_space), spaces)
        self.num_envs, self.metadata = num_envs, {"autoreset_mode": AutoresetMode.SAME_STEP}
        self.single_observation_space, self.single_action_space = spaces.observation, spaces.action
        self.observation_space = batch_space(spaces.observation, num_envs)
        self.action_space = batch_space(spaces.action, num_envs)
        self._rules = leaf_rules(spaces.observation)
        self._steps, self._seed, self._warned = 0, -1, False

    def reset(self, *, seed: Any = None, options: dict[str, Any] | None = None) -> tuple[Any, dict[str, Any]]:
        """Begins a new episode in every copy.

        Args:
            seed: A run's seed; what the library is given is derived from it, so that runs have no copies in common.
            options: Of no use.

        Raises:
            EnvFaultError: The library raised.
        """
        del options
        if self._seed >= 0:
            self._say(
                f"the copies of {self._id!r} cannot be brought back to where they were saved: their episodes count as "
                "cut off, and new ones begin"
            )
        self._seed, self._steps = copy_seed(int(seed or 0), 0, 0) >> 1, 0  # libraries add a copy's number to it
        try:
            return self._stepper.reset(self._seed), {}
        except (Exception, SystemExit) as error:  # whatever a stranger's env raises
            raise self._raised(error, "reset") from error

    def step(self, actions: Any) -> Step:
        """Makes a step in every copy; ``info["final_obs"]`` is a batch, good where an episode has ended.

        Raises:
            EnvFaultError: The library raised, or gave what an env must not.
        """
        self._steps += 1
        try:
            outcome = self._stepper.step(np.asarray(actions))
        except (Exception, SystemExit) as error:  # whatever a stranger's env raises
            raise self._raised(error, "step", actions) from error
        self._check(outcome[0], outcome[1], actions)
        return outcome

    def close_extras(self, **kwargs: Any) -> None:
        """Closes the library's env."""
        del kwargs
        self._stepper.close()

    def _check(self, observation: Any, reward: NDArray[Any], actions: Any) -> None:
        if not np.isfinite(reward).all():
            row = int(np.flatnonzero(~np.isfinite(reward))[0])
            raise self._fault(f"gave the reward {reward[row]}", "step", row, actions)
        parts = flatten(self.single_observation_space, observation)
        for rule, part in zip(self._rules, parts, strict=True):
            if rule.sound(part):
                continue
            if (missing := rule.not_finite(part)) is not None:
                raise self._fault(f"gave {rule.name} that is not finite", "step", missing, actions)
            if (self._bounds != "ignore" or rule.strict) and (outside := rule.outside(part)) is not None:
                self._outside(self._fault(f"gave {rule.name} that is out of bounds", "step", outside, actions), rule)

    def _outside(self, error: EnvFaultError, rule: Any) -> None:
        if rule.strict or self._bounds == "stop":
            raise error
        if not self._warned:
            self._warned = True
            self._say(f"{error.message}; said once (env.bounds=stop ends training, env.bounds=ignore is silent)")

    def _raised(self, error: BaseException, where: str, actions: Any = None) -> EnvFaultError:
        what = f"raised {type(error).__name__}: {str(error).strip() or 'no message'}".splitlines()[0]
        return self._fault(what, where, _EVERY_COPY, actions, traceback.format_exc())

    def _fault(self, what: str, where: str, row: int, actions: Any, trace: str = "") -> EnvFaultError:
        taken = np.asarray(actions) if where == "step" else None
        action = "" if taken is None else repr((taken if row == _EVERY_COPY else taken[row]).tolist())
        return EnvFaultError(EnvFault(what, where, row, self._steps, self._seed, action, trace), self._id)


def _require_alike(env_id: str, native: Spaces, judged: Spaces) -> None:
    for what, mine, other in (
        ("observations", native.observation, judged.observation),
        ("actions", native.action, judged.action),
    ):
        if _signature(mine) != _signature(other):
            raise UsageError(
                f"env.vector: {what} of {env_id!r} are {mine} there, and {other} where the agent is evaluated",
                hint="let env.options and env.wrappers make of the one what env.vector_options make of the other",
            )


def _signature(space: gymnasium.Space[Any]) -> list[tuple[Any, ...]]:
    """Returns what an agent depends on; bounds, and the widths of integers that count, are written differently."""
    return [(path, type(leaf), leaf.shape, _kind(leaf), _sizes(leaf)) for path, leaf in leaves(space)]


def _kind(leaf: gymnasium.Space[Any]) -> str:
    dtype = np.dtype(leaf.dtype)
    return str(dtype) if dtype == np.uint8 else dtype.kind


def _sizes(leaf: gymnasium.Space[Any]) -> Any:
    if isinstance(leaf, Discrete):
        return int(leaf.n), int(leaf.start)
    return tuple(np.ravel(leaf.nvec)) if isinstance(leaf, MultiDiscrete) else None
