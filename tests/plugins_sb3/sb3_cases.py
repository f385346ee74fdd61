"""Short runs of stable-baselines3's algorithms: big enough that every part of their state is in use."""

import importlib
import json

import gymnasium
import numpy as np

from advdl.rl.own_loop import Assignment
from advdl.rl.spaces import Spaces

SEED, COPIES = 3, 2
ROLLOUT = {"n_steps": 24, "batch_size": 16}
REPLAY = {"learning_starts": 20, "batch_size": 16, "buffer_size": 100}

# Module, class, env, env steps, options, the policy of stable-baselines3.
CASES = {
    "ppo": ("PPO", "CartPole-v1", 144, {**ROLLOUT, "n_epochs": 2, "units": (16,), "clip_range_decay": "linear"}),
    "a2c": ("A2C", "CartPole-v1", 120, {"units": (16,)}),
    "trpo": ("TRPO", "CartPole-v1", 144, {**ROLLOUT, "units": (16,)}),
    "dqn": ("DQN", "CartPole-v1", 160, {**REPLAY, "units": (16,), "target_update_interval": 30}),
    "qrdqn": ("QRDQN", "CartPole-v1", 160, {**REPLAY, "units": (16,), "n_quantiles": 5}),
    "sac": ("SAC", "Pendulum-v1", 120, {**REPLAY, "units": (16,), "use_sde": True}),
    "td3": ("TD3", "Pendulum-v1", 120, {**REPLAY, "units": (16,), "n_steps": 3}),
    "tqc": ("TQC", "Pendulum-v1", 120, {**REPLAY, "units": (16,)}),
    "crossq": ("CrossQ", "Pendulum-v1", 60, {**REPLAY, "units": (16,)}),
}


def agent_class(name):
    return getattr(importlib.import_module(f"advdl_sb3.{name}"), f"SB3{CASES[name][0]}")


def assignment(env_id, steps, copies=COPIES, seed=SEED):
    with gymnasium.make(env_id) as env:
        spaces = Spaces(env.observation_space, env.action_space)
    return Assignment(spaces, env_id, copies, seed, steps)


def build(name, **changes):
    _, env_id, steps, options = CASES[name]
    return agent_class(name)(assignment(env_id, steps), **{**options, **changes})


def snapshot(agent):
    """Copies a state as a checkpoint does: arrays, and facts that went through JSON."""
    arrays = {name: np.array(array) for name, array in agent.state().items()}
    return arrays, json.loads(json.dumps(agent.facts()))


def unequal(first, second):
    """Names of the arrays in which two states differ."""
    names = first.keys() | second.keys()
    return sorted(n for n in names if n not in first or n not in second or not np.array_equal(first[n], second[n]))


def unheard(name, value):
    del name, value


_IMAGE, _VECTOR = gymnasium.spaces.Box(0, 255, (44, 44, 3), np.uint8), gymnasium.spaces.Box(-1, 1, (6,), np.float32)

# The backbones of the sizes that reinforcement learning uses, each with a space that it takes.
BACKBONES = {
    "mlp": _VECTOR,
    **dict.fromkeys(("nature_cnn", "minatar_cnn", "impala", "resnet", "inception", "densenet", "attention"), _IMAGE),
}
