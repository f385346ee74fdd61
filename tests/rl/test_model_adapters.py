"""The world model and the synthetic replay, on a tiny sampler whose dynamics are known."""

from typing import Any

import keras
import numpy as np
import pytest
import tensorflow as tf
from gymnasium.spaces import Box, Dict, Discrete, MultiDiscrete

from advdl.errors import UsageError
from advdl.rl import CompiledEngine, Spaces, SyntheticReplay, TransitionCodec, UniformReplay, WorldModel
from advdl.testing import check_env
from advdl.training import DataSpec, Objective, Sampler

BOX = Box(-10.0, 10.0, (2,), np.float32)
PUSHED = Spaces(BOX, Discrete(3, start=1))
DRIVEN = Spaces(BOX, Box(-1.0, 1.0, (1,), np.float32))


class Linear(Sampler):
    """``x = c W + deviation * noise``: what it draws is known, and W can be learnt."""

    score, better = "error", "lower"

    def __init__(self, spec: DataSpec, *, deviation: float = 0.0) -> None:
        super().__init__(spec)
        self._size, self._deviation = spec.x.shape[0], deviation
        rows = 1 if spec.c is None else spec.c.shape[0]
        self.layer = keras.layers.Dense(self._size, use_bias=False, kernel_initializer="zeros", name="linear")
        self.layer.build((None, rows))

    @property
    def models(self) -> Any:
        return {"linear": self.layer}

    @property
    def noise_shape(self) -> tuple[int, ...]:
        return (self._size,)

    def objectives(self) -> Any:
        return [Objective("fit", self.loss, self.layer.trainable_variables)]

    def loss(self, batch: Any, seed: Any) -> Any:
        return tf.reduce_mean(self.measure(batch, seed)["error"]), {}

    def measure(self, batch: Any, seed: Any) -> Any:
        return {
            "error": tf.reduce_sum((self.layer(self._given(batch.get("c"), len(batch["x"]))) - batch["x"]) ** 2, -1)
        }

    def generate(self, noise: Any, c: Any, seed: Any) -> Any:
        return self.layer(self._given(c, noise.shape[0])) + self._deviation * noise

    def _given(self, c: Any, count: int) -> Any:
        return tf.ones([count, 1]) if c is None else c


def transitions(spaces: Spaces, count: int = 40) -> dict[str, Any]:
    rng = np.random.default_rng(0)
    spaces.action.seed(0)
    observation = rng.normal(size=(count, 2)).astype(np.float32)
    return {
        "observation": observation,
        "action": np.stack([spaces.action.sample() for _ in range(count)]),
        "reward": rng.normal(size=count).astype(np.float32),
        "next_observation": observation + rng.normal(size=(count, 2)).astype(np.float32),
        "terminated": rng.random(count) < 0.3,
    }


@pytest.mark.parametrize("spaces", [PUSHED, DRIVEN], ids=["discrete", "box"])
def test_transitions_survive_being_vectors(spaces: Spaces) -> None:
    codec, real = TransitionCodec(spaces), transitions(spaces)
    encoded = codec.encode_whole(real)["x"]
    assert tuple(encoded.shape[1:]) == codec.transition_spec.x.shape
    assert {name: tuple(value.shape[1:]) for name, value in codec.encode(real).items()} == {
        "x": codec.outcome_spec.x.shape,
        "c": codec.outcome_spec.c.shape,
    }
    decoded = codec.decode_whole(encoded)
    for name, value in real.items():
        np.testing.assert_allclose(np.asarray(decoded[name], float), np.asarray(value, float), atol=1e-5)
        assert decoded[name].dtype.name == np.asarray(value).dtype.name


def test_decoded_transitions_keep_to_the_spaces() -> None:
    codec = TransitionCodec(DRIVEN)
    wild = codec.decode_whole(100.0 * tf.random.stateless_normal([50, codec.transition_spec.x.shape[0]], (0, 1)))
    for name in ("observation", "next_observation"):
        assert all(row in BOX for row in wild[name].numpy())
    assert all(row in DRIVEN.action for row in wild["action"].numpy())


