"""The state of stable-baselines3's algorithms as arrays and plain facts, both ways. Nothing is pickled."""

import operator
import sys
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
import torch
from stable_baselines3.common.base_class import BaseAlgorithm
from stable_baselines3.common.buffers import ReplayBuffer

from advdl.errors import UsageError
from advdl.rl.own_loop import require_same
from advdl.training.tensors import Array

COUNTERS = (
    "num_timesteps",
    "_episode_num",
    "_n_updates",
    "_n_calls",
    "_current_progress_remaining",
    "exploration_rate",
)


def policy_tensors(model: BaseAlgorithm) -> dict[str, torch.Tensor]:
    """Returns every parameter and buffer of a model's networks, each once.

    A backbone's variables have the names that a native agent's have, ``<where>/000.kernel``, in Keras' own order: so
    one finds its way into the other.
    """
    tensors: dict[str, torch.Tensor] = {}
    seen: set[int] = set()
    for path, backbone in _backbones(model):
        for index, variable in enumerate(backbone.variables):
            tensors[f"{path}/{index:03d}.{variable.name}"] = variable.value
            seen.add(id(variable.value))
    for name, tensor in _named_tensors(model.policy):
        if id(tensor) not in seen:
            tensors[f"policy/{name}"] = tensor
    return tensors


def keras_backbones(model: BaseAlgorithm) -> list[Any]:
    """Returns the Keras models among a model's networks, each once."""
    return [backbone for _, backbone in _backbones(model)]


def fill(tensors: Mapping[str, torch.Tensor], arrays: Mapping[str, Array], what: str) -> None:
    """Copies arrays into tensors, in place.

    Raises:
        UsageError: Names or shapes differ.
    """
    require_same(what, arrays, tensors)
    with torch.no_grad():
        for name, tensor in tensors.items():
            tensor.copy_(torch.from_numpy(np.array(arrays[name])))


def training_arrays(model: BaseAlgorithm) -> dict[str, Array]:
    """Returns what is needed to go on learning besides networks and envs: optimizers, replay, what was seen last."""
    arrays = {f"variable/{name}": to_array(tensor) for name, tensor in _variables(model).items()}
    for name, optimizer in _optimizers(model).items():
        for (index, key), value in _slots(optimizer).items():
            if isinstance(value, torch.Tensor):
                arrays[f"optimizer/{name}/{index}/{key}"] = to_array(value)
    arrays |= {f"replay/{name}": array for name, array in _replayed(model).items()}
    return arrays | {f"seen/{name}": array for name, array in _seen(model).items()}


def training_facts(model: BaseAlgorithm) -> dict[str, Any]:
    """Returns what of it is no array."""
    replay = getattr(model, "replay_buffer", None)
    optimizers = _optimizers(model)
    return {
        "counters": {name: _number(getattr(model, name)) for name in COUNTERS if hasattr(model, name)},
        "rates": {name: [float(group["lr"]) for group in each.param_groups] for name, each in optimizers.items()},
        "slots": {
            name: [[i, key, value] for (i, key), value in _slots(each).items() if not isinstance(value, torch.Tensor)]
            for name, each in optimizers.items()
        },
        "replay": None if replay is None else {"pos": int(replay.pos), "full": bool(replay.full)},
        "actions": model.action_space.np_random.bit_generator.state,
    }


def restore_training(model: BaseAlgorithm, arrays: Mapping[str, Array], facts: Mapping[str, Any]) -> None:
    """Takes back what ``training_arrays`` and ``training_facts`` returned.

    Raises:
        UsageError: It does not fit the model.
    """
    fill(_variables(model), below(arrays, "variable/"), "this agent")
    for name, optimizer in _optimizers(model).items():
        _fill_optimizer(optimizer, below(arrays, f"optimizer/{name}/"), facts["slots"][name], facts["rates"][name])
    if facts["replay"] is not None:
        _fill_replay(model.replay_buffer, below(arrays, "replay/"), facts["replay"])  # type: ignore[attr-defined]
    for name, value in facts["counters"].items():
        setattr(model, name, value)
    model.action_space.np_random.bit_generator.state = facts["actions"]
    _see_again(model, below(arrays, "seen/"))


def below(arrays: Mapping[str, Array], prefix: str) -> dict[str, Array]:
    """Returns the arrays whose names start with a prefix, without it."""
    return {name.removeprefix(prefix): array for name, array in arrays.items() if name.startswith(prefix)}


def to_array(tensor: torch.Tensor) -> Array:
    """Copies a tensor: what is saved must not change while it is being written."""
    array: Array = tensor.detach().cpu().numpy().copy()
    return array


