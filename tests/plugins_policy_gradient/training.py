"""Trains an agent of the family on a probe env."""

from collections.abc import Callable
from typing import Any

import numpy as np
import tensorflow as tf
from joint_probe import NAMES, QUESTIONS, seen
from numpy.typing import NDArray
from probe_envs import GAMMA, Probe

from advdl.plugin.host import PluginHost
from advdl.rl import Agent, CompiledEngine, Spaces
from advdl.training import Trainer, Tuning
from advdl.training.optimizers import build_optimizer

COPIES = 32

AGENTS: dict[str, dict[str, Any]] = {
    "ppo": {"horizon": 8, "epochs": 4, "batch_size": 64, "clip": 0.3, "shared": True},
    "a2c": {"horizon": 4, "shared": True},
    "reinforce": {"horizon": 8},
}
STEPS = {"ppo": 12_000, "a2c": 50_000, "reinforce": 80_000}
RATE = {"name": "adam", "learning_rate": {"name": "linear", "start": 0.01, "end": 0.0, "over": 1.0}}

Mutate = Callable[[dict[str, tf.Tensor]], dict[str, tf.Tensor]]


def build(name: str, env: Probe, seed: int = 0, **options: Any) -> Agent:
    shared = {"name": name, "backbone": {"name": "mlp", "units": [32], "activation": "tanh"}, "gamma": GAMMA}
    tf.keras.utils.set_random_seed(seed)
    spaces = Spaces(env.observation_space, env.action_space)
    agent: Agent = PluginHost.from_environment().build("agent", {**shared, **AGENTS[name], **options}, spaces)
    return agent


def engine_of(agent: Any, env: Probe, *, steps: int, jit: bool = False, mutate: Mutate | None = None) -> CompiledEngine:
    source = agent.source(num_envs=COPIES)
    if mutate is not None:
        add = source.add
        source.add = lambda transition: add(mutate(dict(transition)))
    (objective,) = agent.objectives()
    tuning = Tuning(*build_optimizer(PluginHost.from_environment(), RATE, objective.variables))
    total = source.updates_in(steps)
    trainer = Trainer(agent, {objective.name: tuning}, total_updates=total, clip_norm=10.0)
    return CompiledEngine(env, agent, trainer, source, num_envs=COPIES, total_steps=steps, seed=0, jit=jit)


def learn(
    name: str, env: Probe, *, steps: int = 0, jit: bool = False, mutate: Mutate | None = None, **options: Any
) -> Any:
    """Trains and returns the agent."""
    agent, steps = build(name, env, **options), steps or STEPS[name]
    engine = engine_of(agent, env, steps=steps, jit=jit, mutate=mutate)
    while engine.env_steps < steps:
        engine.advance(steps)
    return agent


def actions_of(agent: Agent, observations: Any) -> NDArray[Any]:
    seed = tf.constant([0, 0], tf.int32)
    return np.asarray(agent.act(tf.constant(observations, tf.float32), (), seed, progress=None).action)


def errors(agent: Any, start: int = 0) -> dict[str, float]:
    """For each probe of the joint env the largest error: of a value, or 1 for a wrong action."""
    observations = seen([question[:2] for question in QUESTIONS])
    values = np.asarray(agent.network(observations)[1])
    actions = actions_of(agent, observations) - start
    found = dict.fromkeys(NAMES, 0.0)
    for (probe, _, value, action), guess, chosen in zip(QUESTIONS, values, actions, strict=True):
        wrong = float(action is not None and chosen != action)
        found[NAMES[probe]] = max(found[NAMES[probe]], abs(guess - value), wrong)
    return found
