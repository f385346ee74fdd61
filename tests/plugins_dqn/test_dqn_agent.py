"""DQN's arithmetic, each figure against one that NumPy gives by hand."""

from typing import Any

import keras
import numpy as np
import pytest
import tensorflow as tf
from gymnasium import spaces
from numpy.typing import NDArray

from advdl.errors import UsageError
from advdl.plugin import options_of
from advdl.rl import Agent, Progress, Spaces
from advdl.testing import check_agent, component
from advdl.training import Trainer, Tuning
from advdl_dqn.agent import DQN
from advdl_dqn.rainbow import Rainbow

SEED = tf.constant((1, 2), tf.int32)
BOX = spaces.Box(-1.0, 1.0, (3,), np.float32)
ROWS, ACTIONS, START = 64, 4, 7


def dqn(action: Any = None, observation: Any = BOX, **options: Any) -> Agent:
    keras.utils.set_random_seed(0)
    settings = {"backbone": {"name": "mlp", "units": [16]}, **options}
    agent: Agent = component("agent", "dqn", **settings)(Spaces(observation, action or spaces.Discrete(ACTIONS)))
    return agent


def shuffle(model: Any) -> None:
    """Makes a network another one."""
    draws = np.random.default_rng(3)
    model.set_weights([weight + draws.normal(0, 0.7, weight.shape) for weight in model.get_weights()])


def transitions(start: int = START) -> dict[str, NDArray[Any]]:
    draws = np.random.default_rng(0)
    return {
        "observation": draws.uniform(-1, 1, (ROWS, 3)).astype(np.float32),
        "next_observation": draws.uniform(-1, 1, (ROWS, 3)).astype(np.float32),
        "action": draws.integers(start, start + ACTIONS, ROWS),
        "reward": draws.normal(0, 2, ROWS).astype(np.float32),
        "terminated": draws.random(ROWS) < 0.3,
    }


def td_errors(agent: Any, batch: dict[str, NDArray[Any]], gamma: float, double: bool) -> NDArray[Any]:
    rows, taken = np.arange(ROWS), batch["action"] - START
    online, target = (np.asarray(model(batch["next_observation"]))[..., 0] for model in (agent.online, agent.target))
    following = target[rows, (online if double else target).argmax(axis=1)]
    wanted = batch["reward"] + gamma * (1 - batch["terminated"]) * following
    return wanted - np.asarray(agent.values(batch["observation"]))[rows, taken]


def huber(error: NDArray[Any], delta: float = 1.0) -> NDArray[Any]:
    size = np.abs(error)
    return np.where(size <= delta, 0.5 * error**2, delta * size - 0.5 * delta**2)


@pytest.mark.parametrize("name", ["dqn", "rainbow"])
def test_it_keeps_its_contract(name: str) -> None:
    small = {"backbone": {"name": "mlp", "units": [8]}, "learning_starts": 64}
    check_agent(component("agent", name, **small))


def test_rainbow_is_dqn_with_other_defaults() -> None:
    ours, theirs = ({option.name: option for option in options_of(agent)} for agent in (DQN, Rainbow))
    assert [*ours] == [*theirs]
    for name, option in ours.items():
        assert (option.doc, option.hint) == (theirs[name].doc, theirs[name].hint)
    changed = {name for name in ours if ours[name].default != theirs[name].default}
    switches = {"dueling", "n_step", "prioritized", "noisy", "distributional"}
    assert changed == switches | {"epsilon", "priority_exponent", "batch_size"}


@pytest.mark.parametrize("double", [True, False])
def test_targets_and_loss_are_those_of_the_papers(double: bool) -> None:
    agent: Any = dqn(spaces.Discrete(ACTIONS, start=START), gamma=0.9, double=double)
    shuffle(agent.online)
    batch = transitions()
    (objective,) = agent.objectives()
    loss, aux = objective.loss({name: tf.constant(value) for name, value in batch.items()}, SEED)
    expected = td_errors(agent, batch, 0.9, double)
    assert not np.allclose(expected, td_errors(agent, batch, 0.9, not double), atol=1e-2)
    np.testing.assert_allclose(aux["td_error"], expected, atol=1e-5)
    np.testing.assert_allclose(loss, huber(expected).mean(), rtol=1e-5)
    assert (np.abs(expected) > 1).any()  # both branches of Huber's loss
    assert (np.abs(expected) < 1).any()
    np.testing.assert_allclose(keras.losses.Huber()(expected, np.zeros(ROWS)), loss, rtol=1e-5)