@pytest.mark.parametrize(
    ("spaces", "sentence"),
    [
        (Spaces(Box(0, 255, (84, 84, 4), np.uint8), Discrete(2)), "with at most 4,096 of them"),
        (Spaces(Box(0, 1, (4, 4, 1), np.float32), Discrete(2)), "observations that are vectors of floats"),
        (Spaces(Dict({}), Discrete(2)), "observations that are vectors of floats"),
        (Spaces(BOX, MultiDiscrete([2, 2])), "Discrete or Box actions"),
    ],
)
def test_spaces_without_vectors_are_refused(spaces: Spaces, sentence: str) -> None:
    with pytest.raises(UsageError, match=sentence):
        TransitionCodec(spaces)


@pytest.mark.parametrize(("high", "dtype"), [(255, np.uint8), (1, np.bool_)])
def test_small_images_survive_being_vectors(high: int, dtype: Any) -> None:
    space = Box(0, high, (3, 2, 2), dtype)
    codec = TransitionCodec(Spaces(space, Discrete(3)))
    space.seed(0)
    images = np.stack([[space.sample() for _ in range(2)] for _ in range(9)])
    plain = {"action": np.arange(9) % 3, "reward": np.ones(9, np.float32), "terminated": np.arange(9) == 4}
    real = {"observation": images[:, 0], "next_observation": images[:, 1], **plain}
    encoded = codec.encode_whole(real)["x"].numpy()
    assert encoded.shape[1] == 12 + 3 + 12 + 2
    assert np.abs(encoded).max() <= 1.0
    decoded = codec.decode_whole(encoded + 0.4 / high)  # a pixel is the nearest whole number
    for name in ("observation", "next_observation", "action", "terminated"):
        np.testing.assert_array_equal(decoded[name], real[name])
        assert decoded[name].dtype.name == np.asarray(real[name]).dtype.name
    decoded = codec.decode_whole(encoded + 9.0)
    assert all(image in space for image in decoded["next_observation"].numpy())


def test_a_world_of_images_begins_at_real_ones_and_is_never_left() -> None:
    space = Box(0, 255, (2, 2, 1), np.uint8)
    seen = Spaces(space, Discrete(2))
    sampler = Linear(TransitionCodec(seen).outcome_spec)
    kernel = np.zeros(sampler.layer.kernel.shape, np.float32)
    kernel[4:, :4] = 100 / 255  # whatever is done, every pixel becomes brighter
    sampler.layer.set_weights([kernel])
    real = {
        "observation": np.full((5, 2, 2, 1), 10, np.uint8),
        "action": np.zeros(5, np.int64),
        "reward": np.zeros(5, np.float32),
        "next_observation": np.full((5, 2, 2, 1), 20, np.uint8),
        "terminated": np.zeros(5, bool),
    }
    env = WorldModel([sampler], seen, real)
    state = env.initial(tf.constant([0, 1]), batch_size=3)
    for brightness in (110, 210, 255):
        state = env.transition(state, tf.constant([0, 1, 0]), tf.constant([0, 2]))
        assert (state.observation.numpy() == brightness).all()
    assert state.observation.dtype == tf.uint8
    assert not env.terminal(state, None).numpy().any()
    check_env(env)


def drifting(spaces: Spaces, deviation: float = 0.0) -> Linear:
    """Adds 0.5 to the first component, brings the second as reward and never terminates."""
    sampler = Linear(TransitionCodec(spaces).outcome_spec, deviation=deviation)
    kernel = np.zeros(sampler.layer.kernel.shape, np.float32)
    kernel[2:, 0] = 0.5  # one of the actions is 1
    kernel[1, 2] = 1.0
    sampler.layer.set_weights([kernel])
    return sampler


def test_a_world_model_goes_on_as_the_sampler_says() -> None:
    env = WorldModel([drifting(PUSHED)], PUSHED, transitions(PUSHED), horizon=7)
    assert env.max_episode_steps == 7
    state = env.initial(tf.constant([0, 1]), batch_size=5)
    starts = transitions(PUSHED)["observation"]
    assert all(any(np.array_equal(row, start) for start in starts) for row in state.observation.numpy())
    following = env.transition(state, tf.constant([1, 2, 3, 1, 2]), tf.constant([0, 2]))
    moved = env.observation(following, tf.constant([0, 3])) - state.observation
    np.testing.assert_allclose(moved, np.tile([0.5, 0.0], (5, 1)), atol=1e-6)
    np.testing.assert_allclose(env.reward(state, None, following, None), state.observation[:, 1], atol=1e-6)
    assert not env.terminal(following, tf.constant([0, 3])).numpy().any()


