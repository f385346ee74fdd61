"""MinAtar's Seaquest, compiled: its state, its rules in their order, its board."""

from typing import Any, ClassVar, NamedTuple

import numpy as np
import tensorflow as tf

from advdl_envs.minatar.game import DOWN, FIRE, LEFT, NONE, RIGHT, UP, Game, MinAtarParams
from advdl_envs.minatar.grid import COLUMNS, ROWS, SIDE, any_of, cell, crowd, moved, number, padded, sign, starts, tick
from advdl_envs.minatar.swimmers import Swimmers, alone, at, driven, nobody, with_new

_WATER = (1, 9)
_SHOT = 5  # steps from one shot of the player to the next
_ENEMY_SHOT = 10
_OXYGEN = 200
_MOST_DIVERS = 6
_DIVER_EVERY = 30
_DIVER_MOVE = 5
# As many as there can be at a time. An enemy in the fastest game is gone after 30 steps and one comes a step; a diver
# takes 59 steps and comes every 30; a bullet takes 9 steps and comes every 5.
_ENEMIES, _DIVERS, _BULLETS = 32, 2, 2


class SeaquestState(NamedTuple):
    """Where a game is; each ``[batch]`` int32 unless said otherwise. Of each kind of swimmers the newest is first.

    Attributes:
        x: The column of the submarine's front.
        y: Its row, 0 to 8; 0 is the surface.
        right: Whether it looks to the right, bool.
        oxygen: Steps that it can stay under water.
        divers: How many it has on board; -1 or less after it has brought home six.
        surfaced: Whether it has been at the surface, bool.
        enemies: Fish and submarines.
        is_sub: Which enemies are submarines, bool ``[batch, enemies]``.
        reload: Steps until each enemy submarine shoots, ``[batch, enemies]``.
        swimmers: Divers.
        bullets: The submarine's.
        torpedoes: The enemies' bullets, to the left and to the right: bool ``[batch, 2, 8, 10]``, rows 1 to 8.
        spawn_speed: Steps from one enemy to the next.
        spawn_timer: Steps until the next.
        diver_timer: Steps until the next diver.
        move_speed: Steps from one move of an enemy to the next.
        shot_timer: Steps until the submarine can shoot.
        ramp: How often the game has become harder.
        last_action: What was done one step ago.
        reward: What the last step has brought, float32.
        ended: Whether the game is over, bool.
    """

    x: Any
    y: Any
    right: Any
    oxygen: Any
    divers: Any
    surfaced: Any
    enemies: Swimmers
    is_sub: Any
    reload: Any
    swimmers: Swimmers
    bullets: Swimmers
    torpedoes: Any
    spawn_speed: Any
    spawn_timer: Any
    diver_timer: Any
    move_speed: Any
    shot_timer: Any
    ramp: Any
    last_action: Any
    reward: Any
    ended: Any


