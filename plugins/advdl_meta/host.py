"""Tasks in envs that Gymnasium steps: options of their ``reset``. HalfCheetah's goals are such."""

from typing import Annotated

import tensorflow as tf
from annotated_types import Ge, Interval

from advdl.errors import UsageError
from advdl.rl import HostParams, HostTasks
from advdl_meta.uniform import Range, draw_uniform, known_mirrored


class ResetOptions(HostTasks):
    """Options that the ``reset`` of a Gymnasium env takes, each uniform in its range and independent of the others.

    Held-out tasks are fresh draws: where ranges are continuous, no task is met twice.

    Args:
        env: The env's Gymnasium id; ``package:Env-v0`` where importing a package registers it.
        ranges: Options and their ranges, as in ``{velocity = [0, 2]}``; one with two equal ends has that value. What
            is there for a start is how far from the middle CartPole's episodes may begin.
        mirrored: Options of those that are negative in one task of two.
        episodes: Episodes that are played in a task before a step of adaptation, and again after it.
        horizon: Steps of an episode at most.
        gamma: Discount factor.
        trace: Decay of generalised advantage estimation.
        support_trace: The same for what a step of adaptation learns from; ``trace`` if left out.

    Raises:
        UsageError: No range is given, one is the wrong way round, or a mirrored option has none.
    """

    def __init__(
        self,
        *,
        env: str = "CartPole-v1",
        ranges: dict[str, Range] = {"high": (0.05, 0.2)},  # noqa: B006  it is not changed
        mirrored: tuple[str, ...] = (),
        episodes: Annotated[int, Ge(1)] = 20,
        horizon: Annotated[int, Ge(1)] = 200,
        gamma: Annotated[float, Interval(ge=0, le=1)] = 0.99,
        trace: Annotated[float, Interval(ge=0, le=1)] = 1.0,
        support_trace: Annotated[float, Interval(ge=0, le=1)] | None = None,
    ) -> None:
        self.env_id, self.episodes, self.horizon = env, episodes, horizon
        self.gamma, self.trace, self.support_trace = gamma, trace, support_trace
        self.ranges = {name: _ordered(name, limits) for name, limits in ranges.items()}
        if not ranges:
            raise UsageError("tasks.ranges is empty, so all tasks are the same", hint="tasks.ranges={velocity=[0,2]}")
        self.mirrored = known_mirrored(mirrored, ranges)

    def draw(self, seed: tf.Tensor, count: int, *, held_out: bool = False) -> HostParams:
        """Draws options."""
        del held_out
        return draw_uniform(self.ranges, self.mirrored, seed, count)


class CheetahVelocity(ResetOptions):
    """HalfCheetah that is to run at a speed of 0 to 2, the published tasks (Finn et al. 2017).

    Args:
        ranges: The speeds.
        episodes: Episodes that are played in a task before a step of adaptation, and again after it.
        horizon: Steps of an episode at most.
        gamma: Discount factor.
        trace: Decay of generalised advantage estimation.
        support_trace: The same for what a step of adaptation learns from; ``trace`` if left out.
    """

    def __init__(
        self,
        *,
        ranges: dict[str, Range] = {"velocity": (0.0, 2.0)},  # noqa: B006  it is not changed
        episodes: Annotated[int, Ge(1)] = 20,
        horizon: Annotated[int, Ge(1)] = 200,
        gamma: Annotated[float, Interval(ge=0, le=1)] = 0.99,
        trace: Annotated[float, Interval(ge=0, le=1)] = 1.0,
        support_trace: Annotated[float, Interval(ge=0, le=1)] | None = None,
    ) -> None:
        super().__init__(
            env="advdl/HalfCheetahVelocity-v0",
            ranges=ranges,
            episodes=episodes,
            horizon=horizon,
            gamma=gamma,
            trace=trace,
            support_trace=support_trace,
        )


class CheetahDirection(ResetOptions):
    """HalfCheetah that is to run forwards or backwards, the two published tasks (Finn et al. 2017).

    There are no others, so held-out tasks are these two as well.

    Args:
        episodes: Episodes that are played in a task before a step of adaptation, and again after it.
        horizon: Steps of an episode at most.
        gamma: Discount factor.
        trace: Decay of generalised advantage estimation.
        support_trace: The same for what a step of adaptation learns from; ``trace`` if left out.
    """

    def __init__(
        self,
        *,
        episodes: Annotated[int, Ge(1)] = 20,
        horizon: Annotated[int, Ge(1)] = 200,
        gamma: Annotated[float, Interval(ge=0, le=1)] = 0.99,
        trace: Annotated[float, Interval(ge=0, le=1)] = 1.0,
        support_trace: Annotated[float, Interval(ge=0, le=1)] | None = None,
    ) -> None:
        super().__init__(
            env="advdl/HalfCheetahDirection-v0",
            ranges={"direction": (1.0, 1.0)},
            mirrored=("direction",),
            episodes=episodes,
            horizon=horizon,
            gamma=gamma,
            trace=trace,
            support_trace=support_trace,
        )


def _ordered(name: str, limits: Range) -> Range:
    if limits[0] > limits[1]:
        raise UsageError(f"tasks.ranges.{name} cannot be {list(limits)}: the first number must be the smaller one")
    return limits
