"""Env names: from what a user writes to an id, to the compiled twin, and to the facts of an env.

Imports no TensorFlow: listing envs must not cost its import.
"""

import importlib
import importlib.util
import os
import warnings
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from advdl.errors import UsageError, unknown_name
from advdl.plugin.component import Component
from advdl.plugin.isolation import reason

if TYPE_CHECKING:
    import gymnasium
    from gymnasium.envs.registration import EnvSpec

    from advdl.plugin.host import PluginHost

_LIST = "advdl env list"

_OWN = "advdl"
"""The namespace of compiled envs."""

PARAMS = "params"
"""The option of a compiled env, and of an env that has a compiled twin, with the physics to change, by name."""

_NEEDS = {
    "gymnasium.envs.box2d": ("Box2D", "gymnasium[box2d]"),
    "gymnasium.envs.mujoco": ("mujoco", "gymnasium[mujoco]"),
    "gymnasium.envs.phys2d": ("jax", "gymnasium[jax]"),
    "gymnasium.envs.tabular": ("jax", "gymnasium[jax]"),
}
"""Of an entry point's beginning: the module that it needs and what to install."""

_NAMESPACES = {
    "ALE": ("ale_py", "advdl[atari]"),
    "BabyAI": ("minigrid", "advdl[minigrid]"),
    "MiniGrid": ("minigrid", "advdl[minigrid]"),
}
"""Of a namespace, or of an id's first word: the package that registers such envs when imported, and what to install."""


@dataclass(frozen=True, slots=True)
class EnvFacts:
    """What is known of an env.

    Attributes:
        id: Its id, as ``resolve_env_id`` gives it.
        observation: The space of one observation.
        action: The space of one action.
        max_episode_steps: Steps after which an episode is truncated, or None.
        reward_threshold: The mean return at which it counts as solved, or None.
        compiled: Whether it can run inside the training program.
        host_id: The id of the ordinary env that it is evaluated on: Gymnasium's own for a compiled twin, or the
            compiled one itself where its physics are changed.
    """

    id: str
    observation: "gymnasium.Space[Any]"
    action: "gymnasium.Space[Any]"
    max_episode_steps: int | None
    reward_threshold: float | None
    compiled: bool
    host_id: str


@dataclass(frozen=True, slots=True)
class EnvListing:
    """What is known of an env before it is made.

    Attributes:
        id: Its id.
        compiled: Whether it can run inside the training program.
        observation: Its observation space in short, such as ``"Box(4)"``, or None where only making it tells.
        action: Its action space, likewise.
        install: What to install before it can be made, or an empty string.
    """

    id: str
    compiled: bool
    observation: str | None
    action: str | None
    install: str


def register_component(component: Component) -> None:
    """Makes a compiled env known to Gymnasium, if it is not yet.

    The time limit and the reward threshold are its twin's, or else those in the component's ``details``.
    """
    import gymnasium

    if component.name in gymnasium.registry:
        return
    twin = gymnasium.registry.get(component.details.get("twin", ""))
    steps, threshold = component.details.get("max_episode_steps"), component.details.get("reward_threshold")
    single = "CompiledGymEnv" if twin else "DrawnGymEnv"
    gymnasium.register(
        component.name,
        entry_point=f"advdl.rl.gym_adapter:{single}",
        vector_entry_point="advdl.rl.gym_adapter:CompiledVectorEnv",
        max_episode_steps=twin.max_episode_steps if twin else int(steps) if steps else None,
        reward_threshold=twin.reward_threshold if twin else float(threshold) if threshold else None,
        kwargs={"env": component.target, "twin": twin.id if twin else ""},
    )


def registered_specs(host: "PluginHost") -> "dict[str, EnvSpec]":
    """Every env that Gymnasium knows, with the compiled ones of the plugins, by id."""
    import gymnasium

    for component in host.components("env"):
        register_component(component)
    return gymnasium.registry


