"""Sinusoid regression: the first task family of MAML."""

import math
from typing import Annotated

import gymnasium
import numpy as np
import tensorflow as tf
from annotated_types import Ge

from advdl.training import Batch, DataSpec, Tasks

_LOW, _HIGH = -5.0, 5.0


class Sinusoid(Tasks):
    """``y = a * sin(x - p)`` (Finn et al. 2017): a in [0.1, 5], p in [0, pi], x in [-5, 5], each uniform.

    Held-out tasks are fresh draws: amplitude and phase are continuous, so that no task is met twice. They are judged on
    a grid over [-5, 5].

    Args:
        shots: Support samples of a task.
        queries: Query samples of a task in training.
        grid: Query samples of a held-out task.
    """

    def __init__(
        self,
        *,
        shots: Annotated[int, Ge(1)] = 10,
        queries: Annotated[int, Ge(1)] = 10,
        grid: Annotated[int, Ge(2)] = 100,
    ) -> None:
        self._shots, self._queries, self._grid = shots, queries, grid

    @property
    def spec(self) -> DataSpec:
        """A number each."""
        x = gymnasium.spaces.Box(_LOW, _HIGH, (1,), np.float32)
        return DataSpec(x, gymnasium.spaces.Box(-5.0, 5.0, (1,), np.float32))

    def sample(self, seed: tf.Tensor, count: int, *, held_out: bool = False) -> Batch:
        """Draws sinusoids."""
        # One draw for all: XLA compiles each draw for a second. By name: left to itself, XLA draws other numbers.
        draws = tf.random.stateless_uniform([count, 2 + self._shots + self._queries], seed, alg="philox")
        amplitude, phase = 0.1 + 4.9 * draws[:, :1], math.pi * draws[:, 1:2]
        x = _LOW + (_HIGH - _LOW) * draws[:, 2:]
        query = tf.tile(tf.linspace(_LOW, _HIGH, self._grid)[None], [count, 1]) if held_out else x[:, self._shots :]

        def part(x: tf.Tensor) -> Batch:
            return {"x": x[..., None], "c": (amplitude * tf.sin(x - phase))[..., None]}

        return {"support": part(x[:, : self._shots]), "query": part(query)}
