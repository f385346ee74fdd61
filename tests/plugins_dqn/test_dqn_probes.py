"""DQN solves every probe env with every switch, and no longer does once one thing in it is wrong."""

from typing import Any

import pytest
import tensorflow as tf
from dqn_training import GAMMA, learn

from advdl.rl import replay_ring
from advdl_dqn import agent, heads, targets

CLOSE, WRONG = 0.05, 0.2
SWITCHES: dict[str, dict[str, Any]] = {
    "none": {"double": False, "loss": "huber"},
    "dueling, hidden layers": {"dueling": True, "head_units": [16]},
    "n steps": {"n_step": 3},
    "frames stored once": {"n_step": 2, "frame_stack": 1},
    "prioritized": {"prioritized": True},
    "noisy": {"noisy": True},
    "c51": {"distributional": "c51"},
    "qr": {"distributional": "qr", "atoms": 11},
}


@pytest.mark.parametrize("switches", SWITCHES.values(), ids=SWITCHES)
def test_every_switch_solves_every_probe(switches: dict[str, Any]) -> None:
    assert max(learn(**switches).values()) < CLOSE


def test_rainbow_does_so_compiled_and_explores_by_noise_alone() -> None:
    found = learn("rainbow", jit=True, steps=8_000, epsilon={"name": "constant", "value": 0.0})
    assert max(found.values()) < 2 * CLOSE


Transition = dict[str, tf.Tensor]


def ignores_the_end(step: Transition) -> Transition:
    return {**step, "terminated": tf.zeros_like(step["terminated"])}


def takes_a_cut_for_an_end(step: Transition) -> Transition:
    return {**step, "terminated": step["terminated"] | step["truncated"]}


def sees_the_observation_again(step: Transition) -> Transition:
    return {**step, "next_observation": step["observation"]}


@pytest.mark.parametrize(
    ("fault", "probe", "n_step"),
    [
        (ignores_the_end, "constant", 3),
        (takes_a_cut_for_an_end, "time limit", 1),
        (takes_a_cut_for_an_end, "last seen", 3),
        (sees_the_observation_again, "last seen", 3),
    ],
)
def test_a_wrong_transition_is_found(fault: Any, probe: str, n_step: int) -> None:
    assert learn(mutate=fault, n_step=n_step)[probe] > WRONG


n_step_return = replay_ring.n_step_return


def runs_over_the_end(reward: Any, last: Any, gamma: float) -> Any:
    return n_step_return(reward, tf.zeros_like(last), gamma)


def forgets_to_discount(reward: Any, last: Any, gamma: float) -> Any:
    return n_step_return(reward, last, 1.0)[0], n_step_return(reward, last, gamma)[1]


def counts_one_step(reward: Any, last: Any, gamma: float) -> Any:
    return n_step_return(reward, last, gamma)[0], tf.ones_like(last[:, 0], tf.int64)


def leaves_the_last_reward_out(reward: Any, last: Any, gamma: float) -> Any:
    return n_step_return(tf.where(last, 0.0, reward), last, gamma)


@pytest.mark.parametrize(
    ("fault", "probe"),
    [
        (runs_over_the_end, "constant"),
        (forgets_to_discount, "time limit"),
        (counts_one_step, "time limit"),
        (leaves_the_last_reward_out, "two steps"),
    ],
)
def test_wrong_steps_are_found(fault: Any, probe: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(replay_ring, "n_step_return", fault)
    assert learn(n_step=3)[probe] > WRONG


def test_running_over_the_seam_of_the_ring_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    assert max(learn(n_step=3, buffer_size=64).values()) < WRONG
    monkeypatch.setattr(replay_ring.Ring, "_newest", lambda ring, rows: tf.zeros_like(rows, tf.bool))
    assert max(learn(n_step=3, buffer_size=64).values()) > WRONG


def masks_nothing(batch: Any, gamma: float) -> tf.Tensor:
    return targets.discounts({**batch, "terminated": tf.zeros_like(batch["terminated"])}, gamma)


def masks_all(batch: Any, gamma: float) -> tf.Tensor:
    return tf.zeros_like(batch["reward"])


def forgets_the_steps(batch: Any, gamma: float) -> tf.Tensor:
    return targets.discounts({name: value for name, value in batch.items() if name != "discount"}, gamma)


@pytest.mark.parametrize(
    ("fault", "probe", "n_step"),
    [(masks_nothing, "constant", 1), (masks_all, "two steps", 1), (forgets_the_steps, "time limit", 3)],
)
def test_a_wrong_mask_is_found(fault: Any, probe: str, n_step: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(agent, "discounts", fault)
    assert learn(n_step=n_step)[probe] > WRONG


def test_a_projection_that_does_not_move_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(heads, "project", lambda support, atoms, probabilities: probabilities)
    assert learn(distributional="c51")["seen"] > WRONG


def test_a_discount_that_is_missing_is_found() -> None:
    assert GAMMA < 1
    assert learn(gamma=1.0)["two steps"] > WRONG
