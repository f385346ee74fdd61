import gymnasium
import numpy as np
import pytest
from gymnasium import spaces
from gymnasium.vector import AutoresetMode, VectorEnv
from gymnasium.vector.utils import batch_space

from advdl.errors import RunError, UsageError
from advdl.rl.evaluation import episode_seed, evaluate


class Lottery(gymnasium.Env):
    """An episode lasts 1 or 20 steps, as its seed says; a reward a step."""

    observation_space = spaces.Box(0.0, 1.0, (2,), np.float32)
    action_space = spaces.Discrete(3)

    def __init__(self, fail_at=None):
        self.fail_at = fail_at

    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed)
        self.left = lottery_length(seed)
        self.steps = 0
        return np.zeros(2, np.float32), {}

    def step(self, action):
        assert self.action_space.contains(action)
        assert self.left > 0, "stepped after its end"
        if self.steps == self.fail_at:
            raise RuntimeError("motor stuck")
        self.left -= 1
        self.steps += 1
        return np.ones(2, np.float32), 1.0, self.left == 0, False, {}


def lottery_length(seed):
    return 1 if np.random.default_rng(seed).random() < 0.5 else 20


class Nested(gymnasium.Env):
    """Dict and tuple observations, a Box action; the return is the sum of what was seen and done."""

    observation_space = spaces.Dict(
        {"a": spaces.Box(-9, 9, (2,)), "b": spaces.Tuple((spaces.Discrete(9), spaces.MultiBinary(3)))}
    )
    action_space = spaces.Box(-1.0, 1.0, (2,), np.float32)

    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed)
        return self.observe(), {}

    def step(self, action):
        assert self.action_space.contains(action)
        return self.observe(), float(action.sum()), False, True, {}

    def observe(self):
        return {"a": np.full(2, 0.25, np.float32), "b": (4, np.ones(3, np.int8))}


class Ladder(VectorEnv):
    """Copy i lasts i + 1 steps; what comes after would spoil the return."""

    def __init__(self, num_envs, mode, max_episode_steps=None):
        self.num_envs = num_envs
        self.metadata = {"autoreset_mode": mode}
        self.single_observation_space = spaces.Box(0, 1, (1,))
        self.observation_space = batch_space(self.single_observation_space, num_envs)
        self.single_action_space = spaces.Discrete(2)
        self.action_space = batch_space(self.single_action_space, num_envs)

    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed)
        self.steps = 0
        return np.arange(self.num_envs, dtype=np.float32)[:, None], {}

    def step(self, actions):
        assert self.action_space.contains(actions)
        self.steps += 1
        length = np.arange(self.num_envs) + 1
        rewards = np.where(self.steps <= length, 1.0, 100.0)
        done = self.steps % length == 0
        return np.arange(self.num_envs, dtype=np.float32)[:, None], rewards, done, np.zeros_like(done), {}


@pytest.fixture(autouse=True)
def test_envs():
    before = set(gymnasium.registry)
    gymnasium.register("Lottery-v0", Lottery)
    gymnasium.register("Nested-v0", Nested)
    for mode in AutoresetMode:
        gymnasium.register(f"Ladder{mode.name}-v0", Lottery, vector_entry_point=Ladder, kwargs={"mode": mode})
    yield
    for name in set(gymnasium.registry) - before:
        del gymnasium.registry[name]


def zeros(observations):
    return np.zeros(len(observations), np.int64)


def balance(observations):
    return (observations[:, 2] + observations[:, 3] > 0).astype(np.int64)


@pytest.mark.parametrize("num_envs", [None, 1, 7])
def test_every_episode_counts_however_long(num_envs):
    evaluation = evaluate(zeros, "Lottery-v0", episodes=100, seed=3, num_envs=num_envs)
    expected = [lottery_length(episode_seed(3, episode)) for episode in range(100)]
    assert {1, 20} == set(expected)
    assert evaluation.lengths.tolist() == expected
    assert evaluation.returns.tolist() == expected


def test_only_running_episodes_are_acted_for():
    batches = []

    def act(observations):
        batches.append(len(observations))
        return zeros(observations)

    evaluation = evaluate(act, "Lottery-v0", episodes=6, seed=0, num_envs=4)
    assert sum(batches) == evaluation.lengths.sum()
    assert max(batches) == 4


