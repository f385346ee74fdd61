"""MinAtar's Breakout, compiled."""

from typing import Any, ClassVar, NamedTuple

import tensorflow as tf

from advdl_envs.draw import uniform
from advdl_envs.minatar.game import LEFT, NONE, RIGHT, Game, MinAtarParams
from advdl_envs.minatar.grid import COLUMNS, ROWS, SIDE, any_of, cell, filled, moved, number, padded, starts

_BRICKS = (1, 4)
_FLOOR = SIDE - 1


class BreakoutState(NamedTuple):
    """Where a game is; each ``[batch]`` int32 unless said otherwise.

    Attributes:
        ball_x: The ball's column.
        ball_y: The ball's row.
        step_x: Where it flies: 1 right, -1 left.
        step_y: Likewise: 1 down, -1 up.
        last_x: The ball's column one step ago.
        last_y: The ball's row one step ago.
        paddle: The paddle's column.
        bricks: Rows 1 to 3 of the board, bool ``[batch, 3, 10]``.
        strike: Whether the ball has just hit a brick and passes through the next one, bool.
        last_action: What was done one step ago.
        reward: What the last step has brought, float32.
        ended: Whether the game is over, bool.
    """

    ball_x: Any
    ball_y: Any
    step_x: Any
    step_y: Any
    last_x: Any
    last_y: Any
    paddle: Any
    bricks: Any
    strike: Any
    last_action: Any
    reward: Any
    ended: Any


class Breakout(Game):
    """A paddle keeps a ball in the air that breaks bricks, one point each; a ball that is missed ends the game.

    The ball flies along diagonals. When every brick is broken and the ball comes down, the wall is built again.
    """

    env_id: ClassVar[str] = "advdl/MinAtar-Breakout-v0"
    channels: ClassVar[tuple[str, ...]] = ("paddle", "ball", "trail", "brick")
    keys: ClassVar[tuple[int, ...]] = (NONE, LEFT, RIGHT)

    def initial(self, rng: tf.Tensor, params: MinAtarParams | None = None, *, batch_size: int = 1) -> BreakoutState:
        """The ball starts in row 3 at the left or the right wall and flies down and inwards."""
        del params
        left = uniform([batch_size], rng, 0.0, 1.0) < 0.5
        x, y = tf.where(left, 0, SIDE - 1), starts(batch_size, 3)
        return BreakoutState(
            ball_x=x,
            ball_y=y,
            step_x=tf.where(left, 1, -1),
            step_y=starts(batch_size, 1),
            last_x=x,
            last_y=y,
            paddle=starts(batch_size, 4),
            bricks=tf.fill([batch_size, 3, SIDE], True),
            strike=starts(batch_size, False),
            last_action=starts(batch_size, NONE),
            reward=tf.zeros([batch_size]),
            ended=starts(batch_size, False),
        )

    def play(self, state: BreakoutState, key: tf.Tensor, chance: tf.Tensor, harder: tf.Tensor) -> BreakoutState:
        """Moves the paddle, then the ball: walls, ceiling, bricks and floor turn it."""
        del chance, harder
        s, paddle = state, moved(state.paddle, key == LEFT, key == RIGHT)
        x, y = s.ball_x + s.step_x, s.ball_y + s.step_y
        wall = (x < 0) | (x >= SIDE)
        x, step_x = tf.clip_by_value(x, 0, SIDE - 1), tf.where(wall, -s.step_x, s.step_x)
        ceiling = y < 0
        there = (y[:, None, None] == ROWS[_BRICKS[0] : _BRICKS[1]]) & (x[:, None, None] == COLUMNS)
        brick = any_of(s.bricks & there, 1, 2)
        broken = brick & ~s.strike
        floor = y == _FLOOR
        under, corner = floor & (s.ball_x == paddle), floor & (s.ball_x != paddle) & (x == paddle)
        bricks = s.bricks & ~(there & broken[:, None, None])
        bricks |= (floor & ~any_of(s.bricks, 1, 2))[:, None, None]
        back = broken | under | corner
        return s._replace(
            ball_x=x,
            ball_y=tf.where(ceiling, 0, tf.where(back, s.ball_y, y)),
            step_x=tf.where(corner, -step_x, step_x),
            step_y=tf.where(ceiling | back, -s.step_y, s.step_y),
            last_x=s.ball_x,
            last_y=s.ball_y,
            paddle=paddle,
            bricks=bricks,
            strike=brick,
            reward=number(broken),
            ended=floor & ~(under | corner),
        )

    def boards(self, state: BreakoutState) -> list[tf.Tensor]:
        """Returns paddle, ball, trail and bricks."""
        return [
            cell(filled(state.paddle, _FLOOR), state.paddle),
            cell(state.ball_y, state.ball_x),
            cell(state.last_y, state.last_x),
            padded(state.bricks, _BRICKS),
        ]
