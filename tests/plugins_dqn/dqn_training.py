"""Trains an agent of the family on the joint probe env, and says by how much it is wrong."""

from typing import Any

import keras
import numpy as np
import tensorflow as tf
from joint_probe import NAMES, QUESTIONS, Joint, seen
from probe_envs import GAMMA

from advdl.plugin.host import PluginHost
from advdl.rl import Agent, CompiledEngine, Spaces
from advdl.training import Trainer, Tuning
from advdl.training.optimizers import build_optimizer

COPIES, STEPS, START = 16, 4_000, 3
AGENT: dict[str, Any] = {
    "backbone": {"name": "mlp", "units": [32]},
    "gamma": GAMMA,
    "epsilon": {"name": "constant", "value": 1.0},
    "loss": "mse",
    "buffer_size": 1_024,
    "target_every": 10,
    "batch_size": 64,
    "learning_starts": 256,
    "train_every": COPIES,
    "updates": 2,
    "lowest_return": -2.0,
    "highest_return": 6.0,
}
RATE = {"name": "adam", "learning_rate": {"name": "linear", "start": 0.01, "end": 0.0, "over": 1.0}}


def build(name: str, env: Any, **options: Any) -> Any:
    keras.utils.set_random_seed(0)
    where = Spaces(env.observation_space, env.action_space)
    return PluginHost.from_environment().build("agent", {"name": name, **AGENT, **options}, where)


def learn(
    name: str = "dqn", *, steps: int = STEPS, jit: bool = False, mutate: Any = None, **options: Any
) -> dict[str, float]:
    """Trains; returns each probe's largest error, of a value, or 1 for a wrong action."""
    env = Joint(START)
    agent = build(name, env, **options)
    source = agent.source(num_envs=COPIES)
    if mutate is not None:
        add = source.add
        source.add = lambda transition: add(mutate(dict(transition)))
    (objective,) = agent.objectives()
    tuning = Tuning(*build_optimizer(PluginHost.from_environment(), RATE, objective.variables))
    trainer = Trainer(agent, {"q": tuning}, total_updates=source.updates_in(steps), clip_norm=10.0)
    engine = CompiledEngine(env, agent, trainer, source, num_envs=COPIES, total_steps=steps, seed=0, jit=jit)
    while engine.env_steps < steps:
        engine.advance(steps)
    return errors(agent)


def errors(agent: Agent) -> dict[str, float]:
    observations = seen([question[:2] for question in QUESTIONS])
    values = np.asarray(agent.values(observations)).max(axis=1)  # type: ignore[attr-defined]
    seed = tf.constant([0, 0], tf.int32)
    actions = np.asarray(agent.act(observations, (), seed, progress=None).action) - START
    found = dict.fromkeys(NAMES, 0.0)
    for (probe, _, value, action), guess, chosen in zip(QUESTIONS, values, actions, strict=True):
        wrong = float(action is not None and chosen != action)
        found[NAMES[probe]] = max(found[NAMES[probe]], abs(float(guess) - value), wrong)
    return found