@pytest.mark.parametrize("mode", ["NEXT_STEP", "SAME_STEP"])
def test_a_vectorised_copy_counts_once_in_each_autoreset_mode(mode):
    batches = []

    def act(observations):
        batches.append(observations[:, 0].astype(int).tolist())
        return zeros(observations)

    evaluation = evaluate(act, f"Ladder{mode}-v0", episodes=5, seed=0, num_envs=3)
    assert evaluation.returns.tolist() == [1, 2, 3, 1, 2]
    assert evaluation.lengths.tolist() == [1, 2, 3, 1, 2]
    assert batches == [[0, 1, 2], [1, 2], [2], [0, 1], [1]]


def test_a_vector_env_that_never_resets_itself_is_not_used():
    with pytest.raises(RunError, match="mode"):  # the single env is made instead, and has no such option
        evaluate(zeros, "LadderDISABLED-v0", episodes=2, seed=0)


def test_cartpole_is_gymnasiums_own_step_by_step():
    evaluation = evaluate(balance, "CartPole-v1", episodes=8, seed=5, num_envs=8)
    copies = gymnasium.make_vec("CartPole-v1", 8, vectorization_mode="vector_entry_point")
    copies.reset(seed=episode_seed(5, 0))
    states = copies.state.T.copy()
    copies.close()
    env = gymnasium.make("CartPole-v1")
    for state, length in zip(states, evaluation.lengths, strict=True):
        env.reset()
        env.unwrapped.state = state
        steps, done, seen = 0, False, state
        while not done:
            seen, _, terminated, truncated, _ = env.step(int(balance(np.float32(seen)[None])[0]))
            steps, done = steps + 1, terminated or truncated
        assert steps == length
    env.close()
    assert evaluation.returns.tolist() == evaluation.lengths.tolist()


def test_the_time_limit_is_the_envs():
    assert set(evaluate(balance, "CartPole-v1", episodes=30, seed=0).lengths) <= set(range(100, 501))
    assert (evaluate(zeros, "MountainCar-v0", episodes=3, seed=0).lengths == 200).all()


def test_seeds_settle_the_result():
    first, again, other = (evaluate(zeros, "CartPole-v1", episodes=40, seed=seed) for seed in (1, 1, 2))
    assert first.lengths.tolist() == again.lengths.tolist()
    assert first.lengths.tolist() != other.lengths.tolist()


def test_nested_observations_and_box_actions():
    def act(observations):
        assert observations["a"].shape == (5, 2)
        assert observations["b"][0].tolist() == [4] * 5
        assert observations["b"][1].shape == (5, 3)
        return observations["a"].astype(np.float64)

    evaluation = evaluate(act, "Nested-v0", episodes=5, seed=0)
    assert evaluation.returns.tolist() == [0.5] * 5


def test_an_env_that_raises_is_named_with_episode_step_seed_and_action():
    options = {"fail_at": 2}
    victim = next(i for i in range(9) if lottery_length(episode_seed(0, i)) == 20)
    with pytest.raises(RunError) as caught:
        evaluate(zeros, "Lottery-v0", episodes=9, seed=0, num_envs=1, env_options=options)
    message = caught.value.message
    for part in ("Lottery-v0", f"episode {victim} ", "step 2 ", str(episode_seed(0, victim)), "motor stuck"):
        assert part in message
    assert "action np.int64(0)" in message


def test_an_option_that_the_env_does_not_have_is_a_run_error():
    with pytest.raises(RunError, match="wheels"):
        evaluate(zeros, "CartPole-v1", episodes=1, seed=0, env_options={"wheels": 3})


def test_an_unknown_env_is_answered_with_the_nearest():
    with pytest.raises(UsageError) as caught:
        evaluate(zeros, "CartPol-v1", episodes=1, seed=0)
    assert "CartPole-v1" in caught.value.hint


def test_float_actions_for_a_discrete_space_are_refused():
    with pytest.raises(TypeError, match="float64"):
        evaluate(lambda o: np.full(len(o), 0.7), "Lottery-v0", episodes=1, seed=0)


def test_figures_hold_the_summary_and_the_length():
    figures = evaluate(balance, "CartPole-v1", episodes=10, seed=0).figures()
    assert figures["episodes"] == 10
    assert figures["length/mean"] == figures["return/mean"]
