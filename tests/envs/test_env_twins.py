"""Every compiled env equals Gymnasium's: one step from 10,000 states, and along whole episodes."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import gymnasium
import numpy as np
import pytest
import tensorflow as tf

from advdl.rl.functional import CompiledEnv
from advdl.testing.contract import ContractError
from advdl.testing.twin import TwinComparison, TwinSteps, check_twin, record
from advdl_envs.acrobot import Acrobot
from advdl_envs.cartpole import CartPole
from advdl_envs.mountain_car import MountainCar
from advdl_envs.mountain_car_continuous import MountainCarContinuous
from advdl_envs.pendulum import Pendulum

STEPS = 10_000


@dataclass(frozen=True)
class Case:
    """A twin, where its states are drawn from, and its physics by the compiled env's names.

    ``tolerance`` holds everywhere in the state space, ``walk_tolerance`` where random actions lead.
    """

    env: type[CompiledEnv]
    twin: str
    low: tuple[float, ...]
    high: tuple[float, ...]
    tolerance: float
    walk_tolerance: float
    attribute: Callable[[str], str] = str
    other_physics: Mapping[str, float] = field(default_factory=dict)


CASES = [
    Case(
        CartPole,
        "CartPole-v1",
        (-2.5, -3.0, -0.25, -3.0),
        (2.5, 3.0, 0.25, 3.0),
        1e-6,
        1e-6,
        other_physics={
            "gravity": 8.0,
            "masscart": 1.5,
            "masspole": 0.3,
            "length": 0.7,
            "force_mag": 7.0,
            "tau": 0.03,
        },
    ),
    Case(
        Acrobot,
        "Acrobot-v1",
        (-np.pi, -np.pi, -4 * np.pi, -9 * np.pi),
        (np.pi, np.pi, 4 * np.pi, 9 * np.pi),
        1e-3,
        1e-6,
        attribute=str.upper,
        other_physics={"link_mass_1": 1.3, "link_mass_2": 0.8, "link_length_1": 1.2, "link_moi": 0.9},
    ),
    Case(
        MountainCar,
        "MountainCar-v0",
        (-1.2, -0.07),
        (0.6, 0.07),
        1e-6,
        1e-6,
        other_physics={"force": 0.002, "gravity": 0.003, "goal_position": 0.4, "goal_velocity": 0.02},
    ),
    Case(
        MountainCarContinuous,
        "MountainCarContinuous-v0",
        (-1.2, -0.07),
        (0.6, 0.07),
        1e-6,
        1e-6,
        other_physics={"power": 0.003, "max_speed": 0.05, "goal_position": 0.3, "min_action": -0.5},
    ),
    Case(
        Pendulum,
        "Pendulum-v1",
        (-30.0, -8.0),
        (30.0, 8.0),
        1e-5,
        1e-6,
        other_physics={"g": 9.81, "m": 1.3, "l": 0.8, "dt": 0.04, "max_speed": 7.0, "max_torque": 1.5},
    ),
]

every_env = pytest.mark.parametrize("case", CASES, ids=lambda case: case.twin)


def make_twin(case: Case) -> Any:
    return gymnasium.make(case.twin, disable_env_checker=True).unwrapped


def set_physics(twin: Any, case: Case, physics: Mapping[str, float]) -> None:
    for name, value in physics.items():
        assert hasattr(twin, case.attribute(name))
        setattr(twin, case.attribute(name), value)
    if case.env is CartPole:  # Gymnasium derives these once
        twin.total_mass = twin.masspole + twin.masscart
        twin.polemass_length = twin.masspole * twin.length


def uniform_states(case: Case, count: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).uniform(case.low, case.high, (count, len(case.low))).astype(np.float32)


@pytest.fixture(scope="module")
def recorded() -> Callable[[Case], TwinSteps]:
    """Gymnasium's 10,000 steps of a case from all over the state space."""
    kept: dict[str, TwinSteps] = {}

    def steps(case: Case) -> TwinSteps:
        if case.twin not in kept:
            kept[case.twin] = record(make_twin(case), uniform_states(case, STEPS))
        return kept[case.twin]

    return steps


@every_env
def test_ten_thousand_steps_agree(case: Case, recorded: Callable[[Case], TwinSteps]) -> None:
    steps = recorded(case)
    assert len(steps.state) == STEPS
    if case.env is not Pendulum:
        assert 0.01 < steps.terminated.mean() < 0.99, "both outcomes are compared"
    TwinComparison(case.env(), steps, tolerance=case.tolerance).check()


@every_env
def test_two_thousand_steps_of_a_random_walk_agree_closely(case: Case) -> None:
    check_twin(case.env, case.twin, steps=2000, tolerance=case.walk_tolerance)


