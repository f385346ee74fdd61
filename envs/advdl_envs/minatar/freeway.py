"""MinAtar's Freeway, compiled."""

from typing import Any, ClassVar, NamedTuple

import numpy as np
import tensorflow as tf

from advdl_envs.draw import uniform
from advdl_envs.minatar.game import DOWN, NONE, UP, Game, MinAtarParams
from advdl_envs.minatar.grid import SIDE, any_of, board, cell, filled, moved, number, starts, tick

_CARS = 8
_LANES = (1, 9)
_HOME = SIDE - 1
_CROSSING = 4  # the chicken's column
_REST = 3  # steps from one move of the chicken to the next
_TIME = 2500


class FreewayState(NamedTuple):
    """Where a game is; each ``[batch]`` int32 unless said otherwise.

    Attributes:
        chicken: Its row.
        rest: Steps until it can move again.
        car: Each lane's car's column, ``[batch, 8]``; lane 0 is row 1.
        wait: Steps until each car moves, ``[batch, 8]``.
        speed: Steps from one move of a car to the next, negative where it drives to the left, ``[batch, 8]``.
        time: Steps that are left.
        last_action: What was done one step ago.
        reward: What the last step has brought, float32.
        ended: Whether the game is over, bool.
    """

    chicken: Any
    rest: Any
    car: Any
    wait: Any
    speed: Any
    time: Any
    last_action: Any
    reward: Any
    ended: Any


class Freeway(Game):
    """A chicken crosses eight lanes, one point each time; a car sends it back. The game ends after 2,501 steps.

    Each crossing gives every car a new speed and direction.
    """

    max_episode_steps: ClassVar[int | None] = None
    env_id: ClassVar[str] = "advdl/MinAtar-Freeway-v0"
    channels: ClassVar[tuple[str, ...]] = ("chicken", "car", "speed1", "speed2", "speed3", "speed4", "speed5")
    keys: ClassVar[tuple[int, ...]] = (NONE, UP, DOWN)
    chances: ClassVar[int] = 2 * _CARS

    def initial(self, rng: tf.Tensor, params: MinAtarParams | None = None, *, batch_size: int = 1) -> FreewayState:
        """The chicken is below, all cars are at the left, each with a speed and direction of its own."""
        del params
        speed = speeds(uniform([batch_size, 2 * _CARS], rng, 0.0, 1.0))
        return FreewayState(
            chicken=starts(batch_size, _HOME),
            rest=starts(batch_size, _REST),
            car=tf.zeros([batch_size, _CARS], tf.int32),
            wait=tf.abs(speed),
            speed=speed,
            time=starts(batch_size, _TIME),
            last_action=starts(batch_size, NONE),
            reward=tf.zeros([batch_size]),
            ended=starts(batch_size, False),
        )

    def play(self, state: FreewayState, key: tf.Tensor, chance: tf.Tensor, harder: tf.Tensor) -> FreewayState:
        """Moves the chicken, then the cars; one that it meets before or after its move sends it back."""
        del harder
        s, up, down = state, (key == UP) & (state.rest == 0), (key == DOWN) & (state.rest == 0)
        chicken = moved(s.chicken, up, down)
        across = chicken == 0
        chicken = tf.where(across, _HOME, chicken)
        speed = tf.where(across[:, None], speeds(chance), s.speed)
        wait = tf.where(across[:, None], tf.abs(speed), s.wait)
        drives = wait == 0
        car = tf.where(drives, (s.car + tf.sign(speed)) % SIDE, s.car)
        # No car drives in the chicken's first row, so one car at most meets it.
        meets = (chicken[:, None] == np.arange(*_LANES, dtype=np.int32)) & ((s.car == _CROSSING) | (car == _CROSSING))
        time = s.time - 1
        return s._replace(
            chicken=tf.where(any_of(meets), _HOME, chicken),
            rest=tick(tf.where(up | down, _REST, s.rest)),
            car=car,
            wait=tf.where(drives, tf.abs(speed), wait - 1),
            speed=speed,
            time=time,
            reward=number(across),
            ended=time < 0,
        )

    def boards(self, state: FreewayState) -> list[tf.Tensor]:
        """Returns chicken, cars, and the trails of the cars of each speed."""
        behind, pace = (state.car - tf.sign(state.speed)) % SIDE, tf.abs(state.speed)
        trails = [board(tf.where(pace == speed, behind, -1), _LANES) for speed in range(1, 6)]
        chicken = cell(state.chicken, filled(state.chicken, _CROSSING))
        return [chicken, board(state.car, _LANES), *trails]


def speeds(chance: tf.Tensor) -> tf.Tensor:
    """Draws 1 to 5 steps a move, to the right or to the left: int32 ``[batch, 8]`` from ``[batch, 16]``."""
    pace = 1 + tf.cast(chance[:, :_CARS] * 5.0, tf.int32)
    return tf.where(chance[:, _CARS:] < 0.5, -pace, pace)
