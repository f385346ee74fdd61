"""Every recipe that is shipped: its settings exist, are in range, and fit the spaces of its env."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tensorflow as tf
from gymnasium import spaces

from advdl.experiment.config import Experiment, resolve_experiment
from advdl.experiment.recipes import list_recipes
from advdl.plugin.host import PluginHost
from advdl.rl import Spaces

HOST = PluginHost.from_environment()
ATARI = Spaces(spaces.Box(0, 255, (4, 84, 84), np.uint8), spaces.Discrete(6))


def recipes() -> list[tuple[str, str]]:
    agents = [component for component in HOST.components("agent") if component.recipes]
    return [(agent.name, name) for agent in agents for name in list_recipes(agent)]


def resolved(agent: str, name: str) -> Experiment:
    return resolve_experiment(
        HOST,
        command_line={"env": name.replace("_", "/", 1), "agent.name": agent},
        sets=[],
        config_file=None,
        environ={},
        folder=Path("/nowhere"),
    )


def test_there_are_recipes_for_the_usual_envs() -> None:
    found = {*recipes()}
    classic = {"CartPole-v1", "Acrobot-v1", "MountainCar-v0", "LunarLander-v3", "Taxi-v3", "FrozenLake-v1"}
    assert {("dqn", env) for env in classic} | {("ppo", env) for env in classic} <= found
    continuous = ("Pendulum-v1", "MountainCarContinuous-v0", "LunarLanderContinuous-v3", "HalfCheetah-v5")
    assert {("ppo", env) for env in (*continuous, "Hopper-v5", "Walker2d-v5")} <= found
    assert {(agent, "ALE_Breakout-v5") for agent in ("dqn", "rainbow", "ppo", "a2c")} <= found


@pytest.mark.parametrize(("agent", "name"), recipes())
def test_a_recipe_is_made_of_settings(agent: str, name: str) -> None:
    experiment = resolved(agent, name)
    assert experiment.get("agent.name") == agent
    assert any(origin.startswith("recipe ") for origin in experiment.origins.values())


@pytest.mark.parametrize("agent", ["dqn", "rainbow", "ppo", "a2c"])
def test_an_atari_recipe_sees_what_its_wrappers_give(agent: str) -> None:
    experiment = resolved(agent, "ALE_Pong-v5")
    options: dict[str, Any] = {**experiment.data["agent"]}
    if "buffer_size" in options:
        options["buffer_size"] = 64
    built: Any = HOST.build("agent", options, ATARI)
    frames = tf.constant(np.random.default_rng(0).integers(0, 256, (2, 4, 84, 84)), tf.uint8)
    action = built.act(frames, (), tf.constant([0, 0]), progress=None).action
    assert all(row in ATARI.action for row in np.asarray(action))
    source = built.source(num_envs=2)
    if "frame_stack" in options:
        size = sum(value.numpy().nbytes for name, value in source.state().items() if name.startswith("frames"))
        assert size < 1.5 * source.capacity * 84 * 84  # a ring of 64 has room for a few episodes more
