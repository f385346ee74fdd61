"""Adapting a meta-trained policy to one task, on episodes that it plays there."""

import tensorflow as tf

from advdl.rl.acting_meta import TaskPlayer
from advdl.rl.env_tasks import EnvTasks
from advdl.rl.functional import Params
from advdl.rl.task_episodes import support_advantages
from advdl.training.adapter import Adapter
from advdl.training.randomness import Stream


def adapt_to(tasks: EnvTasks, adapter: Adapter, params: Params, *, episodes: int, steps: int, seed: int) -> None:
    """Adapts the policy within an adapter to one task: afterwards the learner's variables are the adapted ones.

    Args:
        tasks: The family that it was meta-trained on.
        adapter: The adapter around the policy.
        params: The task, each field a scalar.
        episodes: Episodes that are played for each step of adaptation.
        steps: Steps of adaptation.
        seed: Seed of everything random.
    """
    alone = _Alone(tasks, params, episodes)
    player, stream = TaskPlayer(alone, adapter), Stream(seed, "adaptation")

    def run() -> tuple[list[tf.Tensor], list[tf.Tensor]]:
        fast = player.start(1)
        for step in range(steps):
            met = player.play(params, fast, stream.at(step))
            fast = player.adapt(fast, support_advantages(alone, met), stream.at(step), step=step)
        return list(fast.weights), list(fast.state)

    pure = adapter.pure
    for variables, values in zip(
        (pure.variables, pure.state_variables), tf.function(run, autograph=False)(), strict=True
    ):
        for variable, value in zip(variables, values, strict=True):
            variable.assign(value[0])


class _Alone(EnvTasks):
    """One task of a family."""

    def __init__(self, tasks: EnvTasks, params: Params, episodes: int) -> None:
        self.env, self.episodes, self.horizon = tasks.env, episodes, tasks.horizon
        self.gamma, self.trace, self.support_trace = tasks.gamma, tasks.trace, tasks.support_trace
        self.ranges, self.mirrored = tasks.ranges, tasks.mirrored
        self._params = params

    def draw(self, seed: tf.Tensor, count: int, *, held_out: bool = False) -> Params:
        del seed, count, held_out
        return self._params
