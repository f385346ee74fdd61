"""Catch: the ball falls straight, the paddle goes where it is told, the last row decides."""

import numpy as np
import tensorflow as tf

from advdl.testing import check_env
from advdl_envs.catch import Catch, CatchState


def seen(env: Catch, state: CatchState) -> np.ndarray:
    return env.observation(state, None).numpy()[..., 0]


def test_it_keeps_an_envs_contract() -> None:
    check_env(Catch())


def test_a_ball_falls_and_is_caught_or_not() -> None:
    env = Catch(rows=4, columns=3)
    state = CatchState(*(tf.constant(values) for values in ([0, 0], [2, 0], [1, 1])))
    for step, row in enumerate((1, 2, 3)):
        following = env.transition(state, tf.constant([2, 1]), None)
        reward, ended = env.reward(state, None, following, None), env.terminal(following, None)
        assert following.row.numpy().tolist() == [row, row]
        assert (ended.numpy() == (step == 2)).all()
        assert reward.numpy().tolist() == ([1.0, -1.0] if step == 2 else [0.0, 0.0])
        state = following
    assert state.paddle.numpy().tolist() == [2, 1]
    board = seen(env, state)
    assert board[0].tolist() == [[0, 0, 0]] * 3 + [[0, 0, 255]]
    assert board[1].tolist() == [[0, 0, 0]] * 3 + [[255, 255, 0]]


def test_balls_begin_everywhere_and_the_best_can_catch_each() -> None:
    env = Catch()
    state = env.initial(tf.constant([1, 2]), batch_size=200)
    assert set(state.column.numpy()) == set(range(5))
    assert (state.paddle == 2).numpy().all()
    for _ in range(9):
        action = tf.sign(state.column - state.paddle) + 1
        following = env.transition(state, action, None)
        reward = env.reward(state, action, following, None)
        state = following
    assert (reward == 1.0).numpy().all()
    picture = env.render_image(state, env.render_init())[1]
    assert (picture.shape, picture.dtype) == ((320, 160, 3), np.uint8)
