"""Segments of what was recorded, and a model with a memory as an env, on dynamics that are known."""

from typing import Any

import numpy as np
import pytest
import tensorflow as tf
from gymnasium.spaces import Box, Discrete, MultiDiscrete

from advdl.errors import UsageError
from advdl.rl import Dynamics, DynamicsEnv, Foreseen, Spaces, action_size, encode_action, same_episode
from advdl.rl.segments import SegmentRecording, draw_segments
from advdl.testing import check_env

COUNTED = Spaces(Box(-np.inf, np.inf, (1,), np.float32), Discrete(3))
COPIES, STEPS = 3, 12


class Summing(Dynamics):
    """What is seen is the sum of all actions of an episode; its memory is the last two observations."""

    length, context = 4, 2

    @property
    def models(self) -> Any:
        return {}

    def objectives(self) -> Any:
        return []

    def begin(self, segments: Any) -> Any:
        return segments["observation"] * tf.cast(same_episode(segments), tf.float32)[..., None]

    def foresee(self, carry: Any, action: Any, seed: Any) -> Foreseen:
        seen = carry[:, 1] + tf.cast(action, tf.float32)[:, None]
        return Foreseen(tf.stack([carry[:, 1], seen], axis=1), seen, carry[:, 0, 0], seen[:, 0] > 20.0)


def recorded(length: int, batch_size: int = 64) -> SegmentRecording:
    """Copy c sees 100 c + t at step t; it is cut after step 5, and copy 1 ends after step 8."""
    recording = SegmentRecording(
        COUNTED, num_envs=COPIES, capacity=COPIES * STEPS, length=length, batch_size=batch_size
    )
    for step in range(STEPS):
        seen = np.array([[100.0 * copy + step] for copy in range(COPIES)], np.float32)
        recording.add(
            {
                "observation": tf.constant(seen),
                "next_observation": tf.constant(seen + 1),
                "action": tf.fill([COPIES], tf.constant(step % 3, tf.int64)),
                "reward": tf.fill([COPIES], float(step)),
                "terminated": tf.constant([False, step == 8, False]),
                "truncated": tf.fill([COPIES], step == 5),
            }
        )
    return recording


def test_segments_are_steps_of_one_copy_in_a_row() -> None:
    batch = recorded(4, 500).sample(tf.constant([1, 2]), tf.constant(0))
    seen = batch["observation"].numpy()[..., 0]
    assert seen.shape == (500, 4)
    assert (np.diff(seen, axis=1) == 1).all()
    assert {*seen[:, 0]} == {100.0 * copy + step for copy in range(COPIES) for step in range(STEPS - 3)}
    np.testing.assert_array_equal(batch["next_observation"][..., 0], seen + 1)
    np.testing.assert_array_equal(batch["reward"], seen % 100)
    np.testing.assert_array_equal(batch["truncated"], seen % 100 == 5)
    np.testing.assert_array_equal(batch["terminated"], seen == 108)


def test_everything_is_there_in_its_order_and_is_drawn_from() -> None:
    record = recorded(2).transitions()
    assert record["observation"].shape == (STEPS, COPIES, 1)
    np.testing.assert_array_equal(record["observation"][:, 2, 0], 200.0 + np.arange(STEPS))
    drawn = draw_segments(record, 3, 400, seed=1)
    assert {*drawn["reward"][:, -1]} == {float(step) for step in range(2, STEPS)}
    assert (np.diff(drawn["observation"][..., 0], axis=1) == 1).all()
    np.testing.assert_array_equal(drawn["observation"], draw_segments(record, 3, 400, seed=1)["observation"])


def test_it_is_known_what_belongs_to_the_last_steps_episode() -> None:
    flags = {
        "terminated": tf.constant([[False, True, False, True], [False] * 4, [False, False, True, False]]),
        "truncated": tf.constant([[False] * 4, [False] * 3 + [True], [True, False, False, False]]),
    }
    same = same_episode(flags).numpy().tolist()
    assert same == [[False, False, True, True], [True] * 4, [False, False, False, True]]


def test_episodes_begin_where_real_ones_were_with_their_past() -> None:
    env = DynamicsEnv(Summing(COUNTED), horizon=7, beginnings=300)
    assert env.max_episode_steps == 7
    assert not env.initial(tf.constant([0, 1]), batch_size=4).observation.numpy().any()
    env.refresh(recorded(2).transitions(), seed=3)
    state = env.initial(tf.constant([0, 1]), batch_size=200)
    now, before = state.carry.numpy()[:, 1, 0], state.carry.numpy()[:, 0, 0]
    np.testing.assert_array_equal(state.observation[:, 0], now)
    ended = (now % 100 == 6) | (now == 109)
    assert ended.any()
    np.testing.assert_array_equal(before, np.where(ended, 0.0, now - 1))
    following = env.transition(state, tf.fill([200], 2), tf.constant([0, 2]))
    np.testing.assert_array_equal(following.observation[:, 0], now + 2)
    np.testing.assert_array_equal(env.reward(state, None, following, None), before)
    np.testing.assert_array_equal(env.terminal(following, None), now + 2 > 20)


def test_its_beginnings_are_its_state() -> None:
    one, two = (DynamicsEnv(Summing(COUNTED), beginnings=50) for _ in range(2))
    one.refresh(recorded(2).transitions(), seed=3)
    for name, variable in two.state().items():
        variable.assign(one.state()[name])
    first, second = (env.initial(tf.constant([0, 1]), batch_size=9) for env in (one, two))
    np.testing.assert_array_equal(first.carry, second.carry)
    np.testing.assert_array_equal(first.observation, second.observation)


def test_it_keeps_an_envs_contract() -> None:
    check_env(DynamicsEnv(Summing(COUNTED), beginnings=50))


def test_actions_are_numbers() -> None:
    assert encode_action(Discrete(3, start=2), tf.constant([[2, 4]])).numpy().tolist() == [[[1, 0, 0], [0, 0, 1]]]
    box = Box(-1.0, 1.0, (2, 2), np.float64)
    assert action_size(box) == 4
    assert encode_action(box, tf.zeros([5, 7, 2, 2], tf.float64)).shape == (5, 7, 4)
    with pytest.raises(UsageError, match="Discrete or Box actions"):
        action_size(MultiDiscrete([2, 2]))
