"""Catch, compiled: a ball falls, a paddle is to be under it. The smallest game of pixels."""

from typing import Annotated, Any, ClassVar, NamedTuple

import numpy as np
import tensorflow as tf
from annotated_types import Ge
from gymnasium import spaces
from numpy.typing import NDArray

from advdl.rl.functional import CompiledEnv
from advdl_envs.draw import uniform

_PIXELS = 32  # of a cell's side in a frame


class CatchState(NamedTuple):
    """Where things are, each int32 ``[batch]``.

    Attributes:
        row: The ball's row, 0 at the top.
        column: Its column.
        paddle: The paddle's column; it is in the last row.
    """

    row: tf.Tensor
    column: tf.Tensor
    paddle: tf.Tensor


class Catch(CompiledEnv):
    """bsuite's Catch (Osband et al. 2020, arXiv:1908.03568; Mnih et al. 2014): the ball falls a row a step.

    It begins in any column of the top row, the paddle in the middle of the last one. The actions are left, stay, right.
    In the last row the episode ends, with 1 if the paddle is where the ball is and -1 if not; every other reward is 0.
    The observation is the board, uint8 ``[rows, columns, 1]``: 255 where the ball or the paddle is.

    Args:
        rows: Of the board; an episode has one step less.
        columns: Of the board.
    """

    reward_threshold: ClassVar[float | None] = 0.95

    def __init__(self, *, rows: Annotated[int, Ge(2)] = 10, columns: Annotated[int, Ge(2)] = 5) -> None:
        self._rows, self._columns = rows, columns
        self.observation_space = spaces.Box(0, 255, (rows, columns, 1), np.uint8)
        self.action_space = spaces.Discrete(3)
        super().__init__()

    def initial(self, rng: tf.Tensor, params: Any = None, *, batch_size: int = 1) -> CatchState:
        """A ball at the top."""
        del params
        column = tf.cast(tf.floor(uniform([batch_size], rng, 0.0, float(self._columns))), tf.int32)
        return CatchState(tf.zeros_like(column), column, tf.fill([batch_size], self._columns // 2))

    def transition(self, state: CatchState, action: tf.Tensor, rng: tf.Tensor, params: Any = None) -> CatchState:
        """Moves the paddle, which stays on the board, and lets the ball fall."""
        del rng, params
        paddle = tf.clip_by_value(state.paddle + tf.cast(action, tf.int32) - 1, 0, self._columns - 1)
        return CatchState(tf.minimum(state.row + 1, self._rows - 1), state.column, paddle)

    def observation(self, state: CatchState, rng: tf.Tensor, params: Any = None) -> tf.Tensor:
        """The board."""
        del rng, params
        cells = tf.range(self._rows * self._columns)
        ball, paddle = state.row * self._columns + state.column, (self._rows - 1) * self._columns + state.paddle
        lit = (cells == ball[:, None]) | (cells == paddle[:, None])
        return tf.reshape(tf.where(lit, tf.constant(255, tf.uint8), tf.constant(0, tf.uint8)), self._shape())

    def reward(
        self, state: CatchState, action: tf.Tensor, next_state: CatchState, rng: tf.Tensor, params: Any = None
    ) -> tf.Tensor:
        """1 or -1 in the last row."""
        del state, action
        caught = tf.where(next_state.paddle == next_state.column, 1.0, -1.0)
        return tf.where(self.terminal(next_state, rng, params), caught, 0.0)

    def terminal(self, state: CatchState, rng: tf.Tensor, params: Any = None) -> tf.Tensor:
        """The ball is in the last row."""
        del rng, params
        return state.row == self._rows - 1

    def render_init(self, params: Any = None, **kwargs: Any) -> None:
        """Needs nothing."""

    def render_image(self, state: CatchState, render_state: None, params: Any = None) -> tuple[None, NDArray[np.uint8]]:
        """Draws the first board of a batch, uint8 ``[32 * rows, 32 * columns, 3]``."""
        del params
        board = np.asarray(self.observation(state, None))[0]
        return render_state, board.repeat(_PIXELS, axis=0).repeat(_PIXELS, axis=1).repeat(3, axis=2)

    def render_close(self, render_state: None, params: Any = None) -> None:
        """Has nothing to close."""

    def _shape(self) -> tuple[int, int, int, int]:
        return (-1, self._rows, self._columns, 1)
