"""MinAtar's games: equal to the package's step by step, and what is ours: options, chances, frames, names."""

from dataclasses import replace
from typing import Any

import gymnasium
import numpy as np
import pytest
import tensorflow as tf
from minatar_rules import RULES

from advdl.errors import UsageError
from advdl.plugin.host import PluginHost
from advdl.rl.env_names import env_facts, resolve_env_id
from advdl_envs.minatar.asterix import Asterix
from advdl_envs.minatar.breakout import Breakout
from advdl_envs.minatar.freeway import Freeway
from advdl_envs.minatar.game import Game
from advdl_envs.minatar.grid import crowd
from advdl_envs.plugin import COMPONENTS

GAMES = [component for component in COMPONENTS if "/MinAtar-" in component.name]
NO_SEED = tf.constant((0, 0), tf.int32)


@pytest.fixture
def pair_type() -> Any:
    """Imported late: the package tries to import seaborn and matplotlib."""
    from minatar_pair import Pair

    return Pair


@pytest.mark.parametrize("name", RULES)
def test_five_thousand_steps_equal_the_packages(name: str, pair_type: Any) -> None:
    pair = pair_type(RULES[name], copies=20, seed=1)
    pair.play(250)
    assert pair.seen["steps"] == 5000
    assert pair.seen["rewards"] > 10, "points are among what is compared"
    assert pair.seen["ends"] > 10, "and so are ends"


def test_a_rule_that_differs_is_noticed(pair_type: Any) -> None:
    class Hasty(Asterix):
        def play(self, state: Any, key: Any, chance: Any, harder: Any) -> Any:
            following = super().play(state, key, chance, harder)
            return following._replace(ramp_timer=tf.minimum(following.ramp_timer, 98))

    with pytest.raises(AssertionError, match="step 0, copy 0: ramp_timer is 98, the package's is 99"):
        pair_type(replace(RULES["asterix"], game=Hasty), copies=4, seed=0).play(1)


def test_a_game_that_does_not_ramp_equals_the_packages(pair_type: Any) -> None:
    pair = pair_type(RULES["asterix"], copies=4, seed=2, ramping=False)
    pair.play(120)
    assert (pair._state.ramp == 0).all()


@pytest.mark.parametrize("component", GAMES, ids=lambda component: component.name)
def test_details_are_the_games(component: Any) -> None:
    game = component.load()
    assert game.env_id == component.name
    assert int(component.details.get("max_episode_steps", 0)) == (game.max_episode_steps or 0)
    assert game().observation_space.shape == (10, 10, len(game.channels))


def played(game: Game, actions: list[int], seed: int = 0, batch_size: int = 256) -> Any:
    state = game.initial(tf.constant((seed, 0)), batch_size=batch_size)
    for step, action in enumerate(actions):
        state = game.transition(state, tf.fill([batch_size], action), tf.constant((seed, step)))
    return state


def test_one_action_in_ten_sticks() -> None:
    keys = played(Breakout(), [1, 3], batch_size=4000).last_action.numpy()
    assert set(keys) == {0, 1, 3}
    assert np.mean(keys == 1) == pytest.approx(0.09, abs=0.02)
    assert (played(Breakout(sticky_action_prob=0.0), [3]).last_action.numpy() == 3).all()
    each = Breakout().get_default_params(sticky_action_prob=tf.constant([0.0, 1.0]))
    state = Breakout().transition(Breakout().initial(NO_SEED, batch_size=2), tf.constant([3, 3]), NO_SEED, each)
    assert state.last_action.numpy().tolist() == [3, 0]


def test_minimal_actions_are_the_ones_that_do_something() -> None:
    game = Freeway(minimal_actions=True, sticky_action_prob=0.0)
    assert game.action_space == gymnasium.spaces.Discrete(3)
    assert (played(game, [1]).last_action.numpy() == 2).all()
    assert [len(component.load().keys) for component in GAMES] == [5, 3, 3, 6, 4]


def test_cars_have_every_speed_and_both_directions_alike() -> None:
    speed = Freeway().initial(tf.constant((3, 4)), batch_size=4000).speed.numpy()
    values, counts = np.unique(speed, return_counts=True)
    assert values.tolist() == [-5, -4, -3, -2, -1, 1, 2, 3, 4, 5]
    np.testing.assert_allclose(counts / speed.size, 0.1, atol=0.01)


def test_things_come_from_both_sides_into_every_row_a_third_of_them_gold() -> None:
    state = played(Asterix(sticky_action_prob=0.0), [0] * 11, batch_size=6000)
    slot, here = np.argmax(state.thing.numpy(), axis=1), (state.thing.numpy() >= 0).sum(axis=1)
    assert (here == 1).all()
    np.testing.assert_allclose(np.bincount(slot) / 6000, 1 / 8, atol=0.02)
    rows = np.arange(6000)
    assert state.right.numpy()[rows, slot].mean() == pytest.approx(0.5, abs=0.03)
    assert state.gold.numpy()[rows, slot].mean() == pytest.approx(1 / 3, abs=0.03)


def test_a_crowd_of_thirty_one_in_one_cell_is_one_cell() -> None:
    column = np.full((1, 31), 9, np.int32)
    column[0, 0] = -1
    marked = crowd(tf.fill([1, 31], True), tf.fill([1, 31], 2), tf.constant(column), (1, 9)).numpy()
    assert np.argwhere(marked).tolist() == [[0, 1, 9]]


def test_a_frame_shows_the_board() -> None:
    with gymnasium.make("advdl_envs:advdl/MinAtar-Breakout-v0", render_mode="rgb_array") as env:
        board, _ = env.reset(seed=0)
        frame = env.render()
    assert frame.shape == (320, 320, 3)
    assert frame.dtype == np.uint8
    assert ((frame[16::32, 16::32] > 0).any(axis=-1) == board.any(axis=-1)).all()


def test_an_env_that_cannot_draw_says_so() -> None:
    with gymnasium.make("advdl_envs:advdl/MinAtar-Breakout-v0") as env:
        env.reset(seed=0)
        with pytest.raises(UsageError, match="without a render mode"):
            env.unwrapped.render()


def test_the_short_name_and_options_that_change_a_space_are_understood() -> None:
    host = PluginHost.from_environment()
    env_id = resolve_env_id("MinAtar-Breakout", host)
    assert env_id == "advdl/MinAtar-Breakout-v0" == resolve_env_id("MinAtar-Breakout-v0", host)
    facts = env_facts(env_id, host, options={"minimal_actions": True})
    assert facts.action == gymnasium.spaces.Discrete(3)
    assert facts.host_id == env_id
    assert facts.max_episode_steps == 1000
