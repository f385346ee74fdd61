"""Clauses of a world model's contract are broken one by one, and named."""

from typing import Any

import gymnasium
import keras
import numpy as np
import pytest
import tensorflow as tf

from advdl.errors import UsageError
from advdl.rl import Dynamics, Foreseen, Spaces, encode_action, same_episode
from advdl.testing import ContractError, check_dynamics
from advdl.training import Objective

SPACES = Spaces(gymnasium.spaces.Box(-1.0, 1.0, (3,), np.float32), gymnasium.spaces.Discrete(2))


class Good(Dynamics):
    """A linear model of the last two observations."""

    length = context = 2

    def __init__(self, spaces: Spaces) -> None:
        super().__init__(spaces)
        if not isinstance(spaces.observation, gymnasium.spaces.Box):
            raise UsageError("only vectors")
        self.linear = keras.layers.Dense(5, name="linear")
        self.linear.build((None, 8))

    @property
    def models(self) -> Any:
        return {"linear": self.linear}

    def objectives(self) -> Any:
        return [Objective("fit", self.loss, self.linear.trainable_variables)]

    def loss(self, batch: Any, seed: Any) -> Any:
        said = self.say(Good.begin(self, batch), batch["action"][:, -1])
        return tf.reduce_mean((said[:, :3] - batch["next_observation"][:, -1]) ** 2), {}

    def begin(self, segments: Any) -> Any:
        return segments["observation"] * tf.cast(same_episode(segments), tf.float32)[..., None]

    def foresee(self, carry: Any, action: Any, seed: Any) -> Any:
        said = self.say(carry, action)
        seen = tf.clip_by_value(said[:, :3], -1.0, 1.0)
        chance = tf.random.stateless_uniform(tf.shape(said[:, 4]), seed)
        return Foreseen(tf.stack([carry[:, 1], seen], axis=1), seen, said[:, 3], chance < tf.sigmoid(said[:, 4]))

    def say(self, carry: Any, action: Any) -> Any:
        return self.linear(tf.concat([tf.reshape(carry, [-1, 6]), encode_action(self.spaces.action, action)], axis=-1))


def broken(**methods: Any) -> type[Good]:
    return type("Broken", (Good,), methods)


def foreseeing(change: Any) -> Any:
    return lambda self, carry, action, seed: change(self, Good.foresee(self, carry, action, seed))


def drifts(self: Good, said: Foreseen) -> Foreseen:
    self.linear.bias.assign(0.5 * self.linear.bias)
    return said


def keeps_to_itself(self: Good, said: Foreseen) -> Foreseen:
    self.hidden = getattr(self, "hidden", None) or np.random.uniform(0.1, 1.0)
    return said._replace(reward=said.reward + self.hidden)


def refuses_badly(self: Good, spaces: Spaces) -> None:
    raise ValueError("only vectors")


NAMES = map(str, range(100))


def test_a_good_one_keeps_it() -> None:
    check_dynamics(Good, spaces=[SPACES])


@pytest.mark.parametrize(
    ("methods", "clause"),
    [
        ({"__init__": refuses_badly}, "spaces that it cannot handle are refused with a UsageError"),
        ({"__new__": lambda cls, spaces: "no model"}, "it is an advdl.rl.Dynamics"),
        ({"context": 0}, "length and context are 1 or more"),
        ({"adapt": lambda self, segments: 1 / 0}, "adapt(segments) reads scales off the data"),
        (
            {"models": property(lambda self: {next(NAMES): self.linear})},
            "the same options give the same variables by the same names",
        ),
        (
            {"loss": lambda self, batch, seed: (Good.loss(self, batch, seed)[0] / 0.0, {})},
            "losses and gradients are finite",
        ),
        (
            {"loss": lambda self, batch, seed: (Good.loss(self, batch, seed)[0] * 0.0, {})},
            "training changes every objective's variables",
        ),
        (
            {"begin": lambda self, segments: Good.begin(self, segments)[:3]},
            "begin(segments) returns a nest of tensors [batch, ...]",
        ),
        (
            {"begin": lambda self, segments: Good.begin(self, segments) * segments["reward"][:, -1, None, None]},
            "what a segment's last step did and brought does not count in begin(segments)",
        ),
        (
            {"begin": lambda self, segments: segments["observation"]},
            "what was seen before an episode began is forgotten",
        ),
        ({"foresee": lambda self, carry, action, seed: 1 / 0}, "foresee(carry, action, seed) can be traced"),
        (
            {"foresee": foreseeing(lambda self, said: said._replace(carry=said.carry[:, 1:]))},
            "a step keeps the memory's structure, shapes and dtypes",
        ),
        (
            {"foresee": foreseeing(lambda self, said: said._replace(reward=said.reward[:, None]))},
            "it says [batch, ...] of each",
        ),
        (
            {"foresee": foreseeing(lambda self, said: said._replace(terminated=tf.cast(said.terminated, tf.int32)))},
            "observations have the space's dtype, rewards are float32, terminations bool",
        ),
        (
            {"foresee": foreseeing(lambda self, said: said._replace(observation=said.observation + 3.0))},
            "observations are in observation_space",
        ),
        (
            {"foresee": foreseeing(lambda self, said: said._replace(reward=said.reward / 0.0))},
            "rewards are finite",
        ),
        (
            {"foresee": foreseeing(lambda self, said: said._replace(reward=tf.random.uniform([16])))},
            "the same seed gives the same step",
        ),
        (
            {"say": lambda self, carry, action: Good.say(self, carry, tf.zeros_like(action))},
            "what it foresees depends on the action",
        ),
        ({"foresee": foreseeing(drifts)}, "foreseeing changes no variable"),
        (
            {"foresee": foreseeing(keeps_to_itself)},
            "its variables are its whole state: restored, it foresees the same",
        ),
    ],
)
def test_dynamics_that_break_a_clause(methods: dict[str, Any], clause: str) -> None:
    with pytest.raises(ContractError) as caught:
        check_dynamics(broken(**methods), spaces=None if "__init__" in methods else [SPACES], jit=False)
    assert caught.value.clause == clause, caught.value.message


def test_spaces_that_they_must_take() -> None:
    seen = Spaces(gymnasium.spaces.Text(3), SPACES.action)
    with pytest.raises(ContractError, match=r"it takes .*; only vectors"):
        check_dynamics(Good, spaces=[seen])

    def nothing(spaces: Spaces) -> Any:
        raise UsageError("nothing at all")

    with pytest.raises(ContractError, match="it takes vectors or images"):
        check_dynamics(nothing)