@every_env
def test_a_five_percent_change_of_any_param_is_noticed(case: Case, recorded: Callable[[Case], TwinSteps]) -> None:
    env = case.env()
    comparison = TwinComparison(env, recorded(case), tolerance=case.tolerance)
    defaults = env.get_default_params()
    comparison.check(defaults)
    for name, value in defaults._asdict().items():
        other = env.get_default_params(**{name: value * 0.95 if value else 0.01})
        with pytest.raises(ContractError, match="equals its twin's"):
            comparison.check(other)


@every_env
def test_other_physics_agree_one_a_batch_element(case: Case) -> None:
    twin = make_twin(case)
    states, parts = uniform_states(case, 600, seed=5), []
    set_physics(twin, case, {})
    parts.append(record(twin, states[:300]))
    set_physics(twin, case, case.other_physics)
    parts.append(record(twin, states[300:], seed=1))
    steps = TwinSteps(*(np.concatenate([getattr(p, f) for p in parts]) for f in TwinSteps.__dataclass_fields__))
    env = case.env()
    defaults = env.get_default_params()
    both = {n: np.repeat([getattr(defaults, n), v], 300) for n, v in case.other_physics.items()}
    comparison = TwinComparison(env, steps, tolerance=case.tolerance)
    comparison.check(env.get_default_params(**both))
    swapped = {name: value[::-1].copy() for name, value in both.items()}
    with pytest.raises(ContractError):
        comparison.check(env.get_default_params(**swapped))


@every_env
def test_episodes_agree_until_rounding_has_grown(case: Case) -> None:
    """The same actions from the same start: one step's tolerance may grow tenfold every 25 steps."""
    twin, env = make_twin(case), case.env()
    step = tf.function(lambda s, a: env.transition(s, a, tf.constant((0, 0))), jit_compile=True)
    twin.action_space.seed(3)
    for episode in range(3):
        twin.reset(seed=episode)
        state = np.array(twin.state, np.float32)[None]
        twin.state = state[0].astype(np.float64)
        for index in range(50):
            action = twin.action_space.sample()
            state = step(state, np.asarray([action], np.float32 if np.ndim(action) else np.int32))
            _, _, terminated, _, _ = twin.step(action)
            allowed = case.walk_tolerance * 10 ** (1 + index / 25)
            np.testing.assert_allclose(state[0], np.array(twin.state), rtol=allowed, atol=allowed)
            assert bool(env.terminal(state, None)[0]) == terminated
            if terminated:
                break


@pytest.mark.parametrize(
    ("env", "twin", "options"),
    [
        (CartPole, "CartPole-v1", {"sutton_barto_reward": True}),
        (MountainCar, "MountainCar-v0", {"goal_velocity": 0.03}),
        (MountainCarContinuous, "MountainCarContinuous-v0", {"goal_velocity": 0.03}),
        (Pendulum, "Pendulum-v1", {"g": 3.7}),
    ],
)
def test_gymnasiums_own_options_mean_the_same(env: Any, twin: str, options: dict[str, Any]) -> None:
    case = next(case for case in CASES if case.twin == twin)
    other = gymnasium.make(twin, disable_env_checker=True, **options).unwrapped
    steps = record(other, uniform_states(case, 2000))
    TwinComparison(env(**options), steps, tolerance=case.tolerance).check()
    with pytest.raises(ContractError):
        TwinComparison(env(), steps, tolerance=case.tolerance).check()


def test_a_wrong_space_is_noticed() -> None:
    env = CartPole()
    env.action_space = gymnasium.spaces.Discrete(3)
    with pytest.raises(ContractError, match="action_space"):
        check_twin(env, "CartPole-v1", steps=10)


def test_a_wrong_time_limit_is_noticed() -> None:
    class Short(CartPole):
        max_episode_steps = 400

    with pytest.raises(ContractError, match="max_episode_steps"):
        check_twin(Short, "CartPole-v1", steps=10)


def test_an_unclipped_action_costs_what_it_costs_gymnasium() -> None:
    twin = gymnasium.make("MountainCarContinuous-v0", disable_env_checker=True).unwrapped
    twin.reset(seed=0)
    twin.state = np.array([-0.5, 0.0])
    action = np.array([3.0], np.float32)
    _, reward, _, _, _ = twin.step(action)
    env = MountainCarContinuous()
    state = tf.constant([[-0.5, 0.0]])
    following = env.transition(state, action[None], None)
    assert float(env.reward(state, tf.constant(action[None]), following, None)[0]) == pytest.approx(reward)
    np.testing.assert_allclose(following[0], twin.state, atol=1e-6)
