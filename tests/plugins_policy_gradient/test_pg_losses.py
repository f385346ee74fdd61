"""The losses of the papers, each figure against one that NumPy gives by hand."""

from typing import Any

import numpy as np
import pytest
import tensorflow as tf
from target_envs import Combination
from training import build

SEED = tf.constant((1, 2), tf.int32)
ROWS = 40


def batch_of(agent: Any) -> dict[str, Any]:
    """Samples that were acted on by another policy: ratios on both sides of the clip range."""
    draws = np.random.default_rng(0)
    raw = np.stack([draws.integers(0, size, ROWS) for size in (3, 2, 2)], axis=1)
    observation = draws.choice([-1.0, 1.0], (ROWS, 1)).astype(np.float32)
    parameters, value = agent.network(observation)
    log_prob = agent.actions.distribution(parameters).log_prob(tf.constant(raw))
    return {
        "observation": observation,
        "raw": raw,
        "log_prob": log_prob.numpy() + draws.normal(0, 0.4, ROWS).astype(np.float32),
        "value": value.numpy() + draws.normal(0, 0.5, ROWS).astype(np.float32),
        "advantage": draws.normal(1, 2, ROWS).astype(np.float32),
        "target": draws.normal(0, 1, ROWS).astype(np.float32),
        "clip": np.full(ROWS, 0.2, np.float32),
        "entropy_weight": np.full(ROWS, 0.03, np.float32),
    }


def pieces(agent: Any, batch: dict[str, Any]) -> tuple[Any, Any, Any]:
    """Log-probabilities, entropies and values, from the network's numbers alone."""
    logits, value = (part.numpy() for part in agent.network(batch["observation"]))
    log_prob, entropy = np.zeros(ROWS), np.zeros(ROWS)
    for component, choices in enumerate(np.split(logits, [3, 5], axis=1)):
        share = np.exp(choices) / np.exp(choices).sum(axis=1, keepdims=True)
        log_prob += np.log(share[np.arange(ROWS), batch["raw"][:, component]])
        entropy -= (share * np.log(share)).sum(axis=1)
    return log_prob, entropy, value


def loss_of(agent: Any, batch: dict[str, Any]) -> tuple[float, dict[str, float]]:
    (objective,) = agent.objectives()
    loss, aux = objective.loss(agent.prepare({name: tf.constant(value) for name, value in batch.items()}), SEED)
    return float(loss), {name: float(value) for name, value in aux.items()}


@pytest.mark.parametrize("value_clip", [0.0, 0.3])
@pytest.mark.parametrize("normalise", [True, False])
def test_ppo(value_clip: float, normalise: bool) -> None:
    agent = build("ppo", Combination(), value_clip=value_clip, normalise_advantages=normalise, value_weight=0.7)
    batch = batch_of(agent)
    log_prob, entropy, value = pieces(agent, batch)
    advantage = batch["advantage"]
    if normalise:
        advantage = (advantage - advantage.mean()) / advantage.std()
    ratio = np.exp(log_prob - batch["log_prob"])
    surrogate = np.array(
        [min(r * a, (1.2 if r > 1.2 else max(r, 0.8)) * a) for r, a in zip(ratio, advantage, strict=True)]
    )
    error = (value - batch["target"]) ** 2
    if value_clip:
        near = batch["value"] + np.clip(value - batch["value"], -value_clip, value_clip)
        error = np.maximum(error, (near - batch["target"]) ** 2)
        assert (np.abs(value - batch["value"]) > value_clip).any()
    loss, aux = loss_of(agent, batch)
    assert loss == pytest.approx(-surrogate.mean() + 0.7 * error.mean() - 0.03 * entropy.mean(), rel=1e-4)
    assert aux["entropy"] == pytest.approx(entropy.mean(), rel=1e-4)
    assert aux["kl"] == pytest.approx((ratio - 1 - np.log(ratio)).mean(), rel=1e-3)
    assert aux["clip_fraction"] == pytest.approx((np.abs(ratio - 1) > 0.2).mean())
    assert 0 < aux["clip_fraction"] < 1


@pytest.mark.parametrize("name", ["a2c", "reinforce"])
def test_a_plain_policy_gradient(name: str) -> None:
    agent = build(name, Combination(), value_weight=0.7)
    batch = batch_of(agent)
    log_prob, entropy, value = pieces(agent, batch)
    expected = -(batch["advantage"] * log_prob).mean() + 0.7 * ((value - batch["target"]) ** 2).mean()
    assert loss_of(agent, batch)[0] == pytest.approx(expected - 0.03 * entropy.mean(), rel=1e-4)


def test_nothing_is_gained_beyond_the_clip_range() -> None:
    """The gradient of a sample is 0 where its ratio has left the range on the side that its advantage rewards."""
    agent = build("ppo", Combination(), normalise_advantages=False, value_weight=0.0)
    batch = batch_of(agent) | {"entropy_weight": np.zeros(ROWS, np.float32)}
    ratio = np.exp(pieces(agent, batch)[0] - batch["log_prob"])
    gained = np.where(batch["advantage"] > 0, ratio > 1.2, ratio < 0.8)
    assert 0 < gained.sum() < ROWS

    def slope(rows: Any) -> float:
        part = {name: tf.constant(value[rows]) for name, value in batch.items()}
        with tf.GradientTape() as tape:
            loss, _ = agent.objectives()[0].loss(part, SEED)
        return float(tf.reduce_sum(tf.abs(tape.gradient(loss, agent.network.policy.bias.value))))

    assert slope(gained) == 0
    assert slope(~gained) > 0
