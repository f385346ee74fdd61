"""HostPolicy: what acts without exploring, in TensorFlow and, for many calls, in NumPy."""

from typing import Any

import numpy as np
import pytest
from gymnasium import spaces

from advdl.plugin.host import PluginHost
from advdl.rl import Agent, Spaces
from advdl.rl.numpy_proof import sampled
from advdl.rl.policy import HostPolicy
from advdl.rl.spaces import unflatten

VECTOR = spaces.Box(-2.0, 2.0, (5,), np.float32)
NESTED = spaces.Dict({"where": VECTOR, "door": spaces.Discrete(3)})
SEVERAL = spaces.MultiDiscrete([2, 3])
CASES: dict[str, tuple[dict[str, Any], Any, Any]] = {
    "dqn": ({"name": "dqn"}, VECTOR, spaces.Discrete(3)),
    "dqn, dueling, quantiles": (
        {"name": "dqn", "dueling": True, "distributional": "qr"},
        VECTOR,
        spaces.Discrete(3),
    ),
    "dqn, noisy": ({"name": "dqn", "noisy": True}, VECTOR, spaces.Discrete(3)),
    "ppo": ({"name": "ppo"}, VECTOR, spaces.Discrete(3)),
    "ppo, a torque": ({"name": "ppo", "normalise_observations": True}, VECTOR, spaces.Box(-1.0, 1.0, (2,), np.float32)),
    "a2c, a Dict, two actions": ({"name": "a2c"}, NESTED, SEVERAL),
}


def policy_of(name: str) -> tuple[Agent, HostPolicy, Any]:
    options, seen, actions = CASES[name]
    pair = Spaces(seen, actions)
    agent: Agent = PluginHost.from_environment().build("agent", options, pair)
    return agent, HostPolicy(agent, pair), seen


@pytest.mark.parametrize("rows", [1, 7])
@pytest.mark.parametrize("name", CASES)
def test_numpy_acts_as_tensorflow_does(name: str, rows: int) -> None:
    _, policy, space = policy_of(name)
    fast = policy.at_present()
    assert fast is not policy
    for seed in range(20, 25):
        seen = unflatten(space, sampled(space, rows, seed))
        one, other = fast(seen), policy(seen)
        assert one.dtype == other.dtype
        np.testing.assert_allclose(one, other, rtol=1e-5, atol=1e-6)


def test_at_present_means_the_weights_at_that_moment() -> None:
    agent, policy, space = policy_of("ppo, a torque")
    seen = sampled(space, 4, 0)[0]
    before = policy.at_present()(seen)
    for model in agent.models.values():
        model.set_weights([weight + 0.1 for weight in model.get_weights()])
    after = policy.at_present()(seen)
    assert np.abs(after - before).max() > 1e-3
    np.testing.assert_allclose(after, policy(seen), rtol=1e-5, atol=1e-6)


def test_images_stay_with_tensorflow() -> None:
    pair = Spaces(spaces.Box(0, 255, (10, 10, 4), np.uint8), spaces.Discrete(3))
    options = {"name": "dqn", "backbone": "minatar_cnn"}
    policy = HostPolicy(PluginHost.from_environment().build("agent", options, pair), pair)
    assert policy.at_present() is policy
