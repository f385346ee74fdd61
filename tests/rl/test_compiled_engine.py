"""The compiled engine, on an env and an agent whose every step is known."""

from typing import NamedTuple

import keras
import numpy as np
import pytest
import tensorflow as tf
from gymnasium import spaces

from advdl.errors import DivergedError
from advdl.rl import Acted, Agent, CompiledEngine, CompiledEnv, Spaces, UniformReplay
from advdl.training import Objective, Trainer, Tuning
from advdl.training.compilation import Compilation

LIMIT = 6


class Walk(CompiledEnv):
    """Counts up by 1 or 2 from a drawn beginning; beyond 10 it ends. The reward is the new count."""

    max_episode_steps = LIMIT
    observation_space = spaces.Box(0.0, 20.0, (1,), np.float32)
    action_space = spaces.Discrete(2)

    def initial(self, rng, params=None, *, batch_size=1):
        return tf.floor(tf.random.stateless_uniform([batch_size], rng, 0.0, 8.0))

    def transition(self, state, action, rng, params=None):
        return state + 1.0 + tf.cast(action, tf.float32)

    def observation(self, state, rng, params=None):
        return state[:, None]

    def reward(self, state, action, next_state, rng, params=None):
        return next_state

    def terminal(self, state, rng, params=None):
        return state > 10.0


class Record(NamedTuple):
    """What a source was given, each ``[iterations, copies, ...]``."""

    observation: np.ndarray
    next_observation: np.ndarray
    action: np.ndarray
    reward: np.ndarray
    terminated: np.ndarray
    truncated: np.ndarray


class Recorder(UniformReplay):
    """A replay that keeps ``truncated`` too, and never comes round."""

    def __init__(self, where, **sizes):
        super().__init__(where, **sizes)
        self._copies = sizes["num_envs"]
        self._truncated = tf.Variable(tf.zeros([self.capacity], tf.bool), trainable=False)

    def add(self, transition):
        rows = tf.range(self._copies, dtype=tf.int64) + self.state()["added"] % self.capacity
        self._truncated.scatter_update(tf.IndexedSlices(transition["truncated"], rows))
        super().add(transition)

    def record(self):
        stored = self.state() | {"truncated": self._truncated}
        added = int(stored.pop("added"))
        rows = {name: field.numpy()[:added] for name, field in stored.items()}
        return Record(**{name: row.reshape(-1, self._copies, *row.shape[1:]) for name, row in rows.items()})


class Toss(Agent):
    """Tosses a coin, and fits the rewards. Its carry counts the steps of an episode."""

    sizes = {"capacity": 4000, "batch_size": 8, "learning_starts": 40, "train_every": 16, "updates": 2}  # noqa: RUF012

    def __init__(self, where):
        super().__init__(where)
        self.line = keras.layers.Dense(1, name="line", kernel_initializer="zeros")
        self.line.build((None, 1))
        self.poison_after = tf.Variable(10**9, dtype=tf.int64)
        self.seen = tf.Variable(0, dtype=tf.int64)

    @property
    def models(self):
        return {"line": self.line}

    def act(self, observation, carry, seed, *, progress):
        action = tf.random.stateless_uniform([tf.shape(observation)[0]], seed, 0, 2, tf.int64)
        return Acted(action, carry + 1, metrics={"carry": tf.reduce_max(carry)})

    def initial_carry(self, num_envs):
        return tf.zeros([num_envs], tf.int32)

    def source(self, *, num_envs):
        return Recorder(self.spaces, num_envs=num_envs, **self.sizes)

    def objectives(self):
        return [Objective("fit", self.loss, self.line.trainable_variables)]

    def loss(self, batch, seed):
        error = self.line(batch["observation"])[:, 0] - batch["reward"]
        poison = tf.where(self.seen >= self.poison_after, float("nan"), 0.0)
        return tf.reduce_mean(error**2) + poison, {"error": error}

    def after_update(self, update):
        self.seen.assign(update)