def test_a_world_model_keeps_an_envs_contract() -> None:
    check_env(WorldModel([drifting(DRIVEN, 0.1), drifting(DRIVEN, 0.1)], DRIVEN, transitions(DRIVEN)))


def test_where_the_samplers_disagree_the_episode_ends() -> None:
    other = drifting(PUSHED)
    kernel = np.array(other.layer.get_weights()[0])
    kernel[0, 0] = 5.0  # the further from 0 the first component is, the less they agree
    other.layer.set_weights([kernel])
    env = WorldModel([drifting(PUSHED), other], PUSHED, transitions(PUSHED), max_uncertainty=0.5, penalty=3.0)
    state = env.initial(tf.constant([0, 1]), batch_size=2)
    state = state._replace(observation=tf.constant([[0.01, 0.7], [4.0, 0.7]]))
    following = env.transition(state, tf.constant([1, 1]), tf.constant([0, 2]))
    assert following.uncertainty[0] < 0.5 < following.uncertainty[1]
    assert env.terminal(following, None).numpy().tolist() == [False, True]
    np.testing.assert_allclose(following.reward, [0.7, -2.3], atol=1e-5)


def test_a_single_sampler_is_asked_twice() -> None:
    env = WorldModel([drifting(PUSHED, deviation=1.0)], PUSHED, transitions(PUSHED), max_uncertainty=1e-3)
    state = env.initial(tf.constant([0, 1]), batch_size=4)
    assert env.transition(state, tf.constant([1, 2, 3, 1]), tf.constant([0, 2])).terminated.numpy().all()


def test_new_transitions_give_new_beginnings() -> None:
    env = WorldModel([drifting(PUSHED)], PUSHED, transitions(PUSHED))
    fresh = {name: value[:3] for name, value in transitions(PUSHED).items()}
    env.refresh(fresh, seed=1)
    drawn = env.initial(tf.constant([5, 1]), batch_size=30).observation.numpy()
    assert all(any(np.array_equal(row, start) for start in fresh["observation"]) for row in drawn)
    assert set(env.state()) == {"starts", "scale", "range"}
    seen = np.concatenate([fresh["observation"], fresh["next_observation"]])
    assert (env.state()["range"].numpy()[0] < seen.min(0)).all()
    assert (env.state()["range"].numpy()[1] > seen.max(0)).all()


def test_beyond_what_was_seen_the_episode_ends() -> None:
    real = transitions(PUSHED)
    env = WorldModel([drifting(PUSHED)], PUSHED, real, margin=0.0, penalty=2.0)
    highest = np.concatenate([real["observation"], real["next_observation"]]).max(0)
    state = env.initial(tf.constant([0, 1]), batch_size=2)
    state = state._replace(observation=tf.constant([[highest[0] - 0.6, 0.5], [highest[0] - 0.4, 0.5]]))
    following = env.transition(state, tf.constant([1, 1]), tf.constant([0, 2]))
    assert following.terminated.numpy().tolist() == [False, True]
    np.testing.assert_allclose(following.observation[:, 0], [highest[0] - 0.1, highest[0]], atol=1e-5)
    np.testing.assert_allclose(following.reward, [0.5, -1.5], atol=1e-5)


def test_a_world_model_refuses_what_is_not_one() -> None:
    real = transitions(PUSHED)
    with pytest.raises(UsageError, match="at least one sampler"):
        WorldModel([], PUSHED, real)
    with pytest.raises(UsageError, match="needs a sampler of"):
        WorldModel([Linear(DataSpec(BOX))], PUSHED, real)
    with pytest.raises(UsageError, match="to begin at, and got none"):
        WorldModel([drifting(PUSHED)], PUSHED, {name: value[:0] for name, value in real.items()})