def gymnasium_id(env_id: str) -> str:
    """Returns the id that Gymnasium's registry knows, and imports the package before a ``:``, if any.

    Raises:
        UsageError: The package cannot be imported.
    """
    package, _, name = env_id.rpartition(":")
    if package:
        try:
            importlib.import_module(package)
        except Exception as error:  # whatever a stranger's package raises
            raise UsageError(
                f"the package {package!r} of env {env_id!r} cannot be imported: {error}",
                hint="is it installed?",
            ) from error
    return name


def resolve_env_id(name: str, host: "PluginHost") -> str:
    """Returns the full id of the env that is meant.

    Args:
        name: ``"CartPole-v1"``; ``"CartPole"`` for its newest version; ``"advdl/CartPole-v1"`` for a compiled
            one, where ``advdl/`` can be left out if Gymnasium has none of that name; ``"package:Env-v0"`` for one
            that is registered when the package is imported (the id keeps the package).
        host: Knows the compiled envs.

    Raises:
        UsageError: There is no such env, or something that it needs is not installed.
    """
    specs = registered_specs(host)
    package, colon, _ = name.rpartition(":")
    plain = gymnasium_id(name)
    _import_namespace(plain)
    if plain not in specs:
        plain = _newest(_ours(plain, specs), specs)
    _check_dependencies(specs[plain], specs)
    return f"{package}{colon}{plain}"


def list_envs(host: "PluginHost", *, warn: Callable[[str], None] = warnings.warn) -> list[EnvListing]:
    """Lists every env that can be named, older versions included, in id order.

    Args:
        host: Knows the compiled envs.
        warn: Is told of an installed package that cannot be imported: its envs are not listed.
    """
    for module, why in _import_namespaces().items():
        warn(f"the envs of {module!r} are not listed, for it cannot be imported: {why}")
    specs = registered_specs(host)
    return [_listing(specs[env_id], host) for env_id in sorted(specs) if not _is_stand_in(specs[env_id])]


def compiled_twin(env_id: str, host: "PluginHost") -> Component | None:
    """Returns the compiled env of this id or the one that is proven equal to it; None if there is none."""
    plain = env_id.rpartition(":")[2]
    components = host.components("env")
    exact = [component for component in components if component.name == plain]
    equal = [component for component in components if component.details.get("twin") == plain]
    return next(iter(exact + equal), None)


def env_facts(
    env_id: str, host: "PluginHost", *, options: Mapping[str, Any] | None = None, wrappers: Sequence[Any] = ()
) -> EnvFacts:
    """Makes the env once and returns its facts.

    Args:
        env_id: As ``resolve_env_id`` returns it.
        host: Knows the compiled envs.
        options: Keyword arguments of ``gymnasium.make``; ``params`` where there is a compiled env.
        wrappers: As ``env.wrappers`` has them.

    Raises:
        UsageError: The env cannot be made, or there is no such wrapper.
    """
    from advdl.rl.env_factory import EnvFactory
    from advdl.training.backend import start_tensorflow

    specs = registered_specs(host)
    spec = specs[gymnasium_id(env_id)]
    twin = compiled_twin(env_id, host)
    host_id = _host_id(env_id, spec, twin, options or {})
    if twin is not None and twin.name == host_id:  # it computes with TensorFlow, whatever its agent does
        start_tensorflow()
    factory = EnvFactory.of(host_id, options, wrappers)
    try:
        env = factory()
    except Exception as error:  # whatever an env raises, the user asked for this env
        raise UsageError(f"env {host_id!r} cannot be made: {error}", hint=f"advdl env info {env_id}") from error
    with env:
        spaces = env.observation_space, env.action_space
    return EnvFacts(env_id, *spaces, spec.max_episode_steps, spec.reward_threshold, twin is not None, host_id)


def _host_id(env_id: str, spec: "EnvSpec", twin: Component | None, options: Mapping[str, Any]) -> str:
    if twin is None:
        return env_id
    if options.get(PARAMS):
        return twin.name
    return (twin.details.get("twin") if twin.name == spec.id else None) or env_id


