"""Zips that stable-baselines3 itself wrote: pickles, which are loaded because the user said so."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from stable_baselines3.common.base_class import BaseAlgorithm
from stable_baselines3.common.noise import NormalActionNoise
from stable_baselines3.common.torch_layers import CombinedExtractor, FlattenExtractor, NatureCNN

from advdl.errors import CorruptError, UsageError
from advdl.plugin import options_of
from advdl.rl.own_loop import Foreign
from advdl_sb3.networks import ACTIVATIONS
from advdl_sb3.saved_state import COUNTERS

_NOT_READ = ("backbone", "device", "normalise_observations", "normalise_rewards")


def open_zip(agent: Any, path: Path) -> Foreign:
    """Loads a zip and says which options make an agent like the one in it.

    Args:
        agent: A class of ``SB3Agent``.
        path: The zip.

    Raises:
        CorruptError: It is no zip of this algorithm's.
        UsageError: It has networks that no options describe.
    """
    name = agent.algorithm.__name__
    try:
        model = agent.algorithm.load(path, device="cpu")
    except Exception as error:  # whatever comes out of a pickle
        raise CorruptError(f"{path} cannot be loaded as {name}: {type(error).__name__}: {error}") from error
    lost = ["a zip of stable-baselines3 holds neither a replay nor env states: learning goes on without them"]
    return Foreign(
        _options(agent, model), model.n_envs, model.num_timesteps, lambda built: _adopt(built.model, model), lost
    )


def _options(agent: Any, model: BaseAlgorithm) -> dict[str, Any]:
    policy = model.policy_kwargs or {}
    extractor = policy.get("features_extractor_class")
    if extractor not in (None, FlattenExtractor, NatureCNN, CombinedExtractor):
        raise UsageError(f"its feature extractor {extractor.__name__!r} is its maker's own, and no option builds it")
    found = {"units": _units(policy), "activation": _activation(policy)}
    for option in options_of(agent):
        if option.name not in (*found, *_NOT_READ):
            value = policy.get(option.name, _value(model, option.name))
            found[option.name] = option.default if value is None else value
    return {key: value for key, value in found.items() if value is not None}


def _value(model: BaseAlgorithm, name: str) -> Any:
    """Reads an option off an algorithm; a schedule is what it begins with, and whether it falls."""
    if name.endswith("_decay"):
        schedule = getattr(model, name.removesuffix("_decay"))
        falls = callable(schedule) and abs(schedule(0.5) - schedule(1.0) / 2) < 1e-9
        return "linear" if falls else "constant"
    value = getattr(model, name, None)
    if name == "train_freq":
        return value.frequency if value is not None and value.unit.value == "step" else None
    if name == "action_noise":
        return float(value._sigma.max()) if isinstance(value, NormalActionNoise) else 0.0
    if callable(value):
        value = value(1.0)
    return value if isinstance(value, bool | int | float | str) else None


def _units(policy: Mapping[str, Any]) -> list[int] | None:
    widths = policy.get("net_arch")
    each = list(widths.values()) if isinstance(widths, dict) else [widths]
    if any(one != each[0] for one in each):
        raise UsageError(f"its networks differ in their layers, {widths}, and one option makes both")
    return None if each[0] is None else [int(width) for width in each[0]]


def _activation(policy: Mapping[str, Any]) -> str | None:
    wanted = policy.get("activation_fn")
    for name, known in ACTIVATIONS.items():
        if known is wanted:
            return name
    if wanted is None:
        return None
    raise UsageError(f"its activation {wanted.__name__!r} is none of {', '.join(ACTIVATIONS)}")


def _adopt(built: BaseAlgorithm, model: BaseAlgorithm) -> None:
    """Copies networks, optimizers and counters.

    Raises:
        UsageError: The networks are not alike.
    """
    try:
        built.set_parameters(model.get_parameters(), exact_match=True, device="cpu")
    except (ValueError, RuntimeError, KeyError) as error:
        raise UsageError(f"what it learnt does not fit an agent for this env: {error}") from error
    for name in model._get_torch_save_params()[1]:
        getattr(built, name).data.copy_(getattr(model, name).data)
    for name in COUNTERS:
        if hasattr(model, name):
            setattr(built, name, getattr(model, name))
