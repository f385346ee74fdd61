"""MinAtar's Asterix, compiled."""

from typing import Any, ClassVar, NamedTuple

import numpy as np
import tensorflow as tf

from advdl_envs.minatar.game import DOWN, LEFT, NONE, RIGHT, UP, Game, MinAtarParams
from advdl_envs.minatar.grid import SIDE, any_of, board, cell, moved, number, sign, starts

_ROWS = (1, 9)
_SLOTS = 8
_NOWHERE = -9  # far enough from the board that no trail reaches it
_RAMP = 100


class AsterixState(NamedTuple):
    """Where a game is; each ``[batch]`` int32 unless said otherwise.

    Attributes:
        x: The player's column.
        y: The player's row, 1 to 8.
        thing: The column of the thing in each row, ``[batch, 8]``, -9 for none; the first is in row 1.
        right: Whether it flies to the right, bool ``[batch, 8]``.
        gold: Whether it is treasure and no enemy, bool ``[batch, 8]``.
        spawn_speed: Steps from one new thing to the next.
        spawn_timer: Steps until the next.
        move_speed: Steps from one move of the things to the next.
        move_timer: Steps until the next.
        ramp_timer: Steps until the game becomes harder; one more when it is -1.
        ramp: How often it has become harder.
        last_action: What was done one step ago.
        reward: What the last step has brought, float32.
        ended: Whether the game is over, bool.
    """

    x: Any
    y: Any
    thing: Any
    right: Any
    gold: Any
    spawn_speed: Any
    spawn_timer: Any
    move_speed: Any
    move_timer: Any
    ramp_timer: Any
    ramp: Any
    last_action: Any
    reward: Any
    ended: Any


class Asterix(Game):
    """A player collects treasure, one point each, and evades enemies, of which one ends the game.

    Both fly in from the sides, one a row; with time they come more often and fly faster.
    """

    env_id: ClassVar[str] = "advdl/MinAtar-Asterix-v0"
    channels: ClassVar[tuple[str, ...]] = ("player", "enemy", "trail", "gold")
    keys: ClassVar[tuple[int, ...]] = (NONE, LEFT, UP, RIGHT, DOWN)
    chances: ClassVar[int] = 3

    def initial(self, rng: tf.Tensor, params: MinAtarParams | None = None, *, batch_size: int = 1) -> AsterixState:
        """The player is in the middle of an empty board."""
        del rng, params
        nobody = tf.fill([batch_size, _SLOTS], False)
        return AsterixState(
            x=starts(batch_size, 5),
            y=starts(batch_size, 5),
            thing=tf.fill([batch_size, _SLOTS], _NOWHERE),
            right=nobody,
            gold=nobody,
            spawn_speed=starts(batch_size, 10),
            spawn_timer=starts(batch_size, 10),
            move_speed=starts(batch_size, 5),
            move_timer=starts(batch_size, 5),
            ramp_timer=starts(batch_size, _RAMP),
            ramp=starts(batch_size, 0),
            last_action=starts(batch_size, NONE),
            reward=tf.zeros([batch_size]),
            ended=starts(batch_size, False),
        )

    def play(self, state: AsterixState, key: tf.Tensor, chance: tf.Tensor, harder: tf.Tensor) -> AsterixState:
        """Lets a thing in, moves the player, then the things; each meeting before and after their move counts."""
        s = _spawned(state, chance)
        s = s._replace(x=moved(s.x, key == LEFT, key == RIGHT), y=moved(s.y, key == UP, key == DOWN, 1, 8))
        s = _met(s._replace(reward=tf.zeros_like(s.reward)))
        due = s.move_timer == 0
        flown = s.thing + sign(s.right)
        flown = tf.where((flown < 0) | (flown >= SIDE), _NOWHERE, flown)
        s = _met(s._replace(thing=tf.where(due[:, None], flown, s.thing)))
        s = s._replace(spawn_timer=s.spawn_timer - 1, move_timer=tf.where(due, s.move_speed, s.move_timer) - 1)
        return _ramped(s, harder)

    def boards(self, state: AsterixState) -> list[tf.Tensor]:
        """Returns player, enemies, the trails of both, and treasures."""
        things = board(state.thing, _ROWS)
        gold = tf.pad(state.gold, [[0, 0], [_ROWS[0], SIDE - _ROWS[1]]])[:, :, None]
        trail = board(state.thing - sign(state.right), _ROWS)
        return [cell(state.y, state.x), things & ~gold, trail, things & gold]


def _spawned(s: AsterixState, chance: tf.Tensor) -> AsterixState:
    """Puts a new thing into a random free row, if it is time and there is one."""
    due, free = s.spawn_timer == 0, s.thing == _NOWHERE
    rank = tf.cumsum(tf.cast(free, tf.int32), axis=-1, exclusive=True)
    count = tf.reduce_sum(tf.cast(free, tf.float32), axis=-1)
    picked = free & (rank == tf.cast(chance[:, 2] * count, tf.int32)[:, None]) & due[:, None]
    right = chance[:, 0] < 0.5
    return s._replace(
        thing=tf.where(picked, tf.where(right, 0, SIDE - 1)[:, None], s.thing),
        right=tf.where(picked, right[:, None], s.right),
        gold=tf.where(picked, (chance[:, 1] < 1.0 / 3.0)[:, None], s.gold),
        spawn_timer=tf.where(due, s.spawn_speed, s.spawn_timer),
    )


def _met(s: AsterixState) -> AsterixState:
    """Takes a treasure that the player meets; an enemy ends the game."""
    meets = (s.thing == s.x[:, None]) & (s.y[:, None] == np.arange(*_ROWS, dtype=np.int32))
    taken = meets & s.gold
    return s._replace(
        thing=tf.where(taken, _NOWHERE, s.thing),
        reward=s.reward + number(any_of(taken)),
        ended=s.ended | any_of(meets & ~s.gold),
    )


def _ramped(s: AsterixState, harder: tf.Tensor) -> AsterixState:
    """Every 102 steps things come more often, every 204 they fly faster, down to one step."""
    ramps = harder & ((s.spawn_speed > 1) | (s.move_speed > 1))
    now = ramps & (s.ramp_timer < 0)
    faster = now & (s.move_speed > 1) & (s.ramp % 2 == 1)
    return s._replace(
        move_speed=s.move_speed - tf.cast(faster, tf.int32),
        spawn_speed=s.spawn_speed - tf.cast(now & (s.spawn_speed > 1), tf.int32),
        ramp=s.ramp + tf.cast(now, tf.int32),
        ramp_timer=tf.where(now, _RAMP, s.ramp_timer - tf.cast(ramps, tf.int32)),
    )
