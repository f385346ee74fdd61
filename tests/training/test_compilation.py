"""Whether XLA compiles: said, taken for granted, or measured once and then remembered."""

from typing import Any

import keras
import numpy as np
import pytest
import tensorflow as tf

from advdl.training import Objective, Trainer, Tuning
from advdl.training import compilation as module
from advdl.training.compilation import Compilation, as_compilation, convolves, measure, measure_updates
from advdl.training.learner import Learner
from advdl.training.update_engine import UpdateEngine

SEEN = np.random.default_rng(0).normal(size=(4, 6, 6, 2)).astype(np.float32)


def dense() -> keras.Model:
    return keras.Sequential([keras.Input((4,)), keras.layers.Dense(3)])


def convolution() -> keras.Model:
    inputs = keras.Input((6, 6, 2))
    inner = keras.Sequential([keras.Input((6, 6, 2)), keras.layers.Conv2D(3, 3), keras.layers.BatchNormalization()])
    return keras.Model(inputs, keras.layers.Flatten()(inner(inputs)), name="eye")


@pytest.fixture
def times(monkeypatch: pytest.MonkeyPatch) -> dict[bool, float]:
    """Seconds with XLA (True) and without; what is measured is counted under ``"asked"``."""
    said: dict[Any, float] = {True: 1.0, False: 1.0, "asked": 0}

    def fake(model: keras.Model, batch_size: int) -> tuple[float, float]:
        said["asked"] += 1
        said["samples"] = batch_size
        return said[True], said[False]

    monkeypatch.setattr(module, "measure", fake)
    return said


@pytest.mark.parametrize(
    ("setting", "backbones", "xla"),
    [(None, dense, True), (True, convolution, True), (False, convolution, False), (None, lambda: None, True)],
)
def test_what_is_said_or_sure_is_not_measured(setting: Any, backbones: Any, xla: bool, times: Any) -> None:
    made = backbones()
    compilation = Compilation(setting, [made] if made else [])
    assert compilation.assumed == compilation.decide() == xla
    assert compilation.state() == {}
    assert times["asked"] == 0


@pytest.mark.parametrize(("without", "xla"), [(0.5, False), (0.8, False), (0.9, True), (2.0, True)])
def test_xla_is_left_for_a_clear_gain_only(without: float, xla: bool, times: Any) -> None:
    said: list[str] = []
    times[False] = without
    compilation = Compilation(None, [dense(), convolution()], said.append, batch_size=32)
    assert [compilation.decide(), compilation.decide()] == [xla, xla]
    assert (times["asked"], times["samples"]) == (1, 32)
    (sentence,) = said
    assert "XLA compiles" in sentence if xla else "own kernels" in sentence
    assert f"32 samples through 'eye' takes 1000.0 ms with XLA and {1000 * without:.1f} ms without" in sentence


def test_a_run_that_goes_on_keeps_its_program(times: Any) -> None:
    times[False] = 0.1
    first, second = (Compilation(None, [convolution()]) for _ in range(2))
    assert not first.decide()
    times[False] = 9.0
    second.state()["xla"].assign(first.state()["xla"])
    assert not second.decide()


def test_where_there_is_no_backbone_updates_are_measured(times: Any) -> None:
    said: list[str] = []
    compilation = Compilation(None, [], said.append, probe=lambda: (1.0, 0.5))
    assert compilation.assumed
    assert not compilation.decide()
    assert "an update takes 1000.0 ms with XLA and 500.0 ms without" in said[0]
    assert Compilation(None, [convolution()], probe=lambda: (1.0, 0.5)).decide()
    assert times["asked"] == 1


def test_measuring_updates_changes_nothing() -> None:
    learner = Eye()
    before = [variable.numpy() for variable in learner.model.variables]
    with_xla, without = measure_updates(learner, {"x": tf.constant(SEEN)})
    assert with_xla > 0
    assert without > 0
    assert all(np.array_equal(*pair) for pair in zip(before, (v.numpy() for v in learner.model.variables), strict=True))


def test_measuring_takes_time_and_changes_nothing() -> None:
    model = convolution()
    before = [variable.numpy() for variable in model.variables]
    with_xla, without = measure(model)
    assert with_xla > 0
    assert without > 0
    assert all(np.array_equal(*pair) for pair in zip(before, (v.numpy() for v in model.variables), strict=True))


class Eye(Learner):
    def __init__(self, model: keras.Model | None = None) -> None:
        keras.utils.set_random_seed(3)
        self.model = model or convolution()

    @property
    def models(self) -> dict[str, keras.Model]:
        return {"eye": self.model}

    def objectives(self) -> list[Objective]:
        def loss(batch: Any, seed: tf.Tensor) -> tuple[tf.Tensor, dict[str, tf.Tensor]]:
            return tf.reduce_mean(tf.square(self.model(batch["x"], training=True) - 1.0)), {}

        return [Objective("see", loss, self.model.trainable_variables)]


def engine(jit: bool | Compilation) -> UpdateEngine:
    eye = Eye()
    optimizer = keras.optimizers.SGD(0.1)
    optimizer.build(eye.model.trainable_variables)
    trainer = Trainer(eye, {"see": Tuning(optimizer, lambda step, total: 0.1)}, total_updates=4)
    return UpdateEngine(lambda update: {"x": tf.constant(SEEN)}, trainer, seed=0, jit=jit)


def test_an_engine_changes_its_program_and_says_so_in_its_state(times: Any) -> None:
    times[False] = 0.1
    measured, plain = engine(Compilation(None, [convolution()])), engine(False)
    for each in (measured, plain):
        each.build()
        while each.updates < 4:
            each.advance(4)
    one, other = measured.state(), plain.state()
    assert int(one.pop("engine/xla")) == 0
    assert one.keys() == other.keys()
    assert all(np.array_equal(one[name], other[name]) for name in one if name.startswith("trainer/learner"))


def test_updates_are_programs_of_their_own_where_something_convolves() -> None:
    for make, apart in ((dense, False), (convolution, True)):
        learner = Eye(make())
        assert convolves(learner) == as_compilation(True, learner).apart == apart
    given = Compilation(True)
    assert as_compilation(given, Eye()) is given


def compiled(engine: UpdateEngine) -> dict[str, bool]:
    """Says of each convolution's gradient in an engine's program whether XLA must compile the function it is in."""
    scalar = tf.TensorSpec([], tf.int64)
    functions = engine._loop._program.get_concrete_function(scalar, scalar).graph.as_graph_def().library.function
    found = [(node.op, function.attr["_XlaMustCompile"].b) for function in functions for node in function.node_def]
    return {op: must for op, must in found if op.startswith("Conv2DBackprop")}


def test_xla_is_given_the_gradient_of_a_convolution_outside_of_every_loop() -> None:
    """In the body of a loop it has no fast kernel for it. A function that must be compiled is a program of its own."""
    assert compiled(engine(True))["Conv2DBackpropFilter"]
    assert not compiled(engine(Compilation(True)))["Conv2DBackpropFilter"]


@pytest.mark.parametrize("stops", [(4,), (1, 3, 4)])
def test_updates_apart_are_the_same_updates(stops: tuple[int, ...]) -> None:
    apart, plain = engine(True), engine(False)
    for each in (apart, plain):
        for stop in stops:
            while each.updates < stop:
                each.advance(stop)
    one, other = apart.state(), plain.state()
    assert one.keys() == other.keys()
    for name in one:
        np.testing.assert_allclose(one[name], other[name], rtol=1e-4, atol=1e-6, err_msg=name)