class Seaquest(Game):
    """A submarine shoots fish and submarines, one point each, and rescues divers before its oxygen is gone.

    Six divers that are brought to the surface give a point for each twentieth of the oxygen that is left; with fewer
    on board it costs one to surface, with none the game. So does whatever touches the submarine.
    """

    env_id: ClassVar[str] = "advdl/MinAtar-Seaquest-v0"
    channels: ClassVar[tuple[str, ...]] = (
        "sub_front",
        "sub_back",
        "friendly_bullet",
        "trail",
        "enemy_bullet",
        "enemy_fish",
        "enemy_sub",
        "oxygen_gauge",
        "diver_gauge",
        "diver",
    )
    keys: ClassVar[tuple[int, ...]] = (NONE, LEFT, UP, RIGHT, DOWN, FIRE)
    chances: ClassVar[int] = 5

    def initial(self, rng: tf.Tensor, params: MinAtarParams | None = None, *, batch_size: int = 1) -> SeaquestState:
        """The submarine is at the surface, full of oxygen and alone."""
        del rng, params
        return SeaquestState(
            x=starts(batch_size, 5),
            y=starts(batch_size, 0),
            right=starts(batch_size, False),
            oxygen=starts(batch_size, _OXYGEN),
            divers=starts(batch_size, 0),
            surfaced=starts(batch_size, True),
            enemies=nobody(batch_size, _ENEMIES),
            is_sub=tf.fill([batch_size, _ENEMIES], False),
            reload=tf.zeros([batch_size, _ENEMIES], tf.int32),
            swimmers=nobody(batch_size, _DIVERS),
            bullets=nobody(batch_size, _BULLETS),
            torpedoes=tf.fill([batch_size, 2, _WATER[1] - _WATER[0], SIDE], False),
            spawn_speed=starts(batch_size, 20),
            spawn_timer=starts(batch_size, 20),
            diver_timer=starts(batch_size, _DIVER_EVERY),
            move_speed=starts(batch_size, 5),
            shot_timer=starts(batch_size, 0),
            ramp=starts(batch_size, 0),
            last_action=starts(batch_size, NONE),
            reward=tf.zeros([batch_size]),
            ended=starts(batch_size, False),
        )

    def play(self, state: SeaquestState, key: tf.Tensor, chance: tf.Tensor, harder: tf.Tensor) -> SeaquestState:
        """Plays in the package's order: spawn, steer, bullets, divers, submarines, torpedoes, fish, air."""
        s = _spawn_enemy(state._replace(reward=tf.zeros_like(state.reward)), chance)
        s = _steer(_spawn_diver(s, chance), key)
        s = _move_divers(_move_bullets(s))
        s = _move_fish(_move_torpedoes(_move_subs(s)))
        s = s._replace(spawn_timer=tick(s.spawn_timer), diver_timer=tick(s.diver_timer), shot_timer=tick(s.shot_timer))
        return _breathe(s, harder)

    def boards(self, state: SeaquestState) -> list[tf.Tensor]:
        """Returns submarine, bullets, trails, torpedoes, fish, submarines, the two gauges and divers."""
        s, bottom = state, ROWS == SIDE - 1
        air, aboard = s.oxygen[:, None, None], s.divers[:, None, None]
        everyone = [s.enemies, s.swimmers]
        tails = [
            tf.concat(part, -1) for part in zip(*((one.y, one.x - sign(one.right)) for one in everyone), strict=True)
        ]
        here = tf.concat([one.here for one in everyone], -1)
        return [
            cell(s.y, s.x),
            cell(s.y, s.x - sign(s.right)),
            any_of(s.bullets.here[:, :, None, None] & _cells(s.bullets), 1),
            padded(crowd(here, *tails, _WATER), _WATER),
            padded(any_of(s.torpedoes, 1), _WATER),
            padded(crowd(s.enemies.here & ~s.is_sub, s.enemies.y, s.enemies.x, _WATER), _WATER),
            padded(crowd(s.enemies.here & s.is_sub, s.enemies.y, s.enemies.x, _WATER), _WATER),
            bottom & (tf.maximum(air, 0) * SIDE // _OXYGEN > COLUMNS),
            bottom & (9 - aboard <= COLUMNS) & (COLUMNS < 9),
            any_of(s.swimmers.here[:, :, None, None] & _cells(s.swimmers), 1),
        ]


def _cells(swimmers: Swimmers) -> tf.Tensor:
    """One board for each of a few swimmers: ``[batch, n, 10, 10]``."""
    return (swimmers.y[:, :, None, None] == ROWS) & (swimmers.x[:, :, None, None] == COLUMNS)


def _spawn_enemy(s: SeaquestState, chance: tf.Tensor) -> SeaquestState:
    """Lets a fish or a submarine in, unless one in that row comes from the other side."""
    due, right, y = s.spawn_timer == 0, chance[:, 0] < 0.5, _row(chance[:, 2])
    against = s.enemies.here & (s.enemies.y == y[:, None]) & (s.enemies.right != right[:, None])
    comes = due & ~any_of(against)
    new = alone(x=tf.where(right, 0, SIDE - 1), y=y, right=right, wait=s.move_speed)
    return s._replace(
        enemies=with_new(s.enemies, new, comes),
        is_sub=with_new(s.is_sub, (chance[:, 1] < 1.0 / 3.0)[:, None], comes),
        reload=with_new(s.reload, starts(tf.shape(y)[0], _ENEMY_SHOT)[:, None], comes),
        spawn_timer=tf.where(due, s.spawn_speed, s.spawn_timer),
    )


def _spawn_diver(s: SeaquestState, chance: tf.Tensor) -> SeaquestState:
    due, right, y = s.diver_timer == 0, chance[:, 3] < 0.5, _row(chance[:, 4])
    new = alone(x=tf.where(right, 0, SIDE - 1), y=y, right=right, wait=tf.fill(tf.shape(y), _DIVER_MOVE))
    timer = tf.where(due, _DIVER_EVERY, s.diver_timer)
    return s._replace(swimmers=with_new(s.swimmers, new, due), diver_timer=timer)


def _row(chance: tf.Tensor) -> tf.Tensor:
    first, end = _WATER
    return first + tf.cast(chance * (end - first), tf.int32)


def _steer(s: SeaquestState, key: tf.Tensor) -> SeaquestState:
    """Fires or moves."""
    fires = (key == FIRE) & (s.shot_timer == 0)
    bullet = alone(x=s.x, y=s.y, right=s.right, wait=tf.zeros_like(s.x))
    return s._replace(
        bullets=with_new(s.bullets, bullet, fires),
        shot_timer=tf.where(fires, _SHOT, s.shot_timer),
        x=moved(s.x, key == LEFT, key == RIGHT),
        y=moved(s.y, key == UP, key == DOWN, 0, 8),
        right=(s.right & (key != LEFT)) | (key == RIGHT),
    )


def _move_bullets(s: SeaquestState) -> SeaquestState:
    """Each bullet moves and takes one enemy of those in its cell: a fish before a submarine, the oldest first."""
    bullets = driven(s.bullets, s.bullets.here)
    met = at(bullets, s.enemies)  # [batch, bullets, enemies]
    order = np.arange(1, _ENEMIES + 1, dtype=np.int32) + tf.where(s.is_sub, 0, _ENEMIES)
    order = tf.where(met, order[:, None, :], 0)
    taken = met & (order == tf.reduce_max(order, axis=-1, keepdims=True))
    return _scored(s._replace(bullets=bullets), taken)


def _scored(s: SeaquestState, taken: tf.Tensor) -> SeaquestState:
    """Takes away what has met, ``[batch, bullets, enemies]``; each pair is a point."""
    return s._replace(
        bullets=s.bullets.without(any_of(taken)),
        enemies=s.enemies.without(any_of(taken, 1)),
        reward=s.reward + tf.reduce_sum(number(taken), axis=(1, 2)),
    )


def _move_divers(s: SeaquestState) -> SeaquestState:
    """Takes divers on board, the newest first, where there is room; the others swim."""
    before, swum = _touches(s, s.swimmers), _paced(s.swimmers, _DIVER_MOVE)
    wanted = before | ((s.swimmers.wait == 0) & _touches(s, swum))
    rank = tf.cumsum(tf.cast(wanted, tf.int32), axis=-1, exclusive=True)
    taken = wanted & (rank + s.divers[:, None] < _MOST_DIVERS)
    aboard = s.divers + tf.reduce_sum(tf.cast(taken, tf.int32), axis=-1)
    return s._replace(swimmers=swum.without(taken), divers=aboard)


def _move_subs(s: SeaquestState) -> SeaquestState:
    """Moves and fires the enemies' submarines; one that is shot in this step still fires."""
    swum, taken = _moved_enemies(s, s.is_sub)
    afloat = s.enemies.here & s.is_sub
    fires = afloat & (s.reload == 0)
    sides = [
        crowd(fires & side, swum.enemies.y, swum.enemies.x, _WATER) for side in (~s.enemies.right, s.enemies.right)
    ]
    swum = swum._replace(
        torpedoes=s.torpedoes | tf.stack(sides, axis=1),
        reload=tf.where(fires, _ENEMY_SHOT, s.reload - tf.cast(afloat, tf.int32)),
    )
    return _scored(swum, taken)


def _move_fish(s: SeaquestState) -> SeaquestState:
    return _scored(*_moved_enemies(s, ~s.is_sub))


def _moved_enemies(s: SeaquestState, which: tf.Tensor) -> tuple[SeaquestState, tf.Tensor]:
    """Moves some enemies; one on the player ends the game, one that moves onto a bullet is shot, the newest first.

    Returns:
        The state, and which bullet has shot which enemy, ``[batch, bullets, enemies]``: both are still there.
    """
    before = s.enemies.only(which)
    swum = _paced(before, s.move_speed[:, None])
    moves, meets = before.here & (before.wait == 0), _touches(s, swum)
    touches = any_of(_touches(s, before) | (moves & meets))
    enemies = Swimmers(*(tf.where(which, new, old) for new, old in zip(swum, s.enemies, strict=True)))
    met = at(s.bullets, enemies) & (moves & ~meets)[:, None, :]
    order = tf.where(met, np.arange(_ENEMIES, dtype=np.int32), _ENEMIES)
    taken = met & (order == tf.reduce_min(order, axis=-1, keepdims=True))
    return s._replace(enemies=enemies, ended=s.ended | touches), taken


def _move_torpedoes(s: SeaquestState) -> SeaquestState:
    """Moves each by a cell; one that touches the player before or after that ends the game."""
    left, right = s.torpedoes[:, :1, :, 1:], s.torpedoes[:, 1:, :, :-1]
    following = tf.concat([tf.pad(left, _END), tf.pad(right, _START)], axis=1)
    player = cell(s.y, s.x)[:, None, slice(*_WATER)]
    touches = any_of((s.torpedoes | following) & player, 1, 2, 3)
    return s._replace(torpedoes=following, ended=s.ended | touches)


_START = [[0, 0], [0, 0], [0, 0], [1, 0]]
_END = [[0, 0], [0, 0], [0, 0], [0, 1]]


def _breathe(s: SeaquestState, harder: tf.Tensor) -> SeaquestState:
    """Uses oxygen under water; surfacing renews it, costs a diver and makes the game harder."""
    under = s.y > 0
    arrives = ~under & ~s.surfaced
    home = arrives & (s.divers != 0)
    full = home & (s.divers == _MOST_DIVERS)
    bonus = tf.where(full, s.oxygen * SIDE // _OXYGEN, 0)
    ramps = home & harder & ((s.spawn_speed > 1) | (s.move_speed > 2))
    faster = ramps & (s.move_speed > 2) & (s.ramp % 2 == 1)
    return s._replace(
        oxygen=tf.where(home, _OXYGEN, s.oxygen - tf.cast(under, tf.int32)),
        divers=tf.where(full, -1, s.divers - tf.cast(home, tf.int32)),
        surfaced=tf.where(under, False, s.surfaced | home),
        move_speed=s.move_speed - tf.cast(faster, tf.int32),
        spawn_speed=s.spawn_speed - tf.cast(ramps & (s.spawn_speed > 1), tf.int32),
        ramp=s.ramp + tf.cast(ramps, tf.int32),
        reward=s.reward + tf.cast(bonus, tf.float32),
        ended=s.ended | (s.oxygen <= 0) | (arrives & (s.divers == 0)),
    )


def _touches(s: SeaquestState, swimmers: Swimmers) -> tf.Tensor:
    return swimmers.here & (swimmers.x == s.x[:, None]) & (swimmers.y == s.y[:, None])


def _paced(swimmers: Swimmers, speed: tf.Tensor | int) -> Swimmers:
    """Moves those whose wait is over and lets the others wait one step less."""
    due = swimmers.wait == 0
    return driven(swimmers, due)._replace(wait=tf.where(due, speed, swimmers.wait - 1))
