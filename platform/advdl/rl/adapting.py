"""Adapting a meta-trained policy to one task, on episodes that it plays there."""

import copy
from typing import Any

import tensorflow as tf

from advdl.rl.env_tasks import PlayedTasks
from advdl.rl.host_meta import HostPlayer
from advdl.rl.host_tasks import HostTasks
from advdl.rl.task_episodes import support_advantages
from advdl.rl.task_player import TaskPlayer
from advdl.training.adapter import Adapter
from advdl.training.randomness import Stream


def adapt_to(tasks: PlayedTasks, adapter: Adapter, task: Any, *, episodes: int, steps: int, seed: int) -> None:
    """Adapts the policy within an adapter to one task: afterwards the learner's variables are the adapted ones.

    Args:
        tasks: The family that it was meta-trained on.
        adapter: The adapter around the policy.
        task: What ``tasks.task`` returned.
        episodes: Episodes that are played for each step of adaptation.
        steps: Steps of adaptation.
        seed: Seed of everything random.
    """
    alone = copy.copy(tasks)
    alone.episodes = episodes
    hosted = isinstance(alone, HostTasks)
    player = HostPlayer(alone, adapter, jit=False) if isinstance(alone, HostTasks) else TaskPlayer(alone, adapter)
    stream = Stream(seed, "adaptation")

    def run() -> tuple[list[tf.Tensor], list[tf.Tensor]]:
        fast = player.start(1)
        for step in range(steps):
            met = player.play(task, fast, stream.at(step))
            fast = player.adapt(fast, support_advantages(alone, met), stream.at(step), step=step)
        return list(fast.weights), list(fast.state)

    weights, state = (run if hosted else tf.function(run, autograph=False))()
    pure = adapter.pure
    for variables, values in ((pure.variables, weights), (pure.state_variables, state)):
        for variable, value in zip(variables, values, strict=True):
            variable.assign(value[0])
