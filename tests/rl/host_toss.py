"""An agent whose every step is known in the host engine, and how runs of it are compared."""

from typing import Any

import keras
import numpy as np
import tensorflow as tf
from host_envs import factory

from advdl.rl import Acted, Agent, Spaces, UniformReplay
from advdl.rl.host_engine import HostEngine
from advdl.rl.host_vector import HostVectorEnv
from advdl.training import Objective, Trainer, Tuning

COPIES, TOTAL = 3, 600


class Toss(Agent):
    """Tosses a coin, and fits the rewards; its carry counts the steps of an episode."""

    off_policy = True
    sizes = {"capacity": 900, "batch_size": 8, "learning_starts": 30, "train_every": 15, "updates": 2}  # noqa: RUF012

    def __init__(self, where: Spaces) -> None:
        super().__init__(where)
        self.line = keras.layers.Dense(1, name="line", kernel_initializer="zeros")
        self.line.build((None, 2))
        self.poison_after = tf.Variable(10**6, trainable=False)
        self.updates = 0

    @property
    def models(self) -> Any:
        return {"line": self.line}

    def initial_carry(self, num_envs: int) -> Any:
        return tf.zeros([num_envs], tf.int32)

    def act(self, observation: Any, carry: Any, seed: Any, *, progress: Any) -> Acted:
        toss = tf.random.stateless_uniform([COPIES], seed, 0, 2, tf.int32)
        now = {"carried": carry, "guess": self.line(observation)[:, 0]}
        return Acted(tf.cast(toss, tf.int64), carry + 1, now, {"steps": progress.env_steps})

    def source(self, *, num_envs: int) -> Any:
        return UniformReplay(self.spaces, num_envs=num_envs, **self.sizes)

    def objectives(self) -> Any:
        return [Objective("fit", self._loss, self.line.trainable_variables)]

    def _loss(self, batch: Any, seed: Any) -> Any:
        loss = tf.reduce_mean(tf.square(self.line(batch["observation"])[:, 0] - batch["reward"]))
        poisoned = tf.reduce_max(self.line.bias) > tf.cast(self.poison_after, tf.float32) / 1000.0
        return tf.where(poisoned, float("nan"), loss), {}


def build(
    env: Any = None,
    *,
    seed: int = 0,
    chunk_seconds: float = 10.0,
    recorded: Any = None,
    jit: Any = False,
    kind: type[Toss] | None = None,
    **options: Any,
) -> HostEngine:
    copies = env or HostVectorEnv(factory(), COPIES, seed=seed)
    keras.utils.set_random_seed(0)
    agent = (kind or Toss)(Spaces(copies.single_observation_space, copies.single_action_space))
    source = agent.source(num_envs=COPIES)
    if recorded is not None:
        add = source.add

        def record(transition: Any) -> None:
            tf.py_function(lambda *parts: recorded.append([part.numpy() for part in parts]), [*transition.values()], [])
            add(transition)

        source.add = record
    optimizer = keras.optimizers.SGD(0.01)
    optimizer.build(agent.line.trainable_variables)
    trainer = Trainer(agent, {"fit": Tuning(optimizer, lambda step, total: 0.01)}, total_updates=80)
    pace = {"total_steps": TOTAL, "seed": seed, "jit": jit, "chunk_seconds": chunk_seconds, **options}
    return HostEngine(copies, agent, trainer, source, **pace)


def run(engine: HostEngine, until: int, *stops: int) -> HostEngine:
    for stop in (*stops, until):
        while engine.env_steps < stop:
            engine.advance(stop)
    return engine


def snapshot(engine: HostEngine) -> dict[str, Any]:
    return {name: variable.numpy() for name, variable in engine.state().items()}


def assert_same(one: dict[str, Any], two: dict[str, Any]) -> None:
    assert one.keys() == two.keys()
    for name, value in one.items():
        np.testing.assert_array_equal(value, two[name], err_msg=name)


def put(engine: HostEngine, values: dict[str, Any]) -> None:
    for name, variable in engine.state().items():
        variable.assign(values[name])