def _ours(name: str, specs: "dict[str, EnvSpec]") -> str:
    """Puts our namespace before a name that is only known there."""
    known = {*specs, *map(_unversioned, specs.values())}
    return f"{_OWN}/{name}" if name not in known and f"{_OWN}/{name}" in known else name


def _newest(name: str, specs: "dict[str, EnvSpec]") -> str:
    if name in specs:
        return name
    versions = [spec for spec in specs.values() if spec.version is not None and _unversioned(spec) == name]
    if not versions:
        raise unknown_name("env", name, _meant(name, specs), command=_LIST)
    return max(versions, key=lambda spec: spec.version or 0).id


def _meant(name: str, specs: "dict[str, EnvSpec]") -> set[str]:
    """Returns the names among which the one that is meant may be: those in a namespace, if it was only left out."""
    _import_namespaces()
    known = {*specs, *map(_unversioned, specs.values())} - {name}
    return {f"{namespace}/{name}" for namespace in _NAMESPACES} & known or known


def _unversioned(spec: "EnvSpec") -> str:
    return f"{spec.namespace}/{spec.name}" if spec.namespace else spec.name


def _import_namespaces() -> dict[str, str]:
    """Imports what is installed; returns what is broken, and why."""
    broken: dict[str, str] = {}
    for module in dict.fromkeys(module for module, _ in _NAMESPACES.values()):
        try:
            if importlib.util.find_spec(module) is not None:
                _import_quietly(module)
        except Exception as error:  # a package may raise anything, and its envs were perhaps not asked for
            broken[module] = reason(error)
    return broken


def _import_namespace(name: str) -> None:
    module, install = _NAMESPACES.get(name.partition("/" if "/" in name else "-")[0], ("", ""))
    if not module:
        return
    if importlib.util.find_spec(module) is None:
        raise _missing(name, module, install)
    try:
        _import_quietly(module)
    except Exception as error:  # whatever a stranger's package raises
        raise UsageError(
            f"the package {module!r} of env {name!r} cannot be imported: {reason(error)}",
            hint=f"install it anew: pip install --force-reinstall '{install}'",
        ) from error


def _import_quietly(module: str) -> None:
    os.environ.setdefault("PYGAME_HIDE_SUPPORT_PROMPT", "1")  # pygame greets on stdout, where only data belongs
    importlib.import_module(module)


def _check_dependencies(spec: "EnvSpec", specs: "dict[str, EnvSpec]") -> None:
    if _is_stand_in(spec):
        newest = _newest(_unversioned(spec), specs) if spec.version is not None else spec.id
        did_you_mean = f"did you mean {newest!r}? " if newest != spec.id else ""
        raise UsageError(f"Gymnasium no longer has env {spec.id!r}", hint=f"{did_you_mean}see them all: {_LIST}")
    module, install = _needs(spec)
    if install:
        raise _missing(spec.id, module, install)


def _is_stand_in(spec: "EnvSpec") -> bool:
    """Whether nothing can be made of it: Gymnasium keeps ids of envs that moved, which raise ImportError."""
    return callable(spec.entry_point) and spec.entry_point.__module__ == "gymnasium.envs"


def _needs(spec: "EnvSpec") -> tuple[str, str]:
    """Returns the module that is not installed and what to install; empty when nothing is missing."""
    for beginning, (module, install) in _NEEDS.items():
        if str(spec.entry_point).startswith(beginning) and importlib.util.find_spec(module) is None:
            return module, install
    return "", ""


def _listing(spec: "EnvSpec", host: "PluginHost") -> EnvListing:
    twin = compiled_twin(spec.id, host)
    known = twin.details if twin else {}
    return EnvListing(spec.id, twin is not None, known.get("observation"), known.get("action"), _needs(spec)[1])


def _missing(env_id: str, module: str, install: str) -> UsageError:
    return UsageError(f"env {env_id!r} needs {module}, which is not installed", hint=f"pip install '{install}'")