def build(copies=4, seed=0, jit=False, total=800, chunk_seconds=1.0):
    agent = Toss(Spaces(Walk.observation_space, Walk.action_space))
    source = agent.source(num_envs=copies)
    optimizer = keras.optimizers.Adam(0.01)
    optimizer.build(agent.line.trainable_variables)
    tuning = Tuning(optimizer, lambda step, total: 0.01)
    trainer = Trainer(agent, {"fit": tuning}, total_updates=source.updates_in(total))
    options = {"num_envs": copies, "total_steps": total, "seed": seed, "jit": jit, "chunk_seconds": chunk_seconds}
    return CompiledEngine(Walk(), agent, trainer, source, **options)


def run(engine, until, *stops):
    for stop in (*stops, until):
        while engine.env_steps < stop:
            engine.advance(stop)
    return engine


def snapshot(engine):
    return {name: variable.numpy() for name, variable in engine.state().items()}


def assert_same(one, two):
    assert one.keys() == two.keys()
    for name in one:
        np.testing.assert_array_equal(one[name], two[name], err_msg=name, strict=True)


@pytest.fixture(scope="module")
def engine():
    return run(build(), 800)


@pytest.fixture(scope="module")
def record(engine):
    return engine.source.record()


class TestSteps:
    def test_every_step_follows_the_one_before(self, record):
        done = record.terminated | record.truncated
        assert record.reward.shape == (200, 4)
        expected = record.observation + 1 + record.action[..., None]
        np.testing.assert_array_equal(record.next_observation, expected)
        np.testing.assert_array_equal(record.reward, record.next_observation[..., 0])
        going_on = ~done[:-1]
        np.testing.assert_array_equal(record.observation[1:][going_on], record.next_observation[:-1][going_on])

    def test_a_new_episode_begins_in_the_same_step_and_the_last_observation_is_kept(self, record):
        done = record.terminated | record.truncated
        assert (record.observation[1:][done[:-1]] < 8).all()
        assert (record.next_observation[record.terminated] > 10).all()
        assert (record.observation <= 10).all()
        beginnings = record.observation[1:][done[:-1]]
        assert set(beginnings.ravel()) == set(range(8))

    def test_the_end_and_the_time_limit_are_kept_apart(self, record):
        ages = np.zeros(4, int)
        both = 0
        for terminated, truncated, after in zip(
            record.terminated, record.truncated, record.next_observation[..., 0], strict=True
        ):
            ages += 1
            np.testing.assert_array_equal(terminated, after > 10)
            np.testing.assert_array_equal(truncated, (ages == LIMIT) & ~terminated)
            both += ((ages == LIMIT) & terminated).sum()
            ages[terminated | truncated] = 0
        assert record.truncated.sum() > 5
        assert record.terminated.sum() > 5
        assert both > 0  # an env's own end at the time limit is an end

    def test_copies_go_their_own_ways(self, record):
        assert len({tuple(record.action[:, copy]) for copy in range(4)}) == 4

    def test_the_carry_begins_anew_with_the_episode(self, engine):
        assert snapshot(engine)["metrics/act/carry/sum"] > 0
        live = next(value for name, value in snapshot(engine).items() if "live" in name and value.dtype == np.int32)
        np.testing.assert_array_equal(live, snapshot(engine)["engine/episode_length"])


def episodes(record):
    """Returns and lengths of the episodes that ended."""
    returns, totals, ages = [], np.zeros(record.reward.shape[1]), np.zeros(record.reward.shape[1])
    for reward, done in zip(record.reward, record.terminated | record.truncated, strict=True):
        totals, ages = totals + reward, ages + 1
        returns += [*zip(totals[done], ages[done], strict=True)]
        totals, ages = totals * ~done, ages * ~done
    return np.array(returns).T


