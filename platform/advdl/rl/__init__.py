"""Agents, envs, sources of experience and the engine that runs them."""

from typing import TYPE_CHECKING

from advdl.lazy import lazy_names

if TYPE_CHECKING:
    from advdl.rl.agent import Acted, Agent, Progress
    from advdl.rl.compiled import CompiledEngine
    from advdl.rl.dynamics import Dynamics, Foreseen, action_size, encode_action, same_episode
    from advdl.rl.dynamics_env import DynamicsEnv
    from advdl.rl.env_tasks import EnvTasks, PlayedTasks
    from advdl.rl.functional import CompiledEnv, Params
    from advdl.rl.host_tasks import HostParams, HostTasks
    from advdl.rl.own_loop import Assignment, OwnLoopAgent
    from advdl.rl.replay import UniformReplay
    from advdl.rl.replay_prioritized import PrioritizedReplay
    from advdl.rl.source import Source, Transition
    from advdl.rl.spaces import Spaces
    from advdl.rl.synthetic import SyntheticReplay
    from advdl.rl.transitions import TransitionCodec
    from advdl.rl.world_model import WorldModel

__all__ = [
    "Acted",
    "Agent",
    "Assignment",
    "CompiledEngine",
    "CompiledEnv",
    "Dynamics",
    "DynamicsEnv",
    "EnvTasks",
    "Foreseen",
    "HostParams",
    "HostTasks",
    "OwnLoopAgent",
    "Params",
    "PlayedTasks",
    "PrioritizedReplay",
    "Progress",
    "Source",
    "Spaces",
    "SyntheticReplay",
    "Transition",
    "TransitionCodec",
    "UniformReplay",
    "WorldModel",
    "action_size",
    "encode_action",
    "same_episode",
]

__getattr__ = lazy_names(
    __name__,
    {
        **dict.fromkeys(("Acted", "Agent", "Progress"), "advdl.rl.agent"),
        "CompiledEngine": "advdl.rl.compiled",
        **dict.fromkeys(("CompiledEnv", "Params"), "advdl.rl.functional"),
        **dict.fromkeys(("Dynamics", "Foreseen", "action_size", "encode_action", "same_episode"), "advdl.rl.dynamics"),
        "DynamicsEnv": "advdl.rl.dynamics_env",
        **dict.fromkeys(("EnvTasks", "PlayedTasks"), "advdl.rl.env_tasks"),
        **dict.fromkeys(("HostParams", "HostTasks"), "advdl.rl.host_tasks"),
        **dict.fromkeys(("Assignment", "OwnLoopAgent"), "advdl.rl.own_loop"),
        "UniformReplay": "advdl.rl.replay",
        "PrioritizedReplay": "advdl.rl.replay_prioritized",
        **dict.fromkeys(("Source", "Transition"), "advdl.rl.source"),
        "Spaces": "advdl.rl.spaces",
        "SyntheticReplay": "advdl.rl.synthetic",
        "TransitionCodec": "advdl.rl.transitions",
        "WorldModel": "advdl.rl.world_model",
    },
)
