"""Every clause of a data learner's contract is broken once, and named."""

from collections.abc import Mapping
from typing import Any, ClassVar

import gymnasium
import keras
import numpy as np
import pytest
import tensorflow as tf

from advdl.errors import UsageError
from advdl.testing import ContractError, check_learner
from advdl.training import DataLearner, DataSpec, Objective

SPEC = DataSpec(gymnasium.spaces.Box(-1.0, 1.0, (4,), np.float32), gymnasium.spaces.Discrete(3))


class Good(DataLearner):
    """A linear classifier of vectors."""

    score: ClassVar[str] = "accuracy"
    better: ClassVar[Any] = "higher"

    def __init__(self, spec: DataSpec) -> None:
        super().__init__(spec)
        if not isinstance(spec.c, gymnasium.spaces.Discrete) or len(spec.x.shape or ()) != 1:
            raise UsageError("vectors with classes only")
        inputs = keras.Input(spec.x.shape)
        self.network = keras.Model(inputs, keras.layers.Dense(int(spec.c.n), name="logits")(inputs))
        self.hidden = tf.Variable(1.0)

    @property
    def models(self) -> Any:
        return {"network": self.network}

    def objectives(self) -> Any:
        return [Objective("fit", self.loss, self.network.trainable_variables)]

    def loss(self, batch: Any, seed: Any) -> Any:
        return tf.reduce_mean(self.each(batch)), {}

    def each(self, batch: Any) -> Any:
        logits = self.network(batch["x"], training=True)
        return tf.nn.sparse_softmax_cross_entropy_with_logits(tf.cast(batch["c"], tf.int32), logits)

    def measure(self, batch: Any, seed: Any) -> Mapping[str, Any]:
        right = tf.argmax(self.network(batch["x"]), axis=-1) == tf.cast(batch["c"], tf.int64)
        return {"accuracy": tf.cast(right, tf.float32), "loss": self.each(batch)}


def broken(**methods: Any) -> type[Good]:
    return type("Broken", (Good,), methods)


def measuring(change: Any) -> Any:
    """A ``measure`` whose figures are changed: ``change(learner, figures, batch, seed)``."""

    def measure(self: Good, batch: Any, seed: Any) -> Any:
        figures = dict(Good.measure(self, batch, seed))
        return {**figures, **change(self, figures, batch, seed)}

    return measure


def refuses_badly(self: Good, spec: DataSpec) -> None:
    raise ValueError("vectors only")


def takes_anything(self: Good, spec: DataSpec) -> None:
    Good.__init__(self, SPEC)


def stranger(self: Good) -> Any:
    self.other = getattr(self, "other", None) or keras.Variable(np.zeros(3, np.float32), name="other")
    return [Objective("fit", self.loss, [self.other])]


def drifts(self: Good, *rest: Any) -> dict[str, Any]:
    self.network.weights[0].assign(2.0 * self.network.weights[0].value)
    return {}


def counts(self: Good, batch: Any, seed: Any) -> Any:
    """Depends on what is in no model."""
    self.hidden.assign_add(1.0)
    return tf.reduce_mean(self.each(batch)) * tf.where(self.hidden > 4.5, -1.0, 1.0), {}


NAMES = map(str, range(100))


@pytest.mark.parametrize(
    ("methods", "clause"),
    [
        ({"__init__": refuses_badly}, "data that it cannot learn from are refused with a UsageError"),
        ({"__init__": takes_anything}, "data that it cannot learn from are refused with a UsageError"),
        ({"__new__": lambda cls, spec: "no learner"}, "it is an advdl.training.DataLearner"),
        ({"better": "larger"}, "better says whether a 'higher' or a 'lower' score is better"),
        ({"models": property(lambda self: {"network": 3})}, "models holds every Keras model by name"),
        (
            {"models": property(lambda self: {next(NAMES): self.network})},
            "the same options give the same variables by the same names",
        ),
        ({"objectives": lambda self: []}, "it has an objective"),
        ({"objectives": lambda self: Good.objectives(self) * 2}, "each objective has a name of its own"),
        ({"objectives": lambda self: [Objective("fit", self.loss, [])]}, "an objective has variables"),
        ({"objectives": stranger}, "the objectives' variables are among the models' variables"),
        (
            {"measure": lambda self, batch, seed: {"accuracy": tf.constant(0.5)}},
            "measure(batch, seed) returns figures by name, each a float a sample, [batch]",
        ),
        (
            {"measure": lambda self, batch, seed: 1 / 0},
            "measure(batch, seed) returns figures by name, each a float a sample, [batch]",
        ),
        (
            {"measure": lambda self, batch, seed: {}},
            "measure(batch, seed) returns figures by name, each a float a sample, [batch]",
        ),
        ({"score": "acuracy"}, "score is the name of one of measure's figures"),
        ({"measure": measuring(lambda self, f, *_: {"loss": f["loss"] / 0.0})}, "figures are finite"),
        (
            {"measure": measuring(lambda self, f, *_: {"loss": f["loss"] + tf.random.uniform([])})},
            "the same batch and seed give the same figures",
        ),
        (
            {"measure": measuring(lambda self, f, *_: {"loss": f["loss"] - tf.reduce_mean(f["loss"])})},
            "a sample's figures do not depend on the rest of the batch",
        ),
        ({"measure": measuring(drifts)}, "measuring changes no variable"),
        (
            {"loss": lambda self, batch, seed: 1 / 0},
            "its losses can be minimised: loss(batch, seed) returns a float scalar and what else there is to report",
        ),
        (
            {"loss": lambda self, batch, seed: (Good.loss(self, batch, seed)[0] / 0.0, {})},
            "losses and gradients are finite",
        ),
        (
            {"loss": lambda self, batch, seed: (Good.loss(self, batch, seed)[0] * 0.0, {})},
            "an update changes something",
        ),
        (
            {"loss": counts},
            "its models' variables are its whole state: restored, it goes on as if it had never stopped",
        ),
        (
            {"after_update": lambda self, update: self.network.weights[0].assign(self.network.weights[0] / 0.0)},
            "variables stay finite",
        ),
    ],
)
def test_a_learner_that_breaks_a_clause(methods: dict[str, Any], clause: str) -> None:
    with pytest.raises(ContractError) as caught:
        check_learner(broken(**methods), specs=None if "__init__" in methods else [SPEC], jit=False)
    assert caught.value.clause == clause, caught.value.message
    assert caught.value.page == "docs/plugins.md#learner"


def test_what_xla_cannot_compile() -> None:
    def on_the_host(self: Good, figures: Any, *_: Any) -> Any:
        return {"loss": tf.ensure_shape(tf.py_function(lambda x: x, [figures["loss"]], tf.float32), [8])}

    with pytest.raises(ContractError) as caught:
        check_learner(broken(measure=measuring(on_the_host)), specs=[SPEC])
    assert caught.value.clause == "measure can be compiled by XLA"


def test_a_good_learner_passes() -> None:
    check_learner(Good)


def test_data_that_it_must_take_or_none_at_all() -> None:
    with pytest.raises(ContractError, match=r"it takes .*; vectors with classes only"):
        check_learner(Good, specs=[DataSpec(SPEC.x)])

    def nothing(spec: DataSpec) -> Any:
        raise UsageError("nothing at all")

    with pytest.raises(ContractError, match="it takes some usual data"):
        check_learner(nothing)