def test_episode_statistics(engine, record):
    returns, lengths = episodes(record)
    found = engine.metrics.read()
    assert found["rollout/return"] == pytest.approx(returns.mean(), rel=1e-6)
    assert found["rollout/length"] == pytest.approx(lengths.mean(), rel=1e-6)
    assert snapshot(engine)["metrics/rollout/return/count"] == len(returns)


def test_losses_and_scalars_are_means_over_the_updates(engine):
    state = snapshot(engine)
    assert state["metrics/learn/fit/loss/count"] == state["trainer/updates"] > 0
    assert "metrics/learn/fit/error/count" not in state  # it is no scalar


@pytest.mark.parametrize("copies", [1, 3, 16])
def test_any_number_of_copies_makes_the_updates_that_were_counted(copies):
    engine = build(copies)
    for until in (1, 50, 81, 200):
        run(engine, until)
        assert until <= engine.env_steps < until + copies
        assert engine.env_steps % copies == 0
        assert snapshot(engine)["trainer/updates"] == engine.source.updates_in(engine.env_steps)
    assert snapshot(engine)["trainer/updates"] > 0


def test_the_same_seed_gives_the_same_run_and_another_another(engine):
    assert_same(snapshot(run(build(), 800)), snapshot(engine))
    other = run(build(seed=1), 800).source.record()
    assert not np.array_equal(other.action, engine.source.record().action)
    assert not np.array_equal(other.observation[0], engine.source.record().observation[0])


def test_how_it_is_cut_into_calls_changes_no_bit():
    engine = build(jit=True)
    engine.build()
    beginning = snapshot(engine)
    run(engine, 800)
    expected = snapshot(engine)
    for stops in (range(4, 800, 4), (40, 41, 400), (796,)):
        for name, variable in engine.state().items():
            variable.assign(beginning[name])
        run(engine, 800, *stops)
        assert_same(snapshot(engine), expected)


def test_every_variable_is_there_once_it_is_built_and_is_all_there_is_of_a_run():
    """Another engine that takes the state over half-way ends with the same bits."""
    first, second = run(build(), 400), build(seed=0)
    second.build()
    taken_over = snapshot(first)
    assert taken_over.keys() == second.state().keys()
    for name, variable in second.state().items():
        variable.assign(taken_over[name])
    second._agent.seen.assign(first._agent.seen)  # the toy's own, which no model holds
    assert_same(snapshot(run(second, 800)), snapshot(run(first, 800)))


def test_a_call_takes_about_as_long_as_it_may():
    engine = run(build(chunk_seconds=0.02, total=4000), 400)
    calls = 0
    while engine.env_steps < 4000:
        engine.advance(4000)
        calls += 1
    assert 3 < calls < 900


def test_it_stops_at_the_first_value_that_is_not_finite():
    engine = build()
    agent = engine._agent
    agent.poison_after.assign(5)
    with pytest.raises(DivergedError, match=r"^update 6, objective 'fit': the loss is nan$"):
        run(engine, 800)
    state = snapshot(engine)
    assert state["trainer/updates"] == 6
    assert engine.env_steps < 800
    assert all(np.isfinite(value).all() for name, value in state.items() if "trainer" in name)


def test_where_xla_is_left_steps_and_updates_go_on_as_before():
    compilation = Compilation(False)
    compilation.assumed = True  # as if it had been measured
    left = run(build(jit=compilation), 800)
    record, plain = left.source.record(), build()
    assert (left.state()["trainer/updates"], left.env_steps) == (run(plain, 800).state()["trainer/updates"], 800)
    expected = record.observation + 1 + record.action[..., None]
    np.testing.assert_array_equal(record.next_observation, expected)
    assert len(np.unique(record.action)) == 2


def test_updates_that_are_programs_of_their_own_are_the_same_updates():
    apart, fused = run(build(jit=Compilation(True, apart=True)), 800, 300), run(build(jit=True), 800)
    one, other = snapshot(apart), snapshot(fused)
    assert one.keys() == other.keys()
    for name in one:
        np.testing.assert_allclose(one[name], other[name], rtol=1e-4, atol=1e-6, err_msg=name)
