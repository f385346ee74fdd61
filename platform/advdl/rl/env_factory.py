"""EnvFactory: how the copies of an env are made, wrappers included. Imports no TensorFlow: workers use it too."""

import importlib
import inspect
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import gymnasium
from gymnasium.envs.registration import EnvSpec

from advdl.errors import RunError, UsageError, unknown_name
from advdl.rl.env_names import gymnasium_id

Wrapper = tuple[str, Mapping[str, Any]]
"""A wrapper's name in ``gymnasium.wrappers``, or ``"module:Class"``, and its options."""

_LIST = "https://gymnasium.farama.org/api/wrappers/table/"

_LEARNS = {
    "NormalizeObservation": "agent.normalise_observations=true keeps the statistics with the policy",
    "NormalizeReward": "agent.scale_rewards=true does it where rewards are learnt from",
}
"""Wrappers with statistics of their own, which no checkpoint of a policy would hold."""

_FOR_LEARNING = frozenset({"ClipReward", "TransformReward"})
"""Wrappers that change what is learnt from, and not what an agent is judged by."""


@dataclass(frozen=True, slots=True)
class EnvFactory:
    """Makes copies of one env.

    Attributes:
        spec: Gymnasium's, so that a worker needs no registry.
        options: Keyword arguments of ``gymnasium.make``.
        wrappers: Put around each copy, the first innermost.
    """

    spec: EnvSpec
    options: Mapping[str, Any] = field(default_factory=dict)
    wrappers: Sequence[Wrapper] = ()

    @classmethod
    def of(cls, env_id: str, options: Mapping[str, Any] | None = None, wrappers: Sequence[Any] = ()) -> "EnvFactory":
        """Looks an env up.

        Args:
            env_id: As ``env_names.resolve_env_id`` gives it.
            options: Keyword arguments of ``gymnasium.make``.
            wrappers: Names, or tables with a ``name``, as ``env.wrappers`` has them.

        Raises:
            UsageError: There is no such env or wrapper, or a wrapper has no such option.
            RunError: The env cannot be found, such as for a missing package.
        """
        return cls(_spec(env_id), dict(options or {}), [read_wrapper(wrapper) for wrapper in wrappers])

    @property
    def id(self) -> str:
        """The env's id."""
        return self.spec.id

    def __call__(self) -> gymnasium.Env[Any, Any]:
        """Makes one copy; raises whatever the env or a wrapper raises."""
        env = gymnasium.make(self.spec, disable_env_checker=True, **self.options)
        for name, options in self.wrappers:
            env = _wrapper_class(name)(env, **options)
        return env

    def for_judging(self) -> "EnvFactory":
        """Returns a factory of envs that are evaluated: they see alike, and their rewards are the env's own."""
        kept = [wrapper for wrapper in self.wrappers if wrapper[0] not in _FOR_LEARNING]
        return EnvFactory(self.spec, self.options, kept)

    def checked(self) -> gymnasium.Env[Any, Any]:
        """Makes one copy, with one sentence for what goes wrong.

        Raises:
            RunError: The env cannot be made, such as for a missing package or a wrong option.
        """
        try:
            return self()
        except Exception as error:  # whatever a stranger's env raises
            raise RunError(f"env {self.id!r} cannot be made: {error}", hint=f"advdl env check {self.id}") from error


def read_wrapper(given: Any) -> Wrapper:
    """Checks what ``env.wrappers`` has for one wrapper.

    Raises:
        UsageError: It is no name and no table with one, there is no such wrapper, or it has no such option.
    """
    if isinstance(given, tuple):
        return given[0], dict(given[1])
    options = dict(given) if isinstance(given, Mapping) else {"name": given}
    name = options.pop("name", None)
    if not isinstance(name, str):
        raise UsageError(
            f'env.wrappers takes names and tables such as {{name="ClipReward"}}, not {given!r}', hint=_LIST
        )
    if ":" in name:
        _check_options(name, options)
        return name, options
    known = [known for known in gymnasium.wrappers.__all__ if known != "vector"]
    if name not in known:
        raise unknown_name("wrapper", name, known, command=_LIST)
    if name in _LEARNS:
        raise UsageError(f"env.wrappers cannot be {name!r}: its statistics would be lost", hint=_LEARNS[name])
    _check_options(name, options)
    return name, options


def _check_options(name: str, options: Mapping[str, Any]) -> None:
    signature = inspect.signature(_wrapper_class(name))
    try:
        signature.bind(None, **options)
    except TypeError as error:
        takes = ", ".join(parameter for parameter in signature.parameters if parameter != "env") or "none"
        raise UsageError(f"env.wrappers: {name}: {error}", hint=f"its options: {takes}") from error


def _wrapper_class(name: str) -> Any:
    """Returns Gymnasium's wrapper of a name, or that of ``"module:Class"``."""
    module, colon, attribute = name.partition(":")
    if not colon:
        return getattr(gymnasium.wrappers, name)
    try:
        return getattr(importlib.import_module(module), attribute)
    except Exception as error:  # whatever a stranger's module raises
        raise UsageError(f"env.wrappers: {name!r} cannot be found: {error}", hint="is it installed?") from error


def _spec(env_id: str) -> EnvSpec:
    try:
        return gymnasium.spec(gymnasium_id(env_id))
    except gymnasium.error.UnregisteredEnv as error:
        raise unknown_name("env", env_id, gymnasium.registry, command="advdl env list") from error
    except (gymnasium.error.Error, ImportError) as error:
        raise RunError(f"env {env_id!r} cannot be found: {error}", hint="advdl env list") from error
