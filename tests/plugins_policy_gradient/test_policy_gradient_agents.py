"""The family's agents keep to the contract, and what is particular to them."""

from typing import Any

import numpy as np
import pytest
import tensorflow as tf
from gymnasium import spaces
from joint_probe import Joint
from target_envs import Target
from training import build, engine_of

from advdl.errors import UsageError
from advdl.plugin.host import PluginHost
from advdl.rl import Progress, Spaces
from advdl.testing.agent import check_agent

VECTOR = spaces.Box(-1.0, 1.0, (4,), np.float32)


@pytest.mark.parametrize(
    ("raw", "space"),
    [
        ({"name": "reinforce"}, spaces.Discrete(2, start=5)),
        ({"name": "a2c", "normalise_observations": True}, spaces.Box(-np.inf, np.inf, (2, 2), np.float32)),
        (
            {"name": "ppo", "bounds": "squash", "scale_rewards": True, "horizon": 32},
            spaces.Box(-2.0, 0.5, (2,), np.float32),
        ),
        ({"name": "ppo", "sde_every": 4, "shared": True}, spaces.Box(-1.0, 1.0, (2, 1), np.float32)),
    ],
)
def test_the_agent_keeps_to_the_contract(raw: dict[str, Any], space: spaces.Space[Any]) -> None:
    small = {"backbone": {"name": "mlp", "units": [8]}}
    check_agent(PluginHost.from_environment().factory("agent", {**raw, **small}), spaces=[Spaces(VECTOR, space)])


def test_what_cannot_be_normalised_is_refused() -> None:
    raw = {"name": "ppo", "normalise_observations": True}
    with pytest.raises(UsageError, match="normalise_observations"):
        PluginHost.from_environment().build("agent", raw, Spaces(spaces.Discrete(4), spaces.Discrete(2)))


def test_layers_start_orthogonal() -> None:
    network = build("ppo", Joint(), backbone={"name": "mlp", "units": [8, 8]}).network
    second = network.actor.trainable_variables[2].numpy()
    np.testing.assert_allclose(second.T @ second, 2.0 * np.eye(8), atol=1e-5)
    np.testing.assert_allclose(np.linalg.norm(network.policy.kernel.numpy(), axis=0), [0.01, 0.01], rtol=1e-4)
    np.testing.assert_allclose(np.linalg.norm(network.value.kernel.numpy()), 1.0, rtol=1e-4)


def test_an_update_on_what_was_just_done_starts_from_a_ratio_of_1() -> None:
    """The policy that learns is the one that acted, though the statistics of observations have moved on."""
    options = {"normalise_observations": True, "epochs": 1, "batch_size": 10_000}
    agent, env = build("ppo", Target(), **options), Target()
    engine = engine_of(agent, env, steps=10_000)
    for rollout in (1, 2, 3):
        engine.metrics.reset()
        while engine.env_steps < rollout * 8 * 32:
            engine.advance(rollout * 8 * 32)
        assert abs(engine.metrics.read()["learn/ppo/kl"]) < 1e-6
    assert float(agent.network.normalise.count) == 3 * 8 * 32
    assert float(agent.network.normalise.variance[0]) == pytest.approx(1.0, abs=0.05)


def test_running_statistics_are_variables_of_the_agent_and_frozen_in_evaluation() -> None:
    agent = build("ppo", Target(), normalise_observations=True, scale_rewards=True)
    names = {variable.name for model in agent.models.values() for variable in model.variables}
    assert {"mean", "variance", "count", "log_std"} <= names
    before = [variable.numpy() for variable in agent.network.variables]
    agent.act(tf.constant([[100.0]]), (), tf.constant([0, 0]), progress=None)
    for variable, value in zip(agent.network.variables, before, strict=True):
        np.testing.assert_array_equal(variable, value)


def test_a_kl_stop_leaves_updates_out() -> None:
    engine = engine_of(build("ppo", Joint(), kl_stop=1e-9), Joint(), steps=1_024)
    while engine.env_steps < 1_024:
        engine.advance(1_024)
    rounds, batches = 4, 16
    assert engine.source.updates_in(1_024) == rounds * batches
    assert rounds <= int(engine.state()["trainer/updates"]) <= 3 * rounds


def test_schedules_are_read_when_acting() -> None:
    linear = {"name": "linear", "start": 0.2, "end": 0.0}
    agent = build("ppo", Joint(), clip=linear, entropy={"name": "constant", "value": 0.5})
    engine = engine_of(agent, Joint(), steps=512)
    while engine.env_steps < 256:
        engine.advance(256)
    clip = engine.source.state()["clip"].numpy()
    np.testing.assert_allclose(clip[:, 0], 0.2 * (1 - np.arange(8) * 32 / 512), rtol=1e-5)
    np.testing.assert_array_equal(engine.source.state()["entropy_weight"], np.full((8, 32), 0.5, np.float32))


def noise_of(agent: Any, observation: Any, step: int, key: int = 7) -> Any:
    """Returns how far actions are from the policy's mode."""
    seen = tf.constant(observation, tf.float32)
    copies = len(observation)
    acted = agent.act(seen, (), tf.constant([key, step]), progress=Progress(tf.constant(float(step * copies)), 1e6))
    return (acted.extras["raw"] - agent.network(seen)[0][:, :1]).numpy()[:, 0]


def test_noise_by_state_is_one_function_of_what_is_seen_for_some_steps() -> None:
    agent = build("ppo", Target(), sde_every=3, log_std=-1.0)
    rows = [[-1.0], [1.0], [0.5]]
    first, same, later = (noise_of(agent, rows, step) for step in (0, 2, 3))
    np.testing.assert_array_equal(first, same)
    assert not np.isclose(first, later).any()
    assert noise_of(agent, rows, 0, key=8)[0] != first[0]
    assert len(np.unique(noise_of(agent, [[0.5]] * 4, 0))) == 4  # every copy explores in its own way
    # Features of tanh are odd where biases are 0, and so is the noise.
    np.testing.assert_allclose(noise_of(agent, [[-0.5]], 0), -noise_of(agent, [[0.5]], 0), rtol=1e-4)


def test_its_density_is_that_of_what_is_drawn() -> None:
    agent = build("ppo", Target(), sde_every=1, log_std=-1.0)
    rows = [[0.7]] * 4_000
    parameters, _ = agent.network(tf.constant(rows))
    drawn = noise_of(agent, rows, 0)
    assert drawn.std() == pytest.approx(float(np.exp(parameters[0, 1])), rel=0.05)
    assert abs(drawn.mean()) < 0.1 * drawn.std()


def test_noise_by_state_is_for_gaussians() -> None:
    raw = {"name": "a2c", "sde_every": 4}
    with pytest.raises(UsageError, match="sde_every is for Box actions"):
        PluginHost.from_environment().build("agent", raw, Spaces(VECTOR, spaces.Discrete(2)))
