"""Clauses of a sampler's contract are broken one by one, and named. The generative plugin's tests have good ones."""

from typing import Any

import gymnasium
import keras
import numpy as np
import pytest
import tensorflow as tf

from advdl.errors import UsageError
from advdl.testing import ContractError, check_sampler
from advdl.training import DataSpec, Objective, Sampler

SPEC = DataSpec(gymnasium.spaces.Box(-1.0, 1.0, (3,), np.float32), gymnasium.spaces.Discrete(2))


class Good(Sampler):
    """A Gaussian around a mean for each class."""

    score, better = "error", "lower"

    def __init__(self, spec: DataSpec) -> None:
        super().__init__(spec)
        if not isinstance(spec.x, gymnasium.spaces.Box) or not isinstance(spec.c, gymnasium.spaces.Discrete):
            raise UsageError("only classes of vectors")
        self.means = keras.layers.Dense(int(spec.x.shape[0]), name="means")
        self.means.build((None, int(spec.c.n)))

    @property
    def models(self) -> Any:
        return {"means": self.means}

    @property
    def noise_shape(self) -> tuple[int, ...]:
        return (3,)

    def objectives(self) -> Any:
        return [Objective("fit", self.loss, self.means.trainable_variables)]

    def loss(self, batch: Any, seed: Any) -> Any:
        return tf.reduce_mean(Good.measure(self, batch, seed)["error"]), {}

    def measure(self, batch: Any, seed: Any) -> Any:
        return {"error": tf.reduce_sum((self.means(tf.one_hot(batch["c"], 2)) - batch["x"]) ** 2, axis=-1)}

    def generate(self, noise: Any, c: Any, seed: Any) -> Any:
        return tf.clip_by_value(self.means(tf.one_hot(c, 2)) + 0.1 * noise, -1.0, 1.0)


def broken(**methods: Any) -> type[Good]:
    return type("Broken", (Good,), methods)


def generating(change: Any) -> Any:
    return lambda self, noise, c, seed: change(self, noise, c, Good.generate(self, noise, c, seed))


def drifts(self: Good, noise: Any, c: Any, x: Any) -> Any:
    self.means.weights[0].assign(2.0 * self.means.weights[0] + 1.0)
    return x


def forgets(self: Good, noise: Any, c: Any, x: Any) -> Any:
    self.hidden = getattr(self, "hidden", None) or np.random.uniform(0.1, 1.0)
    return tf.clip_by_value(x + 0.2 * self.hidden, -1.0, 1.0)


def measuring(change: Any) -> Any:
    return lambda self, batch, seed: change(Good.measure(self, batch, seed))


def refuses_badly(self: Good, spec: DataSpec) -> None:
    raise ValueError("only classes")


NAMES = map(str, range(100))


def test_a_good_one_keeps_it() -> None:
    check_sampler(Good, specs=[SPEC])


@pytest.mark.parametrize(
    ("methods", "clause"),
    [
        ({"__init__": refuses_badly}, "data that it cannot handle are refused with a UsageError"),
        ({"__new__": lambda cls, spec: "no sampler"}, "it is an advdl.training.Sampler"),
        ({"models": property(lambda self: {"means": 3})}, "models holds every Keras model by name"),
        (
            {"models": property(lambda self: {next(NAMES): self.means})},
            "the same options give the same variables by the same names",
        ),
        ({"objectives": lambda self: []}, "it has an objective"),
        ({"objectives": lambda self: Good.objectives(self) * 2}, "each objective has a name of its own"),
        (
            {"objectives": lambda self: [Objective("fit", self.loss, [])]},
            "an objective has variables, and they are among the models'",
        ),
        (
            {"sample": lambda self, c, count, seed: self.generate(tf.zeros([count, 3]), tf.zeros([count]), seed)},
            "a condition that is missing, or not wanted, is refused with a UsageError",
        ),
        (
            {"loss": lambda self, batch, seed: (Good.loss(self, batch, seed)[0] / 0.0, {})},
            "losses and gradients are finite",
        ),
        (
            {"loss": lambda self, batch, seed: (Good.loss(self, batch, seed)[0] * 0.0, {})},
            "training changes every objective's variables",
        ),
        ({"generate": lambda self, noise, c, seed: 1 / 0}, "sample(c, count, seed) can be traced"),
        (
            {"generate": generating(lambda self, noise, c, x: tf.cast(x, tf.float64))},
            "samples are [count, ...] in the dtype of spec.x",
        ),
        (
            {"generate": generating(lambda self, noise, c, x: x[:, :2])},
            "samples are [count, ...] in the dtype of spec.x",
        ),
        (
            {"generate": generating(lambda self, noise, c, x: x + 3.0)},
            "samples are finite and within the bounds of spec.x",
        ),
        (
            {"generate": generating(lambda self, noise, c, x: 0.5 * x + 0.1 * tf.random.uniform(tf.shape(x)))},
            "the same seed gives the same samples",
        ),
        ({"generate": generating(lambda self, noise, c, x: x * 0.0)}, "another seed gives other samples"),
        (
            {"generate": generating(lambda self, noise, c, x: tf.repeat(x[:1], 6, axis=0))},
            "the samples of a call differ from each other",
        ),
        ({"generate": generating(drifts)}, "the same seed gives the same samples"),
        ({"generate": generating(lambda self, noise, c, x: tf.tanh(noise))}, "samples depend on c"),
        (
            {"measure": measuring(lambda found: {"error": tf.reduce_mean(found["error"])})},
            "figures are one a sample, [batch]",
        ),
        ({"measure": measuring(lambda found: {"error": found["error"] / 0.0})}, "figures are finite"),
        ({"score": "accuracy"}, "score is one of the figures"),
        ({"better": "more"}, "better is 'higher' or 'lower'"),
        ({"generate": generating(forgets)}, "a sampler that is saved and loaded draws the same samples"),
    ],
)
def test_a_sampler_that_breaks_a_clause(methods: dict[str, Any], clause: str) -> None:
    with pytest.raises(ContractError) as caught:
        check_sampler(broken(**methods), specs=None if "__init__" in methods else [SPEC], jit=False)
    assert caught.value.clause == clause, caught.value.message


def test_data_that_it_must_take() -> None:
    with pytest.raises(ContractError, match=r"it takes .*; only classes"):
        check_sampler(Good, specs=[DataSpec(SPEC.x)])


def test_it_must_take_some_data() -> None:
    def nothing(spec: DataSpec) -> Any:
        raise UsageError("nothing at all")

    with pytest.raises(ContractError, match="it takes vectors or images"):
        check_sampler(nothing)
