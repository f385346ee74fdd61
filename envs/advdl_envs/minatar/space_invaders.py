"""MinAtar's Space Invaders, compiled."""

from typing import Any, ClassVar, NamedTuple

import numpy as np
import tensorflow as tf

from advdl_envs.minatar.game import FIRE, LEFT, NONE, RIGHT, Game, MinAtarParams
from advdl_envs.minatar.grid import COLUMNS, ROWS, SIDE, any_of, cell, filled, moved, number, starts, tick

_FLOOR = SIDE - 1
_SHOT = 5  # steps from one shot of the cannon to the next
_ALIEN_SHOT = 10
_ALIEN_MOVE = 12
_FASTEST = 6
_FAR = 2 * SIDE
_WAVE = (ROWS < 4) & (COLUMNS >= 2) & (COLUMNS < 8)


class SpaceInvadersState(NamedTuple):
    """Where a game is; each ``[batch]`` int32 unless said otherwise.

    Attributes:
        cannon: Its column.
        aliens: Where they are, bool ``[batch, 10, 10]``.
        bullets: Where the cannon's bullets are, likewise.
        bombs: Where the aliens' bullets are, likewise.
        right: Whether the aliens move to the right, bool.
        move_interval: Steps from one move of a full wave to the next.
        move_timer: Steps until the aliens move.
        bomb_timer: Steps until an alien shoots.
        shot_timer: Steps until the cannon can shoot.
        ramp: How often the game has become harder.
        last_action: What was done one step ago.
        reward: What the last step has brought, float32.
        ended: Whether the game is over, bool.
    """

    cannon: Any
    aliens: Any
    bullets: Any
    bombs: Any
    right: Any
    move_interval: Any
    move_timer: Any
    bomb_timer: Any
    shot_timer: Any
    ramp: Any
    last_action: Any
    reward: Any
    ended: Any


class SpaceInvaders(Game):
    """A cannon shoots at a wave of aliens, one point each; an alien or one of their bullets ends the game.

    The fewer are left, the faster they move; the next wave starts faster than the last.
    """

    env_id: ClassVar[str] = "advdl/MinAtar-SpaceInvaders-v0"
    channels: ClassVar[tuple[str, ...]] = (
        "cannon",
        "alien",
        "alien_left",
        "alien_right",
        "friendly_bullet",
        "enemy_bullet",
    )
    keys: ClassVar[tuple[int, ...]] = (NONE, LEFT, RIGHT, FIRE)

    def initial(
        self, rng: tf.Tensor, params: MinAtarParams | None = None, *, batch_size: int = 1
    ) -> SpaceInvadersState:
        """A full wave moves to the left; nobody has shot."""
        del rng, params
        empty = tf.fill([batch_size, SIDE, SIDE], False)
        return SpaceInvadersState(
            cannon=starts(batch_size, 5),
            aliens=empty | _WAVE,
            bullets=empty,
            bombs=empty,
            right=starts(batch_size, False),
            move_interval=starts(batch_size, _ALIEN_MOVE),
            move_timer=starts(batch_size, _ALIEN_MOVE),
            bomb_timer=starts(batch_size, _ALIEN_SHOT),
            shot_timer=starts(batch_size, 0),
            ramp=starts(batch_size, 0),
            last_action=starts(batch_size, NONE),
            reward=tf.zeros([batch_size]),
            ended=starts(batch_size, False),
        )

    def play(
        self, state: SpaceInvadersState, key: tf.Tensor, chance: tf.Tensor, harder: tf.Tensor
    ) -> SpaceInvadersState:
        """Moves cannon, bullets and aliens, in this order; then what has met is gone."""
        del chance
        s = _advanced(_shot(state, key))
        bomb_due = s.bomb_timer == 0
        bombs = s.bombs | (_nearest(s.aliens, s.cannon) & bomb_due[:, None, None])
        killed = s.aliens & s.bullets
        s = s._replace(
            aliens=s.aliens & ~killed,
            bullets=s.bullets & ~killed,
            bombs=bombs,
            shot_timer=tick(s.shot_timer),
            move_timer=s.move_timer - 1,
            bomb_timer=tf.where(bomb_due, _ALIEN_SHOT, s.bomb_timer) - 1,
            reward=tf.reduce_sum(number(killed), axis=(1, 2)),
        )
        return _next_wave(s, harder)

    def boards(self, state: SpaceInvadersState) -> list[tf.Tensor]:
        """Returns cannon, aliens, those that move to the left and to the right, and both sides' bullets."""
        cannon, right = cell(filled(state.cannon, _FLOOR), state.cannon), state.right[:, None, None]
        return [cannon, state.aliens, state.aliens & ~right, state.aliens & right, state.bullets, state.bombs]


