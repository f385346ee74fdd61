"""Stable-baselines3's algorithms in our hands are what they are in their own, and can be stopped anywhere."""

import functools
import warnings

import gymnasium
import numpy as np
import pytest
import torch
from sb3_cases import CASES, COPIES, SEED, agent_class, assignment, build, snapshot, unequal, unheard

from advdl.errors import RunError, UsageError


@pytest.fixture(autouse=True)
def one_thread():
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


def directly(name):
    """Runs an algorithm as stable-baselines3's documentation does; returns the model and its episodes."""
    import sb3_contrib
    import stable_baselines3
    from stable_baselines3.common.env_util import make_vec_env
    from stable_baselines3.common.noise import NormalActionNoise
    from stable_baselines3.common.utils import LinearSchedule

    library, env_id, steps, options = CASES[name]
    algorithm = getattr(stable_baselines3, library, None) or getattr(sb3_contrib, library)
    arguments = {key: value for key, value in options.items() if not key.endswith("_decay")}
    policy = {"net_arch": list(arguments.pop("units"))}
    if "n_quantiles" in arguments:
        policy["n_quantiles"] = arguments.pop("n_quantiles")
    if name == "ppo":
        arguments["clip_range"] = LinearSchedule(0.2, 0.0, 1.0)
    if name == "td3":
        arguments["action_noise"] = NormalActionNoise(np.zeros(1), np.full(1, 0.1))
    env = make_vec_env(env_id, n_envs=COPIES, seed=SEED)
    model = algorithm("MlpPolicy", env, seed=SEED, policy_kwargs=policy, device="cpu", **arguments)
    model.learn(steps)
    return model, [list(map(float, returns)) for returns in env.get_attr("episode_returns")]


def in_pieces(agent, steps, report=unheard):
    """Learns a piece at a time, with an evaluation and somebody else's random numbers in between."""
    generator = np.random.default_rng(0)
    while agent.env_steps < steps:
        agent.learn(min(agent.env_steps + int(generator.integers(1, 60)), steps), report)
        agent.act(np.stack([agent.assignment.spaces.observation.sample()] * 3))
        np.random.random(7)
        torch.rand(7)


@pytest.mark.parametrize("name", CASES)
def test_through_us_it_is_the_same_seed_for_seed_as_called_directly(name):
    model, episodes = directly(name)
    told = []
    agent = build(name, device="cpu")
    in_pieces(agent, CASES[name][2], lambda key, value: told.append(value) if key == "rollout/return" else None)
    ours = agent.model.policy.state_dict()
    assert [key for key, value in model.policy.state_dict().items() if not torch.equal(value, ours[key])] == []
    assert agent.env_steps == model.num_timesteps
    assert sorted(told) == sorted(value for returns in episodes for value in returns)
    if CASES[name][1] == "CartPole-v1":
        assert told


@pytest.mark.parametrize("name", CASES)
def test_a_state_taken_back_goes_on_as_if_it_had_never_stopped(name):
    steps = CASES[name][2]
    straight = build(name)
    straight.learn(steps, unheard)
    stopped = build(name)
    stopped.learn(steps // 2, unheard)
    arrays, facts = snapshot(stopped)
    assert all(array.dtype.kind in "biufc" for array in arrays.values())
    resumed = build(name)
    assert resumed.restore(arrays, facts) == []
    resumed.learn(steps, unheard)
    assert unequal(straight.state(), resumed.state()) == []
    assert straight.facts() == resumed.facts()


def test_a_state_from_before_the_first_step_is_one_too():
    straight, fresh, resumed = build("dqn"), build("dqn"), build("dqn")
    straight.learn(160, unheard)
    assert resumed.restore(*snapshot(fresh)) == []
    resumed.learn(160, unheard)
    assert unequal(straight.state(), resumed.state()) == []


def test_normalised_observations_and_rewards_are_part_of_the_state_and_of_the_policy():
    build_it = functools.partial(build, "ppo", normalise_observations=True, normalise_rewards=True)
    straight, stopped, resumed, acting = build_it(), build_it(), build_it(), build_it()
    straight.learn(144, unheard)
    stopped.learn(60, unheard)
    assert resumed.restore(*snapshot(stopped)) == []
    resumed.learn(144, unheard)
    assert unequal(straight.state(), resumed.state()) == []
    policy = {name: array for name, array in straight.state().items() if name.startswith("learner/")}
    assert {name.split("/")[1] for name in policy} == {"policy", "normaliser"}
    acting.restore_policy(policy)
    observations = np.random.default_rng(0).normal(0, 3, (50, 4)).astype(np.float32)
    np.testing.assert_array_equal(acting.act(observations), straight.act(observations))


def test_building_and_learning_leave_the_random_numbers_of_the_process_alone():
    np.random.seed(11)
    torch.manual_seed(11)
    expected = np.random.random(3), torch.rand(3)
    np.random.seed(11)
    torch.manual_seed(11)
    build("a2c").learn(60, unheard)
    np.testing.assert_array_equal(np.random.random(3), expected[0])
    assert torch.equal(torch.rand(3), expected[1])


class Forgetful(gymnasium.Env):
    """Draws from a generator that nobody can put back."""

    observation_space = gymnasium.spaces.Box(-1, 1, (4,), np.float32)
    action_space = gymnasium.spaces.Discrete(2)

    def __init__(self):
        self._own = np.random.default_rng()

    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed)
        return self._own.uniform(-1, 1, 4).astype(np.float32), {}

    def step(self, action):
        return self._own.uniform(-1, 1, 4).astype(np.float32), 1.0, False, False, {}


