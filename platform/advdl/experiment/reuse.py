"""A world model that another run has fitted: its weights, its transitions, and a reward that is known.

Where the dynamics stay and the reward is another one, nothing of the model is lost: an agent is trained anew inside it
for the price of few real steps.
"""

import importlib
import os
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from advdl.errors import UsageError
from advdl.experiment.env_data import FILE, read_transitions
from advdl.experiment.find_runs import runs_root
from advdl.experiment.run_folder import RunFolder
from advdl.experiment.schema import WorldModel

if TYPE_CHECKING:
    from advdl.rl.env_data import Transitions
    from advdl.rl.fitting import Fitting
    from advdl.rl.spaces import Spaces

_REAL, _MODEL, _WEIGHTS = "real/source/", "model/", "trainer/learner/"
_FIELDS = ("observation", "action", "reward", "next_observation", "terminated")

Reward = Callable[[Any, Any, Any], Any]
"""``reward(observation, action, next_observation) -> [batch]``, float32; traceable by TensorFlow."""


def reused_settings(folder: RunFolder) -> dict[str, Any]:
    """Returns what a run that goes on with another one's model has of that one's settings.

    Raises:
        UsageError: The other run has no world model.
    """
    if folder.record().family == "imagination":
        raise UsageError(
            f"the world model of run {folder.id} has a memory, and no other run can go on with it",
            hint="those of vae, gan and diffusion that see vectors can be gone on with",
        )
    if folder.record().family != "dream":
        raise UsageError(f"run {folder.id} has no world model", hint="advdl agent train --world-model vae makes one")
    config = folder.config()
    ensemble = config["world_model"]["ensemble"]
    return {
        "sampler": config["sampler"],
        "world_model.start_from": str(folder.path.resolve()),
        "world_model.ensemble": ensemble,
        "world_model.warm_up": 1,  # the model is there from the first step on
    }


def given_transitions(section: WorldModel, spaces: "Spaces", folder: Path | None) -> "Transitions | None":
    """Returns the real transitions that a run begins with: its own copy, or those of the run that it starts from.

    Their rewards are those of the run's reward function, where it has one.

    Args:
        section: Names the other run.
        spaces: The env's spaces, which must be the other env's too.
        folder: The run's folder; None for a run that has not begun.

    Raises:
        UsageError: There is no such run or checkpoint, or its env has other spaces.
        CorruptError: They cannot be read.
    """
    if not section.start_from:
        return None
    if folder is not None:
        return read_transitions(folder / FILE)
    found = _recorded(_opened(section.start_from))
    for name, space in (("observation", spaces.observation), ("action", spaces.action)):
        if found[name].shape[1:] != (space.shape or ()) or found[name].dtype != np.dtype(space.dtype):
            raise UsageError(
                f"the run that it starts from has the {name} {found[name].dtype}{list(found[name].shape[1:])}, "
                f"and this env {space}",
                hint="the dynamics must be the same env's; only the reward may be another",
            )
    return relabelled(found, section.reward)


def relabelled(transitions: "Transitions", reward: str) -> "Transitions":
    """Returns transitions with the rewards of a function, ``"module:function"``; as they are for an empty name."""
    if not reward:
        return transitions
    seen = (transitions[name] for name in ("observation", "action", "next_observation"))
    rewards = np.asarray(reward_function(reward)(*seen), np.float32)
    if rewards.shape != transitions["reward"].shape:
        raise UsageError(
            f"{reward} gives rewards of the shape {list(rewards.shape)} for {len(transitions['reward'])} transitions",
            hint="it is to give one number for each",
        )
    return {**transitions, "reward": rewards}


def reward_function(name: str) -> Reward:
    """Returns the function ``"module:function"``.

    Raises:
        UsageError: There is none.
    """
    module, _, attribute = name.partition(":")
    try:
        found = getattr(importlib.import_module(module), attribute)
    except Exception as error:  # whatever a stranger's module raises
        raise UsageError(f"the reward function {name!r} cannot be found: {error}", hint="module:function") from error
    if not callable(found):
        raise UsageError(f"{name!r} is no function", hint="module:function")
    return found  # type: ignore[no-any-return]


def start_model(fitting: "Fitting", run: str) -> int:
    """Fills the samplers that a fitting fits with the weights of another run's; returns their checkpoint's step.

    Raises:
        UsageError: There is no such run or checkpoint, or its samplers are others.
        CorruptError: The checkpoint is damaged.
    """
    weights = {f"{_MODEL}{name}": value for name, value in fitting.state().items() if name.startswith(_WEIGHTS)}
    return int(_store(_opened(run)).restore(weights, partial=True).step)


def _recorded(folder: RunFolder) -> "Transitions":
    arrays: Mapping[str, Any] = _store(folder).load(prefix=_REAL).arrays
    count = min(int(arrays[f"{_REAL}added"]), len(arrays[f"{_REAL}reward"]))
    return {name: np.asarray(arrays[f"{_REAL}{name}"][:count]) for name in _FIELDS}


def _store(folder: RunFolder) -> Any:
    from advdl.training.checkpoint import CheckpointStore

    return CheckpointStore(folder.checkpoints)


def _opened(run: str) -> RunFolder:
    return RunFolder.open(run, runs_root(None, os.environ))
