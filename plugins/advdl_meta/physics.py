"""Tasks that differ in an env's params: goals, masses, lengths, gravity."""

from collections.abc import Mapping
from typing import Annotated

import tensorflow as tf
from annotated_types import Ge, Interval

from advdl.errors import UsageError, unknown_name
from advdl.plugin import Choice, Factory, Part
from advdl.rl import CompiledEnv, EnvTasks, Params
from advdl_meta.uniform import Range, draw_uniform, known_mirrored

FAMILIES: Mapping[str, tuple[dict[str, Range], tuple[str, ...]]] = {
    "CartPole": (
        {"gravity": (5.0, 20.0), "masspole": (0.05, 0.5), "length": (0.25, 1.0), "force_mag": (5.0, 15.0)},
        ("force_mag",),
    ),
    "Pendulum": ({"g": (5.0, 15.0), "m": (0.5, 1.5), "l": (0.5, 1.5)}, ()),
}
"""The ranges of an env's params, and which of them are mirrored, where a run names none."""

GOALS = {"goal_x": (-0.5, 0.5), "goal_y": (-0.5, 0.5)}


class Physics(EnvTasks):
    """Values of a compiled env's params, each uniform in its range and independent of the others.

    Held-out tasks are fresh draws: the ranges are continuous, so that no task is met twice.

    Args:
        env: The env, a compiled one.
        ranges: Params and their ranges, as in ``{gravity = [5, 20], length = [0.3, 1.0]}``; if left out, those that
            CartPole and Pendulum have here.
        mirrored: Params of those that are negative in one task of two: a mirrored ``force_mag`` pushes the other way.
            CartPole's is, unless ranges are given or this is.
        episodes: Episodes that are played in a task before a step of adaptation, and again after it.
        horizon: Steps of an episode at most; 0 for the env's own limit.
        gamma: Discount factor.
        trace: Decay of generalised advantage estimation.
        support_trace: The same for what a step of adaptation learns from; ``trace`` if left out. A smaller one is
            less noisy where few episodes are played.

    Raises:
        UsageError: The env has no such param, a range is empty, a mirrored param has none, or an episode has no end.
    """

    def __init__(
        self,
        *,
        env: Annotated[Factory, Part("env")] = Choice("advdl/CartPole-v1"),
        ranges: dict[str, Range] = {},  # noqa: B006  it is not changed
        mirrored: tuple[str, ...] | None = None,
        episodes: Annotated[int, Ge(1)] = 20,
        horizon: Annotated[int, Ge(0)] = 0,
        gamma: Annotated[float, Interval(ge=0, le=1)] = 0.99,
        trace: Annotated[float, Interval(ge=0, le=1)] = 1.0,
        support_trace: Annotated[float, Interval(ge=0, le=1)] | None = None,
    ) -> None:
        self.env = env()
        self.episodes, self.gamma, self.trace, self.support_trace = episodes, gamma, trace, support_trace
        self.horizon = horizon or _limit(self.env)
        given, usual = (ranges, ()) if ranges else _family(self.env)
        self.ranges = {name: _checked(self.env, name, limits) for name, limits in given.items()}
        self.mirrored = known_mirrored(usual if mirrored is None else mirrored, given)

    def draw(self, seed: tf.Tensor, count: int, *, held_out: bool = False) -> Params:
        """Draws params."""
        del held_out
        values = draw_uniform(self.ranges, self.mirrored, seed, count)
        return self.env.get_default_params(**values)


class Navigation(Physics):
    """2D navigation to goals that are not shown, the published tasks (Finn et al. 2017).

    Args:
        env: The env.
        ranges: Where the goals are.
        episodes: Episodes that are played in a task before a step of adaptation, and again after it.
        horizon: Steps of an episode at most; 0 for the env's own limit.
        gamma: Discount factor.
        trace: Decay of generalised advantage estimation.
        support_trace: The same for what a step of adaptation learns from; ``trace`` if left out. A smaller one is
            less noisy where few episodes are played.
    """

    def __init__(
        self,
        *,
        env: Annotated[Factory, Part("env")] = Choice("advdl/Navigation-v0"),
        ranges: dict[str, Range] = GOALS,
        episodes: Annotated[int, Ge(1)] = 20,
        horizon: Annotated[int, Ge(0)] = 0,
        gamma: Annotated[float, Interval(ge=0, le=1)] = 0.99,
        trace: Annotated[float, Interval(ge=0, le=1)] = 1.0,
        support_trace: Annotated[float, Interval(ge=0, le=1)] | None = None,
    ) -> None:
        super().__init__(
            env=env,
            ranges=ranges,
            episodes=episodes,
            horizon=horizon,
            gamma=gamma,
            trace=trace,
            support_trace=support_trace,
        )


class Bandits(Physics):
    """Bandits whose arms have means of their own, each uniform from 0 to 1 (Duan et al. 2016): 10 pulls of 5 arms.

    The policy sees what every arm has paid so far, so it can explore within an episode; ``adapter.steps=0`` trains that
    alone.

    Args:
        env: The env; ``env.arms`` says how many arms, ``env.pays`` how they pay.
        ranges: Arms and the ranges of their means; each from 0 to 1 where none is named.
        episodes: Episodes that are played in a task before a step of adaptation, and again after it.
        horizon: Pulls of an episode; 0 for the env's own limit, 10.
        gamma: Discount factor.
        trace: Decay of generalised advantage estimation.
        support_trace: The same for what a step of adaptation learns from; ``trace`` if left out. A smaller one is
            less noisy where few episodes are played.
    """

    def __init__(
        self,
        *,
        env: Annotated[Factory, Part("env")] = Choice("advdl/Bandit-v0"),
        ranges: dict[str, Range] = {},  # noqa: B006  it is not changed
        episodes: Annotated[int, Ge(1)] = 20,
        horizon: Annotated[int, Ge(0)] = 0,
        gamma: Annotated[float, Interval(ge=0, le=1)] = 1.0,
        trace: Annotated[float, Interval(ge=0, le=1)] = 1.0,
        support_trace: Annotated[float, Interval(ge=0, le=1)] | None = None,
    ) -> None:
        arms = ranges or dict.fromkeys(env().default_params._fields, (0.0, 1.0))
        super().__init__(
            env=env,
            ranges=arms,
            episodes=episodes,
            horizon=horizon,
            gamma=gamma,
            trace=trace,
            support_trace=support_trace,
        )


def _family(env: CompiledEnv) -> tuple[dict[str, Range], tuple[str, ...]]:
    name = type(env).__name__
    if name not in FAMILIES:
        params = ", ".join(getattr(env.default_params, "_fields", ())) or "none"
        raise UsageError(
            f"physics has no ranges for {name} of its own, and none are given",
            hint=f"--set 'tasks.ranges={{PARAM=[LOW,HIGH]}}'; its params: {params}",
        )
    return FAMILIES[name]


def _limit(env: CompiledEnv) -> int:
    if env.max_episode_steps is None:
        raise UsageError(f"episodes of {type(env).__name__} have no end of their own", hint="tasks.horizon=200")
    return env.max_episode_steps


def _checked(env: CompiledEnv, name: str, limits: Range) -> Range:
    known = getattr(env.default_params, "_fields", ())
    if name not in known:
        raise unknown_name(f"param of {type(env).__name__}", name, known, command="advdl env info")
    if not limits[0] < limits[1]:
        raise UsageError(f"tasks.ranges.{name} cannot be {list(limits)}: the first number must be the smaller one")
    return limits