class Breaking(Forgetful):
    def step(self, action):
        raise FloatingPointError("the pole is gone")


@pytest.fixture
def odd_envs():
    for env in (Forgetful, Breaking):
        gymnasium.register(f"{env.__name__}-v0", env, max_episode_steps=50)
    yield
    for env in (Forgetful, Breaking):
        del gymnasium.registry[f"{env.__name__}-v0"]


def test_what_cannot_be_brought_back_is_said_and_given_up_as_at_a_time_limit(odd_envs):
    options = {"learning_starts": 10, "buffer_size": 100, "units": (8,)}
    make = functools.partial(agent_class("dqn"), assignment("Forgetful-v0", 100), **options)
    stopped, resumed = make(), make()
    stopped.learn(40, unheard)
    (sentence,) = resumed.restore(*snapshot(stopped))
    assert sentence.startswith("2 of 2 envs could not be brought back to where they were")
    buffer = resumed.model.replay_buffer
    assert buffer.dones[buffer.pos - 1].tolist() == buffer.timeouts[buffer.pos - 1].tolist() == [1.0, 1.0]
    assert resumed.model._last_episode_starts.all()
    resumed.learn(100, unheard)
    assert resumed.env_steps >= 100


def test_an_env_that_fails_is_named(odd_envs):
    agent = agent_class("a2c")(assignment("Breaking-v0", 100), units=(8,))
    with pytest.raises(RunError) as failure:
        agent.learn(100, unheard)
    assert "env 'Breaking-v0' failed in step() of episode 0 at step 0 on action" in failure.value.message
    assert "the pole is gone" in failure.value.message


@pytest.mark.parametrize(
    ("name", "env_id", "options", "sentence"),
    [
        ("sac", "CartPole-v1", {}, "SAC of stable-baselines3 cannot learn in 'CartPole-v1'"),
        ("dqn", "Pendulum-v1", {}, "DQN of stable-baselines3 cannot learn in 'Pendulum-v1'"),
        ("ppo", "CartPole-v1", {"use_sde": True}, "gSDE"),
    ],
)
def test_what_does_not_fit_is_refused_in_one_sentence(name, env_id, options, sentence):
    with pytest.raises(UsageError) as refusal:
        agent_class(name)(assignment(env_id, 100), **options)
    assert sentence in refusal.value.message
    assert refusal.value.hint


def test_a_state_of_other_networks_is_refused():
    arrays, facts = snapshot(build("ppo"))
    with pytest.raises(UsageError, match=r"is \[16, 4\] in it and \[8, 4\] here"):
        build("ppo", units=(8,)).restore(arrays, facts)


@pytest.mark.parametrize("name", ["ppo", "dqn", "sac", "td3"])
def test_a_policy_written_as_onnx_or_as_a_zip_acts_as_the_live_one(name, tmp_path):
    agent = build(name)
    agent.learn(agent.assignment.total_steps, unheard)
    space = agent.assignment.spaces.observation
    space.seed(5)
    observations = np.stack([space.sample() for _ in range(7)])
    live = agent.act(observations)
    for kind, ending in agent.formats.items():
        agent.export(tmp_path / f"policy{ending}", kind)
    assert np.allclose(onnx_actions(tmp_path / "policy.onnx", observations), live, 1e-4, 1e-4)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # of the replay that its own zip names
        theirs = agent.algorithm.load(tmp_path / "policy.zip")
    assert np.array_equal(theirs.predict(observations, deterministic=True)[0], live)
    agent.close()


def test_an_exported_policy_normalises_what_it_sees(tmp_path):
    agent = build("ppo", normalise_observations=True)
    agent.learn(agent.assignment.total_steps, unheard)
    observations = np.linspace(-3, 3, 28, dtype=np.float32).reshape(7, 4)
    agent.export(tmp_path / "policy.onnx", "onnx")
    assert np.array_equal(onnx_actions(tmp_path / "policy.onnx", observations), agent.act(observations))
    agent.close()


def onnx_actions(file, observations):
    import onnxruntime

    session = onnxruntime.InferenceSession(str(file), providers=["CPUExecutionProvider"])
    return session.run(None, {"observation": observations})[0]
