"""Every clause of an agent's contract is broken once, and named. DQN's and the scaffold's tests have good ones."""

from functools import partial
from typing import Any

import gymnasium
import keras
import numpy as np
import pytest
import tensorflow as tf

from advdl.errors import UsageError
from advdl.rl import Acted, Agent, CompiledEngine, Spaces, UniformReplay
from advdl.testing import ContractError, check_agent
from advdl.training import Objective

SPACES = Spaces(gymnasium.spaces.Box(-1.0, 1.0, (4,), np.float32), gymnasium.spaces.Discrete(3))


class Good(Agent):
    """Predicts rewards, and takes the action of which it expects the most."""

    def __init__(self, spaces: Spaces) -> None:
        super().__init__(spaces)
        if not isinstance(spaces.action, gymnasium.spaces.Discrete):
            raise UsageError("only Discrete")
        inputs = keras.Input(spaces.observation.shape)
        values = keras.layers.Dense(int(spaces.action.n), name="q")(inputs)
        self.network = keras.Model(inputs, values)
        self.calls = tf.Variable(0.0)

    @property
    def models(self) -> Any:
        return {"network": self.network}

    def act(self, observation: Any, carry: Any, seed: Any, *, progress: Any) -> Acted:
        return Acted(tf.argmax(self.network(observation), axis=-1, output_type=tf.int64), carry)

    def source(self, *, num_envs: int) -> Any:
        sizes = {"capacity": 64, "batch_size": 8, "learning_starts": 8, "train_every": 8, "updates": 1}
        return UniformReplay(self.spaces, num_envs=num_envs, **sizes)

    def objectives(self) -> Any:
        return [Objective("fit", self.loss, self.network.trainable_variables)]

    def loss(self, batch: Any, seed: Any) -> Any:
        error = tf.reduce_sum(self.network(batch["observation"]), axis=-1) - batch["reward"]
        return tf.reduce_mean(error**2), {}


def broken(**methods: Any) -> type[Good]:
    return type("Broken", (Good,), methods)


def acting(change: Any) -> Any:
    """An ``act`` whose result is changed: ``change(agent, acted, observation, progress)``."""

    def act(self: Good, observation: Any, carry: Any, seed: Any, *, progress: Any) -> Acted:
        acted = Good.act(self, observation, carry, seed, progress=progress)
        return change(self, acted, observation, progress) or acted

    return act


class Counting(UniformReplay):
    """Makes more updates than it says."""

    def updates_in(self, env_steps: int) -> int:
        return super().updates_in(env_steps) // 2


def counting(self: Good, *, num_envs: int) -> Any:
    sizes = {"capacity": 64, "batch_size": 8, "learning_starts": 8, "train_every": 8, "updates": 1}
    return Counting(self.spaces, num_envs=num_envs, **sizes)


class Forgetful(UniformReplay):
    """Its checkpoint lacks the transitions."""

    def state(self) -> Any:
        return {"added": super().state()["added"]}


def forgetful(self: Good, *, num_envs: int) -> Any:
    sizes = {"capacity": 64, "batch_size": 8, "learning_starts": 8, "train_every": 8, "updates": 1}
    return Forgetful(self.spaces, num_envs=num_envs, **sizes)


def never(self: Good, *, num_envs: int) -> Any:
    source = Good.source(self, num_envs=num_envs)
    source.updates_in = lambda env_steps: 0
    return source


def refuses_badly(self: Good, spaces: Spaces) -> None:
    raise ValueError("only Discrete")


def takes_anything(self: Good, spaces: Spaces) -> None:
    Good.__init__(self, Spaces(spaces.observation, gymnasium.spaces.Discrete(3)))


def stranger(self: Good) -> Any:
    self.other = getattr(self, "other", None) or keras.Variable(np.zeros(3, np.float32), name="other")
    return [Objective("fit", self.loss, [self.other])]


def drifts(self: Good, acted: Acted, *rest: Any) -> None:
    self.network.weights[0].assign(2.0 * self.network.weights[0])


NAMES = map(str, range(100))