def _shot(s: SpaceInvadersState, key: tf.Tensor) -> SpaceInvadersState:
    """Moves the cannon or fires it, then moves every bullet; a bomb on the cannon ends the game."""
    fires = (key == FIRE) & (s.shot_timer == 0)
    cannon = moved(s.cannon, key == LEFT, key == RIGHT)
    bullets = s.bullets | cell(tf.where(fires, _FLOOR, -1), cannon)
    bombs = tf.pad(s.bombs[:, :-1], [[0, 0], [1, 0], [0, 0]])
    return s._replace(
        cannon=cannon,
        bullets=tf.pad(bullets[:, 1:], [[0, 0], [0, 1], [0, 0]]),
        bombs=bombs,
        shot_timer=tf.where(fires, _SHOT, s.shot_timer),
        ended=s.ended | _at(bombs, cannon),
    )


def _advanced(s: SpaceInvadersState) -> SpaceInvadersState:
    """Moves the aliens if it is time: sideways, or down and back from a wall. One on the cannon ends the game."""
    due = s.move_timer == 0
    wall = tf.where(s.right, any_of(s.aliens[:, :, -1]), any_of(s.aliens[:, :, 0]))
    down = due & wall
    count = tf.reduce_sum(tf.cast(s.aliens, tf.int32), axis=(1, 2))
    sideways = tf.where(s.right[:, None, None], tf.roll(s.aliens, 1, axis=2), tf.roll(s.aliens, -1, axis=2))
    stepped = tf.where(wall[:, None, None], tf.roll(s.aliens, 1, axis=1), sideways)
    aliens = tf.where(due[:, None, None], stepped, s.aliens)
    landed = _at(s.aliens, s.cannon) | _at(aliens, s.cannon) | (down & any_of(s.aliens[:, _FLOOR]))
    return s._replace(
        aliens=aliens,
        right=s.right ^ down,
        move_timer=tf.where(due, tf.minimum(count, s.move_interval), s.move_timer),
        ended=s.ended | landed,
    )


def _nearest(aliens: tf.Tensor, cannon: tf.Tensor) -> tf.Tensor:
    """Marks the alien that shoots: the lowest in the column that is nearest to the cannon, the left one of two."""
    lowest = tf.reduce_max(tf.where(aliens, ROWS, -1), axis=1)
    apart = COLUMNS - cannon[:, None]
    order = 2 * tf.abs(apart) + tf.cast(apart > 0, tf.int32)
    order = tf.where(lowest >= 0, order, _FAR)
    nearest = (order == tf.reduce_min(order, axis=-1, keepdims=True)) & (lowest >= 0)
    return nearest[:, None, :] & (lowest[:, None, :] == ROWS)


def _next_wave(s: SpaceInvadersState, harder: tf.Tensor) -> SpaceInvadersState:
    """Sends a full wave once the last alien is shot, a little faster than the last."""
    cleared = ~any_of(s.aliens, 1, 2)
    faster = tf.cast(cleared & (s.move_interval > _FASTEST) & harder, tf.int32)
    return s._replace(
        aliens=s.aliens | (cleared[:, None, None] & np.asarray(_WAVE)),
        move_interval=s.move_interval - faster,
        ramp=s.ramp + faster,
    )


def _at(board: tf.Tensor, column: tf.Tensor) -> tf.Tensor:
    """Says whether a board is marked in the cannon's row, at a column."""
    return any_of(board[:, _FLOOR] & (column[:, None] == COLUMNS[0]))