def test_the_gradient_is_of_the_prediction_alone() -> None:
    agent: Any = dqn(spaces.Discrete(ACTIONS, start=START))
    batch = {name: tf.constant(value) for name, value in transitions().items()}
    (objective,) = agent.objectives()
    head = agent.online.advantage[-1].bias
    with tf.GradientTape() as tape:
        loss, aux = objective.loss(batch, SEED)
    found = tape.gradient(loss, head.value)
    slope = np.clip(aux["td_error"], -1, 1) / ROWS
    expected = [-slope[batch["action"].numpy() - START == action].sum() for action in range(ACTIONS)]
    np.testing.assert_allclose(found, expected, atol=1e-6)
    assert not any(variable is other for variable in objective.variables for other in agent.target.variables)


def test_the_loss_is_chosen_by_name() -> None:
    agent: Any = dqn(spaces.Discrete(ACTIONS, start=START), gamma=0.9, loss="mse")
    batch = transitions()
    loss, _ = agent.objectives()[0].loss({name: tf.constant(value) for name, value in batch.items()}, SEED)
    np.testing.assert_allclose(loss, (td_errors(agent, batch, 0.9, True) ** 2).mean(), rtol=1e-5)


def test_a_target_of_several_steps_takes_the_discount_that_the_replay_gives() -> None:
    agent: Any = dqn(spaces.Discrete(ACTIONS, start=START), gamma=0.9)
    batch = transitions()
    discount = np.random.default_rng(4).random(ROWS).astype(np.float32)
    fields = {name: tf.constant(value) for name, value in {**batch, "discount": discount}.items()}
    _, aux = agent.objectives()[0].loss(fields, SEED)
    np.testing.assert_allclose(aux["td_error"], td_errors(agent, batch, discount, True), atol=1e-5)


@pytest.mark.parametrize("kind", ["none", "c51", "qr"])
def test_conservative_learning_holds_down_what_the_data_do_not_show(kind: str) -> None:
    losses = []
    for weight in (0.0, 2.0):
        agent: Any = dqn(spaces.Discrete(ACTIONS, start=START), conservative=weight, distributional=kind)
        shuffle(agent.online)
        batch = transitions()
        loss, aux = agent.objectives()[0].loss({name: tf.constant(value) for name, value in batch.items()}, SEED)
        losses.append(float(loss))
    values = np.asarray(agent.values(batch["observation"]), np.float64)
    excess = np.log(np.exp(values).sum(axis=1)) - values[np.arange(ROWS), batch["action"] - START]
    np.testing.assert_allclose(losses[1] - losses[0], 2 * excess.mean(), rtol=1e-4)
    np.testing.assert_allclose(aux["overestimation"], excess.mean(), rtol=1e-5)


@pytest.mark.parametrize("kind", ["none", "c51", "qr"])
def test_importance_weighs_the_loss_and_priorities_go_back(kind: str) -> None:
    agent: Any = dqn(spaces.Discrete(ACTIONS, start=START), prioritized=True, distributional=kind)
    batch = {name: tf.constant(value) for name, value in transitions().items()}
    loss = agent.objectives()[0].loss

    def weighted(weight: Any) -> Any:
        return loss({**batch, "weight": tf.constant(weight, tf.float32)}, SEED)

    total, aux = weighted(np.ones(ROWS))
    alone = [float(weighted(row)[0]) * ROWS for row in np.eye(ROWS)[:5]]
    np.testing.assert_allclose(float(weighted(np.full(ROWS, 0.5))[0]), float(total) / 2, rtol=1e-5)
    wanted = aux["td_error"][:5] if kind == "none" else alone
    np.testing.assert_allclose(aux["priority"][:5], wanted, rtol=1e-4, atol=1e-6)
    acted = agent.act(tf.zeros([2, 3]), (), SEED, progress=Progress(tf.constant(500.0), 1000.0))
    np.testing.assert_allclose(acted.extras["importance"], [0.7, 0.7], rtol=1e-6)


def test_the_value_of_a_distribution_is_its_expectation() -> None:
    shared: dict[str, Any] = {"atoms": 5, "lowest_return": -1.0, "highest_return": 3.0}
    observation = transitions()["observation"]
    for kind in ("c51", "qr"):
        agent: Any = dqn(distributional=kind, **shared)
        numbers = np.asarray(agent.online(observation))
        assert numbers.shape == (ROWS, ACTIONS, 5)
        powers = np.exp(numbers) / np.exp(numbers).sum(axis=-1, keepdims=True)
        expected = powers @ np.linspace(-1, 3, 5) if kind == "c51" else numbers.mean(axis=-1)
        np.testing.assert_allclose(agent.values(observation), expected, atol=1e-5)