@pytest.mark.parametrize(
    ("methods", "clause"),
    [
        ({"__init__": refuses_badly}, "spaces that it cannot handle are refused with a UsageError"),
        ({"__init__": takes_anything}, "spaces that it cannot handle are refused with a UsageError"),
        ({"__new__": lambda cls, spaces: "no agent"}, "it is an advdl.rl.Agent"),
        ({"models": property(lambda self: {"network": 3})}, "models holds every Keras model by name"),
        (
            {"models": property(lambda self: {next(NAMES): self.network})},
            "the same options give the same variables by the same names",
        ),
        ({"objectives": lambda self: []}, "it has an objective"),
        ({"objectives": lambda self: Good.objectives(self) * 2}, "each objective has a name of its own"),
        ({"objectives": lambda self: [Objective("fit", self.loss, [])]}, "an objective has variables"),
        ({"objectives": stranger}, "the objectives' variables are among the models' variables"),
        ({"act": lambda self, *_, **__: 1 / 0}, "it acts greedily"),
        (
            {"act": acting(lambda self, acted, *_: Acted(tf.cast(acted.action, tf.int32)))},
            "actions are [num_envs, ...] in the action space's dtype",
        ),
        ({"act": acting(lambda self, acted, *_: Acted(acted.action + 3))}, "actions are in the action space"),
        (
            {"act": acting(lambda self, acted, *_: Acted(acted.action * 0 + np.random.randint(3, size=8)))},
            "the same seed and observation give the same action",
        ),
        (
            {"act": acting(lambda self, acted, *_: Acted(acted.action, tf.zeros([8, 2])))},
            "the carry keeps its structure and shapes",
        ),
        (
            {"act": acting(lambda self, acted, *_: Acted(acted.action, extras={"value": tf.zeros([1])}))},
            "extras are [num_envs, ...]",
        ),
        (
            {"act": acting(lambda self, acted, *_: Acted(acted.action, metrics={"value": tf.zeros([8])}))},
            "metrics of act are scalars",
        ),
        (
            {"act": acting(lambda self, acted, seen, _: Acted((acted.action * 0 + len(seen)) % 3))},
            "the action for an observation does not depend on the rest of the batch",
        ),
        ({"act": acting(drifts)}, "acting changes no variable"),
        (
            {"act": acting(lambda self, acted, *_: Acted(tf.py_function(lambda a: a, [acted.action], tf.int64)))},
            "act can be compiled by XLA, and then acts greedily as it does eagerly",
        ),
        ({"source": lambda self, **_: 1 / 0}, "source(num_envs=n) builds what it learns from"),
        ({"source": never}, "it makes updates"),
        ({"source": counting}, "updates_in counts the updates that are due"),
        (
            {"loss": lambda self, batch, seed: (Good.loss(self, batch, seed)[0] / 0.0, {})},
            "it learns in the compiled engine, from transitions that its source accepts",
        ),
        (
            {"loss": lambda self, batch, seed: (Good.loss(self, batch, seed)[0] * 0.0, {})},
            "an update changes something",
        ),
        (
            {"source": forgetful},
            "its source keeps its contract: its variables are its whole state: "
            "restored, it goes on as if it had never stopped",
        ),
    ],
)
def test_an_agent_that_breaks_a_clause(methods: dict[str, Any], clause: str, monkeypatch: pytest.MonkeyPatch) -> None:
    # XLA, which takes seconds to compile, is tested with agents that are good.
    monkeypatch.setattr("advdl.testing.agent.CompiledEngine", partial(CompiledEngine, jit=False))
    with pytest.raises(ContractError) as caught:
        check_agent(broken(**methods), spaces=None if "__init__" in methods else [SPACES])
    assert caught.value.clause == clause, caught.value.message


def test_spaces_that_it_must_take() -> None:
    box = Spaces(SPACES.observation, gymnasium.spaces.Box(-1.0, 1.0, (2,)))
    with pytest.raises(ContractError, match=r"it takes .*; only Discrete"):
        check_agent(Good, spaces=[box])


def test_an_agent_must_take_one_of_the_usual_spaces() -> None:
    def nothing(spaces: Spaces) -> Any:
        raise UsageError("nothing at all")

    with pytest.raises(ContractError, match="it takes one of the usual spaces"):
        check_agent(nothing)
