"""DQN solves every probe env in the compiled engine, and no longer does once one thing in it is wrong."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import tensorflow as tf
from numpy.typing import NDArray
from probe_envs import GAMMA, PROBES, ChosenForSeen, Constant, LastSeen, Probe, TimeLimit, TwoSteps

from advdl.plugin.host import PluginHost
from advdl.rl import CompiledEngine, Spaces, UniformReplay
from advdl.training import Trainer, Tuning
from advdl.training.optimizers import build_optimizer

STEPS, COPIES, CLOSE = 2_400, 16, 0.05

OPTIONS: dict[str, Any] = {
    "name": "dqn",
    "backbone": {"name": "mlp", "units": [16]},
    "gamma": GAMMA,
    "epsilon": {"name": "constant", "value": 1.0},
    "batch_size": 32,
    "buffer_size": 512,
    "learning_starts": 128,
    "train_every": COPIES,
    "updates": 3,
    "target_every": 10,
}
RATE = {"name": "adam", "learning_rate": {"name": "linear", "start": 0.01, "end": 0.0, "over": 1.0}}

Mutate = Callable[[Probe, dict[str, tf.Tensor]], dict[str, tf.Tensor]]


class MutatedReplay(UniformReplay):
    """A replay that gets transitions as a wrong engine would make them."""

    def __init__(self, env: Probe, mutate: Mutate, spaces: Spaces, **options: Any) -> None:
        super().__init__(spaces, **options)
        self._env, self._mutate = env, mutate

    def add(self, transition: Any) -> None:
        super().add(self._mutate(self._env, dict(transition)))


def ignores_the_end(env: Probe, transition: dict[str, tf.Tensor]) -> dict[str, tf.Tensor]:
    return {**transition, "terminated": tf.zeros_like(transition["terminated"])}


def takes_a_cut_for_an_end(env: Probe, transition: dict[str, tf.Tensor]) -> dict[str, tf.Tensor]:
    return {**transition, "terminated": transition["terminated"] | transition["truncated"]}


def sees_the_next_episode(env: Probe, transition: dict[str, tf.Tensor]) -> dict[str, tf.Tensor]:
    done = transition["terminated"] | transition["truncated"]
    step = tf.random.get_global_generator().make_seeds(1)[0, 0]
    fresh = env.initial(tf.stack([tf.cast(step, tf.int32), 0]), batch_size=COPIES)
    return {**transition, "next_observation": tf.where(done[:, None], fresh, transition["next_observation"])}


def learn(env: Probe, *, jit: bool, mutate: Mutate | None = None, seed: int = 0, **options: Any) -> NDArray[Any]:
    """Trains, and returns the Q-values of the observations whose values are known, [observations, actions]."""
    host = PluginHost.from_environment()
    spaces = Spaces(env.observation_space, env.action_space)
    tf.keras.utils.set_random_seed(seed)
    agent = host.build("agent", {**OPTIONS, **options}, spaces)
    source = agent.source(num_envs=COPIES)
    if mutate is not None:
        sizes = {"capacity": 512, "batch_size": 32, "learning_starts": 128, "train_every": COPIES, "updates": 3}
        source = MutatedReplay(env, mutate, spaces, num_envs=COPIES, **sizes)
    (objective,) = agent.objectives()
    tuning = Tuning(*build_optimizer(host, RATE, objective.variables))
    trainer = Trainer(agent, {"q": tuning}, total_updates=source.updates_in(STEPS), clip_norm=10.0)
    engine = CompiledEngine(env, agent, trainer, source, num_envs=COPIES, total_steps=STEPS, seed=seed, jit=jit)
    while engine.env_steps < STEPS:
        engine.advance(STEPS)
    return np.asarray(agent.online(np.array([[seen] for seen in env.values()], np.float32)))


def worst(env: Probe, found: NDArray[Any]) -> float:
    return float(np.abs(found - np.array([*env.values().values()])).max())


# XLA takes seconds to compile each program, so it gets the probes that have the others in them.
@pytest.mark.parametrize(("probe", "jit"), [(probe, probe in (ChosenForSeen, LastSeen)) for probe in PROBES])
def test_dqn_solves_the_probe(probe: type[Probe], jit: bool) -> None:
    env = probe(start=0 if jit else 3)
    assert worst(env, learn(env, jit=jit)) < CLOSE


def test_so_does_dqn_without_double_from_a_replay_whose_mutation_changes_nothing() -> None:
    env = LastSeen()
    assert worst(env, learn(env, jit=False, mutate=lambda env, transition: transition, double=False)) < CLOSE


@pytest.mark.parametrize(
    ("probe", "mutate", "options"),
    [
        (TwoSteps, None, {"gamma": 1.0}),
        (Constant, ignores_the_end, {}),
        (TimeLimit, takes_a_cut_for_an_end, {}),
        (LastSeen, sees_the_next_episode, {}),
    ],
)
def test_the_probe_finds_the_fault(probe: type[Probe], mutate: Mutate | None, options: dict[str, Any]) -> None:
    env = probe()
    assert worst(env, learn(env, jit=False, mutate=mutate, **options)) > 3 * CLOSE