def replay(**options: Any) -> tuple[UniformReplay, SyntheticReplay, Linear]:
    sizes = {"capacity": 64, "batch_size": 8, "learning_starts": 4, "train_every": 4, "updates": 2}
    real = UniformReplay(PUSHED, num_envs=40, **sizes)
    sampler = Linear(TransitionCodec(PUSHED).transition_spec, deviation=0.1)
    sampler.layer.set_weights([np.array([[9.0, 9.0, 0, 1, 0, -1, -1, 5.0, 1]], np.float32)])
    mixed = SyntheticReplay(real, sampler, PUSHED, **{"capacity": 30, "batch_size": 20, **options})
    mixed.add({**transitions(PUSHED), "truncated": np.zeros(40, bool)})
    return real, mixed, sampler


@pytest.mark.parametrize("ratio", [0.25, 1.0])
def test_a_share_of_each_batch_is_synthetic(ratio: float) -> None:
    real, mixed, _ = replay(ratio=ratio)
    seed, index = tf.constant([1, 2]), tf.constant(0, tf.int64)
    before = mixed.sample(seed, index)
    assert {name: value.shape for name, value in before.items()} == {
        name: value.shape for name, value in real.sample(seed, index).items()
    }
    assert (before["observation"].numpy() < 5).all(), "before it is filled, all is real"
    mixed.refill()
    after = mixed.sample(seed, index)
    synthetic = after["observation"].numpy()[:, 0] > 7
    assert synthetic.sum() == round(8 * ratio)
    np.testing.assert_allclose(after["reward"].numpy()[synthetic], 5.0, atol=0.5)
    assert (after["action"].numpy()[synthetic] == 2).all()
    np.testing.assert_allclose(after["next_observation"].numpy()[synthetic], 8.0, atol=1.0)
    np.testing.assert_array_equal(after["reward"].numpy()[~synthetic], before["reward"].numpy()[~synthetic])
    assert (mixed.updates_in(400), int(mixed.updates_due(tf.constant(40, tf.int64)))) == (real.updates_in(400), 2)


def test_each_refill_is_new_and_the_store_is_saved() -> None:
    _, mixed, _ = replay()
    assert mixed.capacity == 40
    mixed.refill()
    first = mixed.state()["synthetic/store"].numpy()
    mixed.refill()
    second = mixed.state()["synthetic/store"].numpy()
    assert not np.array_equal(first, second)
    assert len(np.unique(second, axis=0)) == 40
    _, other, _ = replay()
    for name, variable in other.state().items():
        variable.assign(mixed.state()[name])
    seed, index = tf.constant([1, 2]), tf.constant(0, tf.int64)
    for name, value in mixed.sample(seed, index).items():
        np.testing.assert_array_equal(value, other.sample(seed, index)[name])


def test_a_synthetic_replay_refuses_what_it_cannot_mix() -> None:
    real, _, sampler = replay()
    with pytest.raises(UsageError, match="above 0 and at most 1"):
        SyntheticReplay(real, sampler, PUSHED, ratio=0.0)
    with pytest.raises(UsageError, match="needs a sampler of"):
        SyntheticReplay(real, drifting(PUSHED), PUSHED)
    keeping = type("Keeping", (), {"sample": lambda self, seed, index: {"weight": tf.ones([8])}})()
    mixed = SyntheticReplay(keeping, sampler, PUSHED)
    with pytest.raises(UsageError, match="have no 'weight'"):
        mixed.sample(tf.constant([1, 2]), tf.constant(0))


def test_the_engine_trains_in_a_world_model() -> None:
    """One compiled program, as in any env: the agent of the conformance kit's tests is enough."""
    from advdl.plugin.host import PluginHost
    from advdl.training import Trainer, Tuning
    from advdl.training.schedules import as_schedule

    env = WorldModel([drifting(PUSHED, 0.1)], PUSHED, transitions(PUSHED), horizon=5)
    agent = PluginHost.from_environment().build("agent", {"name": "dqn", "learning_starts": 8, "batch_size": 8}, PUSHED)
    (objective,) = agent.objectives()
    optimizer = keras.optimizers.Adam(1e-3)
    optimizer.build(list(objective.variables))
    trainer = Trainer(agent, {objective.name: Tuning(optimizer, as_schedule(1e-3))}, total_updates=10)
    engine = CompiledEngine(
        env, agent, trainer, agent.source(num_envs=4), num_envs=4, total_steps=48, seed=0, jit=False
    )
    while engine.env_steps < 48:
        engine.advance(48)
    assert int(trainer.updates) > 0
    assert engine.metrics.peek("rollout/length") == 5.0
