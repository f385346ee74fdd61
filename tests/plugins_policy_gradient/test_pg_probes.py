"""Every agent solves every probe env that it claims, and the probe that must find a fault finds it."""

from typing import Any

import numpy as np
import pytest
import tensorflow as tf
from joint_probe import Joint
from target_envs import Bits, Combination, Target
from training import AGENTS, Mutate, actions_of, errors, learn

from advdl_policy_gradient import actor_critic

CLOSE = 0.1


@pytest.mark.parametrize("name", AGENTS)
def test_the_agent_solves_the_probes(name: str) -> None:
    assert max(errors(learn(name, Joint())).values()) < CLOSE


def test_so_does_ppo_with_every_switch_turned_and_compiled() -> None:
    switches = {"shared": False, "value_clip": 1.0, "kl_stop": 0.1, "trace": 0.5, "normalise_observations": True}
    agent = learn("ppo", Joint(start=3), steps=20_000, jit=True, **switches)
    assert max(errors(agent, start=3).values()) < CLOSE


def test_reinforce_needs_no_baseline() -> None:
    found = errors(learn("reinforce", Joint(), baseline=False))
    assert (found["chosen"], found["chosen for seen"]) == (1.0, 1.0)  # values are 0: only the actions' errors count


@pytest.mark.parametrize(("name", "bounds"), [("ppo", "squash"), ("a2c", "clip"), ("reinforce", "clip")])
def test_a_gaussian_hits_its_target(name: str, bounds: str) -> None:
    agent = learn(name, Target(), steps=48_000 if name == "reinforce" else 24_000, bounds=bounds, log_std=-0.7)
    np.testing.assert_allclose(actions_of(agent, [[-1.0], [1.0]]), [[-1.0], [2.0]], atol=0.25)


def test_so_does_one_whose_noise_is_a_function_of_what_is_seen() -> None:
    agent = learn("ppo", Target(), steps=24_000, sde_every=4, log_std=-1.5)
    np.testing.assert_allclose(actions_of(agent, [[-1.0], [1.0]]), [[-1.0], [2.0]], atol=0.25)


@pytest.mark.parametrize(("env", "wanted"), [(Combination, [[0, 1, 0], [2, 0, 1]]), (Bits, [[0, 1, 0], [1, 0, 1]])])
def test_several_choices_at_once(env: Any, wanted: Any) -> None:
    agent = learn("ppo", env(), steps=6_000)
    assert actions_of(agent, [[-1.0], [1.0]]).tolist() == wanted


def ignores_the_end(transition: dict[str, tf.Tensor]) -> dict[str, tf.Tensor]:
    return {**transition, "terminated": tf.zeros_like(transition["terminated"])}


def takes_a_cut_for_an_end(transition: dict[str, tf.Tensor]) -> dict[str, tf.Tensor]:
    return {**transition, "terminated": transition["terminated"] | transition["truncated"]}


def sees_the_observation_again(transition: dict[str, tf.Tensor]) -> dict[str, tf.Tensor]:
    return {**transition, "next_observation": transition["observation"]}


@pytest.mark.parametrize(
    ("name", "mutate", "found_by"),
    [
        ("a2c", ignores_the_end, "constant"),
        ("ppo", sees_the_observation_again, "last seen"),
        ("reinforce", takes_a_cut_for_an_end, "last seen"),
    ],
)
def test_a_wrong_transition_is_found(name: str, mutate: Mutate, found_by: str) -> None:
    assert errors(learn(name, Joint(), mutate=mutate))[found_by] > 2 * CLOSE


advantages = actor_critic.advantages


def of_the_wrong_sign(reward: Any, value: Any, *rest: Any, **options: Any) -> tf.Tensor:
    return -advantages(reward, value, *rest, **options)


def without_discount(*args: Any, gamma: float, trace: float) -> tf.Tensor:
    return advantages(*args, gamma=1.0, trace=trace)


def masked_a_step_late(
    reward: Any, value: Any, next_value: Any, terminated: Any, truncated: Any, **options: Any
) -> tf.Tensor:
    return advantages(reward, value, next_value, tf.roll(terminated, 1, axis=0), truncated, **options)


@pytest.mark.parametrize(
    ("fault", "found_by"),
    [(of_the_wrong_sign, "chosen for seen"), (without_discount, "time limit"), (masked_a_step_late, "two steps")],
)
def test_a_wrong_advantage_is_found(fault: Any, found_by: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(actor_critic, "advantages", fault)
    assert errors(learn("ppo", Joint()))[found_by] > 2 * CLOSE
