"""Each adapter's meta-gradient is the one that its paper defines, against central differences in float64."""

import numpy as np
import pytest
import tensorflow as tf
from meta_cases import SEED, adapter_of, central_differences, flat, float64, meta_batch, meta_gradient

from advdl.training import Adapter, Batch, Fast, fold

RATE = 0.2
SECOND_ORDER = [
    ("maml", {"steps": 2}),
    ("maml", {"steps": 0}),
    ("anil", {"steps": 2}),
    ("meta-sgd", {"steps": 2}),
    ("maml-pp", {"steps": 2, "multi_step_updates": 4}),
]


def build(name: str, **options: object) -> Adapter:
    with float64():
        adapter = adapter_of(name, learning_rate=RATE, **options)
    assert all(variable.dtype == "float64" for variable in adapter.meta_variables)
    return adapter


def relative(ours: np.ndarray, reference: np.ndarray) -> float:
    return float(np.linalg.norm(ours - reference) / np.linalg.norm(reference))


def task_by_task(batch: Batch) -> list[Batch]:
    return [tf.nest.map_structure(lambda field, at=at: field[at], batch) for at in range(3)]


@pytest.mark.parametrize(("name", "options"), SECOND_ORDER)
def test_second_order_gradients_are_those_of_the_loss_after_adaptation(name: str, options: dict[str, object]) -> None:
    adapter, batch = build(name, **options), meta_batch()
    values = [tf.convert_to_tensor(variable.value) for variable in adapter.meta_variables]

    @tf.function
    def loss(arrays: list[tf.Tensor]) -> tf.Tensor:
        return tf.add_n([adapter.task_loss(arrays, task, SEED).loss for task in task_by_task(batch)]) / 3

    numeric = central_differences(lambda arrays: float(loss([tf.constant(array) for array in arrays])), values)
    assert relative(meta_gradient(adapter, batch), numeric) <= 1e-3


def test_first_order_maml_takes_the_gradient_at_the_adapted_weights() -> None:
    adapter, batch = build("fomaml", steps=2), meta_batch()
    start = [tf.convert_to_tensor(variable.value) for variable in adapter.meta_variables]
    numeric = []
    for task in task_by_task(batch):
        fast = adapter.start(start)
        for step in range(2):
            fast = adapter.inner_step(start, fast, task["support"], SEED, step=step)
        numeric.append(differences(adapter, fast.weights, task["query"]))
    assert relative(meta_gradient(adapter, batch), np.mean(numeric, 0)) <= 1e-3


def test_reptile_goes_the_sum_of_the_gradients_on_its_way() -> None:
    adapter, batch = build("reptile", steps=3), meta_batch()
    start = [tf.convert_to_tensor(variable.value) for variable in adapter.meta_variables]
    numeric = []
    for task in task_by_task(batch):
        fast, way = adapter.start(start), 0.0
        for step in range(3):
            part = task["support" if step % 2 == 0 else "query"]
            way = way + differences(adapter, fast.weights, part)
            fast = adapter.inner_step(start, fast, part, fold(SEED, step), step=step)
        numeric.append(way)
    assert relative(meta_gradient(adapter, batch), np.mean(numeric, 0)) <= 1e-3


def test_first_and_second_order_gradients_differ() -> None:
    batch = meta_batch()
    first, second = (meta_gradient(build(name, steps=2), batch) for name in ("fomaml", "maml"))
    assert relative(first, second) > 0.01


def test_order_is_annealed() -> None:
    """MAML++ begins with first-order gradients; once the updates are made, they are second-order."""
    batch = meta_batch()
    adapter = build("maml-pp", steps=2, multi_step_updates=0, first_order_updates=5)

    def gradient() -> np.ndarray:
        count = sum(variable.numpy().size for variable in adapter.pure.variables)
        return meta_gradient(adapter, batch)[:count]

    assert relative(gradient(), meta_gradient(build("fomaml", steps=2), batch)) < 1e-6
    adapter.after_update(tf.constant(5, tf.int64))
    assert relative(gradient(), meta_gradient(build("maml", steps=2), batch)) < 1e-6


def test_rates_are_learnt_in_units_of_the_inner_rate() -> None:
    """An optimizer moves a rate by a share of itself, however small the inner rate is."""
    adapter, task = build("maml-pp", steps=2), task_by_task(meta_batch())[0]
    values = [tf.convert_to_tensor(variable.value) for variable in adapter.meta_variables]
    assert np.array_equal(values[-1], np.ones([2, 2]))

    def way(units: np.ndarray) -> np.ndarray:
        fast = adapter.inner_step([*values[:-1], units], adapter.start(values), task["support"], SEED, step=1)
        return flat([after - before for before, after in zip(values, fast.weights, strict=False)])

    fast = build("maml", steps=1).inner_step(values, adapter.start(values), task["support"], SEED, step=0)
    assert (
        relative(
            way(np.array([[9.0, 9.0], [1.0, 1.0]])), flat([b - a for a, b in zip(values, fast.weights, strict=False)])
        )
        < 1e-6
    )
    halves = way(np.array([[9.0, 9.0], [0.5, 2.0]])) / way(np.ones([2, 2]))
    assert np.allclose(halves[:10], 0.5)
    assert np.allclose(halves[10:], 2.0)


def test_only_the_head_of_anil_adapts() -> None:
    adapter, batch = build("anil", steps=1), meta_batch()
    start = [tf.convert_to_tensor(variable.value) for variable in adapter.meta_variables]
    task = task_by_task(batch)[0]
    fast = adapter.inner_step(start, adapter.start(start), task["support"], SEED, step=0)
    moved = [not np.array_equal(before, after) for before, after in zip(start, fast.weights, strict=True)]
    assert moved == [False, False, True, True]


def differences(adapter: Adapter, weights: object, part: Batch) -> np.ndarray:
    state = adapter.pure.start().state

    @tf.function
    def loss(arrays: list[tf.Tensor]) -> tf.Tensor:
        return adapter.pure.adaptation_loss(Fast(arrays, state), part, SEED)

    return central_differences(lambda arrays: float(loss([tf.constant(array) for array in arrays])), weights)