def test_a_dueling_head_tells_the_value_from_the_advantages() -> None:
    agent: Any = dqn(dueling=True, head_units=[6])
    observation = transitions()["observation"]
    network = agent.online
    features = np.asarray(network.backbone(observation))

    def stream(layers: Any) -> Any:
        hidden = np.maximum(features @ layers[0].kernel.numpy() + layers[0].bias.numpy(), 0)
        return hidden @ layers[1].kernel.numpy() + layers[1].bias.numpy()

    advantage, value = stream(network.advantage), stream(network.value)
    expected = value + advantage - advantage.mean(axis=1, keepdims=True)
    np.testing.assert_allclose(agent.values(observation), expected, atol=1e-5)


class TestActing:
    def test_epsilon_follows_its_schedule(self) -> None:
        agent = dqn(epsilon={"name": "linear", "start": 1.0, "end": 0.1, "over": 0.5})
        for step, expected in ((0, 1.0), (250, 0.55), (500, 0.1), (1000, 0.1)):
            acted = agent.act(tf.zeros([2, 3]), (), SEED, progress=Progress(tf.constant(float(step)), 1000.0))
            assert float(acted.metrics["epsilon"]) == pytest.approx(expected, abs=1e-6)

    @pytest.mark.parametrize("epsilon", [0.0, 0.5, 1.0])
    def test_so_many_actions_are_random_and_each_is_as_likely(self, epsilon: float) -> None:
        count = 40_000
        agent = dqn(epsilon={"name": "constant", "value": epsilon})
        observation = tf.zeros([count, 3])
        greedy = int(agent.act(observation, (), SEED, progress=None).action[0])
        acted = agent.act(observation, (), SEED, progress=Progress(tf.constant(0.0), 1.0))
        shares = np.bincount(acted.action, minlength=ACTIONS) / count
        expected = np.full(ACTIONS, epsilon / ACTIONS)
        expected[greedy] += 1 - epsilon
        np.testing.assert_allclose(shares, expected, atol=0.01)

    def test_greedily_it_takes_the_most_valuable_action(self) -> None:
        agent: Any = dqn(spaces.Discrete(ACTIONS, start=START))
        observation = transitions()["observation"]
        acted = agent.act(tf.constant(observation), (), SEED, progress=None)
        best = np.asarray(agent.values(observation)).argmax(axis=1) + START
        np.testing.assert_array_equal(acted.action, best)
        assert not acted.metrics
        assert len(set(best)) > 1

    def test_another_seed_explores_otherwise(self) -> None:
        agent, progress = dqn(), Progress(tf.constant(0.0), 1000.0)
        one, two = (agent.act(tf.zeros([50, 3]), (), SEED + seed, progress=progress).action for seed in (0, 1))
        assert not np.array_equal(one, two)


class TestTarget:
    def test_it_begins_as_the_online_network(self) -> None:
        agent: Any = dqn()
        for ours, theirs in zip(agent.online.get_weights(), agent.target.get_weights(), strict=True):
            np.testing.assert_array_equal(ours, theirs)

    def test_it_is_copied_every_so_many_updates_and_not_between(self) -> None:
        agent: Any = dqn(spaces.Discrete(ACTIONS, start=START), target_every=3)
        optimizer = keras.optimizers.SGD(0.1)
        optimizer.build(agent.online.trainable_variables)
        trainer = Trainer(agent, {"q": Tuning(optimizer, lambda step, total: 0.1)}, total_updates=10)
        batch = {name: tf.constant(value) for name, value in transitions().items()}
        update = tf.function(lambda: trainer.update(batch, SEED), autograph=False)
        kept = agent.target.get_weights()[0]
        for number in range(1, 11):
            update()
            online, target = agent.online.get_weights()[0], agent.target.get_weights()[0]
            kept = online if number % 3 == 0 else kept
            np.testing.assert_array_equal(target, kept)
            assert np.array_equal(online, target) == (number % 3 == 0)


class TestRefusals:
    @pytest.mark.parametrize("action", [spaces.Box(-1.0, 1.0, (2,)), spaces.MultiDiscrete([2, 2])])
    def test_other_actions(self, action: Any) -> None:
        with pytest.raises(UsageError, match="dqn needs a Discrete action space, not ") as caught:
            dqn(action)
        assert "advdl plugins list --kind agent" in caught.value.hint

    @pytest.mark.parametrize(
        ("option", "value"),
        [
            ("gamma", 1.1),
            ("distributional", "c52"),
            ("n_step", 0),
            ("sigma", 0.0),
            ("frame_stack", -1),
            ("batch_size", 0),
            ("learning_starts", -1),
            ("target_every", 0),
            ("epsilon", "linaer"),
        ],
    )
    def test_options_out_of_range(self, option: str, value: Any) -> None:
        with pytest.raises(UsageError):
            dqn(**{option: value})

    def test_returns_that_do_not_rise(self) -> None:
        with pytest.raises(UsageError, match=r"c51 needs two returns or more.*not 51 from 1 to 1"):
            dqn(distributional="c51", lowest_return=1.0, highest_return=1.0)