def cut(buffer: ReplayBuffer, copy: int) -> None:
    """Marks the newest transition of an env copy as the last of its episode, for an episode that is given up."""
    newest = (buffer.pos - 1) % buffer.buffer_size
    if buffer.full or buffer.pos:
        buffer.dones[newest, copy] = buffer.timeouts[newest, copy] = 1.0


def _backbones(model: BaseAlgorithm) -> Iterator[tuple[str, Any]]:
    """Finds them by what they are a part of; where there are none, Keras has not been imported."""
    if "advdl_sb3.features" in sys.modules:
        from advdl_sb3.features import KerasFeatures

        for path, module in model.policy.named_modules():
            if isinstance(module, KerasFeatures):
                yield path, module.net


def _named_tensors(module: torch.nn.Module) -> Iterator[tuple[str, torch.Tensor]]:
    yield from module.named_parameters()
    yield from module.named_buffers()


def _variables(model: BaseAlgorithm) -> dict[str, torch.Tensor]:
    _, names = model._get_torch_save_params()
    return {name: operator.attrgetter(name)(model) for name in names}


def _optimizers(model: BaseAlgorithm) -> dict[str, torch.optim.Optimizer]:
    names, _ = model._get_torch_save_params()
    found = {name: operator.attrgetter(name)(model) for name in names}
    return {name: each for name, each in found.items() if isinstance(each, torch.optim.Optimizer)}


def _slots(optimizer: torch.optim.Optimizer) -> dict[tuple[int, str], Any]:
    state = optimizer.state_dict()["state"]
    return {(index, key): value for index, slots in state.items() for key, value in slots.items() if value is not None}


def _fill_optimizer(
    optimizer: torch.optim.Optimizer, arrays: Mapping[str, Array], plain: Any, rates: list[float]
) -> None:
    state: dict[int, dict[str, Any]] = {}
    for name, array in arrays.items():
        index, _, key = name.partition("/")
        state.setdefault(int(index), {})[key] = torch.from_numpy(np.array(array))
    for index, key, value in plain:
        state.setdefault(int(index), {})[key] = value
    groups = optimizer.state_dict()["param_groups"]
    for group, rate in zip(groups, rates, strict=True):
        group["lr"] = rate
    try:
        optimizer.load_state_dict({"state": state, "param_groups": groups})
    except (ValueError, KeyError) as error:
        raise UsageError(f"the checkpoint's optimizer does not fit this agent: {error}") from error


def _replayed(model: BaseAlgorithm) -> dict[str, Array]:
    """Returns what a replay holds; what it has not filled yet is left out."""
    buffer = getattr(model, "replay_buffer", None)
    return {} if buffer is None else {name: array[: buffer.size()] for name, array in _storage(buffer)}


def _storage(buffer: ReplayBuffer) -> Iterator[tuple[str, Array]]:
    for name, value in vars(buffer).items():
        if isinstance(value, np.ndarray):
            yield name, value
        elif isinstance(value, dict):
            yield from ((f"{name}/{key}", inner) for key, inner in value.items() if isinstance(inner, np.ndarray))


def _fill_replay(buffer: ReplayBuffer, arrays: Mapping[str, Array], facts: Mapping[str, Any]) -> None:
    buffer.pos, buffer.full = facts["pos"], facts["full"]
    storage = dict(_storage(buffer))
    require_same("this replay", arrays, {name: array[: buffer.size()] for name, array in storage.items()})
    for name, array in storage.items():
        array[: buffer.size()] = arrays[name]


def _seen(model: BaseAlgorithm) -> dict[str, Array]:
    found: dict[str, Array] = {}
    for name in ("_last_obs", "_last_original_obs", "_last_episode_starts"):
        value = getattr(model, name)
        if isinstance(value, Mapping):
            found |= {f"{name}/{key}": np.array(inner) for key, inner in value.items()}
        elif value is not None:
            found[name] = np.array(value)
    return found


def _see_again(model: BaseAlgorithm, arrays: Mapping[str, Array]) -> None:
    for name in ("_last_obs", "_last_original_obs", "_last_episode_starts"):
        parts = below(arrays, f"{name}/")
        setattr(model, name, {key: np.array(part) for key, part in parts.items()} if parts else _copied(arrays, name))


def _copied(arrays: Mapping[str, Array], name: str) -> Array | None:
    return np.array(arrays[name]) if name in arrays else None


def _number(value: Any) -> Any:
    return value.item() if isinstance(value, np.generic) else value
